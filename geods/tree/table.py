"""Column tables of an imagery tree: locations, labels, and facts of images.

    locations = table.LocationTable("tree", imagery_tree.scan("tree"))
    locations[0].views[0].path
    train = table.LabelledLocations(locations, cells=np.zeros(len(locations)), numbers=np.array([3, 1, 2]))
    train[0]        # location number 3, and its cell

A location of one view takes 40 bytes, where Python objects take 2 kB; a label takes 4, the facts of an image 8 and 32
of a file. Location objects are created on access: coordinates are parsed from the id, and a file is named by cell, id
and one of the few view names of a tree; layouts other than the standard tree store the path of every file.
"""

import array
import copy
import itertools
import os
import pathlib
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt

from geods.storage import memory
from geods.tree import imagery_tree, jpeg, string_array

# Where a tree gives a location no cell.
NO_CELL = np.iinfo(np.int32).min
_AT_ONCE = 4096
_HEADING_NUMBERS = frozenset((0, 90, 180, 270))
_DIGEST_BYTES, _IN_MEMORY_BYTES = 32, 1 << 20

# The end of the path, heading, date and index of views.
_Kind = tuple[str, float | None, str | None, int]
# location_id, heading_deg, date, index and row.
View = tuple[str, float | None, str | None, int, int]
# A location with its cell.
Labelled = tuple[imagery_tree.Location, int]


