"""Labels of points in a quadtree of the whole world, by Morton codes.

G. M. Morton, IBM, 1966.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from geods.geo import geometry, polygons

# Boxes of the lowest level are 4.9 km wide at the equator and 2.4 km high.
DEEPEST = 13
_SIDE = 1 << DEEPEST
# Rounded as the vertices of cells are, so that a point lies on the same side of both.
LINES_LON = np.round(np.arange(_SIDE + 1) * (360 / _SIDE) - 180, polygons.DIGITS)
LINES_LAT = np.round(np.arange(_SIDE + 1) * (180 / _SIDE) - 90, polygons.DIGITS)
# The bits of a number below 2^13, each followed by a zero.
_SPREAD = np.sum([((np.arange(_SIDE) >> bit) & 1) << 2 * bit for bit in range(DEEPEST)], axis=0).astype(np.int32)

# Level, column from the west and row from the south, counted in boxes of that level.
Box = tuple[int, int, int]


def codes(coords: geometry.Array) -> npt.NDArray[np.int32]:
    """Returns the Morton code `[n]` of the lowest box that holds each point.

    `coords` `[n, 2]` are (lat, lon) in degrees.

    A point on a line belongs to the box east or north of it.
    """
    return _interleaved(_cuts(coords[:, 1], LINES_LON), _cuts(coords[:, 0], LINES_LAT))


def first_code(box: Box) -> int:
    """Returns the lowest code within a box."""
    level, column, row = box
    rise = DEEPEST - level
    return int(_SPREAD[column << rise] | _SPREAD[row << rise] << 1)


def bounds(box: Box) -> tuple[float, float, float, float]:
    """Returns (west, south, east, north) of a box in degrees."""
    level, column, row = box
    rise = DEEPEST - level
    columns, rows = [number << rise for number in (column, column + 1)], [number << rise for number in (row, row + 1)]
    (west, east), (south, north) = LINES_LON[columns].tolist(), LINES_LAT[rows].tolist()
    return west, south, east, north


class Grid:
    """The leaves of a quadtree, and the cell of each."""

    def __init__(self, boxes: Sequence[Box], cells: npt.ArrayLike) -> None:
        """Indexes boxes that tile the world, and the number of each one's cell."""
        starts = np.array([first_code(box) for box in boxes], np.int32)
        order = np.argsort(starts)
        self._starts, self._cells = starts[order], np.asarray(cells, np.int32)[order]

    def label(self, coords: geometry.Array) -> npt.NDArray[np.int32]:
        """Returns the cell of `coords` `[n, 2]`, (lat, lon) in degrees.

        The lowest number on a shared border.
        """
        columns, rows = _cuts(coords[:, 1], LINES_LON), _cuts(coords[:, 0], LINES_LAT)
        labels = self._cell_of(columns, rows)
        on_column = (coords[:, 1] == LINES_LON[columns]) & (columns > 0)
        on_row = (coords[:, 0] == LINES_LAT[rows]) & (rows > 0)
        at = np.flatnonzero(on_column | on_row)
        for west, south in itertools.product((0, 1), repeat=2) if at.size else ():
            beside = self._cell_of(columns[at] - west * on_column[at], rows[at] - south * on_row[at])
            labels[at] = np.minimum(labels[at], beside)
        return labels

    def _cell_of(self, columns: npt.NDArray[np.int32], rows: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        return self._cells[np.searchsorted(self._starts, _interleaved(columns, rows), side="right") - 1]


def _cuts(degrees: geometry.Array, lines: geometry.Array) -> npt.NDArray[np.int32]:
    """Returns the last line that is not above each value `[n]`.

    Of the last two lines, the one before.
    """
    found = ((degrees - lines[0]) * (_SIDE / (lines[-1] - lines[0]))).astype(np.int32)
    np.clip(found, 0, _SIDE - 1, out=found)
    # The product may miss a line by its last bits, and lines are rounded.
    found -= (degrees < lines[found]).astype(np.int32)
    found += (degrees >= lines[found + 1]).astype(np.int32)
    return np.clip(found, 0, _SIDE - 1)


def _interleaved(columns: npt.NDArray[np.int32], rows: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    return _SPREAD[columns] | _SPREAD[rows] << 1
