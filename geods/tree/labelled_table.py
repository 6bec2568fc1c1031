"""Some locations of a tree with their cells, in 4 bytes a location.

train = chosen.Chosen(found, cells=np.zeros(len(found)), numbers=np.array([3, 1, 2]))
train[0]        # the location number 3 of `found`, and its cell
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np

from geods.tree import imagery_tree, location_table

# A location with its cell.
Labelled = tuple[imagery_tree.Location, int]
# location_id, heading_deg, date, index and row.
View = tuple[str, float | None, str | None, int, int]


class LabelledLocations(Sequence[Labelled]):
    """Some locations with their cells, made when they are looked at.

    Args:
        found: All locations.
        cells: `[n]` int, the cell of each.
        numbers: `[m]` int, which are chosen.
    """

    def __init__(self, found: location_table.LocationTable, cells: np.ndarray, numbers: np.ndarray) -> None:
        self._places, self._cells, self._numbers = found, cells, numbers.astype(np.int32)

    def __len__(self) -> int:
        """Returns the number of chosen locations."""
        return len(self._numbers)

    @overload
    def __getitem__(self, chosen: int) -> Labelled: ...

    @overload
    def __getitem__(self, chosen: slice | np.ndarray) -> "LabelledLocations": ...

    def __getitem__(self, chosen: int | slice | np.ndarray) -> "Labelled | LabelledLocations":
        """Returns one, or those of a slice or of numbers `[k]`."""
        if isinstance(chosen, (slice, np.ndarray)):
            return LabelledLocations(self._places, self._cells, self._numbers[chosen])
        number = int(self._numbers[chosen])
        return self._places[number], int(self._cells[number])

    def rows(self) -> np.ndarray:
        """Returns the rows of all views, `[views]` int."""
        return self._places.rows_at(self._numbers)

    def views(self) -> Iterator[View]:
        """Yields location_id, heading, date, index and row of each view."""
        for number in self._numbers.tolist():
            location_id = self._places.id_at(number)
            for view in self._places.views_at(number):
                yield location_id, *view

    def keep(self, wanted: np.ndarray) -> "LabelledLocations":
        """Returns these with the views of a mask `[views]`, theirs in turn, without those that have no other."""
        mask = np.zeros(self._places.views, bool)
        mask[self._places.numbers_at(self._numbers)[wanted]] = True
        there = self._places.counts_of(mask) > 0
        numbers = (np.cumsum(there) - 1)[self._numbers[there[self._numbers]]]
        return LabelledLocations(self._places.keep(mask), self._cells[there], numbers)

    def ids(self) -> Iterator[str]:
        """Yields the ids."""
        return (self._places.id_at(int(number)) for number in self._numbers)


def take(found: Sequence[Labelled], numbers: np.ndarray) -> Sequence[Labelled]:
    """Returns the locations of some numbers `[k]`; made when they are looked at, if those they are picked from are."""
    return found[numbers] if isinstance(found, LabelledLocations) else [found[number] for number in numbers.tolist()]


def view_count(found: Sequence[Labelled]) -> int:
    """Returns how many views locations have, without making them where that can be."""
    return len(view_rows(found))


def view_rows(found: Sequence[Labelled]) -> np.ndarray:
    """Returns the rows of all views of locations, `[views]` int, without making them where that can be."""
    if isinstance(found, LabelledLocations):
        return found.rows()
    return np.array([view.row for place, _ in found for view in place.views], np.int64)


def ids_of(found: Sequence[Labelled]) -> Iterator[str]:
    """Yields the ids of locations, without making them where that can be."""
    return found.ids() if isinstance(found, LabelledLocations) else (place.location_id for place, _ in found)


def coords_of(found: Sequence[Labelled]) -> np.ndarray:
    """Returns the coordinates of locations, `[n, 2]` degrees, (lat, lon), without making them where that can be."""
    if isinstance(found, LabelledLocations):
        return location_table.coords_of_ids(found.ids(), len(found))
    return imagery_tree.coords([place for place, _ in found])


def views_of(found: Sequence[Labelled]) -> Iterator[View]:
    """Yields what is known of each view of locations, without making them where that can be."""
    if isinstance(found, LabelledLocations):
        return found.views()
    return (
        (place.location_id, view.heading_deg, view.date, view.index, view.row)
        for place, _ in found
        for view in place.views
    )


def filter_views(found: Sequence[Labelled], wanted: np.ndarray) -> Sequence[Labelled]:
    """Returns locations with the views of a mask `[views]`, theirs in turn, without those that have no other."""
    if isinstance(found, LabelledLocations):
        return found.keep(wanted)
    flags, kept = iter(wanted.tolist()), []
    for place, cell in found:
        views = tuple(view for view in place.views if next(flags))
        if views:
            kept.append((dataclasses.replace(place, views=views), cell))
    return kept
