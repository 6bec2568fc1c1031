"""Predictions of an evaluation, written as they come.

A million rows of a few hundred cells do not fit into memory.

    with prediction_writer.writing(out, locations=1000, cells=243) as writer:
        writer.add(names, guesses, probabilities)     # as often as need be
        writer.metrics = metrics

`trainers.runs.predictions` reads the files.
"""

import contextlib
import csv
import pathlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO, TextIO

import numpy as np

from geods import errors
from geods.geo import geometry
from geods.storage import files
from trainers.runs import distance_metrics, run_folder

_DIGITS = 6
# In float16 cells tie whose probabilities differ, and the first of them would not be the cell that was guessed.
_STORED = "float32"
# A line of predictions.csv, about: its length is not known before it is there.
_LINE_BYTES = 160


def top_cells(probabilities: np.ndarray) -> np.ndarray:
    """Returns the most probable cells `[n, k]`, ranked as in probabilities.npy."""
    return distance_metrics.top_cells(probabilities.astype(_STORED))


class Writer:
    """Writer of an evaluation; see `writing`.

    Attributes:
        metrics: Content of metrics.json, to be set before the block ends.
    """

    def __init__(self, table: TextIO, probabilities: BinaryIO, locations: int, cells: int) -> None:
        self.metrics: dict[str, object] = {}
        self._lines, self._probabilities = csv.writer(table, lineterminator="\n"), probabilities
        self._left, self._headed = locations, False
        # As numpy.save writes it.
        header = {"descr": np.dtype(_STORED).str, "fortran_order": False, "shape": (locations, cells)}
        np.lib.format.write_array_header_1_0(probabilities, header)

    def add(self, names: Sequence[str], guesses: distance_metrics.Guesses, probabilities: np.ndarray) -> None:
        """Writes the next locations.

        Args:
            names: `[b]` location ids.
            guesses: Their truths and guesses.
            probabilities: `[b, cells]`.
        """
        if not self._headed:
            self._lines.writerow(_header(guesses.top_cells.shape[1]))
            self._headed = True
        self._lines.writerows(_rows(names, guesses, probabilities))
        self._probabilities.write(np.ascontiguousarray(probabilities, dtype=_STORED).data)
        self._left -= len(names)

    def check_complete(self, out: pathlib.Path) -> None:
        """Raises RunError if fewer or more locations came than announced."""
        if self._left:
            problem = f"{out}: {abs(self._left)} locations {'fewer' if self._left > 0 else 'more'} came than announced."
            raise errors.RunError(problem, "check the dataset: python -m tools.verify")


@contextlib.contextmanager
def writing(out: pathlib.Path, locations: int, cells: int) -> Iterator[Writer]:
    """Writes the three files of an evaluation, metrics.json last.

    The files appear together after the block, and none if it fails.

    Args:
        out: Folder to write to.
        locations: How many will come.
        cells: How many cells they choose from.

    Raises:
        RunError: If fewer or more locations come.
        DiskFullError: If it does not fit.
    """
    size_bytes = locations * cells * np.dtype(_STORED).itemsize
    with contextlib.ExitStack() as unfinished:
        stored = unfinished.enter_context(files.atomic_path(out / run_folder.PROBABILITIES, size_bytes))
        listed = unfinished.enter_context(files.atomic_path(out / run_folder.PREDICTIONS, locations * _LINE_BYTES))
        with stored.open("wb") as probabilities, listed.open("w", encoding="utf-8", newline="") as table:
            writer = Writer(table, probabilities, locations, cells)
            yield writer
        writer.check_complete(out)
        with run_folder.resealing(out, run_folder.PREDICTIONS, run_folder.PROBABILITIES, run_folder.METRICS):
            unfinished.close()
            files.write_json(out / run_folder.METRICS, writer.metrics)


def _header(count: int) -> list[str]:
    """Returns the first line of predictions.csv, for the `count` top cells."""
    header = ["location_id", "lat_deg", "lon_deg", "predicted_lat_deg", "predicted_lon_deg"]
    header += ["distance_km", "distance_miles", "cell"]
    return header + [f"top{k + 1}_{what}" for k in range(count) for what in ("cell", "probability")]


def _rows(names: Sequence[str], guesses: distance_metrics.Guesses, probabilities: np.ndarray) -> Iterator[list[object]]:
    """Yields a line of predictions.csv for each location.

    It holds truth, guess, distance, and the most probable cells.
    """
    distance_km = geometry.haversine_km(guesses.truth, guesses.points)
    for row, name in enumerate(names):
        top = guesses.top_cells[row].tolist()
        numbers = [*guesses.truth[row].tolist(), *guesses.points[row].round(_DIGITS).tolist()]
        numbers += [round(float(distance_km[row]), 3), round(float(distance_km[row] / geometry.KM_PER_MILE), 3)]
        cells = [value for cell in top for value in (cell, round(float(probabilities[row, cell]), _DIGITS))]
        yield [name, *numbers, int(guesses.cells[row]), *cells]
