"""A whole tree in memory: 40 bytes for a location of one view, where objects of Python take 2 kB.

    found = places.Places("tree", tree.scan("tree"))
    found[0].views[0].path

Locations are made when they are looked at. Their numbers are parsed from their ids again, and their files are named by
cell, id and one of the few names that the views of a tree have; other layouts hold the path of every file.

Whole-column accessors avoid creating Location objects.
"""

import array
import copy
import itertools
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt

from geods.storage import memory
from geods.tree import imagery_tree, string_array

# Where a tree gives a location no cell.
NO_CELL = np.iinfo(np.int32).min
_AT_ONCE = 4096

# The end of the path, heading, date and index of views.
_Kind = tuple[str, float | None, str | None, int]


class LocationTable(Sequence[imagery_tree.Location]):
    """The locations of a tree, sorted by location_id.

    A view's `row` is its number among all views.

    Args:
        root: The folder that all files are below.
        locations: The locations; those without views are left out.

    Raises:
        TreeError: If there is none, or two have the same id.
    """

    def __init__(self, root: str | os.PathLike[str], locations: Iterable[imagery_tree.Location]) -> None:
        self._start = os.fspath(pathlib.Path(root, "x"))[:-1]
        self._gather(place for place in locations if place.views)
        imagery_tree.check_some(len(self._cells), pathlib.Path(root))
        self._rows = np.arange(len(self._of_view), dtype=np.int32)
        self._sort()
        memory.release_free_memory(len(self))

    def __len__(self) -> int:
        """Returns the number of locations."""
        return len(self._ids)

    @overload
    def __getitem__(self, chosen: int) -> imagery_tree.Location: ...

    @overload
    def __getitem__(self, chosen: slice) -> list[imagery_tree.Location]: ...

    def __getitem__(self, chosen: int | slice) -> imagery_tree.Location | list[imagery_tree.Location]:
        """Returns one, or those of a slice."""
        if isinstance(chosen, slice):
            return [self._make(number) for number in range(*chosen.indices(len(self)))]
        return self._make(range(len(self))[chosen])

    @property
    def paths(self) -> "Paths":
        """The files of all views."""
        return Paths(self)

    @property
    def views(self) -> int:
        """How many views there are."""
        return len(self._of_view)

    @property
    def ids(self) -> string_array.Texts:
        """All location ids, `[n]`, sorted."""
        return self._ids

    def id_at(self, number: int) -> str:
        """Returns the id of a location."""
        return self._ids[number]

    def coords(self) -> np.ndarray:
        """Returns the coordinates, `[n, 2]` float64 degrees, (lat, lon)."""
        return coords_of_ids(self._ids, len(self))

    def folder_cells(self) -> np.ma.MaskedArray:
        """Returns the cell of each location's folder, `[n]`, masked where there is none."""
        return np.ma.masked_array(self._cells, self._cells == NO_CELL)

    def view_counts(self) -> np.ndarray:
        """Returns how many views each location has, `[n]`."""
        return np.diff(self._starts)

    def views_at(self, number: int) -> Iterator[tuple[float | None, str | None, int, int]]:
        """Yields heading, date, index and row of each view of a location."""
        for at in range(self._starts[number], self._starts[number + 1]):
            _, heading_deg, date, index = self._kinds[self._of_view[at]]
            yield heading_deg, date, index, int(self._rows[at])

    def files(self) -> Iterator[str]:
        """Yields the paths of all views as text, in their order, by a tenth of the work of `paths`."""
        ends, of_view = [kind[0] for kind in self._kinds], iter(self._of_view.tolist())
        counts = np.diff(self._starts).tolist()
        for location_id, cell, count in zip(self._ids, self._cells.tolist(), counts, strict=True):
            for kind in itertools.islice(of_view, count):
                yield self._file(location_id, cell, ends[kind])

    def rows_at(self, numbers: np.ndarray) -> np.ndarray:
        """Returns the rows of the views of locations `[k]`, theirs in turn."""
        return self._rows[self.numbers_at(numbers)]

    def numbers_at(self, numbers: np.ndarray) -> np.ndarray:
        """Returns the numbers, among the views that are here, of the views of locations `[k]`, theirs in turn."""
        counts, kind = np.diff(self._starts)[numbers], self._starts.dtype
        # In place, and in no more bytes than they need: of a million this is 16 MB instead of 40.
        found = np.arange(counts.sum(), dtype=kind)
        found += np.repeat(self._starts[:-1][numbers] - (np.cumsum(counts, dtype=kind) - counts), counts)
        return found

    def path(self, at: int) -> pathlib.Path:
        """Returns the file of the view number `at` of those that are here."""
        number = place_at(self._starts, at)
        return pathlib.Path(self._file(self._ids[number], int(self._cells[number]), self._kinds[self._of_view[at]][0]))

    def keep(self, wanted: np.ndarray) -> "LocationTable":
        """Returns the places with the views of a mask `[views]`, without those that have no other; rows stay."""
        counts = self.counts_of(wanted)
        kept = copy.copy(self)
        kept._ids, kept._cells = self._ids[counts > 0], self._cells[counts > 0]
        kept._starts = starts_of(counts[counts > 0])
        kept._of_view, kept._rows = self._of_view[wanted], self._rows[wanted]
        return kept

    def counts_of(self, wanted: np.ndarray) -> np.ndarray:
        """Returns how many views of a mask `[views]` each location has, `[n]`."""
        return np.add.reduceat(wanted.astype(np.int32), self._starts[:-1])

    def _gather(self, locations: Iterable[imagery_tree.Location]) -> None:
        """Reads the locations, in the order in which they come."""
        ids, cells, counts, kinds = [], array.array("q"), array.array("i"), array.array("i")
        known: dict[_Kind, int] = {}
        source = iter(locations)
        while part := list(itertools.islice(source, _AT_ONCE)):
            ids.append(string_array.Texts.of(place.location_id for place in part))
            cells.extend(NO_CELL if place.folder_cell is None else place.folder_cell for place in part)
            counts.extend(len(place.views) for place in part)
            found = (self._kind_of(place, view) for place in part for view in place.views)
            kinds.extend(known.setdefault(kind, len(known)) for kind in found)
        self._kinds, self._ids = list(known), string_array.Texts.joined(ids)
        self._cells, self._starts, self._of_view = (
            narrow(np.asarray(cells)),
            starts_of(counts),
            narrow(np.asarray(kinds)),
        )

    def _sort(self) -> None:
        """Sorts the locations by id.

        Raises:
            TreeError: If two have the same.
        """
        order = narrow(self._ids.order())
        self._of_view = self._of_view[self.numbers_at(order)]
        self._ids, self._cells = self._ids[order], self._cells[order]
        self._starts = starts_of(np.diff(self._starts)[order])
        same = np.flatnonzero(self._ids.encoded[1:] == self._ids.encoded[:-1])
        if same.size:
            imagery_tree.raise_duplicate(self[int(same[0])], self[int(same[0]) + 1])

    def _kind_of(self, place: imagery_tree.Location, view: imagery_tree.View) -> _Kind:
        """Returns what is kept of a view; a path that does not follow from its location is kept from the root on."""
        path, folder = os.fspath(view.path), f"{self._start}{place.folder_cell}{os.sep}{place.location_id}{os.sep}"
        below = path.removeprefix(folder)
        end = below if below != path and os.sep not in below else f"{os.sep}{path.removeprefix(self._start)}"
        return end, view.heading_deg, view.date, view.index

    def _file(self, location_id: str, cell: int, end: str) -> str:
        """Returns a path of which `_kind_of` kept the end."""
        if end.startswith(os.sep):
            return end[1:] if end.startswith(os.sep * 2) else f"{self._start}{end[1:]}"
        return f"{self._start}{cell}{os.sep}{location_id}{os.sep}{end}"

    def _make(self, number: int) -> imagery_tree.Location:
        """Returns the location of a number."""
        location_id, cell = self._ids[number], int(self._cells[number])
        lat_deg, lon_deg = map(float, location_id.split(","))
        rows = range(self._starts[number], self._starts[number + 1])
        views = []
        for at in rows:
            end, heading_deg, date, index = self._kinds[self._of_view[at]]
            path = pathlib.Path(self._file(location_id, cell, end))
            views.append(imagery_tree.View(path, heading_deg, date, index, int(self._rows[at])))
        return imagery_tree.Location(location_id, lat_deg, lon_deg, None if cell == NO_CELL else cell, tuple(views))


