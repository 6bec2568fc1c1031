"""What a build will write, decided before anything is written: the images that are good, their cells, their splits."""

import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from geods import (
    bad_images,
    chosen,
    fact_table,
    images,
    partition,
    places,
    recorded,
    sources,
    split_lists,
    splits,
    survey,
    tree_layouts,
)

Check = Callable[[Sequence[pathlib.Path]], Iterable[images.ImageFacts]]

# What was last checked: by a hash of path, size and time of change of every file.
_checked: dict[str, fact_table.FactTable] = {}


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
    provenance: survey.Provenance
    sources: sources.Sources
    metadata: dict[str, Any]
    summary: str
    facts: fact_table.FactTable

    def at_most(self, count: int | None) -> "Plan":
        """Returns the plan with no more than the first `count` locations of each split; all for None."""
        return dataclasses.replace(self, by_split={name: places[:count] for name, places in self.by_split.items()})


def make(
    root: pathlib.Path,
    policy: splits.Policy,
    seed: int,
    on_bad: bad_images.Policy,
    check: Check = images.checked,
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
    locations = tree_layouts.read_compact(root)
    cells_path = survey.find_partition(root)
    cells = partition.read(cells_path)
    lists = split_lists.find(root, locations) if policy == "report" else None
    facts = recorded.compared(root, _checked_images(locations, check))
    step = f"replace or delete them; python -m tools.check_tree --tree={root} lists all"
    bad = bad_images.settle(facts.bad(), len(facts), root, on_bad, step)
    known: Sequence[images.ImageFacts] = facts
    if bad:
        locations = locations.keep(facts.is_good)
        if on_bad.on_bad_image == "quarantine":
            # They are out of the tree, as if they had never been in it.
            known, bad = [fact for fact in facts if not fact.problem], []
    labels = survey.label(locations, cells)
    inside = chosen.Chosen(locations, labels.cells, np.flatnonzero(labels.cells >= 0))
    by_split = split_lists.by_split(inside, policy, seed, lists)
    made_of = sources.of(root, known, bad, cells, (policy, seed), lists)
    metadata = {
        # As text, which is written and read at once; TFDS writes nested JSON number by number, in Python.
        "partition": cells.to_geojson().decode(),
        "source_fingerprint": survey.fingerprint(root, known),
        "content_fingerprint": sources.content_fingerprint(by_split, facts),
        "sources": made_of.to_metadata(),
        "locations": len(inside),
        "views": chosen.view_count(inside),
        "folder_disagreements": len(labels.disagreements),
        "outside": len(labels.outside),
    }
    summary = f"{root} on {cells_path}\n{survey.summary(labels, len(cells))}\n"
    summary += split_lists.summary(inside, by_split, lists)
    return Plan(by_split, len(cells), survey.provenance(root), made_of, metadata, summary, facts)


def sources_now(
    root: pathlib.Path,
    policy: splits.Policy,
    seed: int,
    on_bad: bad_images.Policy,
    check: Check = images.checked,
) -> sources.Sources:
    """Returns what a dataset of a tree would be made of now; nothing is printed, moved or refused for bad images."""
    locations = tree_layouts.read_compact(root)
    lists = split_lists.find(root, locations) if policy == "report" else None
    facts = recorded.compared(root, _checked_images(locations, check))
    bad = facts.bad() if on_bad.on_bad_image == "skip" else []
    return sources.of(root, facts, bad, partition.read(survey.find_partition(root)), (policy, seed), lists)


def _checked_images(locations: places.Places, check: Check) -> fact_table.FactTable:
    """Checks all images, once for all configs that one process builds of an unchanged tree."""
    stamps = hashlib.sha256()
    for file in locations.files():
        status = os.stat(file)  # noqa: PTH116 - a Path for each of a million takes longer than what it is asked
        stamps.update(os.fsencode(file) + b"\0%d %d\0" % (status.st_size, status.st_mtime_ns))
    key = stamps.hexdigest()
    if key not in _checked:
        _checked.clear()
        _checked[key] = fact_table.FactTable(check(locations.paths), locations.paths)
    return _checked[key]


def forget_checks() -> None:
    """Lets the next plan of this process check all images again."""
    _checked.clear()
