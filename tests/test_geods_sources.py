"""Whatever changes in what a dataset or a cache is made of is noticed, and said with the command that mends it."""

import dataclasses
import json
import pathlib
import re
import shutil
from collections.abc import Callable

import drawn_trees
import numpy as np
import pytest
import test_trainers_features as caching

from geods import bad_images, errors, images, partition, plans, sources, survey, tree
from trainers import cache_files, features

IDS = drawn_trees.location_ids(8)


def write_tree(root: pathlib.Path) -> pathlib.Path:
    """Writes a tree with provenance and lists for the report's split."""
    drawn_trees.write(root, IDS)
    partition.write(drawn_trees.cells(), root / "partition.geojson")
    (root / "provenance.json").write_text('{"source": "drawn", "licence": "CC0-1.0"}')
    save_lists(root, IDS[:6], IDS[6:])
    return root


def save_lists(root: pathlib.Path, train: list[str], test: list[str]) -> None:
    for name, ids in (("trainFiles.npy", train), ("testFiles.npy", test)):
        np.save(root / name, np.array([f"0+{place}" for place in ids]))


def sources_of(root: pathlib.Path, policy: str = "report", seed: int = 0, action: str = "skip") -> sources.Sources:
    return plans.sources_now(root, policy, seed, bad_images.Policy(action, 1.0))


def view(root: pathlib.Path, place: int = 0, heading: int = 0) -> pathlib.Path:
    return root / "0" / IDS[place] / f"{heading}_2012-05.jpg"


def rewrite(change: Callable[[bytes], bytes]) -> Callable[[pathlib.Path], object]:
    """Changes the bytes of one image."""
    return lambda root: view(root).write_bytes(change(view(root).read_bytes()))


def put_cells(cells: partition.Partition) -> Callable[[pathlib.Path], object]:
    return lambda root: partition.write(cells, root / "partition.geojson")


def put_provenance(**content: str) -> Callable[[pathlib.Path], object]:
    return lambda root: (root / "provenance.json").write_text(json.dumps(content))


def swap(root: pathlib.Path) -> None:
    first, second = view(root), view(root, 1)
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)


def move(old: Callable[[pathlib.Path], pathlib.Path], new: str) -> Callable[[pathlib.Path], object]:
    def apply(root: pathlib.Path) -> None:
        (root / new).parent.mkdir(parents=True, exist_ok=True)
        old(root).rename(root / new)

    return apply