class Paths(Sequence[pathlib.Path]):
    """The files of all views, made when they are looked at."""

    def __init__(self, places: LocationTable) -> None:
        """Takes the locations."""
        self._places = places

    def __len__(self) -> int:
        """Returns the number of views."""
        return self._places.views

    def __iter__(self) -> Iterator[pathlib.Path]:
        """Yields them, in a third of the time that one after another by number takes."""
        return map(pathlib.Path, self.files())

    def files(self) -> Iterator[str]:
        """Yields them as text."""
        return self._places.files()

    @overload
    def __getitem__(self, chosen: int) -> pathlib.Path: ...

    @overload
    def __getitem__(self, chosen: slice) -> list[pathlib.Path]: ...

    def __getitem__(self, chosen: int | slice) -> pathlib.Path | list[pathlib.Path]:
        """Returns one, or those of a slice."""
        rows = range(len(self))[chosen]
        return self._places.path(rows) if isinstance(rows, int) else [self._places.path(row) for row in rows]


def coords_of_ids(location_ids: Iterable[str], count: int) -> np.ndarray:
    """Returns the coordinates that are ids, `[count, 2]` float64 degrees, (lat, lon)."""
    numbers = (float(number) for location_id in location_ids for number in location_id.split(","))
    return np.fromiter(numbers, np.float64, 2 * count).reshape(-1, 2)


