"""Build plan of a dataset: good images, their cells and their splits.

It is made before anything is written; images are checked here or by the workers of a Beam runner.
"""

import dataclasses
import hashlib
import itertools
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from geods.beam import jobs
from geods.dataset import lineage, recorded_hashes, split_lists, splits
from geods.geo import partition
from geods.tree import bad_images, companions, fingerprint, jpeg, labelling, layouts, table

Check = Callable[[table.Paths], Iterable[jpeg.ImageFacts]]

# The last check of this process: by a hash of path, size and time of change of every file.
_checked: dict[str, table.ImageTable] = {}


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """One dataset of one tree.

    Attributes:
        by_split: Locations of each split with their cells.
        cell_count: Number of cells of the partition.
        provenance: Source and licence of the images.
        sources: Lineage of the dataset.
        metadata: Content of metadata.json.
        summary: Lines that count locations by cell and split, and bad images that are left out.
        facts: Facts of all images, by the row of their view.
    """

    by_split: split_lists.BySplit
    cell_count: int
    provenance: companions.Provenance
    sources: lineage.Lineage
    metadata: dict[str, Any]
    summary: str
    facts: table.ImageTable


@dataclasses.dataclass(frozen=True, eq=False)
class _Checked:
    """A tree whose images were checked."""

    locations: table.LocationTable
    cells_path: pathlib.Path
    cells: partition.Partition
    lists: split_lists.SplitLists | None
    facts: table.ImageTable


def _check_tree(tree: companions.TreeFolder, policy: splits.Policy, check: Check) -> _Checked:
    """Reads a tree with its partition and checks its images."""
    locations = layouts.read(tree.root)
    cells_path = tree.find_partition()
    cells = partition.read(cells_path)
    lists = split_lists.find(tree, locations) if policy == "report" else None
    facts = recorded_hashes.compare(tree, _checked_images(locations, check))
    return _Checked(locations, cells_path, cells, lists, facts)


def make(
    tree: companions.TreeFolder,
    request: splits.Request,
    on_bad: bad_images.Policy,
    check: Check = jpeg.checked,
    at_most: int | None = None,
) -> Plan:
    """Reads and checks a whole tree.

    Args:
        tree: The tree.
        request: Rule of the split as far as it is given.
        on_bad: Policy for bad images.
        check: Function that reads and checks files.
        at_most: Locations of each split, the first ones of the tree; None for all.

    Raises:
        GeodsError: If the tree, its partition or an image cannot be used.
    """
    checked = _check_tree(tree, request.policy, check)
    locations, cells, facts = checked.locations, checked.cells, checked.facts
    step = f"replace or delete them; python -m tools.check_tree --tree={tree.root} lists all"
    bad = bad_images.settle(facts.bad(), len(facts), tree, on_bad, step)
    # Moved images are out of the tree, as if they had never been in it.
    moved = on_bad.on_bad_image == "quarantine"
    if bad:
        locations = locations.keep(facts.is_good)
    labels = labelling.label(locations, cells)
    inside = table.LabelledLocations(locations, labels.cells, np.flatnonzero(labels.cells >= 0))
    rule = split_lists.choose(inside, request)
    by_split = split_lists.by_split(inside, rule, checked.lists)
    by_split = {name: some[:at_most] for name, some in by_split.items()}
    images = lineage.ImageHashes(tree.root, facts, moved)
    made_of = lineage.from_tree(tree, images, [] if moved else bad, cells, rule, checked.lists, at_most)
    count = len({place for some in by_split.values() for place in some.ids()}) if at_most else len(inside)
    metadata = {
        # As text, which is fast to write and read; TFDS writes nested JSON number by number, in Python.
        "partition": cells.to_geojson().decode(),
        "source_fingerprint": fingerprint.fingerprint(images.items()),
        "content_fingerprint": lineage.content_fingerprint(by_split, facts),
        "sources": made_of.to_metadata(),
        # As text: tfds.show_examples of TFDS 4.9.10 iterates over every value.
        "locations": str(count),
        "views": str(sum(len(some.rows()) for some in by_split.values()) if at_most else len(inside.rows())),
        "folder_disagreements": str(len(labels.disagreements)),
        "outside": str(len(labels.outside)),
    }
    lines = [f"{tree.root} on {checked.cells_path}", labelling.summary(labels, len(cells))]
    lines += labelling.number_line(locations) + layouts.unnamed_line(tree.root, checked.locations)
    lines += jpeg.turned_line(facts.turned) + jpeg.panorama_line(facts.panoramas)
    lines += [f"  bad images left out: {len(bad):,}"] * bool(bad)
    lines += [f"  cut to the first {at_most} locations of each split (--max_examples_per_split)"] * bool(at_most)
    lines += [split_lists.summary(inside, by_split, checked.lists), *split_lists.advice(by_split, rule)]
    return Plan(by_split, len(cells), tree.provenance(), made_of, metadata, "\n".join(lines), facts)


def sources_now(
    tree: companions.TreeFolder,
    rule: splits.Rule,
    on_bad: bad_images.Policy,
    at_most: int | None = None,
    check: Check = jpeg.checked,
) -> lineage.Lineage:
    """Returns the lineage of a dataset built now.

    Bad images are not printed, moved or refused.
    """
    checked = _check_tree(tree, rule.policy, check)
    bad = checked.facts.bad() if on_bad.on_bad_image == "skip" else []
    images = lineage.ImageHashes(tree.root, checked.facts)
    return lineage.from_tree(tree, images, bad, checked.cells, rule, checked.lists, at_most)


def _checked_images(locations: table.LocationTable, check: Check) -> table.ImageTable:
    """Checks all images, once for all configs that a process builds of a tree.

    The check is repeated only for a tree that has changed.
    """
    stamps = hashlib.sha256()
    for file in locations.files():
        status = os.stat(file)  # noqa: PTH116 - creating a million Path objects takes longer than their stat
        stamps.update(os.fsencode(file) + b"\0%d %d\0" % (status.st_size, status.st_mtime_ns))
    key = stamps.hexdigest()
    if key not in _checked:
        _checked.clear()
        _checked[key] = table.ImageTable(check(locations.paths), locations)
    return _checked[key]


def forget_checks() -> None:
    """Makes the next plan of this process check all images again."""
    _checked.clear()


# About 3 seconds for one worker: small trees keep several workers busy too.
_PART = 1_000


def check_files(paths: table.Paths, workers: jobs.Workers) -> Iterator[jpeg.ImageFacts]:
    """Checks files by Beam workers as `jpeg.checked` does.

    All are checked before the first result.

    Args:
        paths: Files to read, which every worker sees under these names.
        workers: Those of a Beam runner.

    Raises:
        BeamError: If the runner fails.
        MissingFileError: If a worker cannot read a file.
    """
    here = pathlib.Path.cwd()
    # Not abspath, which drops "link/..".
    names = (os.path.join(here, file) for file in paths.files())  # noqa: PTH118 - a tenth of the time
    parts = iter(lambda: list(itertools.islice(names, _PART)), [])
    checked = workers.map("geods.dataset.build_plan:check", parts, {}, "checking images")
    facts = (values for part in checked for values in part)
    return (jpeg.ImageFacts(path, **values) for path, values in zip(paths, facts, strict=True))


def check(names: Sequence[str]) -> list[dict[str, Any]]:
    """Checks files on a worker; returns `jpeg.ImageFacts` without paths."""
    return [_without_path(jpeg.check_file(pathlib.Path(name))) for name in names]


def _without_path(fact: jpeg.ImageFacts) -> dict[str, Any]:
    values = dataclasses.asdict(fact)
    del values["path"]
    return values
