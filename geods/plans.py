"""What a build will write, decided before anything is written: the images that are good, their cells, their splits."""

import dataclasses
import pathlib
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any

from geods import (
    bad_images,
    images,
    partition,
    recorded,
    sources,
    split_lists,
    splits,
    survey,
    tree,
    tree_layouts,
)

Check = Callable[[Sequence[pathlib.Path]], Iterable[images.ImageFacts]]

# What was last checked: by path, size and time of change of every file.
_checked: dict[tuple[tuple[pathlib.Path, int, int], ...], tuple[images.ImageFacts, ...]] = {}


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
        facts: What the check found, by file, of all images it looked at.
    """

    by_split: dict[str, list[split_lists.Labelled]]
    cell_count: int
    provenance: survey.Provenance
    sources: sources.Sources
    metadata: dict[str, Any]
    summary: str
    facts: dict[pathlib.Path, images.ImageFacts]

    def at_most(self, count: int | None) -> "Plan":
        """Returns the plan with no more than the first `count` locations of each split; all for None."""
        return dataclasses.replace(self, by_split={name: places[:count] for name, places in self.by_split.items()})


def make(
    root: pathlib.Path,
    policy: splits.Policy,
    seed: int,
    on_bad: bad_images.Policy,
    check: Check = images.check_files,
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
    locations = tree_layouts.read(root)
    cells_path = survey.find_partition(root)
    cells = partition.read(cells_path)
    lists = split_lists.find(root, locations) if policy == "report" else None
    facts = recorded.compare(root, _checked_images(locations, check))
    bad = bad_images.settle(
        facts, root, on_bad, f"replace or delete them; python -m tools.check_tree --tree={root} lists all"
    )
    if bad:
        locations = _without(locations, {fact.path for fact in bad})
        if on_bad.on_bad_image == "quarantine":
            # They are out of the tree, as if they had never been in it.
            facts, bad = [fact for fact in facts if not fact.problem], []
    labels = survey.label(locations, cells)
    inside = [(place, cell) for place, cell in zip(locations, labels.cells.tolist(), strict=True) if cell >= 0]
    by_split = split_lists.by_split(inside, policy, seed, lists)
    made_of = sources.of(root, facts, bad, cells, (policy, seed), lists)
    metadata = {
        # As text, which is written and read at once; TFDS writes nested JSON number by number, in Python.
        "partition": cells.to_geojson().decode(),
        "source_fingerprint": survey.fingerprint(root, facts),
        "content_fingerprint": sources.content_fingerprint(by_split, facts),
        "sources": made_of.to_metadata(),
        "locations": len(inside),
        "views": sum(len(place.views) for place, _ in inside),
        "folder_disagreements": len(labels.disagreements),
        "outside": len(labels.outside),
    }
    summary = f"{root} on {cells_path}\n{survey.summary(labels, len(cells))}\n"
    summary += split_lists.summary(inside, by_split, lists)
    by_path = {fact.path: fact for fact in facts}
    return Plan(by_split, len(cells), survey.provenance(root), made_of, metadata, summary, by_path)


def sources_now(
    root: pathlib.Path,
    policy: splits.Policy,
    seed: int,
    on_bad: bad_images.Policy,
    check: Check = images.check_files,
) -> sources.Sources:
    """Returns what a dataset of a tree would be made of now; nothing is printed, moved or refused for bad images."""
    locations = tree_layouts.read(root)
    lists = split_lists.find(root, locations) if policy == "report" else None
    facts = recorded.compare(root, _checked_images(locations, check))
    bad = [fact for fact in facts if fact.problem] if on_bad.on_bad_image == "skip" else []
    return sources.of(root, facts, bad, partition.read(survey.find_partition(root)), (policy, seed), lists)


def _without(locations: Sequence[tree.Location], bad: Container[pathlib.Path]) -> list[tree.Location]:
    """Returns the locations without some views, and without those that had no other."""
    kept = []
    for place in locations:
        views = tuple(view for view in place.views if view.path not in bad)
        if views:
            kept.append(dataclasses.replace(place, views=views))
    return kept


def _checked_images(locations: Sequence[tree.Location], check: Check) -> tuple[images.ImageFacts, ...]:
    """Checks all images, once for all configs that one process builds of an unchanged tree."""
    stamps = []
    for path in survey.view_paths(locations):
        status = path.stat()
        stamps.append((path, status.st_size, status.st_mtime_ns))
    key = tuple(stamps)
    if key not in _checked:
        _checked.clear()
        _checked[key] = tuple(check([path for path, _, _ in stamps]))
    return _checked[key]


def forget_checks() -> None:
    """Lets the next plan of this process check all images again."""
    _checked.clear()
