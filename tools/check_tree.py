"""Prints what an imagery tree holds and what is wrong with it.

    python -m tools.check_tree --tree=TREE --partition=partition.geojson

Locations, views, headings, image sizes, dates, cells covered, folder numbers that disagree with the coordinates,
locations outside every cell, bad images, and images with the same bytes. Every image is decoded and, where the tree has
hashes (from a scrape, an import, or --record), compared with what was recorded: 3,000 images of 600 x 300 and 400 x 200
pixels take 3 s on 2 cores. The exit code is 2 if an image is bad or no location lies in the partition. Nothing is
changed, but --on_bad_image=quarantine moves bad images out of the tree into TREE.quarantine, each with a file that
holds the reason, and --record writes TREE/images.sha256, so that later damage is found.
"""

import collections
import dataclasses
import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np

from geods import bad_images, cli, errors, images, manifests, partition, recorded, survey, tree, tree_layouts


@dataclasses.dataclass(frozen=True)
class Options:
    """What to check."""

    tree: str = cli.option("", "Imagery tree, in any layout.")
    partition: str = cli.option("", "Partition file; looked for as by tfds build if empty.")
    layout: Literal["auto", "tree", "combined_files", "combined_folders", "csv"] = cli.option(
        "auto", "How the images lie; auto looks at the names."
    )
    names: int = cli.option(5, "How many names to print of each kind of problem.")
    on_bad_image: Literal["raise", "skip", "quarantine"] = cli.option(
        "raise", "Bad images: an error, no error, or moved to TREE.quarantine."
    )
    max_bad_fraction: float = cli.option(0.01, "A larger share of bad images is an error in any case.")
    record: bool = cli.option(False, "Write the SHA-256 of every good image to TREE/images.sha256.")

    def __post_init__(self) -> None:
        """Checks the values."""
        if not self.tree:
            raise errors.OptionError("--tree: is empty.", "name an imagery tree: --tree=TREE")
        if self.names < 0:
            raise errors.OptionError(f"--names={self.names}: is below 0.", "give 0 or more")
        bad_images.Policy(self.on_bad_image, self.max_bad_fraction)
        if self.record and not pathlib.Path(self.tree).is_dir():
            raise errors.OptionError(f"--record: {self.tree} is no folder.", "name the folder of a tree")


def main(options: Options) -> None:
    """Prints the report."""
    locations = tree_layouts.read(options.tree, options.layout)
    cells_path = _partition_path(options)
    cells = partition.read(cells_path) if cells_path else None
    facts = recorded.compare(options.tree, images.check_files(survey.view_paths(locations)))
    print(f"tree {options.tree}")
    print("\n".join(f"  {line}" for line in _contents(locations, facts)))
    if cells is None:
        print("partition: none found, so cells were not checked; give one by --partition=PATH")
    else:
        print(f"partition {cells_path}")
        print("\n".join(_cells(survey.label(locations, cells), len(cells), options.names)))
    print("\n".join(_problems(facts, options)))
    policy = bad_images.Policy(options.on_bad_image, options.max_bad_fraction)
    bad_images.settle(facts, options.tree, policy, "replace or delete them; --names=N lists more")
    if options.record:
        _record(options.tree, facts)


def _record(root: str, facts: Sequence[images.ImageFacts]) -> None:
    """Writes the hashes of the good images."""
    path = pathlib.Path(root, manifests.NAME)
    good = {fact.name_below(root): fact.sha256 for fact in facts if not fact.problem}
    manifests.write(path, good)
    print(f"wrote {path}: {len(good):,} images")


def _partition_path(options: Options) -> pathlib.Path | None:
    """Returns the partition to check against, None if there is none."""
    if options.partition:
        return pathlib.Path(options.partition)
    try:
        return survey.find_partition(options.tree)
    except errors.MissingFileError:
        return None


def _contents(locations: Sequence[tree.Location], facts: Sequence[images.ImageFacts]) -> list[str]:
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
    ]


def _cells(labels: survey.Labels, cell_count: int, names: int) -> list[str]:
    """Returns the lines on how the tree lies on the partition."""
    numbers = np.bincount(labels.cells[labels.cells >= 0], minlength=cell_count)
    lines = [
        survey.summary(labels, cell_count),
        f"  locations a cell: {numbers.min()} to {numbers.max()}, median {np.median(numbers):g}",
    ]
    wrong = [f"{place.location_id}: folder {place.folder_cell}, cell {cell}" for place, cell in labels.disagreements]
    lines += _named("disagree", wrong, names)
    return lines + _named("outside", [place.location_id for place in labels.outside], names)


def _problems(facts: Sequence[images.ImageFacts], options: Options) -> list[str]:
    """Returns the lines on bad images and equal files."""

    def short(path: pathlib.Path) -> str:
        return os.path.relpath(path, options.tree)

    bad = [f"{short(fact.path)}: {fact.problem}" for fact in facts if fact.problem]
    groups = [" = ".join(map(short, paths)) for paths in survey.duplicates(facts)]
    gone = recorded.missing(options.tree, facts)
    return [
        f"bad images: {len(bad):,}",
        *_named("bad", bad, options.names),
        *([f"images that were recorded and are not in the tree: {len(gone):,}"] if gone else []),
        *_named("gone", gone, options.names),
        f"images with the same bytes: {len(groups):,} groups",
        *_named("same", groups, options.names),
        f"fingerprint: {survey.fingerprint(options.tree, facts)}",
    ]


def _named(kind: str, names: Sequence[str], at_most: int) -> list[str]:
    """Returns one line for each of the first names, and one for how many follow."""
    lines = [f"  {kind}: {cli.printable(name)}" for name in names[:at_most]]
    return lines + ([f"  {kind}: and {len(names) - at_most:,} more"] if len(names) > at_most > 0 else [])


def _counts(values: Iterable[str]) -> str:
    """Returns the commonest values with how often they occur."""
    counter = collections.Counter(values)
    shown = [f"{value} ({count:,})" for value, count in counter.most_common(8)]
    return ", ".join(shown + ([f"{len(counter) - 8:,} others"] if len(counter) > 8 else [])) or "none"


if __name__ == "__main__":
    cli.run(Options, main)