class LocationTable(Sequence[imagery_tree.Location]):
    """The locations of a tree, sorted by location_id.

    A view's `row` is its number among all views. Where no heading is known and all view numbers are 0, 90, 180 or 270,
    the numbers are headings: the report names views both ways.

    Attributes:
        has_heading_numbers: Whether view numbers were taken for headings.

    Args:
        root: The folder that all files are below.
        locations: The locations; those without views are left out.

    Raises:
        TreeError: If there is none, or two have the same id.
    """

    def __init__(self, root: str | os.PathLike[str], locations: Iterable[imagery_tree.Location]) -> None:
        self._start = os.fspath(pathlib.Path(root, "x"))[:-1]
        self._gather(location for location in locations if location.views)
        imagery_tree.check_some(len(self._cells), pathlib.Path(root))
        self._rows = np.arange(len(self._of_view), dtype=np.int32)
        self._sort()
        memory.release_free_memory(len(self))

    def __len__(self) -> int:
        return len(self._ids)

    @overload
    def __getitem__(self, chosen: int) -> imagery_tree.Location: ...

    @overload
    def __getitem__(self, chosen: slice) -> list[imagery_tree.Location]: ...

    def __getitem__(self, chosen: int | slice) -> imagery_tree.Location | list[imagery_tree.Location]:
        if isinstance(chosen, slice):
            return [self._make(number) for number in range(*chosen.indices(len(self)))]
        return self._make(range(len(self))[chosen])

    @property
    def paths(self) -> "Paths":
        """Files of all views, location by location."""
        return Paths(self)

    @property
    def views(self) -> int:
        """Number of views."""
        return len(self._of_view)

    @property
    def ids(self) -> string_array.Texts:
        """Location ids, `[n]`, sorted."""
        return self._ids

    def coords(self) -> np.ndarray:
        """Returns the coordinates, `[n, 2]` float64 degrees, (lat, lon)."""
        return coords_of_ids(self._ids, len(self))

    def folder_cells(self) -> np.ma.MaskedArray:
        """Returns the cell of each location's folder, `[n]`, masked where there is none."""
        return np.ma.masked_array(self._cells, self._cells == NO_CELL)

    def views_of(self, numbers: Iterable[int]) -> Iterator[View]:
        """Yields location_id, heading, date, index and row of each view of locations."""
        for number in numbers:
            for at in range(self._starts[number], self._starts[number + 1]):
                yield self._ids[number], *self._kinds[self._of_view[at]][1:], int(self._rows[at])

    def files(self) -> Iterator[str]:
        """Yields the paths of all views as text, ten times as fast as Path objects."""
        ends, of_view = [kind[0] for kind in self._kinds], iter(self._of_view.tolist())
        counts = np.diff(self._starts).tolist()
        for location_id, cell, count in zip(self._ids, self._cells.tolist(), counts, strict=True):
            for kind in itertools.islice(of_view, count):
                yield self._file(location_id, cell, ends[kind])

    def rows_at(self, numbers: np.ndarray) -> np.ndarray:
        """Returns the rows of the views of locations `[k]`, in location order."""
        return self._rows[self.numbers_at(numbers)]

    def numbers_at(self, numbers: np.ndarray) -> np.ndarray:
        """Returns the positions in this table of the views of locations `[k]`, in order."""
        counts, kind = np.diff(self._starts)[numbers], self._starts.dtype
        # Added in place, in the narrow type: a million views take 16 MB instead of 40.
        positions = np.arange(counts.sum(), dtype=kind)
        positions += np.repeat(self._starts[:-1][numbers] - (np.cumsum(counts, dtype=kind) - counts), counts)
        return positions

    def path(self, at: int) -> pathlib.Path:
        """Returns the file of the view at a position of this table."""
        number = owner_of(self._starts, at)
        return pathlib.Path(self._file(self._ids[number], int(self._cells[number]), self._kinds[self._of_view[at]][0]))

    def keep(self, wanted: np.ndarray) -> "LocationTable":
        """Returns the table of a mask's views `[views]`; empty locations are dropped."""
        counts = self.counts_of(wanted)
        kept = copy.copy(self)
        kept._ids, kept._cells = self._ids[counts > 0], self._cells[counts > 0]
        kept._starts = starts_of(counts[counts > 0])
        kept._of_view, kept._rows = self._of_view[wanted], self._rows[wanted]
        return kept

    def counts_of(self, wanted: np.ndarray) -> np.ndarray:
        """Returns the number of views of a mask `[views]` at each location, `[n]`."""
        return np.add.reduceat(wanted.astype(np.int32), self._starts[:-1])

    def _gather(self, locations: Iterable[imagery_tree.Location]) -> None:
        ids, cells, counts, kinds = [], array.array("q"), array.array("i"), array.array("i")
        known: dict[_Kind, int] = {}
        source = iter(locations)
        while part := list(itertools.islice(source, _AT_ONCE)):
            ids.append(string_array.Texts.of(one.location_id for one in part))
            cells.extend(NO_CELL if one.folder_cell is None else one.folder_cell for one in part)
            counts.extend(len(one.views) for one in part)
            kinds_of_part = (self._kind_of(one, view) for one in part for view in one.views)
            kinds.extend(known.setdefault(kind, len(known)) for kind in kinds_of_part)
        numbers = {index if heading_deg is None else NO_CELL for _, heading_deg, _, index in known}
        self.has_heading_numbers = numbers <= _HEADING_NUMBERS and numbers != {0}
        if self.has_heading_numbers:
            known = {(end, float(index), date, 0): at for (end, _, date, index), at in known.items()}
        self._kinds, self._ids = list(known), string_array.Texts.joined(ids)
        self._cells, self._starts = narrow(np.asarray(cells)), starts_of(counts)
        self._of_view = narrow(np.asarray(kinds))

    def _sort(self) -> None:
        order = narrow(self._ids.order())
        self._of_view = self._of_view[self.numbers_at(order)]
        self._ids, self._cells = self._ids[order], self._cells[order]
        self._starts = starts_of(np.diff(self._starts)[order])
        same = np.flatnonzero(self._ids.encoded[1:] == self._ids.encoded[:-1])
        if same.size:
            imagery_tree.raise_duplicate(self[int(same[0])], self[int(same[0]) + 1])

    def _kind_of(self, location: imagery_tree.Location, view: imagery_tree.View) -> _Kind:
        """Returns a view's kind; an irregular path is stored below the root."""
        path = os.fspath(view.path)
        folder = f"{self._start}{location.folder_cell}{os.sep}{location.location_id}{os.sep}"
        below = path.removeprefix(folder)
        end = below if below != path and os.sep not in below else f"{os.sep}{path.removeprefix(self._start)}"
        return end, view.heading_deg, view.date, view.index

    def _file(self, location_id: str, cell: int, end: str) -> str:
        """Returns the path whose end `_kind_of` stored."""
        if end.startswith(os.sep):
            return end[1:] if end.startswith(os.sep * 2) else f"{self._start}{end[1:]}"
        return f"{self._start}{cell}{os.sep}{location_id}{os.sep}{end}"

    def _make(self, number: int) -> imagery_tree.Location:
        location_id, cell = self._ids[number], int(self._cells[number])
        lat_deg, lon_deg = map(float, location_id.split(","))
        views = []
        for at in range(self._starts[number], self._starts[number + 1]):
            end, heading_deg, date, index = self._kinds[self._of_view[at]]
            path = pathlib.Path(self._file(location_id, cell, end))
            views.append(imagery_tree.View(path, heading_deg, date, index, int(self._rows[at])))
        return imagery_tree.Location(location_id, lat_deg, lon_deg, None if cell == NO_CELL else cell, tuple(views))


