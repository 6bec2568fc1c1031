"""What an evaluation predicted, read: predictions.csv, probabilities.npy and the partition they are of."""

import csv
import dataclasses
import difflib
import functools
import math
import os
import pathlib
from collections.abc import Sequence

import numpy as np

from geods import errors, geometry, partition
from trainers import runs

_COORDINATES = ("lat_deg", "lon_deg", "predicted_lat_deg", "predicted_lon_deg")
# Two ways of writing one place differ by less than this; 1e-6 degrees are 0.1 m.
_SAME_DEG = 1e-6
_SUGGESTIONS = 3


@dataclasses.dataclass(frozen=True, eq=False)
class Prediction:
    """What a model said of one location.

    Attributes:
        location_id: Its name in the dataset, "<lat>,<lng>" as a rule.
        truth: (lat, lon) of the true point, degrees.
        predicted: (lat, lon) of the predicted point, degrees.
        probabilities: `[cells]`.
    """

    location_id: str
    truth: tuple[float, float]
    predicted: tuple[float, float]
    probabilities: np.ndarray

    @functools.cached_property
    def distance_km(self) -> float:
        """Great-circle distance between the two points."""
        return float(geometry.haversine_km(self.truth, self.predicted))


def read(folder: str | os.PathLike[str], cells: int) -> list[Prediction]:
    """Reads the predictions of a folder, in the order of its predictions.csv.

    Args:
        folder: A run folder after evaluation, or the --out folder of one.
        cells: How many cells the run's partition has.

    Raises:
        RunError: If a file is missing or damaged, or the two do not belong together.
    """
    rows = _read_csv(pathlib.Path(folder) / runs.PREDICTIONS)
    path = pathlib.Path(folder) / runs.PROBABILITIES
    probabilities = _read_probabilities(path)
    if probabilities.shape != (len(rows), cells):
        problem = f"{path}: has shape {probabilities.shape}; {len(rows)} locations and {cells} cells need another."
        raise errors.RunError(problem, _evaluate(path.parent))
    return [
        Prediction(name, (truth[0], truth[1]), (truth[2], truth[3]), row)
        for (name, truth), row in zip(rows, probabilities, strict=True)
    ]


def read_partition(run_dir: str | os.PathLike[str]) -> partition.Partition:
    """Reads the partition of a run folder.

    Raises:
        RunError: If there is no such folder, or no partition in it.
        PartitionError: If the partition is damaged.
    """
    folder = pathlib.Path(run_dir)
    if not (folder / runs.PARTITION).is_file():
        what = f"holds no {runs.PARTITION}, so it is no run folder" if folder.is_dir() else "there is no such folder"
        raise errors.RunError(f"{folder}: {what}.", "name a folder that python -m trainers.train wrote: --run_dir=RUN")
    return partition.read(folder / runs.PARTITION)


def median(predictions: Sequence[Prediction]) -> int:
    """Returns the row of the prediction with the median error; the better of the two middle ones."""
    return by_distance(predictions)[(len(predictions) - 1) // 2]


def by_distance(predictions: Sequence[Prediction]) -> list[int]:
    """Returns the rows of all predictions, the best first."""
    return sorted(range(len(predictions)), key=lambda row: predictions[row].distance_km)


def find(predictions: Sequence[Prediction], text: str) -> int:
    """Returns the row of a location.

    Args:
        predictions: As `read` returned them.
        text: A location_id, a "<lat>,<lng>" that is the same place, or the row's number from 0.

    Raises:
        RunError: If there is none; the message has those that come nearest.
    """
    names = [prediction.location_id for prediction in predictions]
    if text in names:
        return names.index(text)
    if text.isdecimal():
        if int(text) < len(names):
            return int(text)
        raise errors.RunError(f"--location={text}: rows are numbered from 0 to {len(names) - 1}.", "give one of those")
    place = _parse_place(text)
    if place is None:
        close = difflib.get_close_matches(text, names, _SUGGESTIONS, cutoff=0) or names[:_SUGGESTIONS]
        raise errors.RunError(f"--location={text}: no such location.", f"give LAT,LNG or a row, such as {_list(close)}")
    truths = np.array([prediction.truth for prediction in predictions])
    turn = np.abs(geometry.wrap_lon_deg(truths[:, 1] - place[1]))
    same = np.flatnonzero((np.abs(truths[:, 0] - place[0]) <= _SAME_DEG) & (turn <= _SAME_DEG))
    if same.size:
        return int(same[0])
    nearest = np.argsort(geometry.haversine_km(np.array(place), truths), kind="stable")[:_SUGGESTIONS]
    close = [names[row] for row in nearest]
    raise errors.RunError(f"--location={text}: no such location.", f"the nearest ones are {_list(close)}")


def _read_csv(path: pathlib.Path) -> list[tuple[str, list[float]]]:
    """Returns the id and the four coordinates of each row."""
    if not path.is_file():
        raise errors.RunError(f"{path}: does not exist.", _evaluate(path.parent))
    try:
        with open(path, newline="", encoding="utf-8") as source:
            rows = [(row["location_id"], [float(row[name]) for name in _COORDINATES]) for row in csv.DictReader(source)]
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        problem = f"{path}: is not a table of predictions ({type(error).__name__}: {error})."
        raise errors.RunError(problem, _evaluate(path.parent)) from error
    if not rows:
        raise errors.RunError(f"{path}: holds no prediction.", _evaluate(path.parent))
    coords = np.array([values for _, values in rows]).reshape(-1, 2, 2)
    try:
        geometry.check_coords(coords, "location")
    except errors.CoordinateError as error:
        raise errors.RunError(f"{path}: {error.problem}", _evaluate(path.parent)) from error
    return rows


def _read_probabilities(path: pathlib.Path) -> np.ndarray:
    """Returns the array `[locations, cells]` of a file."""
    if not path.is_file():
        raise errors.RunError(f"{path}: does not exist.", _evaluate(path.parent))
    try:
        probabilities = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError) as error:
        cause = str(error).partition(". ")[0]
        raise errors.RunError(f"{path}: is not a whole .npy file ({cause}).", _evaluate(path.parent)) from error
    if not np.issubdtype(probabilities.dtype, np.floating):
        raise errors.RunError(f"{path}: holds {probabilities.dtype}, not probabilities.", _evaluate(path.parent))
    return probabilities


def _parse_place(text: str) -> tuple[float, float] | None:
    """Returns the (lat, lon) of a text, None if it is no place."""
    try:
        lat_deg, lon_deg = map(float, text.split(","))
    except ValueError:
        return None
    return (lat_deg, lon_deg) if abs(lat_deg) <= 90 and math.isfinite(lon_deg) else None


def _list(names: Sequence[str]) -> str:
    """Returns names as a list in a sentence."""
    return "; ".join(names)


def _evaluate(folder: pathlib.Path) -> str:
    """Returns the command that makes the files anew, in a run folder or elsewhere."""
    where = f"--run_dir={folder}" if (folder / runs.PARTITION).is_file() else f"--run_dir=RUN --out={folder}"
    return f"make it: python -m trainers.evaluate {where}"
