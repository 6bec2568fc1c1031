"""The run folder: files of a training, its evaluation and its predictions.

flags.cfg            the options, as a flag file: python -m trainers.train --flagfile=RUN/flags.cfg repeats the run
partition.geojson    the cells the model chooses from
model.keras          the whole network, from uint8 images to a point
serving/model.xml    the same network for OpenVINO, with its weights in model.bin: predicts without TensorFlow
learned.npz          ids and coordinates of the locations it was trained and validated on
checkpoints/         the best classifier so far, while training; a whole network a chunk of --schedule=chunked
unfinished/          until the run is finished: the snapshots that the same command resumes from, and their ticket
events.out.tfevents.*, projector_config.pbtxt, projector/    for TensorBoard
metrics.json, predictions.csv, probabilities.npy    written by trainers.evaluate
calibration.json     written by trainers.calibrate, with calibration.png
map.html, map.png    written by tools.render
seal.json            size and SHA-256 of what training and evaluation wrote (geods/storage/seals.py)
"""

import contextlib
import dataclasses
import itertools
import json
import os
import pathlib
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from geods import errors
from geods.cli import flags as cli_flags
from geods.dataset import record_files
from geods.geo import partition
from geods.remote import session, urls
from geods.storage import files, locks, seals
from geods.tree import companions
from trainers.features import cache_format, named_features
from trainers.options import evaluate_options, train_options
from trainers.runs import learned_locations

FLAGS, PARTITION, MODEL = "flags.cfg", "partition.geojson", "model.keras"
CHECKPOINT = "checkpoints/best.keras"
GRAPH, GRAPH_WEIGHTS = "serving/model.xml", "serving/model.bin"
EVENTS = "events.out.tfevents.*"
PROJECTOR, PROJECTOR_CONFIG = "projector", "projector_config.pbtxt"
# Events of --follow, a run of its own: its steps are locations.
FOLLOW = "follow"
UNFINISHED, _TICKET = "unfinished", "training.json"
CALIBRATION = "calibration.json"
METRICS, PREDICTIONS, PROBABILITIES = "metrics.json", "predictions.csv", "probabilities.npy"
EVALUATED = (METRICS, PREDICTIONS, PROBABILITIES, CALIBRATION)
_NUMBERED = ("member[0-9]*", "fold[0-9]*", EVENTS)
_RESULTS = (MODEL, learned_locations.NAME, *EVALUATED, "calibration.png", "map.html", "map.png", seals.NAME)
# Of the model card and of the server.
ENCODER_LICENCE = "its weights keep the licence of whoever published them"
INTENDED_USE = (
    "Images from streets within the partition's bounds, like those it learned from. Elsewhere it still answers, with "
    "one of its cells. Do not use it to find out where a person is without their consent."
)
# Where the data lie; that they are the same is checked by their fingerprint.
_PLACES = ("--data_dir=", "--cache_dir=", "--run_dir=")
_TRAIN = "train one: python -m trainers.train --recipe=mlp --run_dir="


@contextlib.contextmanager
def claim(run_dir: str | os.PathLike[str]) -> Iterator[None]:
    """Locks a run folder, and removes temporary files of killed processes in it.

    Raises:
        RunError: If another process has locked it.
    """
    with locks.folder(run_dir, errors.RunError, "name another folder"):
        for member in pathlib.Path(run_dir).glob("member*"):
            files.sweep(member / "checkpoints")
        files.sweep(pathlib.Path(run_dir, "checkpoints"))
        files.sweep(pathlib.Path(run_dir, UNFINISHED))
        yield


def start(run: train_options.RunOptions, flags: str, cells: partition.Partition, source: str = "") -> pathlib.Path:
    """Makes a run folder with its flags and partition.

    An unfinished one of the same training is kept.

    Args:
        run: The folder, and whether an earlier run is replaced.
        flags: Text of the run's flag file.
        cells: The run's partition.
        source: Fingerprint of the training data; empty where no training can be resumed.

    Raises:
        RunError: If it holds a finished run, or an unfinished one of something else, and --overwrite is not given.
    """
    folder = check_unfinished(run)
    # Said once: whoever takes these flags, or gives the same without it, resumes.
    flags = flags.replace("--overwrite=true\n", "--overwrite=false\n")
    ticket = {"flags": flags.splitlines(), "partition": cells.fingerprint, "source": source}
    if not run.overwrite and _is_resumable(folder, ticket):
        # Of a kill between the seal and the end: the model will be written once more.
        (folder / seals.NAME).unlink(missing_ok=True)
        return folder
    clear(folder)
    partition.write(cells, folder / PARTITION)
    files.write_text(folder / FLAGS, flags)
    if source:
        files.write_json(folder / UNFINISHED / _TICKET, ticket)
    return folder