class Paths(Sequence[pathlib.Path]):
    """Files of all views of a table, created on access."""

    def __init__(self, locations: LocationTable) -> None:
        self._locations = locations

    def __len__(self) -> int:
        return self._locations.views

    def __iter__(self) -> Iterator[pathlib.Path]:
        # A third of the time that access by number takes.
        return map(pathlib.Path, self.files())

    def files(self) -> Iterator[str]:
        """Yields the paths as text."""
        return self._locations.files()

    @overload
    def __getitem__(self, chosen: int) -> pathlib.Path: ...

    @overload
    def __getitem__(self, chosen: slice) -> list[pathlib.Path]: ...

    def __getitem__(self, chosen: int | slice) -> pathlib.Path | list[pathlib.Path]:
        at = range(len(self))[chosen]
        return self._locations.path(at) if isinstance(at, int) else [self._locations.path(number) for number in at]


class LabelledLocations(Sequence[Labelled]):
    """Selected locations of a table with their cells, created on access.

    Args:
        locations: The whole table.
        cells: `[n]` int, the cell of each of its locations.
        numbers: `[m]` int, the selected locations.
    """

    def __init__(self, locations: LocationTable, cells: np.ndarray, numbers: np.ndarray) -> None:
        self._locations, self._cells, self._numbers = locations, cells, numbers.astype(np.int32)

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, chosen: int) -> Labelled: ...

    @overload
    def __getitem__(self, chosen: slice | np.ndarray) -> "LabelledLocations": ...

    def __getitem__(self, chosen: int | slice | np.ndarray) -> "Labelled | LabelledLocations":
        """Returns a location with its cell, or those of a slice or of numbers `[k]`."""
        if isinstance(chosen, (slice, np.ndarray)):
            return LabelledLocations(self._locations, self._cells, self._numbers[chosen])
        number = int(self._numbers[chosen])
        return self._locations[number], int(self._cells[number])

    def ids(self) -> Iterator[str]:
        """Yields the location ids."""
        return (self._locations.ids[int(number)] for number in self._numbers)

    def coords(self) -> np.ndarray:
        """Returns the coordinates, `[m, 2]` float64 degrees, (lat, lon)."""
        return coords_of_ids(self.ids(), len(self))

    def rows(self) -> np.ndarray:
        """Returns the rows of all views, `[views]` int."""
        return self._locations.rows_at(self._numbers)

    def views(self) -> Iterator[View]:
        """Yields location_id, heading, date, index and row of each view."""
        return self._locations.views_of(self._numbers.tolist())

    def keep(self, wanted: np.ndarray) -> "LabelledLocations":
        """Returns the views of a mask `[views]` in order; empty locations are dropped."""
        mask = np.zeros(self._locations.views, bool)
        mask[self._locations.numbers_at(self._numbers)[wanted]] = True
        there = self._locations.counts_of(mask) > 0
        numbers = (np.cumsum(there) - 1)[self._numbers[there[self._numbers]]]
        return LabelledLocations(self._locations.keep(mask), self._cells[there], numbers)


