"""Soak of images, trees and datasets: damage, decay and stale data.

`make soak` runs it at full size.

    python tests/soak/soak_trust.py --part=zoo,mutants,damage,builds,stale --mutants=100000 --places=100 --builds=10

Each part prints what it saw and ends with an error if that is not what is promised:

    zoo       image files good and bad, and header bombs: taken or refused as they should be, memory, the slowest
    mutants   so many random changes of images whose hashes are recorded: all found, none crashes or hangs the check
    damage    every kind of damage at so many places of a dataset and a cache: all found, the shard or block named
    builds    the tree built so often, each with another hash seed, path and order of files: one set of bytes
    stale     every kind of change of the sources, by whole builds: refused, and what changed is said
"""

import argparse
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import time

import _support_path  # noqa: F401 - before the modules it makes known
import changed_trees
import checkout
import damages
import drawn_caches
import drawn_trees
import mutants as mutation
import scraper_soak
import zoo as menagerie

from geods.dataset import recorded_hashes
from geods.geo import partition
from geods.storage import checksums, files
from geods.tree import bad_images, companions, jpeg, layouts, table
from tools import verify

SLOWEST_S = 2.0


def make_tree(root: pathlib.Path, places: int) -> pathlib.Path:
    """Writes a tree with its partition."""
    drawn_trees.write(root, drawn_trees.location_ids(places))
    partition.write(drawn_trees.cells(), root / "partition.geojson")
    return root


def zoo(folder: pathlib.Path, _: argparse.Namespace) -> dict:
    """Checks every image of the zoo, and the bombs in a small process for memory."""
    wrong, slowest = [], 0.0
    for name, (content, refused) in menagerie.animals().items():
        path = folder / "90_2012-05.jpg"
        path.write_bytes(content)
        began = time.monotonic()
        problem = jpeg.check_file(path).problem
        slowest = max(slowest, time.monotonic() - began)
        if bool(problem) != bool(refused) or (refused and not re.search(refused, problem)):
            wrong.append((name, problem))
    rise_mb, refused = menagerie.peak_rise_mb(folder)
    seen = {"files": len(menagerie.animals()), "wrong": wrong, "slowest_s": round(slowest, 3)}
    seen |= {"bombs": len(menagerie.bombs()), "bombs refused": refused, "peak rise on bombs, MB": round(rise_mb, 1)}
    assert not wrong, wrong
    assert slowest < SLOWEST_S, seen
    assert refused == len(menagerie.bombs()), seen
    assert rise_mb < 50, seen
    return seen


def mutants(folder: pathlib.Path, sizes: argparse.Namespace) -> dict:
    """Changes all images of a recorded tree at random, again and again."""
    root = make_tree(folder / "tree", 100)
    tree, locations = companions.TreeFolder(root), layouts.read(root)
    paths = list(locations.paths)
    checksums.write(
        root / checksums.NAME, {path.relative_to(root).as_posix(): files.sha256_of_file(path) for path in paths}
    )
    kept, rng, began = {path: path.read_bytes() for path in paths}, random.Random(0), time.monotonic()
    made = undetected = decoded = 0
    slowest = 0.0
    while made < sizes.mutants:
        facts = []
        for path in paths:
            path.write_bytes(mutation.mutate(kept[path], rng))
            started = time.monotonic()
            facts.append(jpeg.check_file(path))
            slowest = max(slowest, time.monotonic() - started)
        decoded += sum(not fact.problem for fact in facts)
        undetected += sum(
            "has changed since" not in fact.problem
            for fact in recorded_hashes.compare(tree, table.ImageTable(facts, locations))
        )
        made += len(facts)
    seen = {"mutants": made, "undetected": undetected, "that decode without a word": decoded, "crashes": 0}
    seen |= {"slowest_s": round(slowest, 3), "a_second": round(made / (time.monotonic() - began))}
    assert undetected == 0, seen
    assert slowest < SLOWEST_S, seen
    return seen


