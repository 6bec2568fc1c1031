"""First half of an import: every photograph is noted in the journal, none copied.

Faults of a whole source (latitude and longitude swapped, nothing inside the partition) are found here, before the tree
holds a single image.
"""

import collections
import dataclasses
import itertools
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from geods import errors
from geods.geo import partition
from geods.imagery.photos import import_journal, photo

# Labelling goes through all cells once a batch.
_AT_ONCE = 4096
# So many times more photographs inside the partition after swapping is no chance: a boundary and its mirror image at
# the diagonal of the map seldom overlap, and people photograph both even more seldom.
_SWAPPED_TIMES = 10


@dataclasses.dataclass
class Tally:
    """Counts of a scan.

    Attributes:
        names_at_most: How many examples to keep of each reason.
        found: Photographs with a place.
        new: Those that no earlier run had noted.
        noted: Those in a cell, with those that earlier runs had noted.
        inside_if_swapped: Those that would be in a cell with latitude and longitude swapped.
        magnetic: Those whose heading counts from magnetic north.
        on_track: Photographs that a track placed.
        without_zone: Those of them whose time zone is not known.
        numbers: Count by reason of what was left out; "outside" among the reasons.
        examples: First messages by reason.
        first: First error by reason.
    """

    names_at_most: int = 5
    found: int = 0
    new: int = 0
    noted: int = 0
    inside_if_swapped: int = 0
    magnetic: int = 0
    on_track: int = 0
    without_zone: int = 0
    numbers: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    first: dict[str, errors.GeodsError] = dataclasses.field(default_factory=dict)
    examples: dict[str, list[str]] = dataclasses.field(default_factory=lambda: collections.defaultdict(list))

    def check_fraction(self, reasons: Sequence[str], most: float) -> None:
        """Raises an error if the share left out for these reasons is too large.

        Args:
            reasons: Keys of `numbers`.
            most: Largest share of all rows, 0 to 1.

        Raises:
            GeodsError: If it is larger: the first error of them, with their number.
        """
        bad = sum(self.numbers[reason] for reason in reasons)
        others = self.numbers["outside"] + self.numbers["unnamed"]
        if count := bad and self.found + sum(self.numbers.values()) - others:
            first = next(self.first[reason] for reason in reasons if reason in self.first)
            if bad > most * count:
                step = f"{first.next_step}; --max_bad_fraction={bad / count:.2g} leaves out as many"
                raise type(first)(f"{first.problem}\n  {bad:,} of {count:,} rows cannot be used.", step)

    def leave_out(self, reason: str, message: str) -> None:
        """Counts something that is not imported."""
        self.numbers[reason] += 1
        if len(self.examples[reason]) < self.names_at_most:
            self.examples[reason].append(message)


def scan(
    found: Iterable[photo.Photo | photo.Skipped],
    cells: partition.Partition,
    journal: import_journal.Journal,
    *,
    same_place_m: float,
    raise_on: Collection[str],
    swap_hint: str,
    names_at_most: int = 5,
) -> Tally:
    """Notes all photographs that lie in a cell.

    Args:
        found: What the source has; read once, a batch at a time.
        cells: The partition.
        journal: Where to note them; call inside its transaction.
        same_place_m: Photographs within so many metres of a location become views of it; 0 for equal coordinates.
        raise_on: Reasons (`photo.Reason`, "outside") that end the scan with an error instead of being counted.
        swap_hint: What to do if latitude and longitude are swapped.
        names_at_most: How many examples to keep of each reason.

    Returns:
        What was counted.

    Raises:
        GeodsError: What a left-out photograph has, if its reason is in `raise_on`.
        CoordinateError: If latitude and longitude look swapped, or nothing lies in a cell.
        TreeError: If a file comes twice with different places.
    """
    tally = Tally(names_at_most, noted=len(journal))
    numbers = iter(found)
    while batch := list(itertools.islice(numbers, _AT_ONCE)):
        photos = []
        for item in batch:
            if isinstance(item, photo.Photo):
                photos.append(item)
                continue
            if item.reason in raise_on:
                raise item.error
            tally.first.setdefault(item.reason, item.error)
            tally.leave_out(item.reason, item.error.problem)
        _note(photos, cells, journal, same_place_m, tally)
    _check_swapped(tally, swap_hint)
    _check_outside(tally, cells, "outside" in raise_on)
    return tally


def _note(
    photos: list[photo.Photo],
    cells: partition.Partition,
    journal: import_journal.Journal,
    same_place_m: float,
    tally: Tally,
) -> None:
    """Notes one batch."""
    coords = np.array([(item.lat_deg, item.lon_deg) for item in photos], dtype=np.float64).reshape(-1, 2)
    labels = cells.label(coords[:, 0], coords[:, 1]).tolist()
    can_swap = coords[np.abs(coords[:, 1]) <= 90]
    tally.inside_if_swapped += int((cells.label(can_swap[:, 1], can_swap[:, 0]) >= 0).sum())
    for item, cell in zip(photos, labels, strict=True):
        tally.found += 1
        if cell < 0:
            tally.leave_out("outside", f"{item.file}: {item.location_id} is outside every cell.")
            continue
        tally.magnetic += item.magnetic
        is_new = journal.add(item, cell, same_place_m)
        tally.new += is_new
        tally.noted += is_new


def _check_swapped(tally: Tally, swap_hint: str) -> None:
    """Raises CoordinateError if coordinates seem swapped.

    If most photographs are in no cell and many would be in one if swapped.
    """
    impossible = tally.numbers["swapped"]
    nowhere = tally.numbers["outside"] + impossible
    better = tally.inside_if_swapped + impossible
    if tally.noted < nowhere and better > tally.noted * _SWAPPED_TIMES:
        raise errors.CoordinateError(
            f"latitude and longitude look swapped: {tally.noted:,} of {tally.noted + nowhere:,} photographs lie in the "
            f"partition; if swapped, {tally.inside_if_swapped:,} would, and {impossible:,} more positions be possible.",
            swap_hint,
        )


def _check_outside(tally: Tally, cells: partition.Partition, refuse_any: bool) -> None:
    """Raises CoordinateError if photographs lie outside every cell.

    If all do, or if any does and none may.
    """
    outside = tally.numbers["outside"]
    if outside and (refuse_any or not tally.noted):
        lat_min, lat_max, lon_min, lon_max = cells.bounds
        example = f" (first: {tally.examples['outside'][0]})" if tally.examples["outside"] else ""
        raise errors.CoordinateError(
            f"{outside:,} of {tally.found:,} photographs lie outside the partition, latitude {lat_min:.2f} to "
            f"{lat_max:.2f} and longitude {lon_min:.2f} to {lon_max:.2f}{example}.",
            "take the partition of the right boundary" + (", or give --outside=drop" if tally.noted else ""),
        )