def add(name: str, seed: int = 500) -> Callable[[pathlib.Path], object]:
    def apply(root: pathlib.Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(drawn_trees.jpeg(seed))

    return apply


def lose_place(root: pathlib.Path) -> None:
    shutil.rmtree(view(root, 7).parent)
    save_lists(root, IDS[:6], IDS[6:7])


def drop_lists(root: pathlib.Path) -> None:
    for path in root.glob("*.npy"):
        path.unlink()


CELLS = drawn_trees.cells()
FIRST, MOVED, NEW = (f"0/{IDS[0]}/{heading}_2012-05.jpg" for heading in (0, 5, 270))
CHANGES: dict[str, tuple[Callable[[pathlib.Path], object], str]] = {
    "last byte flipped": (rewrite(lambda old: old[:-1] + bytes([old[-1] ^ 1])), f"images changed: 1 ({FIRST})"),
    "first byte flipped": (rewrite(lambda old: bytes([old[0] ^ 1]) + old[1:]), f"images changed: 1 ({FIRST})"),
    "a bit of the scan flipped": (rewrite(lambda old: old[:-30] + bytes([old[-30] ^ 2]) + old[-29:]), FIRST),
    "a byte more": (rewrite(lambda old: old + b"\0"), f"images changed: 1 ({FIRST})"),
    "a byte less": (rewrite(lambda old: old[:-1]), f"images changed: 1 ({FIRST})"),
    "emptied": (rewrite(lambda _: b""), f"images changed: 1 ({FIRST})"),
    "another picture": (rewrite(lambda _: drawn_trees.jpeg(900)), f"images changed: 1 ({FIRST})"),
    "the picture of another view": (
        lambda root: shutil.copy(view(root, 1), view(root)),
        f"images changed: 1 ({FIRST})",
    ),
    "two pictures swapped": (swap, "images changed: 2"),
    "every picture": (lambda root: [p.write_bytes(p.read_bytes() + b"\0") for p in root.rglob("*.jpg")], "changed: 24"),
    "another heading": (move(view, MOVED), f"images renamed: 1 ({FIRST} to {MOVED})"),
    "another date": (move(view, f"0/{IDS[0]}/0_2013-05.jpg"), "images renamed: 1"),
    "no date": (move(view, f"0/{IDS[0]}/0.jpg"), "images renamed: 1"),
    "another suffix": (move(view, f"0/{IDS[0]}/0_2012-05.JPEG"), "images renamed: 1"),
    "a view of another place": (move(view, f"0/{IDS[1]}/45_2012-05.jpg"), "images renamed: 1"),
    "another cell folder": (move(lambda root: view(root).parent, f"3/{IDS[0]}"), "images renamed: 3"),
    "a view more": (add(NEW), f"images added: 1 ({NEW})"),
    "a copy of a view": (lambda root: shutil.copy(view(root), root / NEW), f"images added: 1 ({NEW})"),
    "a place more": (add("0/40.5,-100.5/0_2012-05.jpg"), "images added: 1 (0/40.5,-100.5/0_2012-05.jpg)"),
    "a place outside": (add("0/60.5,-100.5/0_2012-05.jpg"), "images added: 1"),
    "a bad image more": (lambda root: (root / NEW).write_bytes(b"bad"), f"images added: 1 ({NEW})"),
    "a view less": (lambda root: view(root).unlink(), f"images removed: 1 ({FIRST})"),
    "a place less": (lose_place, "images removed: 3"),
    "a view turned bad": (rewrite(lambda _: b"<html>"), "images left out as bad: 0 then, 1 now"),
    "a cell less": (put_cells(partition.Partition(CELLS.shapes[:14])), "partition: 15 cells then, 14 now"),
    "cells in another order": (put_cells(partition.Partition(CELLS.shapes[::-1])), "partition: 15 cells then, 15 now"),
    "a cell moved by a metre": (
        put_cells(partition.Partition((drawn_trees.shapely.box(-120, 30, -110.00001, 36), *CELLS.shapes[1:]))),
        "partition: 15 cells then, 15 now",
    ),
    "another source": (put_provenance(source="camera", licence="CC0-1.0"), "source 'drawn' then, 'camera' now"),
    "another licence": (
        put_provenance(source="drawn", licence="none"),
        "licence 'CC0-1.0' then, 'none' now",
    ),
    "no provenance": (
        lambda root: (root / "provenance.json").unlink(),
        "licence 'CC0-1.0' then, 'unknown'",
    ),
    "other lists": (
        lambda root: save_lists(root, IDS[:5], IDS[5:]),
        "split: by other lists (testFiles.npy, tra",
    ),
    "another test list": (lambda root: save_lists(root, IDS[:6], IDS[7:]), "split: by other lists (testFiles.npy)"),
    "lists in another order": (lambda root: save_lists(root, IDS[5::-1], IDS[6:]), "by other lists (trainFiles.npy)"),
    "no lists": (drop_lists, "split: by other lists (testFiles.npy, trainFiles.npy)"),
}


@pytest.fixture(scope="module")
def untouched(tmp_path_factory) -> pathlib.Path:
    return write_tree(tmp_path_factory.mktemp("untouched") / "tree")


@pytest.fixture(scope="module")
def before(untouched) -> sources.Sources:
    return sources_of(untouched)


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_of_the_tree_is_noticed_and_said(untouched, before, tmp_path, kind):
    change, said = CHANGES[kind]
    root = tmp_path / "elsewhere"
    shutil.copytree(untouched, root)
    assert before.changes(sources_of(root)) == []
    change(root)
    now = sources_of(root)
    assert any(said in line for line in before.changes(now)), before.changes(now)
    assert now.changes(before), "the way back is a change too"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"policy": "blocked"}, "split: policy 'report' then, 'blocked' now"),
        ({"policy": "random"}, "split: policy 'report' then, 'random' now"),
        ({"seed": 1}, "split: seed 0 then, 1 now"),
    ],
)
def test_another_config_is_noticed(untouched, before, options, said):
    assert any(said in line for line in before.changes(sources_of(untouched, **options)))