def damage(folder: pathlib.Path, sizes: argparse.Namespace) -> dict:
    """Damages the files of a dataset and of a cache in every way at random places."""
    root = make_tree(folder / "tree", 60)
    command = [sys.executable, "-m", "tensorflow_datasets.scripts.cli.main", "build", "geods", "--config=blocked"]
    words = [*command, "--num_shards=4", f"--manual_dir={root}", f"--data_dir={folder / 'data'}"]
    subprocess.run(words, cwd=checkout.REPO, capture_output=True, check=True)
    kept = folder / "data" / "geods" / "blocked" / "1.0.0"
    copy = pathlib.Path(shutil.copytree(kept, folder / "copy"))
    shards = [path.name for path in sorted(kept.glob("*train.tfrecord*"))]
    described = [*shards, "features.json", "dataset_info.json", "metadata.json", "images.sha256"]
    on_one = list(damages.ON_ONE_FILE)
    missed = _damaged("dataset", kept, copy, dict.fromkeys(on_one, described), sizes.places)
    on_shards = [*damages.ON_RECORDS, *damages.ON_TWO_FILES]
    missed += _damaged("dataset", kept, copy, dict.fromkeys(on_shards, shards), sizes.places)
    cache = folder / "cache"
    drawn_caches.write(cache)
    copy = pathlib.Path(shutil.copytree(cache, folder / "cache copy"))
    blocks = [f"blocks/{path.name}" for path in sorted(cache.glob("blocks/*.npy"))]
    on_blocks = [*on_one, *damages.ON_TWO_FILES]
    missed += _damaged("cache", cache, copy, dict.fromkeys(on_blocks, blocks), sizes.places)
    seen = {"kinds of a dataset": len(on_one) + len(on_shards), "kinds of a cache": len(on_blocks)}
    seen |= {"places each": sizes.places, "not named": len(missed)}
    assert not missed, missed[:3]
    return seen


def _damaged(
    what: verify.Kind, kept: pathlib.Path, copy: pathlib.Path, names_of: dict[str, list[str]], places: int
) -> list[tuple]:
    """Damages copies in every way; returns the damage that was not named exactly."""
    rng, missed = random.Random(0), []
    for kind, names in names_of.items():
        for _ in range(places):
            damaged = damages.damage(copy, names, kind, rng)
            named = {one.path.relative_to(copy).as_posix() for one in verify.verify(copy, what).damage}
            missed += [(kind, damaged, named)] if named != damaged else []
            for name in damaged:
                shutil.copy(kept / name, copy / name)
    return missed


def builds(folder: pathlib.Path, sizes: argparse.Namespace) -> dict:
    """Builds again and again and compares every byte."""
    # Imports TensorFlow, which the other parts need not wait for.
    import drawn_datasets

    root = make_tree(folder / "tree", 60)
    sets = set()
    for number in range(sizes.builds):
        copy = drawn_datasets.copy_backwards(root, folder / f"copy {number}") if number % 2 else root
        drawn_datasets.build_in_a_process(copy, folder / f"data{number}", number)
        hashes = drawn_datasets.hashes(folder / f"data{number}")
        sets.add(json.dumps(hashes, sort_keys=True))
    seen = {"builds": sizes.builds, "files each": len(hashes), "sets of hashes": len(sets)}
    assert len(sets) == 1, seen
    return seen


def stale(folder: pathlib.Path, sizes: argparse.Namespace) -> dict:
    """Changes a tree in every way and runs the command that would reuse its dataset."""
    root = changed_trees.write_tree(folder / "tree")
    command = [sys.executable, "-m", "tensorflow_datasets.scripts.cli.main", "build", "geods", "--config=report"]
    command += [f"--data_dir={folder / 'data'}"]
    # Which images were left out counts only where bad ones may be.
    environment = os.environ | {bad_images.ACTION_VARIABLE: "skip"}
    options = {"cwd": checkout.REPO, "capture_output": True, "text": True, "env": environment}
    subprocess.run([*command, f"--manual_dir={root}"], check=True, **options)
    silent = []
    kinds = list(changed_trees.CHANGES)[: sizes.stale]
    for kind in kinds:
        change, said = changed_trees.CHANGES[kind]
        copy = pathlib.Path(shutil.copytree(root, folder / "changed"))
        change(copy)
        done = subprocess.run([*command, f"--manual_dir={copy}"], check=False, **options)
        if done.returncode == 0 or said not in done.stderr or "Next: tfds build geods --overwrite" not in done.stderr:
            silent.append((kind, done.stderr[-500:]))
        shutil.rmtree(copy)
    seen = {"kinds": len(kinds), "refused with what changed and the command": len(kinds) - len(silent)}
    assert not silent, silent
    return seen


PARTS = {"zoo": zoo, "mutants": mutants, "damage": damage, "builds": builds, "stale": stale}


def main() -> None:
    """Runs the parts named at the sizes given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", default=",".join(PARTS))
    parser.add_argument("--mutants", type=int, default=100_000)
    parser.add_argument("--places", type=int, default=100)
    parser.add_argument("--builds", type=int, default=10)
    parser.add_argument("--stale", type=int, default=len(changed_trees.CHANGES))
    sizes = parser.parse_args()
    scraper_soak.run_parts(PARTS, sizes)


if __name__ == "__main__":
    main()
