"""The four programs that are killed: their work, results and finished parts."""

import dataclasses
import hashlib
import json
import pathlib
import shutil
import zipfile
from collections.abc import Callable

import drawn_datasets
import drawn_trees
import killing
import numpy as np
import road

from geods.cli import flags as cli_flags
from geods.cli import program
from geods.geo import partition
from geods.storage import files, seals
from trainers import evaluate as trainers_evaluate
from trainers import extract as trainers_extract
from trainers import train as trainers_train
from trainers.options import evaluate_options, extract_options, train_options
from trainers.runs import run_folder

# Before the first child is forked, so that none has to; some of it only for that.
program.import_quietly("tensorflow")

# What training changes at random, so that a lost state of random numbers would show.
CHANGES = {"feature_dropout": 0.2, "dropout": 0.3}
ALBUM = {"fusion": "lstm", "precision": "mixed_float16", **CHANGES}


@dataclasses.dataclass(frozen=True)
class Work:
    """A program that is killed.

    Attributes:
        do: Runs it on a folder.
        prepare: Makes that folder as it is before.
        hashes: What is there, by name, that must be the same in every run and at every moment.
        finished: What of it must not be done again: a text each, another one if it were.
        is_over: Whether all is done, so that the program would refuse to begin.
    """

    do: Callable[[pathlib.Path], None]
    prepare: Callable[[pathlib.Path], object]
    hashes: Callable[[pathlib.Path], dict[str, str]]
    finished: Callable[[pathlib.Path], set[str]]
    is_over: Callable[[pathlib.Path], bool] = lambda target: False


