"""The run folder: what a training leaves behind, and what evaluation and prediction find there.

flags.cfg            the options, as a flag file: python -m trainers.train --flagfile=RUN/flags.cfg repeats the run
partition.geojson    the cells the model chooses from
model.keras          the whole network, from uint8 images to a point
checkpoints/         the best classifier so far, while training
events/              for TensorBoard
metrics.json, predictions.csv, probabilities.npy    written by trainers.evaluate
calibration.json     written by trainers.calibrate, with calibration.png
map.html, map.png    written by tools.render
seal.json            size and SHA-256 of what training and evaluation wrote (geods/seals.py)
"""

import contextlib
import pathlib
import shutil
from collections.abc import Iterator

from geods import cli, errors, partition, seals
from trainers import options

FLAGS, PARTITION, MODEL = "flags.cfg", "partition.geojson", "model.keras"
CHECKPOINT = "checkpoints/best.keras"
EVENTS = "events"
CALIBRATION = "calibration.json"
METRICS, PREDICTIONS, PROBABILITIES = "metrics.json", "predictions.csv", "probabilities.npy"
EVALUATED = (METRICS, PREDICTIONS, PROBABILITIES, CALIBRATION)
_RESULTS = (MODEL, *EVALUATED, "calibration.png", "map.html", "map.png", seals.NAME)
_TRAIN = "train one: python -m trainers.train --flagfile=trainers/recipes/mlp.cfg --run_dir="


def start(settings: options.TrainOptions, cells: partition.Partition) -> pathlib.Path:
    """Makes a run folder and writes down what it is a run of.

    Raises:
        RunError: If it holds a finished run and --overwrite is not given.
    """
    folder = refuse_finished(settings)
    for name in _RESULTS:
        (folder / name).unlink(missing_ok=True)
    for name in (EVENTS, "checkpoints"):
        shutil.rmtree(folder / name, ignore_errors=True)
    partition.write(cells, folder / PARTITION)
    (folder / FLAGS).write_text(cli.to_flagfile(settings), encoding="utf-8")
    return folder


def refuse_finished(settings: options.TrainOptions) -> pathlib.Path:
    """Returns the run folder, which need not be there, if a run may begin in it.

    Raises:
        RunError: If it holds a finished run and --overwrite is not given.
    """
    folder = pathlib.Path(settings.run_dir)
    if (folder / MODEL).exists() and not settings.overwrite:
        problem = f"{folder}: holds a trained model already."
        raise errors.RunError(problem, "name another --run_dir, or replace it with --overwrite")
    return folder


def require(run_dir: str) -> pathlib.Path:
    """Returns a run folder that holds a model.

    Raises:
        RunError: If it holds none.
    """
    folder = pathlib.Path(run_dir)
    missing = [name for name in (FLAGS, PARTITION, MODEL) if not (folder / name).is_file()]
    if missing:
        what = f"holds no {', '.join(missing)}" if folder.is_dir() else "there is no such folder"
        raise errors.RunError(f"{folder}: {what}; it is not a finished run.", f"{_TRAIN}{folder}")
    return folder


def seal(folder: pathlib.Path) -> None:
    """Seals a run that has its model."""
    seals.write(folder, [FLAGS, PARTITION, MODEL])


@contextlib.contextmanager
def resealing(folder: pathlib.Path, *names: str) -> Iterator[None]:
    """Takes files that the block writes into a run's seal; a folder that is not sealed stays so."""
    seals.release(folder, names)
    yield
    seals.renew(folder, names)


def refuse_other_partition(folder: pathlib.Path) -> None:
    """Reads the partition of a run, which a model would follow wherever it leads.

    Raises:
        RunError: If it is not the one that the run was trained with.
    """
    if seals.is_sealed(folder) and (found := seals.damaged(folder, [PARTITION])):
        raise errors.RunError(str(found[0]), "put back the run's own partition.geojson, or train again")


def options_of(folder: pathlib.Path) -> options.TrainOptions:
    """Returns the options a run was trained with."""
    return cli.from_flagfile(options.TrainOptions, folder / FLAGS)