def place_at(starts: np.ndarray, row: int) -> int:
    """Returns the number of the location that a row belongs to, of where each begins, `[n + 1]`."""
    # In their own type: of a Python integer NumPy would make int64, and of a million starts as well, each time.
    return int(np.searchsorted(starts, starts.dtype.type(row), side="right")) - 1


def narrow(values: np.ndarray) -> np.ndarray:
    """Returns integers in 2 or 4 bytes each, if that is enough for all."""
    for kind in (np.int16, np.int32):
        limits = np.iinfo(kind)
        if not values.size or (values.min() >= limits.min and values.max() <= limits.max):
            return values.astype(kind)
    return values


def starts_of(counts: npt.ArrayLike) -> np.ndarray:
    """Returns where those of each begin, `[n + 1]`, of how many each has, `[n]`."""
    starts = np.zeros(np.size(counts) + 1, np.int64)
    np.cumsum(counts, out=starts[1:])
    return narrow(starts)


def files_of(paths: Sequence[pathlib.Path]) -> Iterator[str]:
    """Yields paths as text, without making them where that can be."""
    return paths.files() if isinstance(paths, Paths) else map(os.fspath, paths)


def paths_of(locations: Sequence[imagery_tree.Location]) -> Sequence[pathlib.Path]:
    """Returns the image files of all views, location by location, made when they are looked at where that can be."""
    if isinstance(locations, LocationTable):
        return locations.paths
    return [view.path for place in locations for view in place.views]


def most_views(locations: Sequence[imagery_tree.Location]) -> int:
    """Returns how many views the location with the most has; at least one location is needed."""
    if isinstance(locations, LocationTable):
        return int(locations.view_counts().max())
    return max(len(place.views) for place in locations)


def coords_of(locations: Sequence[imagery_tree.Location]) -> np.ndarray:
    """Returns what `imagery_tree.coords` does, without making locations where that can be."""
    return locations.coords() if isinstance(locations, LocationTable) else imagery_tree.coords(locations)


def folder_cells_of(locations: Sequence[imagery_tree.Location]) -> np.ma.MaskedArray:
    """Returns the cells of folders, `[n]` masked where there is none, without making locations where that can be."""
    if isinstance(locations, LocationTable):
        return locations.folder_cells()
    cells = [NO_CELL if place.folder_cell is None else place.folder_cell for place in locations]
    return np.ma.masked_equal(np.array(cells, np.int64), NO_CELL)


def view_count(locations: Sequence[imagery_tree.Location]) -> int:
    """Returns how many views locations have, without making them where that can be."""
    return locations.views if isinstance(locations, LocationTable) else sum(len(place.views) for place in locations)
