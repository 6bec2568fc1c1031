"""Grids of the world that label points: a quadtree, equal areas, H3.

They need no polygons. Each has `label(coords)` for (lat, lon) in degrees `[n, 2]`, which returns cells `[n]` int32: the
lowest number on a shared border, and -1 in boxes that are no cell of the partition.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import shapely

from geods import errors
from geods.geo import geometry, polygons

# Boxes of the quadtree's lowest level are 4.9 km wide at the equator and 2.4 km high.
DEEPEST = 13
_SIDE = 1 << DEEPEST
# Rounded as the vertices of cells are, so that a point lies on the same side of both.
LINES_LON = np.round(np.arange(_SIDE + 1) * (360 / _SIDE) - 180, polygons.DIGITS)
LINES_LAT = np.round(np.arange(_SIDE + 1) * (180 / _SIDE) - 90, polygons.DIGITS)
# The bits of a number below 2^13, each followed by a zero.
_SPREAD = np.sum([((np.arange(_SIDE) >> bit) & 1) << 2 * bit for bit in range(DEEPEST)], axis=0).astype(np.int32)

# Level, column from the west and row from the south, counted in boxes of that level.
Box = tuple[int, int, int]
Labels = npt.NDArray[np.int32]


class Grid(Protocol):
    """Cells that label points."""

    def label(self, coords: geometry.Array) -> Labels:
        """Returns the cell of `coords` `[n, 2]`, (lat, lon) in degrees, -1 outside all."""


def from_parameters(kind: str, parameters: Mapping[str, Any]) -> Grid | None:
    """Returns the grid of a partition, None for cells labelled by polygons."""
    if kind == "world_quadtree" and parameters.get("leaves"):
        leaves = parameters["leaves"]
        boxes = [(level, column, row) for group in leaves for level, column, row in group]
        return QuadtreeGrid(boxes, np.repeat(np.arange(len(leaves)), [len(group) for group in leaves]))
    if kind == "equal_area" and "numbers" in parameters:
        return EqualAreaGrid(parameters["cell_deg"], parameters["numbers"])
    if kind == "h3" and "ids" in parameters:
        return H3Grid(parameters["resolution"], parameters["ids"])
    return None


def lowest(first: Labels, second: Labels) -> Labels:
    """Returns the lower of two cells, or the one that is not -1, `[n]`."""
    return np.where((first >= 0) & (second >= 0), np.minimum(first, second), np.maximum(first, second))


class QuadtreeGrid:
    """The leaves of a quadtree, found by Morton codes (G. M. Morton, IBM, 1966)."""

    def __init__(self, boxes: Sequence[Box], cells: npt.ArrayLike) -> None:
        """Indexes boxes that tile the world, and the number of each one's cell."""
        starts = np.array([first_code(box) for box in boxes], np.int32)
        order = np.argsort(starts)
        self._starts, self._cells = starts[order], np.asarray(cells, np.int32)[order]

    def label(self, coords: geometry.Array) -> Labels:
        """Returns the cell of each point; see the module."""
        columns, rows = _last_lines(coords[:, 1], LINES_LON), _last_lines(coords[:, 0], LINES_LAT)
        labels = self._cell_of(columns, rows)
        on_column = (coords[:, 1] == LINES_LON[columns]) & (columns > 0)
        on_row = (coords[:, 0] == LINES_LAT[rows]) & (rows > 0)
        at = np.flatnonzero(on_column | on_row)
        for west, south in itertools.product((0, 1), repeat=2) if at.size else ():
            beside = self._cell_of(columns[at] - west * on_column[at], rows[at] - south * on_row[at])
            labels[at] = np.minimum(labels[at], beside)
        return labels

    def _cell_of(self, columns: Labels, rows: Labels) -> Labels:
        return self._cells[np.searchsorted(self._starts, _interleaved(columns, rows), side="right") - 1]


def quadtree_codes(coords: geometry.Array) -> Labels:
    """Returns the Morton code `[n]` of the lowest box that holds each point.

    `coords` `[n, 2]` are (lat, lon) in degrees. A point on a line belongs to the box east or north of it.
    """
    return _interleaved(_last_lines(coords[:, 1], LINES_LON), _last_lines(coords[:, 0], LINES_LAT))


def first_code(box: Box) -> int:
    """Returns the lowest code within a box."""
    level, column, row = box
    rise = DEEPEST - level
    return int(_SPREAD[column << rise] | _SPREAD[row << rise] << 1)


def quadtree_bounds(box: Box) -> tuple[float, float, float, float]:
    """Returns (west, south, east, north) of a box in degrees."""
    level, column, row = box
    rise = DEEPEST - level
    columns, rows = [number << rise for number in (column, column + 1)], [number << rise for number in (row, row + 1)]
    (west, east), (south, north) = LINES_LON[columns].tolist(), LINES_LAT[rows].tolist()
    return west, south, east, north


