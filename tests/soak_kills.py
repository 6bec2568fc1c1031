"""What building, extracting, training and evaluating must stand: kill -9 anywhere; `make soak` runs it at full size.

    python tests/soak_kills.py --part=build,extract,train,evaluate,resume,together --kills=250 --steps=20 --processes=8

The first four kill the program so often each, at random moments and around its writes, and start it again as it was:
what is there after each kill is whole, what was finished is not done again, and what is there in the end is what an
undisturbed run gives, with nothing beside it. `resume` kills trainings of every kind after each epoch, and so many more
at random steps: their weights are those of an undisturbed one, to the last bit. `together` starts 2 to 8 of each of the
four on one folder: one works, the others say who does.
"""

import argparse
import dataclasses
import hashlib
import json
import pathlib
import random
import re
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable

import drawn_trees
import killing
import numpy as np
import road

from geods import cli, files, partition, seals

# Before the first child is forked, so that none has to.
cli.import_quietly("tensorflow")
import test_geods_dataset_builder as building  # noqa: E402

# Some only so that no child has to import them.
from trainers import evaluate, extract, fitting, follow, options, predictor, runs, train  # noqa: E402,F401

CHANGES = {"feature_dropout": 0.2, "dropout": 0.3}
OF_VIEWS = {"view_dropout": 0.3, "view_mixup": 0.3}
IMAGES = {"cache_dir": "", "train_backbone": True, "brightness": 0.1, "contrast": 0.1, "crop": 0.2}
# Every way to train that keeps something from one step to the next.
TRAININGS: dict[str, dict] = {
    "dropout and augmented features": {**CHANGES, **OF_VIEWS},
    "lstm, mixed_float16": {"fusion": "lstm", "precision": "mixed_float16", **CHANGES},
    "attention, mixed_bfloat16": {
        "fusion": "attention",
        "precision": "mixed_bfloat16",
        "weight_decay": 0.0,
        **OF_VIEWS,
    },
    "changed copies, single views": {"variants": 2, "train_views": "single", **CHANGES},
    "two members, constant rate": {"members": 2, "lr_schedule": "constant", **CHANGES},
    "early stop": {"patience": 1, "learning_rate": 0.3, **CHANGES},
    "chunks": {"schedule": "chunked", "chunk_examples": 15, "epochs": 2, **CHANGES},
    "images, augmented, mixed_bfloat16": {"precision": "mixed_bfloat16", **IMAGES, **CHANGES},
    "images, single views": {"train_views": "single", **IMAGES},
}


@dataclasses.dataclass(frozen=True)
class Work:
    """A program that is killed.

    Attributes:
        do: Runs it on a folder.
        prepare: Makes that folder as it is before.
        hashes: What is there, by name, that must be the same in every run and at every moment.
        finished: What of it must not be done again, by name, with what would change if it were.
    """

    do: Callable[[pathlib.Path], None]
    prepare: Callable[[pathlib.Path], object]
    hashes: Callable[[pathlib.Path], dict[str, str]]
    finished: Callable[[pathlib.Path], dict[str, object]]


