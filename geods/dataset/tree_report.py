"""Report on an imagery tree: its contents, its cells, and its problems, as lines of text."""

import collections
import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from geods.cli import program
from geods.dataset import recorded_hashes
from geods.tree import fingerprint, imagery_tree, jpeg, labelling

if TYPE_CHECKING:
    from geods.tree import jpeg


def contents(locations: Sequence[imagery_tree.Location], facts: Sequence[jpeg.ImageFacts]) -> list[str]:
    """Returns the lines on what there is."""
    views = [view for place in locations for view in place.views]
    headings = (f"{view.heading_deg:g}" if view.heading_deg is not None else "unknown" for view in views)
    sizes = (f"{fact.width_px} x {fact.height_px}" for fact in facts if not fact.problem)
    dates = sorted(view.date for view in views if view.date)
    span = f"{dates[0]} to {dates[-1]}" if dates else "none"
    return [
        f"{len(locations):,} locations, {len(views):,} views, {sum(fact.size_bytes for fact in facts) / 1e6:,.1f} MB",
        f"views a location: {_counts(str(len(place.views)) for place in locations)}",
        f"headings in degrees: {_counts(headings)}",
        f"sizes in pixels: {_counts(sizes)}",
        f"dates: {span}, {len(views) - len(dates):,} views without",
        *jpeg.turned_line(sum(fact.is_turned for fact in facts)),
        *jpeg.panorama_line(sum(fact.is_panorama for fact in facts)),
    ]


def cell_lines(labels: labelling.Labels, cell_count: int, names: int) -> list[str]:
    """Returns the lines on how the tree lies on the partition."""
    numbers = np.bincount(labels.cells[labels.cells >= 0], minlength=cell_count)
    lines = [
        labelling.summary(labels, cell_count),
        f"  locations a cell: {numbers.min()} to {numbers.max()}, median {np.median(numbers):g}",
    ]
    wrong = [f"{place.location_id}: folder {place.folder_cell}, cell {cell}" for place, cell in labels.disagreements]
    lines += _named("disagree", wrong, names)
    return lines + _named("outside", [place.location_id for place in labels.outside], names)


def problems(facts: Sequence[jpeg.ImageFacts], root: str, names: int) -> list[str]:
    """Returns the lines on bad images and equal files.

    Args:
        facts: Of all images.
        root: The tree.
        names: How many names to give of each kind of problem.
    """

    def short(path: pathlib.Path) -> str:
        return os.path.relpath(path, root)

    bad = [f"{short(fact.path)}: {fact.problem}" for fact in facts if fact.problem]
    groups = [" = ".join(map(short, paths)) for paths in fingerprint.duplicates(facts)]
    gone = recorded_hashes.missing(root, facts)
    return [
        f"bad images: {len(bad):,}",
        *_named("bad", bad, names),
        *([f"images that were recorded and are not in the tree: {len(gone):,}"] if gone else []),
        *_named("gone", gone, names),
        f"images with the same bytes: {len(groups):,} groups",
        *_named("same", groups, names),
        f"fingerprint: {fingerprint.fingerprint(root, facts)}",
    ]


def _named(kind: str, names: Sequence[str], at_most: int) -> list[str]:
    """Returns one line for each of the first names, and one for how many follow."""
    lines = [f"  {kind}: {program.printable(name)}" for name in names[:at_most]]
    return lines + ([f"  {kind}: and {len(names) - at_most:,} more"] if len(names) > at_most > 0 else [])


def _counts(values: Iterable[str]) -> str:
    """Returns the commonest values with how often they occur."""
    counter = collections.Counter(values)
    shown = [f"{value} ({count:,})" for value, count in counter.most_common(8)]
    return ", ".join(shown + ([f"{len(counter) - 8:,} others"] if len(counter) > 8 else [])) or "none"
