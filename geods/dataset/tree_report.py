"""Report on an imagery tree: contents, cells and problems, as lines of text."""

import collections
import os
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

from geods.cli import program
from geods.dataset import recorded_hashes
from geods.tree import companions, fingerprint, jpeg, labelling, table


def contents(locations: table.LocationTable, facts: table.ImageTable) -> list[str]:
    """Returns lines that count views, headings, sizes and dates."""
    views = [view for location in locations for view in location.views]
    headings = (f"{view.heading_deg:g}" if view.heading_deg is not None else "unknown" for view in views)
    sizes = (f"{fact.width_px} x {fact.height_px}" for fact in facts if not fact.problem)
    dates = sorted(view.date for view in views if view.date)
    span = f"{dates[0]} to {dates[-1]}" if dates else "none"
    return [
        f"{len(locations):,} locations, {len(views):,} views, {sum(fact.size_bytes for fact in facts) / 1e6:,.1f} MB",
        f"views a location: {_counts(str(len(location.views)) for location in locations)}",
        f"headings in degrees: {_counts(headings)}",
        *labelling.number_line(locations),
        f"sizes in pixels: {_counts(sizes)}",
        f"dates: {span}, {len(views) - len(dates):,} views without",
        *jpeg.turned_line(facts.turned),
        *jpeg.panorama_line(facts.panoramas),
    ]


def cell_lines(labels: labelling.Labels, cell_count: int, names: int) -> list[str]:
    """Returns lines on the cells of the locations."""
    numbers = np.bincount(labels.cells[labels.cells >= 0], minlength=cell_count)
    lines = [
        labelling.summary(labels, cell_count),
        f"  locations a cell: {numbers.min()} to {numbers.max()}, median {np.median(numbers):g}",
    ]
    wrong = [f"{one.location_id}: folder {one.folder_cell}, cell {cell}" for one, cell in labels.disagreements]
    lines += _named("disagree", wrong, names)
    return lines + _named("outside", [one.location_id for one in labels.outside], names)


def problems(facts: table.ImageTable, tree: companions.TreeFolder, names: int) -> list[str]:
    """Returns lines on bad images and duplicates.

    Args:
        facts: Facts of all images.
        tree: The tree.
        names: Number of names to give of each kind of problem.
    """

    def short(path: pathlib.Path) -> str:
        return os.path.relpath(path, tree.root)

    bad = [f"{short(fact.path)}: {fact.problem}" for fact in facts.bad()]
    groups = [" = ".join(map(short, paths)) for paths in fingerprint.duplicates(facts)]
    missing = recorded_hashes.missing(tree, facts)
    return [
        f"bad images: {len(bad):,}",
        *_named("bad", bad, names),
        *([f"images that were recorded and are not in the tree: {len(missing):,}"] if missing else []),
        *_named("missing", missing, names),
        f"images with the same bytes: {len(groups):,} groups",
        *_named("same", groups, names),
        f"fingerprint: {fingerprint.fingerprint(facts.hashes_below(tree.root))}",
    ]


def _named(kind: str, names: Sequence[str], at_most: int) -> list[str]:
    """Returns a line for each of the first names, and one with the number of others."""
    lines = [f"  {kind}: {program.printable(name)}" for name in names[:at_most]]
    return lines + ([f"  {kind}: and {len(names) - at_most:,} more"] if len(names) > at_most > 0 else [])


def _counts(values: Iterable[str]) -> str:
    """Returns the commonest values with their counts."""
    counter = collections.Counter(values)
    shown = [f"{value} ({count:,})" for value, count in counter.most_common(8)]
    return ", ".join(shown + ([f"{len(counter) - 8:,} others"] if len(counter) > 8 else [])) or "none"
