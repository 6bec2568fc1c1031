"""What a build will write, decided before anything is written: the images that are good, their cells, their splits.

The check of all images by the workers of a Beam runner.
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
from geods.tree import (
    bad_images,
    companions,
    fingerprint,
    image_table,
    jpeg,
    labelled_table,
    labelling,
    layouts,
    location_table,
)

Check = Callable[[Sequence[pathlib.Path]], Iterable[jpeg.ImageFacts]]

# What was last checked: by a hash of path, size and time of change of every file.
_checked: dict[str, image_table.ImageTable] = {}


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """One dataset of one tree.

    Attributes:
        by_split: The locations of each split with their cells.
        cell_count: Number of cells of the partition.
        provenance: Source and licence of the images.
        sources: All that it is made of.
        metadata: What metadata.json holds.
        summary: Lines that say how the tree lies on its partition and falls into splits.
        facts: What the check found of all images, by the row of their view.
    """

    by_split: dict[str, Sequence[split_lists.Labelled]]
    cell_count: int
    provenance: companions.Provenance
    sources: lineage.Lineage
    metadata: dict[str, Any]
    summary: str
    facts: image_table.ImageTable

    def at_most(self, count: int | None) -> "Plan":
        """Returns the plan with no more than the first `count` locations of each split; all for None."""
        return dataclasses.replace(self, by_split={name: places[:count] for name, places in self.by_split.items()})


def make(
    root: pathlib.Path,
    policy: splits.Policy,
    seed: int,
    on_bad: bad_images.Policy,
    check: Check = jpeg.checked,
) -> Plan:
    """Reads and checks a whole tree.

    Args:
        root: The tree.
        policy: How to split.
        seed: Seed of the split.
        on_bad: What to do about images that cannot be used.
        check: What reads and checks files.

    Raises:
        GeodsError: If the tree, its partition or an image cannot be used.
    """
    locations = layouts.read_compact(root)
    cells_path = companions.find_partition(root)
    cells = partition.read(cells_path)
    lists = split_lists.find(root, locations) if policy == "report" else None
    facts = recorded_hashes.compared(root, _checked_images(locations, check))
    step = f"replace or delete them; python -m tools.check_tree --tree={root} lists all"
    bad = bad_images.settle(facts.bad(), len(facts), root, on_bad, step)
    known: Sequence[jpeg.ImageFacts] = facts
    if bad:
        locations = locations.keep(facts.is_good)
        if on_bad.on_bad_image == "quarantine":
            # They are out of the tree, as if they had never been in it.
            known, bad = [fact for fact in facts if not fact.problem], []
    labels = labelling.label(locations, cells)
    inside = labelled_table.LabelledLocations(locations, labels.cells, np.flatnonzero(labels.cells >= 0))
    by_split = split_lists.by_split(inside, policy, seed, lists)
    made_of = lineage.of(root, known, bad, cells, (policy, seed), lists)
    metadata = {
        # As text, which is written and read at once; TFDS writes nested JSON number by number, in Python.
        "partition": cells.to_geojson().decode(),
        "source_fingerprint": fingerprint.fingerprint(root, known),
        "content_fingerprint": lineage.content_fingerprint(by_split, facts),
        "sources": made_of.to_metadata(),
        "locations": len(inside),
        "views": labelled_table.view_count(inside),
        "folder_disagreements": len(labels.disagreements),
        "outside": len(labels.outside),
    }
    lines = [f"{root} on {cells_path}", labelling.summary(labels, len(cells))]
    lines += jpeg.turned_line(facts.turned) + jpeg.panorama_line(facts.panoramas)
    summary = "\n".join(lines) + "\n"
    summary += split_lists.summary(inside, by_split, lists)
    return Plan(by_split, len(cells), companions.provenance(root), made_of, metadata, summary, facts)


def sources_now(
    root: pathlib.Path,
    policy: splits.Policy,
    seed: int,
    on_bad: bad_images.Policy,
    check: Check = jpeg.checked,
) -> lineage.Lineage:
    """Returns what a dataset of a tree would be made of now; nothing is printed, moved or refused for bad images."""
    locations = layouts.read_compact(root)
    lists = split_lists.find(root, locations) if policy == "report" else None
    facts = recorded_hashes.compared(root, _checked_images(locations, check))
    bad = facts.bad() if on_bad.on_bad_image == "skip" else []
    return lineage.of(root, facts, bad, partition.read(companions.find_partition(root)), (policy, seed), lists)


def _checked_images(locations: location_table.LocationTable, check: Check) -> image_table.ImageTable:
    """Checks all images, once for all configs that one process builds of an unchanged tree."""
    stamps = hashlib.sha256()
    for file in locations.files():
        status = os.stat(file)  # noqa: PTH116 - a Path for each of a million takes longer than what it is asked
        stamps.update(os.fsencode(file) + b"\0%d %d\0" % (status.st_size, status.st_mtime_ns))
    key = stamps.hexdigest()
    if key not in _checked:
        _checked.clear()
        _checked[key] = image_table.ImageTable(check(locations.paths), locations.paths)
    return _checked[key]


def forget_checks() -> None:
    """Lets the next plan of this process check all images again."""
    _checked.clear()


# About half a minute for one worker.
_PART = 10_000


def check_files(paths: Sequence[pathlib.Path], crew: jobs.Workers) -> Iterator[jpeg.ImageFacts]:
    """Yields what `jpeg.checked` does; all files are checked before the first.

    Args:
        paths: Files to read, which every worker sees under these names.
        crew: Who reads them.

    Raises:
        BeamError: If the runner fails.
        MissingFileError: If a worker cannot read a file.
    """
    here = pathlib.Path.cwd()
    # Not abspath, which takes "link/.." for nothing.
    names = (os.path.join(here, file) for file in location_table.files_of(paths))  # noqa: PTH118 - a tenth of the time
    parts = iter(lambda: list(itertools.islice(names, _PART)), [])
    found = crew.map("geods.dataset.build_plan:check", parts, {}, "checking images")
    facts = (values for part in found for values in part)
    return (jpeg.ImageFacts(path, **values) for path, values in zip(paths, facts, strict=True))


def check(names: Sequence[str]) -> list[dict[str, Any]]:
    """Checks some files on a worker; returns the fields of `jpeg.ImageFacts` without the path."""
    return [_without_path(jpeg.check_file(pathlib.Path(name))) for name in names]


def _without_path(fact: jpeg.ImageFacts) -> dict[str, Any]:
    """Returns the other fields."""
    values = dataclasses.asdict(fact)
    del values["path"]
    return values
