"""Predictions of an evaluation: predictions.csv, probabilities.npy, partition.

Coordinates and ids are in memory, 60 MB of a million locations; probabilities stay in their file until they are read.
"""

import array
import csv
import dataclasses
import difflib
import functools
import itertools
import math
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np

from geods import errors
from geods.geo import geometry, partition
from geods.tree import string_array
from trainers.runs import run_folder, stored_probabilities

_COORDINATES = ("lat_deg", "lon_deg", "predicted_lat_deg", "predicted_lon_deg")
# Two spellings of one point differ by less than this; 1e-6 degrees are 0.1 m.
_SAME_DEG = 1e-6
_SUGGESTIONS = 3
_AT_ONCE = 4096


@dataclasses.dataclass(frozen=True, eq=False)
class Prediction:
    """Prediction of one location.

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


class Predictions(Sequence[Prediction]):
    """Predictions of n locations; Prediction objects are created on access.

    Attributes:
        names: `[n]` location ids.
        truth: `[n, 2]` (lat, lon) degrees.
        predicted: `[n, 2]` (lat, lon) degrees.
        probabilities: `[n, cells]`, which may be in a file.
    """

    def __init__(
        self,
        names: string_array.Texts,
        truth: np.ndarray,
        predicted: np.ndarray,
        probabilities: stored_probabilities.Rows,
    ) -> None:
        self.names, self.truth, self.predicted, self.probabilities = names, truth, predicted, probabilities

    @classmethod
    def of(cls, found: Sequence[Prediction]) -> "Predictions":
        """Returns predictions of one partition as columns."""
        if isinstance(found, cls):
            return found
        names = string_array.Texts.of(one.location_id for one in found)
        truth, predicted = (np.array(part, np.float64).reshape(-1, 2) for part in _columns(found))
        return cls(names, truth, predicted, np.array([one.probabilities for one in found]))

    def __len__(self) -> int:
        """Returns n."""
        return len(self.names)

    @overload
    def __getitem__(self, chosen: int) -> Prediction: ...

    @overload
    def __getitem__(self, chosen: slice | np.ndarray) -> "Predictions": ...

    def __getitem__(self, chosen: int | slice | np.ndarray) -> "Prediction | Predictions":
        """Returns one, or those of a slice or of numbers `[k]`."""
        truth, predicted, probabilities = self.truth[chosen], self.predicted[chosen], self.probabilities[chosen]
        if isinstance(chosen, (slice, np.ndarray)):
            return Predictions(self.names[chosen], truth, predicted, probabilities)
        (lat, lon), (guessed_lat, guessed_lon) = truth.tolist(), predicted.tolist()
        return Prediction(self.names[chosen], (lat, lon), (guessed_lat, guessed_lon), probabilities)

    @functools.cached_property
    def distance_km(self) -> np.ndarray:
        """`[n]`, great-circle distances between truths and predictions."""
        return geometry.haversine_km(self.truth, self.predicted)


def read(folder: str | os.PathLike[str], cells: int) -> Predictions:
    """Reads the predictions of a folder, in the order of its predictions.csv.

    Args:
        folder: A run folder after evaluation, or the --out folder of one.
        cells: How many cells the run's partition has.

    Raises:
        RunError: If a file is missing or damaged, or the two do not belong together.
    """
    names, coords = _read_csv(pathlib.Path(folder) / run_folder.PREDICTIONS)
    path = pathlib.Path(folder) / run_folder.PROBABILITIES
    try:
        probabilities = stored_probabilities.Stored(path)
    except errors.RunError as error:
        raise errors.RunError(error.problem, _evaluate(path.parent)) from error
    if probabilities.shape != (len(names), cells):
        problem = f"{path}: has shape {probabilities.shape}; {len(names)} locations and {cells} cells need another."
        raise errors.RunError(problem, _evaluate(path.parent))
    return Predictions(names, coords[:, 0], coords[:, 1], probabilities)


def read_partition(run_dir: str | os.PathLike[str]) -> partition.Partition:
    """Reads the partition of a run folder.

    Raises:
        RunError: If there is no such folder, or no partition in it.
        PartitionError: If the partition is damaged.
    """
    folder = pathlib.Path(run_dir)
    if not (folder / run_folder.PARTITION).is_file():
        what = (
            f"holds no {run_folder.PARTITION}, so it is no run folder" if folder.is_dir() else "there is no such folder"
        )
        raise errors.RunError(f"{folder}: {what}.", "name a folder that python -m trainers.train wrote: --run_dir=RUN")
    return partition.read(folder / run_folder.PARTITION)


def median(found: Sequence[Prediction]) -> int:
    """Returns the row of the prediction with the median error.

    Of an even number of rows it is the better of the two middle ones.
    """
    return int(by_distance(found)[(len(found) - 1) // 2])


def by_distance(found: Sequence[Prediction]) -> np.ndarray:
    """Returns the rows of all predictions, `[n]` int, the best first."""
    return np.argsort(Predictions.of(found).distance_km, kind="stable")


def find(predictions: Sequence[Prediction], text: str) -> int:
    """Returns the row of a location.

    Args:
        predictions: As `read` returned them.
        text: A location_id, a "<lat>,<lng>" that is the same point, or the row's number from 0.

    Raises:
        RunError: If there is none; the message has those that come nearest.
    """
    found = Predictions.of(predictions)
    names, truths = found.names, found.truth
    if (same := np.flatnonzero(names.encoded == text.encode())).size:
        return int(same[0])
    if text.isdecimal():
        if int(text) < len(names):
            return int(text)
        raise errors.RunError(f"--location={text}: rows are numbered from 0 to {len(names) - 1}.", "give one of those")
    point = _parse_point(text)
    if point is None:
        close = difflib.get_close_matches(text, names, _SUGGESTIONS, cutoff=0) or names[:_SUGGESTIONS].tolist()
        raise errors.RunError(f"--location={text}: no such location.", f"give LAT,LNG or a row, such as {_list(close)}")
    turn = np.abs(geometry.wrap_lon_deg(truths[:, 1] - point[1]))
    same = np.flatnonzero((np.abs(truths[:, 0] - point[0]) <= _SAME_DEG) & (turn <= _SAME_DEG))
    if same.size:
        return int(same[0])
    nearest = np.argsort(geometry.haversine_km(np.array(point), truths), kind="stable")[:_SUGGESTIONS]
    close = [names[row] for row in nearest]
    raise errors.RunError(f"--location={text}: no such location.", f"the nearest ones are {_list(close)}")


def _columns(found: Sequence[Prediction]) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Returns the truths and the predicted points."""
    return [one.truth for one in found], [one.predicted for one in found]