class EqualAreaGrid:
    """Bands between parallels, divided into boxes of exactly one area.

    The sine of the latitude measures area, so a band that ends at `sin(lat) = 2 k / boxes - 1` holds a whole number of
    boxes, which are nearly square.

    Attributes:
        numbers: `[cells]` int32, which boxes are cells; boxes are numbered west to east, then south to north.
        boxes: How many there are.
    """

    def __init__(self, cell_deg: float, numbers: npt.ArrayLike | None = None) -> None:
        """Divides the world into boxes as large as `cell_deg` squared at the equator."""
        bands = max(2, round(180 / cell_deg))
        ideal = np.diff(np.sin(np.radians(np.linspace(-90, 90, bands + 1))))
        counts = np.maximum(np.round(2 * bands**2 / np.pi * ideal), 1)
        # Both halves alike: rounding of sines is not symmetric to the last bit.
        self._counts = np.minimum(counts, counts[::-1]).astype(np.int32)
        ends = np.cumsum(self._counts)
        self.boxes = int(ends[-1])
        self._first = ends - self._counts
        sines = np.clip(2 * np.append(0, ends) / self.boxes - 1, -1, 1)
        self._lines = np.round(np.degrees(np.arcsin(sines)), polygons.DIGITS) + 0.0
        self.numbers = np.arange(self.boxes, dtype=np.int32) if numbers is None else np.asarray(numbers, np.int32)
        self._cells = np.full(self.boxes, -1, np.int32)
        self._cells[self.numbers] = np.arange(len(self.numbers))

    @property
    def box_km2(self) -> float:
        """Area of each box on the sphere, square kilometres."""
        return geometry.EARTH_KM2 / self.boxes

    def shapes(self) -> npt.NDArray[np.object_]:
        """Returns the cells as boxes `[cells]` between parallels and meridians."""
        bands = np.searchsorted(self._first, self.numbers, side="right") - 1
        columns = self.numbers - self._first[bands]
        west, east = self._meridians(bands, columns), self._meridians(bands, columns + 1)
        return shapely.box(west, self._lines[bands], east, self._lines[bands + 1])

    def label(self, coords: geometry.Array) -> Labels:
        """Returns the cell of each point; see the module."""
        lat, lon = coords[:, 0], coords[:, 1]
        bands = np.clip(np.searchsorted(self._lines, lat, side="right") - 1, 0, len(self._counts) - 1)
        labels = self._in_band(bands, lon)
        at = np.flatnonzero((lat == self._lines[bands]) & (bands > 0))
        labels[at] = lowest(labels[at], self._in_band(bands[at] - 1, lon[at]))
        return labels

    def _in_band(self, bands: np.ndarray, lon: geometry.Array) -> Labels:
        counts = self._counts[bands]
        columns = np.clip(((lon + 180) * (counts / 360)).astype(np.int32), 0, counts - 1)
        # The product may miss a meridian by its last bits, and meridians are rounded.
        columns -= (lon < self._meridians(bands, columns)).astype(np.int32)
        columns += (lon >= self._meridians(bands, columns + 1)).astype(np.int32)
        columns = np.clip(columns, 0, counts - 1)
        labels = self._cells[self._first[bands] + columns]
        at = np.flatnonzero((lon == self._meridians(bands, columns)) & (columns > 0))
        labels[at] = lowest(labels[at], self._cells[self._first[bands[at]] + columns[at] - 1])
        return labels

    def _meridians(self, bands: np.ndarray, columns: np.ndarray) -> geometry.Array:
        """Returns the western edges of boxes, rounded as the vertices of cells are."""
        return np.round(columns * (360 / self._counts[bands]) - 180, polygons.DIGITS) + 0.0


class H3Grid:
    """Hexagons of one resolution, labelled by the library h3 itself.

    Twelve of them are pentagons. Their edges are great circles: polygons with edges straight in degrees label some
    points otherwise (findings/h3_cell_boundary_not_its_cell.sh).
    """

    def __init__(self, resolution: int, ids: Sequence[str]) -> None:
        """Indexes cells by their `ids`, hexadecimal as h3 writes them, in order."""
        self._resolution = resolution
        numbers = np.array([int(one, 16) for one in ids], np.int64)
        self._order = np.argsort(numbers).astype(np.int32)
        self._ids = numbers[self._order]

    def label(self, coords: geometry.Array) -> Labels:
        """Returns the cell of each point; see the module.

        Raises:
            PartitionError: If h3 is not installed.
        """
        lat, lon = coords.T.tolist()
        found = map(h3_library().latlng_to_cell, lat, lon, itertools.repeat(self._resolution))
        numbers = np.fromiter(found, np.int64, len(coords))
        at = np.minimum(np.searchsorted(self._ids, numbers), len(self._ids) - 1)
        return np.where(self._ids[at] == numbers, self._order[at], np.int32(-1))


def h3_library() -> Any:  # noqa: ANN401 - a module
    """Returns the module of h3 whose cells are whole numbers.

    Raises:
        PartitionError: If it is not installed.
    """
    try:
        import h3.api.basic_int as library
    except ImportError as error:
        problem = "cells of kind h3 need the package h3, which is not installed."
        raise errors.PartitionError(problem, 'pip install "geods[h3]"') from error
    return library


def _last_lines(degrees: geometry.Array, lines: geometry.Array) -> Labels:
    """Returns the last line that is not above each value `[n]`.

    Lines are evenly spaced; of the last two it is the one before.
    """
    found = ((degrees - lines[0]) * (_SIDE / (lines[-1] - lines[0]))).astype(np.int32)
    np.clip(found, 0, _SIDE - 1, out=found)
    # The product may miss a line by its last bits, and lines are rounded.
    found -= (degrees < lines[found]).astype(np.int32)
    found += (degrees >= lines[found + 1]).astype(np.int32)
    return np.clip(found, 0, _SIDE - 1)


def _interleaved(columns: Labels, rows: Labels) -> Labels:
    return _SPREAD[columns] | _SPREAD[rows] << 1
