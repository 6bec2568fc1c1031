"""Labels of a tree's locations: their cells in a partition, by coordinates."""

import dataclasses
import functools

import numpy as np

from geods import errors
from geods.geo import partition
from geods.tree import imagery_tree, table

_AT_ONCE = 1 << 16


@dataclasses.dataclass(frozen=True)
class Labels:
    """Locations of a tree with their cells in a partition.

    Attributes:
        locations: All locations of the tree.
        cells: `[n]` int32 cell of each, by its coordinates; -1 outside every cell.
    """

    locations: table.LocationTable
    cells: np.ndarray

    @functools.cached_property
    def outside(self) -> list[imagery_tree.Location]:
        """Locations in no cell."""
        return [self.locations[number] for number in np.flatnonzero(self.cells < 0).tolist()]

    @functools.cached_property
    def disagreements(self) -> list[tuple[imagery_tree.Location, int]]:
        """Locations whose folder number is not their cell, with that cell."""
        others = np.ma.filled(self.locations.folder_cells() != self.cells, False)
        numbers = np.flatnonzero(others & (self.cells >= 0)).tolist()
        return [(self.locations[number], int(self.cells[number])) for number in numbers]


def label(locations: table.LocationTable, cells: partition.Partition) -> Labels:
    """Labels locations by their coordinates.

    Raises:
        CoordinateError: If none lies in a cell.
    """
    coords = locations.coords()
    parts = np.split(coords, range(_AT_ONCE, len(coords), _AT_ONCE))
    labels = np.concatenate([cells.label(part[:, 0], part[:, 1]) for part in parts])
    if np.all(labels < 0):
        lat_min, lat_max, lon_min, lon_max = cells.bounds
        problem = (
            f"none of the {len(locations)} locations lies in the partition (latitude {lat_min:.2f} to {lat_max:.2f}, "
            f"longitude {lon_min:.2f} to {lon_max:.2f}); the first is {locations[0].location_id}."
        )
        raise errors.CoordinateError(problem, _outside_hint(coords, cells))
    return Labels(locations, labels)


def _outside_hint(coords: np.ndarray, cells: partition.Partition) -> str:
    """Returns the next step when all locations are outside."""
    can_swap = np.abs(coords[:, 1]) <= 90
    swapped = cells.label(coords[can_swap, 1], coords[can_swap, 0])
    if np.any(swapped >= 0):
        return "latitude and longitude look swapped; names are <lat>,<lng>"
    return "give the partition these locations were sampled from, or make one of the right boundary"


def number_line(locations: table.LocationTable) -> list[str]:
    """Returns the line that view numbers were taken for headings; none without any."""
    line = "view numbers: all are 0, 90, 180 or 270, so they are read as headings in degrees"
    return [line] if locations.has_heading_numbers else []


def summary(labels: Labels, cell_count: int) -> str:
    """Returns lines that count locations, views, covered cells and disagreements."""
    covered = len(np.unique(labels.cells[labels.cells >= 0]))
    lines = [
        f"  {len(labels.locations):,} locations, {labels.locations.views:,} views, in {covered} of {cell_count} cells",
        f"  locations whose folder number is not the cell of their coordinates: {len(labels.disagreements):,}",
        f"  locations outside every cell: {len(labels.outside):,}",
    ]
    if labels.disagreements:
        first, cell = labels.disagreements[0]
        lines[1] += f" (first: {first.location_id} in folder {first.folder_cell} lies in cell {cell})"
    if labels.outside:
        lines[2] += f" (first: {labels.outside[0].location_id})"
    return "\n".join(lines)