class Road:
    """The small road, made once: tree, dataset, cache, and a run of each training."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self.log = folder, folder / "log.txt"
        self.tree, self.data, self.cache, self.run = (folder / name for name in ("tree", "data", "cache", "run"))
        drawn_trees.write(self.tree, drawn_trees.location_ids(40))
        partition.write(drawn_trees.cells(), self.tree / "partition.geojson")
        killing.run(lambda: self.build(self.data), self.log)
        killing.run(lambda: self.extract(self.cache, variants=2, crop=0.2), self.log)
        killing.run(lambda: self.train(self.run), self.log)

    def build(self, data_dir: pathlib.Path) -> None:
        """Builds the dataset."""
        building.build(self.tree, data_dir, "random")

    def extract(self, cache_dir: pathlib.Path, **changes: object) -> None:
        """Extracts features, in blocks of eight views."""
        fields = {**road.ENCODER_FIELDS, "layer": "block_3_expand_relu", "pooling": "avg", "block_rows": 8, **changes}
        extract.main(
            options.ExtractOptions(data_dir=str(self.data), config="random", cache_dir=str(cache_dir), **fields)
        )

    def train(self, run_dir: pathlib.Path, **changes: object) -> None:
        """Trains a head."""
        fields = {**road.ENCODER_FIELDS, "layer": "block_3_expand_relu", "pooling": "avg", "epochs": 4}
        fields |= {"batch_size": 8, "learning_rate": 0.01, "deterministic": True, "cache_dir": str(self.cache)}
        train.main(
            options.TrainOptions(data_dir=str(self.data), config="random", run_dir=str(run_dir), **(fields | changes))
        )

    def evaluate(self, run_dir: pathlib.Path) -> None:
        """Evaluates a run."""
        evaluate.main(options.EvaluateOptions(run_dir=str(run_dir)))

    def work(self, part: str) -> Work:
        """Returns one of the four programs."""
        nothing: Callable[[pathlib.Path], None] = lambda target: None  # noqa: E731
        return {
            "build": Work(self.build, nothing, _of_files("geods/random/1.0.0/*"), _stamps("geods/random/1.0.0/*")),
            "extract": Work(self.extract, nothing, _of_files("*/blocks/[0-9]*"), _stamps("*/blocks/[0-9]*")),
            "train": Work(lambda target: self.train(target, **CHANGES), nothing, _of_run, _epochs),
            "evaluate": Work(
                self.evaluate,
                lambda target: shutil.copytree(self.run, target),
                _of_files("predictions.csv", "probabilities.npy", "metrics.json"),
                nothing_finished,
            ),
        }[part]


def nothing_finished(_: pathlib.Path) -> dict[str, object]:
    """Of what is done anew each time."""
    return {}


def _of_files(*patterns: str) -> Callable[[pathlib.Path], dict[str, str]]:
    """Returns what hashes the files of some names."""
    return lambda folder: {
        path.relative_to(folder).as_posix(): files.sha256_of_file(path)
        for pattern in patterns
        for path in folder.glob(pattern)
    }


def _stamps(pattern: str) -> Callable[[pathlib.Path], dict[str, object]]:
    """Returns what tells a file from one written anew in its place."""
    return lambda folder: {str(path): path.stat().st_ino for path in folder.glob(pattern)}


def _of_run(folder: pathlib.Path) -> dict[str, str]:
    """Hashes what a training leaves: of a network its weights, as its other parts hold the date."""
    found = _of_files("flags.cfg", "partition.geojson")(folder)
    for path in folder.glob("**/[!.]*.keras"):
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None, path
            # The best so far is not yet that of the end.
            if path.name == runs.MODEL or not (folder / runs.UNFINISHED).exists():
                found[path.relative_to(folder).as_posix()] = hashlib.sha256(
                    archive.read("model.weights.h5")
                ).hexdigest()
    for path in [folder / runs.UNFINISHED / "training.json", *folder.glob(f"{runs.UNFINISHED}/*.npz")]:
        if path.suffix == ".npz":
            with zipfile.ZipFile(path) as archive:
                assert archive.testzip() is None, path
        elif path.exists():
            json.loads(path.read_text(encoding="utf-8"))
    return found


def _epochs(folder: pathlib.Path) -> dict[str, object]:
    """Returns the finished epochs of an unfinished training."""
    if not (folder / runs.UNFINISHED).is_dir():
        return {}
    return {
        f"{path.stem}, epoch {number}": None
        for path in (folder / runs.UNFINISHED).glob("[!.]*.npz")
        for number in range(_epoch(path))
    }


def _epoch(snapshot: pathlib.Path) -> int:
    """Returns how many epochs a snapshot holds."""
    with np.load(snapshot, allow_pickle=False) as found:
        return json.loads(str(found["progress"]))["epochs"]


def names(folder: pathlib.Path) -> set[str]:
    """Returns the files below a folder; those of events have the time in their names."""
    paths = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return {str(path.parent if "events" in path.parts else path) for path in paths}


def kills(part: str, made: Road, sizes: argparse.Namespace) -> dict:
    """Kills one program so often."""
    work, rng = made.work(part), random.Random(part)
    target, whole = made.folder / part, made.folder / f"{part} undisturbed"
    work.prepare(target)
    whole_s = killing.run(lambda: work.do(target), made.log)
    target.rename(whole)
    wanted, killed, lives = work.hashes(whole), 0, 0
    while killed < sizes.kills:
        work.prepare(target)
        # Now and then it is left in peace before the kills are used up.
        for left in range(rng.randint(1, 6), -1, -1):
            before, lives = work.finished(target), lives + 1
            child = killing.Child(lambda: work.do(target), made.log)
            died = left and killing.kill_somewhere(child, target, whole_s, rng)
            if not died:
                assert child.wait() == 0, made.log.read_text(encoding="utf-8")
            killed += bool(died)
            _judge(target, whole, wanted, work, before, bool(died))
            if not died:
                break
        judge_end(target, whole, wanted, work)
        shutil.rmtree(target)
    return {
        "kills": killed,
        "lives": lives,
        "torn": 0,
        "done again": 0,
        "left over": 0,
        "undisturbed_s": round(whole_s, 1),
    }


def _judge(
    target: pathlib.Path, whole: pathlib.Path, wanted: dict[str, str], work: Work, before: dict[str, object], died: bool
) -> None:
    """Fails if something is torn, or was done again."""
    torn = {name: digest for name, digest in work.hashes(target).items() if wanted[name] != digest}
    assert not torn, (torn, str(whole))
    after = work.finished(target) if died else {}
    again = {name for name, stamp in before.items() if after.get(name, "gone") != stamp}
    assert not died or not again or not (target / runs.UNFINISHED).exists(), again
    if (target / seals.NAME).is_file():
        assert not seals.damaged(target)


def judge_end(target: pathlib.Path, whole: pathlib.Path, wanted: dict[str, str], work: Work) -> None:
    """Fails if an ended run differs from an undisturbed one in a file that counts, or in the names of any."""
    assert work.hashes(target) == wanted
    assert names(target) == names(whole), names(target) ^ names(whole)


def resume(_: str, made: Road, sizes: argparse.Namespace) -> dict:
    """Interrupts trainings of every kind after each epoch, and at random steps."""
    rng, seen, killed = random.Random(0), {}, 0
    kinds = {kind: changes for kind, changes in TRAININGS.items() if sizes.trainings in kind}
    for kind, changes in kinds.items():
        target, whole = made.folder / "resumed", made.folder / "resumed undisturbed"
        whole_s = killing.run(lambda: made.train(target, **changes), made.log)  # noqa: B023
        target.rename(whole)
        wanted = _of_run(whole)
        for step in range(-1, -(-sizes.steps // len(kinds))):
            killed += _interrupted(made, changes, target, whole_s * rng.random() if step >= 0 else None)
            assert _of_run(target) == wanted, (kind, step)
            shutil.rmtree(target)
        shutil.rmtree(whole)
        seen[kind] = wanted[runs.MODEL][:12]
    return {"trainings": len(seen), "kills": killed, "with other weights": 0, "weights": seen}


def _interrupted(made: Road, changes: dict, target: pathlib.Path, after_s: float | None) -> int:
    """Trains and kills: after some seconds, or after every epoch; returns how often."""
    killed = 0
    while True:
        child, before = killing.Child(lambda: made.train(target, **changes), made.log), _epochs(target)
        if after_s is not None and not killed:
            child.wait(after_s)
        else:
            child.wait(until=lambda: after_s is None and _epochs(target) != before)  # noqa: B023
        if child.poll() is not None:
            assert child.poll() == 0, made.log.read_text(encoding="utf-8")
            return killed
        child.kill()
        killed += 1


def together(_: str, made: Road, sizes: argparse.Namespace) -> dict:
    """Starts several of each program on one folder at the same time."""
    seen: dict[str, dict] = {}
    for part in ("build", "extract", "train", "evaluate"):
        work, target, whole = made.work(part), made.folder / "together", made.folder / "alone"
        work.prepare(target)
        killing.run(lambda: work.do(target), made.log)  # noqa: B023
        target.rename(whole)
        for count in range(2, sizes.processes + 1):
            work.prepare(target)
            told = _started_at_once(work, target, count)
            judge_end(target, whole, work.hashes(whole), work)
            shutil.rmtree(target)
            seen.setdefault(part, {})[count] = told
        shutil.rmtree(whole)
    return {"refusals that name the process, its host and its time": seen}


def _started_at_once(work: Work, target: pathlib.Path, count: int) -> int:
    """Starts so many processes; one must end well and the others say who held the folder. Returns how many did."""
    children = [
        killing.Child(lambda: work.do(target), target.with_name(f"log {number}.txt")) for number in range(count)
    ]
    worked, told = [], []
    for child in children:
        code, said = child.wait(), child.log.read_text(encoding="utf-8")
        child.log.unlink()
        if code == 0:
            worked.append(child.pid)
        else:
            told.append(re.search(r"process (\d+) on \S+ since \d{4}-\d\d-\d\d [\d:]{8} UTC is writing there", said))
            assert told[-1], said
    assert len(worked) == 1, worked
    assert {int(match[1]) for match in told} == set(worked)
    return len(told)


PARTS: dict[str, Callable[[str, Road, argparse.Namespace], dict]] = {
    **dict.fromkeys(("build", "extract", "train", "evaluate"), kills),
    "resume": resume,
    "together": together,
}


def main() -> None:
    """Runs the parts named at the sizes given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", default=",".join(PARTS))
    parser.add_argument("--kills", type=int, default=250, help="of each of the first four parts")
    parser.add_argument("--steps", type=int, default=20, help="random interruptions of trainings, in all")
    parser.add_argument("--processes", type=int, default=8, help="at the same time, at most")
    parser.add_argument("--trainings", default="", help="part of the names of the trainings that resume interrupts")
    sizes = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        made = Road(pathlib.Path(scratch))
        for part in sizes.part.split(","):
            began = time.monotonic()
            seen = PARTS[part](part, made, sizes)
            print(f"{part}: {json.dumps(seen)} in {time.monotonic() - began:,.0f} s", flush=True)


if __name__ == "__main__":
    main()