def test_bad_images_that_are_left_out_now_are_noticed(untouched, tmp_path):
    root = tmp_path / "tree"
    shutil.copytree(untouched, root)
    view(root).write_bytes(b"<html>")
    skipped = sources_of(root)
    assert skipped.left_out.keys() == {FIRST}
    assert skipped.changes(sources_of(root, action="raise")) == ["images left out as bad: 1 then, 0 now"]


def test_what_is_written_down_is_read_back(before):
    text = json.dumps(before.to_metadata())
    assert sources.Sources.from_metadata(json.loads(text), dict(before.images)).changes(before) == []


OTHER_KEYS = {
    "dataset": "geods/random/1.0.0 abc",
    "split": "test",
    "backbone": "vgg16",
    "weights_sha256": "11",
    "height_px": 301,
    "width_px": 599,
    "more_heights_px": "150",
    "preprocessing": "raw",
    "layer": "conv1",
    "pooling": "max",
    "precision": "mixed_bfloat16",
    "dtype": "float16",
    "variant": "1: brightness 0.1",
    "runtime": "openvino",
    "decode": "gpu",
    "quantized_sha256": "22",
}


def test_every_field_of_a_cache_has_a_change():
    assert set(OTHER_KEYS) == {field.name for field in dataclasses.fields(cache_files.CacheKey)}


@pytest.mark.parametrize("field", OTHER_KEYS)
def test_a_cache_of_something_else_is_refused_with_the_field_and_the_command(tmp_path, field):
    caching.write(tmp_path / "train")
    wanted = dataclasses.replace(caching.KEY, **{field: OTHER_KEYS[field]})
    said = f"{field} is {getattr(caching.KEY, field)!r}, wanted {OTHER_KEYS[field]!r}"
    with pytest.raises(errors.CacheError, match=rf"{re.escape(said)}(.|\n)*python -m trainers\.extract --overwrite"):
        features.FeatureCache(tmp_path / "train", wanted)


def test_there_are_fifty_kinds():
    assert len(CHANGES) + len(OTHER_KEYS) + 3 >= 50


def content_fingerprint(root: pathlib.Path, policy: str) -> str:
    return plans.make(root, policy, 0, bad_images.Policy()).metadata["content_fingerprint"]


def test_features_are_kept_for_another_partition_and_not_for_another_split_or_image(untouched, tmp_path):
    root = tmp_path / "tree"
    shutil.copytree(untouched, root)
    kept = content_fingerprint(root, "report")
    partition.write(partition.Partition(CELLS.shapes[::-1]), root / "partition.geojson")
    assert content_fingerprint(root, "report") == kept
    assert content_fingerprint(root, "random") != kept
    save_lists(root, IDS[:5], IDS[5:])
    assert content_fingerprint(root, "report") != kept
    save_lists(root, IDS[:6], IDS[6:])
    view(root).write_bytes(drawn_trees.jpeg(901))
    assert content_fingerprint(root, "report") != kept


def test_fingerprints_of_a_tree_do_not_hang_on_its_listing(untouched):
    facts = images.check_files(survey.view_paths(tree.read(untouched)))
    cells = drawn_trees.cells()
    forth = sources.of(untouched, facts, [], cells, ("random", 0), None)
    assert forth.changes(sources.of(untouched, facts[::-1], [], cells, ("random", 0), None)) == []