class Road:
    """The small tree, dataset, cache and run, each made when first needed."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self.log = folder, folder / "log.txt"
        self.tree, self.data, self.cache, self.copies, self.run = (
            folder / name for name in ("tree", "data", "cache", "cache with copies", "run")
        )
        drawn_trees.write(self.tree, drawn_trees.location_ids(40))
        partition.write(drawn_trees.cells(), self.tree / "partition.geojson")

    def need(self, *names: str) -> None:
        """Makes all parts that are missing, in this order."""
        for name in names:
            if not (self.folder / name).exists():
                makers = {"data": self.build, "cache": self.extract, "run": self.train}
                make = makers.get(name, lambda target: self.extract(target, variants=2, crop=0.2))
                killing.run(lambda: make(self.folder / name), self.log)  # noqa: B023

    def build(self, data_dir: pathlib.Path) -> None:
        """Builds the dataset."""
        drawn_datasets.build(self.tree, data_dir, "random")

    def extract(self, cache_dir: pathlib.Path, **changes: object) -> None:
        """Extracts features, in blocks of eight views."""
        fields = {**road.ENCODER_FIELDS, "block_rows": 8, **changes}
        trainers_extract.main(
            cli_flags.build(
                extract_options.ExtractOptions,
                data_dir=str(self.data),
                config="random",
                cache_dir=str(cache_dir),
                **fields,
            )
        )

    def train(self, run_dir: pathlib.Path, **changes: object) -> None:
        """Trains a head."""
        fields = {**road.ENCODER_FIELDS, "epochs": 4}
        fields |= {"batch_size": 8, "learning_rate": 0.01, "deterministic": True, "cache_dir": str(self.cache)}
        trainers_train.main(
            cli_flags.build(
                train_options.TrainOptions,
                data_dir=str(self.data),
                config="random",
                run_dir=str(run_dir),
                **(fields | changes),
            )
        )

    def evaluate(self, run_dir: pathlib.Path) -> None:
        """Evaluates a run."""
        trainers_evaluate.main(cli_flags.build(evaluate_options.EvaluateOptions, run_dir=str(run_dir)))

    def work(self, part: str) -> Work:
        """Returns one of the four programs, when all is there that it needs."""
        self.need(*{"build": (), "extract": ("data",), "train": ("data", "cache")}.get(part, ("data", "cache", "run")))
        nothing: Callable[[pathlib.Path], None] = lambda target: None  # noqa: E731
        return {
            "build": Work(self.build, nothing, _of_files("geods/random/1.0.0/*"), _stamps("geods/random/1.0.0/*")),
            "extract": Work(self.extract, nothing, _of_files("*/blocks/[0-9]*"), _stamps("*/blocks/[0-9]*")),
            "train": Work(lambda target: self.train(target, **ALBUM), nothing, of_run, epochs, is_over),
            "evaluate": Work(
                self.evaluate,
                lambda target: shutil.copytree(self.run, target),
                _of_files("predictions.csv", "probabilities.npy", "metrics.json"),
                lambda target: set(),
            ),
        }[part]


def _of_files(*patterns: str) -> Callable[[pathlib.Path], dict[str, str]]:
    """Returns what hashes the files of some names."""
    return lambda folder: {
        path.relative_to(folder).as_posix(): files.sha256_of_file(path)
        for pattern in patterns
        for path in folder.glob(pattern)
    }


def _stamps(pattern: str) -> Callable[[pathlib.Path], set[str]]:
    """Returns what tells a file from one written anew in its place."""
    return lambda folder: {f"{path} {path.stat().st_ino} {path.stat().st_mtime_ns}" for path in folder.glob(pattern)}


def of_run(folder: pathlib.Path) -> dict[str, str]:
    """Hashes the results of a training.

    Of a network its weights, as its other parts hold the date.
    """
    found = _of_files("flags.cfg", "partition.geojson")(folder)
    for path in folder.glob("**/[!.]*.keras"):
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None, path
            # The best so far is not yet that of the end.
            if path.name == run_folder.MODEL or not (folder / run_folder.UNFINISHED).exists():
                found[path.relative_to(folder).as_posix()] = hashlib.sha256(
                    archive.read("model.weights.h5")
                ).hexdigest()
    for path in folder.glob(f"{run_folder.UNFINISHED}/[!.]*.npz"):
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None, path
    return found


def epochs(folder: pathlib.Path) -> set[str]:
    """Returns the finished epochs of an unfinished training."""
    snapshots = list((folder / run_folder.UNFINISHED).glob("[!.]*.npz"))
    return {f"{path.stem}, epoch {number}" for path in snapshots for number in range(_epoch(path))}


def is_over(folder: pathlib.Path) -> bool:
    """Returns whether a training is finished, so that the command would not restart."""
    return (folder / run_folder.MODEL).exists() and not (folder / run_folder.UNFINISHED).exists()


def _epoch(snapshot: pathlib.Path) -> int:
    """Returns the epochs of a snapshot; none if it is missing, as after the end."""
    try:
        with np.load(snapshot, allow_pickle=False) as found:
            return json.loads(str(found["progress"]))["epochs"]
    except FileNotFoundError:
        return 0


def judge_end(target: pathlib.Path, whole: pathlib.Path, work: Work) -> None:
    """Fails if an ended run differs from an undisturbed one in names or bytes."""
    assert work.hashes(target) == work.hashes(whole)
    found, wanted = _contents(target), _contents(whole)
    assert found.keys() == wanted.keys(), found.keys() ^ wanted.keys()
    assert found == wanted, [name for name in found if found[name] != wanted[name]]


def _contents(folder: pathlib.Path) -> dict[str, str]:
    """Hashes all files; of files that hold the time it gives the names alone.

    Those are events, networks and their seals.
    """
    found = {}
    for path in filter(pathlib.Path.is_file, folder.rglob("*")):
        name = path.relative_to(folder)
        timed = path.suffix == ".keras" or (path.name == seals.NAME and (folder / run_folder.MODEL).exists())
        if name.match(run_folder.EVENTS):
            found["events"] = ""
        else:
            found[str(name)] = "" if timed else files.sha256_of_file(path)
    return found
