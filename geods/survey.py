"""A tree laid on its partition: the label of each location, what disagrees, and what the images are.

The dataset builder, the tree check and the tree conversion all look at a tree through here, so they count alike.
"""

import collections
import dataclasses
import functools
import hashlib
import os
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

from geods import columns, errors, fact_table, files, images, partition, sorted_rows, tree
from geods.mirror import fields

PARTITION_NAME = "partition.geojson"
PARTITION_VARIABLE = "GEODS_PARTITION"
PROVENANCE_NAME = "provenance.json"
_AT_ONCE = 1 << 16


@dataclasses.dataclass(frozen=True)
class Provenance:
    """Where the images of a tree come from, as its provenance.json says.

    Attributes:
        source: Who made them and by what, such as "Google Street View Static API".
        licence: Their licence or terms, such as "CC-BY-SA-4.0".
    """

    source: str = "unknown"
    licence: str = "unknown"


@dataclasses.dataclass(frozen=True)
class Labels:
    """The locations of a tree with their cells in a partition.

    Attributes:
        locations: All locations of the tree.
        cells: `[n]` int32 cell of each, from its coordinates; -1 outside every cell.
    """

    locations: Sequence[tree.Location]
    cells: np.ndarray

    @functools.cached_property
    def outside(self) -> list[tree.Location]:
        """Locations in no cell."""
        return [self.locations[number] for number in np.flatnonzero(self.cells < 0).tolist()]

    @functools.cached_property
    def disagreements(self) -> list[tuple[tree.Location, int]]:
        """Locations in a cell whose folder says another number, with that cell."""
        others = np.ma.filled(columns.folder_cells_of(self.locations) != self.cells, False)
        numbers = np.flatnonzero(others & (self.cells >= 0)).tolist()
        return [(self.locations[number], int(self.cells[number])) for number in numbers]


def label(locations: Sequence[tree.Location], cells: partition.Partition) -> Labels:
    """Labels locations by their coordinates.

    Raises:
        CoordinateError: If none lies in a cell.
    """
    coords = columns.coords_of(locations)
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
    """Says what to do when all locations are outside."""
    can_swap = np.abs(coords[:, 1]) <= 90
    swapped = cells.label(coords[can_swap, 1], coords[can_swap, 0])
    if np.any(swapped >= 0):
        return "latitude and longitude look swapped; names are <lat>,<lng>"
    return "give the partition these locations were sampled from, or make one of the right boundary"


def summary(labels: Labels, cell_count: int) -> str:
    """Returns the lines that say how a tree lies on its partition."""
    views = columns.view_count(labels.locations)
    covered = len(np.unique(labels.cells[labels.cells >= 0]))
    lines = [
        f"  {len(labels.locations):,} locations, {views:,} views, in {covered} of {cell_count} cells",
        f"  locations whose folder number is not the cell of their coordinates: {len(labels.disagreements):,}",
        f"  locations outside every cell: {len(labels.outside):,}",
    ]
    if labels.disagreements:
        place, cell = labels.disagreements[0]
        lines[1] += f" (first: {place.location_id} in folder {place.folder_cell} lies in cell {cell})"
    if labels.outside:
        lines[2] += f" (first: {labels.outside[0].location_id})"
    return "\n".join(lines)


def find_partition(root: str | os.PathLike[str]) -> pathlib.Path:
    """Returns the partition file that goes with a tree.

    It is `<root>/partition.geojson`, else what $GEODS_PARTITION names, else ./partition.geojson.

    Raises:
        MissingFileError: If there is none of the three, or $GEODS_PARTITION names no file.
    """
    beside, named, here = (
        pathlib.Path(root, PARTITION_NAME),
        os.environ.get(PARTITION_VARIABLE),
        pathlib.Path(PARTITION_NAME),
    )
    if beside.is_file():
        return beside
    if named:
        return files.require_file(fields.here(named), f"correct ${PARTITION_VARIABLE}, which names it")
    if here.is_file():
        return here
    raise errors.MissingFileError(
        f"no partition: there is no {beside} and no ./{PARTITION_NAME}, and ${PARTITION_VARIABLE} is not set.",
        f"python -m tools.make_partition --boundary=us --out={beside}",
    )


def provenance(root: str | os.PathLike[str]) -> Provenance:
    """Reads `<root>/provenance.json`; all is "unknown" where there is none.

    Raises:
        TreeError: If it is not a JSON object with the texts "source" and "licence".
    """
    path = pathlib.Path(root, PROVENANCE_NAME)
    if not path.is_file():
        return Provenance()
    try:
        return _provenance_of(files.parse_json(path.read_bytes()))
    except (ValueError, TypeError, KeyError) as error:
        rule = 'is not a JSON object with the texts "source" and "licence"'
        raise errors.TreeError(f"{path}: {rule}.", "correct it or delete it") from error


def _provenance_of(content: dict[str, str]) -> Provenance:
    """Returns the provenance in parsed JSON."""
    source, licence = content["source"], content["licence"]
    if not isinstance(source, str) or not isinstance(licence, str):
        raise TypeError
    return Provenance(source, licence)


def fingerprint(root: str | os.PathLike[str], facts: Iterable[images.ImageFacts]) -> str:
    """Returns one SHA-256 for all images of a tree, in hexadecimal.

    It is taken over the sorted lines "<path relative to root> <SHA-256 of the bytes>".
    """
    return fingerprint_of(fact_table.hashes_below(root, facts))


def fingerprint_of(hashes: Iterable[tuple[str, str]]) -> str:
    """Returns what `fingerprint` does, of paths below the tree with their SHA-256."""
    return digest_of_sorted(f"{name} {sha256}\n" for name, sha256 in hashes)


def digest_of_sorted(lines: Iterable[str]) -> str:
    """Returns the SHA-256 of lines in their order, in hexadecimal."""
    digest = hashlib.sha256()
    for (line,) in sorted_rows.in_order((line,) for line in lines):
        digest.update(line.encode("utf-8"))
    return digest.hexdigest()


def duplicates(facts: Iterable[images.ImageFacts]) -> list[list[pathlib.Path]]:
    """Returns the groups of good files with the same bytes."""
    groups = collections.defaultdict(list)
    for fact in facts:
        if not fact.problem:
            groups[fact.sha256].append(fact.path)
    return [paths for paths in groups.values() if len(paths) > 1]


def view_paths(locations: Sequence[tree.Location]) -> list[pathlib.Path]:
    """Returns the image files of all views, location by location."""
    return list(columns.paths_of(locations))