def _read_csv(path: pathlib.Path) -> tuple[string_array.Texts, np.ndarray]:
    """Returns the ids of all rows, and their truths and predictions.

    The latter are `[n, 2, 2]` (lat, lon) degrees.
    """
    if not path.is_file():
        raise errors.RunError(f"{path}: does not exist.", _evaluate(path.parent))
    names, numbers = [], array.array("d")
    try:
        with open(path, newline="", encoding="utf-8") as source:
            rows = _cells_of_rows(csv.reader(source))
            while part := list(itertools.islice(rows, _AT_ONCE)):
                names.append(string_array.Texts.of(row[0] for row in part))
                numbers.extend(float(word) for row in part for word in row[1:])
    except (ValueError, csv.Error) as error:
        problem = f"{path}: is not a table of predictions ({error})."
        raise errors.RunError(problem, _evaluate(path.parent)) from error
    if not names:
        raise errors.RunError(f"{path}: holds no prediction.", _evaluate(path.parent))
    coords = np.array(numbers).reshape(-1, 2, 2)
    try:
        geometry.check_coords(coords, "location")
    except errors.CoordinateError as error:
        raise errors.RunError(f"{path}: {error.problem}", _evaluate(path.parent)) from error
    return string_array.Texts.joined(names), coords


def _cells_of_rows(rows: Iterator[list[str]]) -> Iterator[list[str]]:
    """Yields location_id and the four coordinates of each row below the header.

    Raises:
        ValueError: If a column is missing, or a row is short.
    """
    header = next(rows, [])
    for name in ("location_id", *_COORDINATES):
        if header and name not in header:
            raise ValueError(f"no column {name}")
    wanted = [header.index(name) for name in ("location_id", *_COORDINATES)] if header else []
    for number, row in enumerate(rows, 2):
        if row and len(row) < len(header):
            raise ValueError(f"row {number} has {len(row)} columns, the first {len(header)}")
        if row:
            yield [row[column] for column in wanted]


def _parse_point(text: str) -> tuple[float, float] | None:
    """Returns the (lat, lon) of a text, None if it is no point."""
    try:
        lat_deg, lon_deg = map(float, text.split(","))
    except ValueError:
        return None
    return (lat_deg, lon_deg) if abs(lat_deg) <= 90 and math.isfinite(lon_deg) else None


def _list(names: Sequence[str]) -> str:
    return "; ".join(names)


def _evaluate(folder: pathlib.Path) -> str:
    """Returns the command that writes the files again, in a run folder or elsewhere."""
    where = f"--run_dir={folder}" if (folder / run_folder.PARTITION).is_file() else f"--run_dir=RUN --out={folder}"
    return f"make it: python -m trainers.evaluate {where}"