def clear(folder: pathlib.Path) -> None:
    """Removes the files of trainings, evaluations and cross-validations, no others."""
    names = (*_RESULTS, UNFINISHED, PROJECTOR, PROJECTOR_CONFIG, FOLLOW, "checkpoints", pathlib.Path(GRAPH).parent)
    for path in (*(folder / name for name in names), *itertools.chain(*map(folder.glob, _NUMBERED))):
        files.discard(path)


def _is_resumable(folder: pathlib.Path, wanted: dict[str, Any]) -> bool:
    """Returns whether a folder holds an unfinished training with a snapshot.

    Raises:
        RunError: If its flags, cells or data are others.
    """
    path = folder / UNFINISHED / _TICKET
    if not path.is_file() or not any(path.parent.glob("*.npz")):
        return False
    step = "resume it with the same flags, name another --run_dir, or start again with --overwrite"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        flags, flags_now = settings_in(found["flags"]), settings_in(wanted["flags"])
        other = [name for name in ("partition", "source") if found[name] != wanted[name]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise errors.RunError(f"{path}: is damaged ({type(error).__name__}: {error}).", step) from error
    if flags != flags_now or other:
        how = " ".join(sorted(flags - flags_now) or [f"no {flag}" for flag in sorted(flags_now - flags)])
        how = how or f"another {' and '.join(other)}"
        raise errors.RunError(f"{folder}: holds an unfinished training that was started with {how}.", step)
    return True


def settings_in(lines: Iterable[str]) -> set[str]:
    """Returns the lines of a flag file but for the folders of data and results."""
    return {line for line in lines if line and not line.startswith(_PLACES)}


def snapshot(folder: pathlib.Path, member: int = 0) -> pathlib.Path:
    """Returns the file that a training, or a member of an ensemble, resumes from."""
    return folder / UNFINISHED / f"member{member}.npz"


def check_unfinished(run: train_options.RunOptions) -> pathlib.Path:
    """Returns the run folder, which need not exist, if a run may start in it.

    Raises:
        RunError: If it holds a finished run, evaluation or cross-validation, and --overwrite is not given.
    """
    folder = pathlib.Path(run.run_dir)
    finished = {"a trained model": MODEL, "a cross-validation": "fold0", "an evaluation": METRICS}
    found = [what for what, name in finished.items() if (folder / name).exists()]
    if found and not (folder / UNFINISHED / _TICKET).exists() and not run.overwrite:
        problem = f"{folder}: holds {found[0]} already."
        raise errors.RunError(problem, "name another --run_dir, or replace it with --overwrite")
    return folder


def check_run(run_dir: str, checkpoint: str = "") -> pathlib.Path:
    """Returns a run folder that holds a model, or for a checkpoint its flags.

    Raises:
        RunError: If it holds none.
    """
    folder = pathlib.Path(run_dir)
    needed = (FLAGS, PARTITION) if checkpoint else (FLAGS, PARTITION, MODEL)
    missing = [name for name in needed if not (folder / name).is_file()]
    if missing:
        if (folder / UNFINISHED / _TICKET).is_file():
            step = f"resume its training: python -m trainers.train --flagfile={folder / FLAGS}"
            raise errors.RunError(f"{folder}: its training was stopped before its end.", step)
        what = f"holds no {', '.join(missing)}" if folder.is_dir() else "there is no such folder"
        raise errors.RunError(f"{folder}: {what}; it is not a finished run.", f"{_TRAIN}{folder}")
    return folder


def model_of(folder: pathlib.Path, checkpoint: str = "") -> pathlib.Path:
    """Returns the model of a run, or the checkpoint of that name or its beginning.

    Raises:
        RunError: If no checkpoint's name does, or several do.
    """
    if not checkpoint:
        return folder / MODEL
    name = pathlib.PurePath(checkpoint).name
    there = sorted(path for path in (folder / CHECKPOINT).parent.glob("chunk_*.keras"))
    fitting = [path for path in there if path.name == name] or [path for path in there if path.name.startswith(name)]
    if len(fitting) != 1:
        problem = f"--checkpoint={checkpoint}: names {len(fitting) or 'none'} of the checkpoints of {folder}."
        step = f"there are {', '.join(path.stem for path in there)}" if there else "train with --schedule=chunked"
        raise errors.RunError(problem, step)
    return fitting[0]


def finish(folder: pathlib.Path) -> None:
    """Seals a run that has its model, and removes its snapshots."""
    others = [name for name in (GRAPH, GRAPH_WEIGHTS, learned_locations.NAME) if (folder / name).is_file()]
    seals.write(folder, [FLAGS, PARTITION, MODEL, *others])
    files.discard(folder / UNFINISHED)


@contextlib.contextmanager
def resealing(folder: pathlib.Path, *names: str) -> Iterator[None]:
    """Updates a run's seal with files that the block writes.

    A folder that is not sealed stays so.
    """
    seals.release(folder, names)
    yield
    seals.renew(folder, names)


def read_metrics(folder: pathlib.Path, *needed: str) -> dict[str, Any]:
    """Returns metrics.json of an evaluation; empty without one.

    Raises:
        RunError: If it is damaged, or lacks a key that is needed.
    """
    path = folder / METRICS
    if not path.is_file():
        return {}
    try:
        found = {**files.parse_json(path.read_bytes())}
        for name in needed:
            found[name]
    except (ValueError, TypeError, KeyError) as error:
        of = f" --run_dir={folder}" if (folder / FLAGS).is_file() else ""
        step = f"evaluate the run again: python -m trainers.evaluate{of}"
        raise errors.RunError(f"{path}: is damaged ({errors.in_short(error)}).", step) from error
    return found


def seen_or_not(metrics: dict[str, Any]) -> str:
    """Returns a clause: whether a run has seen the locations of its metrics."""
    seen = metrics.get("seen", {})
    return "some of which it was trained on" if seen.get("included") and seen["trained_on"] else "that it had not seen"


def check_settings(folder: pathlib.Path) -> None:
    """Raises RunError if a run's partition is not the one it was trained with.

    Other flags are noted on stderr alone: paths in them are edited where data were moved.
    """
    if not seals.is_sealed(folder):
        return
    if found := seals.verify(folder, [PARTITION]):
        raise errors.RunError(str(found[0]), "put back the run's own partition.geojson, or train again")
    if found := seals.verify(folder, [FLAGS]):
        print(f"note: {found[0].path}: {found[0].problem}; edited, or of another run", file=sys.stderr)


def options_of(folder: pathlib.Path) -> train_options.TrainOptions:
    """Returns the options of a finished run.

    Their paths may be URLs, which `dataset_of` and `cache_of` make local.
    """
    return cli_flags.from_flagfile(train_options.TrainOptions, folder / FLAGS)


def data_of(folder: pathlib.Path, locations: evaluate_options.LocationOptions) -> train_options.DataOptions:
    """Returns the data options of a run, with the folders that an evaluation names.

    Raises:
        RunError: If the run's dataset and cache are missing, or --cache_dir holds no features of the split.
    """
    data = options_of(folder).data
    given = {name: path for name in ("data_dir", "cache_dir") if (path := getattr(locations, name))}
    found = dataclasses.replace(data, **given)
    if locations.cache_dir and found.features:
        found = dataclasses.replace(found, cache_dir=tuple(map(str, named_features.folders_of(found))))
    places = [found.data_dir, *(() if locations.from_images else found.cache_dir)]
    if not locations.imagery and not any(urls.is_url(path) or pathlib.Path(path).exists() for path in places):
        relative = "" if pathlib.Path(found.data_dir).is_absolute() else f" in {pathlib.Path.cwd()}"
        problem = f"{folder}: was trained on {found.data_dir}, which is not there{relative}."
        raise errors.RunError(problem, "name the folder it is in now: --data_dir=PATH")
    asked = locations.cache_dir and not (locations.imagery or locations.from_images or found.folds)
    if asked and not is_cached(found, locations):
        problem = f"--cache_dir={locations.cache_dir}: holds no features of split {locations.split!r}."
        raise errors.RunError(problem, "name the folder that trainers.extract wrote, or run the encoder: --from_images")
    return found


def dataset_of(data: train_options.DataOptions) -> pathlib.Path:
    """Returns the local data_dir of a run; downloads it if it is a URL."""
    return session.local_path(data.data_dir)


def images_licence_of(data: train_options.DataOptions) -> str:
    """Returns the licence of the images of a run's dataset; empty if not known."""
    try:
        record = record_files.LocationRecords(dataset_of(data), data.config).first()
    except errors.GeodsError:
        return ""
    # An import's record names its table of licences; who reads this has no tree.
    return str(record.get("licence", [b""])[0].decode()).replace(
        f"see {companions.CREDITS_NAME}", f"see {companions.CREDITS_NAME} in the imagery tree of its dataset"
    )


def caches_of(data: train_options.DataOptions, split: str = "") -> list[pathlib.Path]:
    """Returns the local folders of a run's feature caches.

    Downloads them if they are URLs.
    """
    local = [session.local_path(folder, *filter(None, [split])) for folder in data.cache_dir]
    return [path.parent if split else path for path in local]


def is_cached(data: train_options.DataOptions, locations: evaluate_options.LocationOptions) -> bool:
    """Returns whether the features to evaluate a run on are cached and wanted."""
    if locations.from_images or not data.cache_dir:
        return False
    split = locations.split
    return all((folder / split / cache_format.INDEX).exists() for folder in caches_of(data, split))