class _Digests:
    """SHA-256 by row, of more than 32,768 images in an unnamed temporary file."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - closed with this
        weakref.finalize(self, self._file.close)

    def append(self, digest: bytes) -> None:
        """Adds the digest of the next row; all are added before the first is read."""
        self._file.write(digest)

    def __getitem__(self, row: int) -> bytes:
        self._file.seek(row * _DIGEST_BYTES)
        return self._file.read(_DIGEST_BYTES)


class ImageTable(Sequence[jpeg.ImageFacts]):
    """Facts of the images of a table of locations by row, created on access.

    Attributes:
        problems: Problems of bad images, by row.
        turned: Number of images that EXIF Orientation turns.
        panoramas: Number of images that are panoramas.
        sizes_bytes: Lengths of the files, `[n]` int.

    Args:
        facts: Facts of all images, in the order of their rows.
        locations: The table whose views they are.
    """

    def __init__(self, facts: Iterable[jpeg.ImageFacts], locations: LocationTable) -> None:
        digests, sizes, pixels = _Digests(), array.array("q"), array.array("H")
        self.problems: dict[int, str] = {}
        self.turned = self.panoramas = 0
        for row, fact in enumerate(facts):
            digests.append(bytes.fromhex(fact.sha256))
            sizes.append(fact.size_bytes)
            pixels.extend((fact.height_px, fact.width_px))
            self.turned += fact.is_turned
            self.panoramas += fact.is_panorama
            if fact.problem:
                self.problems[row] = fact.problem
        self._digests, self.sizes_bytes = digests, narrow(np.asarray(sizes))
        self._pixels, self._locations = np.asarray(pixels).reshape(-1, 2), locations
        memory.release_free_memory(len(self))

    def __len__(self) -> int:
        return len(self.sizes_bytes)

    @overload
    def __getitem__(self, chosen: int) -> jpeg.ImageFacts: ...

    @overload
    def __getitem__(self, chosen: slice) -> list[jpeg.ImageFacts]: ...

    def __getitem__(self, chosen: int | slice) -> jpeg.ImageFacts | list[jpeg.ImageFacts]:
        rows = range(len(self))[chosen]
        return self._make(rows) if isinstance(rows, int) else [self._make(row) for row in rows]

    def sha256(self, row: int) -> str:
        """Returns the SHA-256 of an image, in hexadecimal."""
        return self._digests[row].hex()

    def hashes_below(self, root: str | os.PathLike[str]) -> Iterator[tuple[str, str]]:
        """Yields each image's path below a folder (`ImageFacts.name_below`) and SHA-256."""
        for row, file in enumerate(self._locations.files()):
            yield jpeg.name_below(file, root), self.sha256(row)

    def with_problems(self, problems: Mapping[int, str]) -> "ImageTable":
        """Returns the table with other problems, by row."""
        other = copy.copy(self)
        other.problems = dict(problems)
        return other

    @property
    def is_good(self) -> np.ndarray:
        """Whether each image has no problem, `[n]` bool."""
        good = np.ones(len(self), bool)
        good[list(self.problems)] = False
        return good

    def bad(self) -> list[jpeg.ImageFacts]:
        """Returns the facts of images with a problem."""
        return [self._make(row) for row in sorted(self.problems)]

    def _make(self, row: int) -> jpeg.ImageFacts:
        height_px, width_px = self._pixels[row].tolist()
        size_bytes, problem = int(self.sizes_bytes[row]), self.problems.get(row, "")
        return jpeg.ImageFacts(self._locations.path(row), self.sha256(row), size_bytes, height_px, width_px, problem)


def coords_of_ids(location_ids: Iterable[str], count: int) -> np.ndarray:
    """Returns the coordinates of location ids, `[count, 2]` degrees (lat, lon)."""
    numbers = (float(number) for location_id in location_ids for number in location_id.split(","))
    return np.fromiter(numbers, np.float64, 2 * count).reshape(-1, 2)


def owner_of(starts: np.ndarray, row: int) -> int:
    """Returns a row's group, given the first row of each group, `[n + 1]`."""
    # In their own type: of a Python integer NumPy would make int64, and of a million starts as well, each time.
    return int(np.searchsorted(starts, starts.dtype.type(row), side="right")) - 1


def narrow(values: np.ndarray) -> np.ndarray:
    """Returns integers in 2 or 4 bytes each if their range allows it."""
    for kind in (np.int16, np.int32):
        limits = np.iinfo(kind)
        if not values.size or (values.min() >= limits.min and values.max() <= limits.max):
            return values.astype(kind)
    return values


def starts_of(counts: npt.ArrayLike) -> np.ndarray:
    """Returns the first row of each group, `[n + 1]`, given the group sizes, `[n]`."""
    starts = np.zeros(np.size(counts) + 1, np.int64)
    np.cumsum(counts, out=starts[1:])
    return narrow(starts)
