"""Lineage of a dataset: images, partition, provenance and split.

Equal lineages make equal datasets, byte for byte.
"""

import collections
import dataclasses
import functools
import os
import pathlib
from collections.abc import ItemsView, Iterable, Iterator, Mapping, Sequence
from typing import Any

from geods.dataset import split_lists, splits
from geods.geo import partition as partitions
from geods.storage import checksums, files
from geods.tree import companions, fingerprint, jpeg, table

_SHOWN = 3


@dataclasses.dataclass(frozen=True)
class Lineage:
    """All that decides the content of a dataset.

    Attributes:
        images: SHA-256 of each image, by its path below the tree.
        left_out: Problems of the images that were left out, by path; they are in `images` too.
        partition: Fingerprint of the partition.
        cells: Number of its cells.
        provenance: Source and licence of the images.
        policy: Policy of the split.
        seed: Seed of the split.
        block_deg: Edge of the blocks of the split, degrees.
        lists: SHA-256 of the lists of the split, by name; empty without lists.
        at_most: Locations that each split was cut to (--max_examples_per_split); None if it holds all.
    """

    images: Mapping[str, str]
    left_out: Mapping[str, str]
    partition: str
    cells: int
    provenance: tuple[str, str]
    policy: str
    seed: int
    block_deg: float
    lists: Mapping[str, str]
    at_most: int | None = None

    def to_metadata(self) -> dict[str, Any]:
        """Returns all but the images, for metadata.json."""
        content = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        del content["images"]
        if self.at_most is None:
            del content["at_most"]
        return content | {"provenance": list(self.provenance)}

    @classmethod
    def from_metadata(cls, content: Mapping[str, Any], image_hashes: Mapping[str, str]) -> "Lineage":
        """Returns the lineage that `to_metadata` wrote, with the images of images.sha256.

        Raises:
            KeyError: If a key is missing.
            TypeError: If a value is of another type.
        """
        names = [field.name for field in dataclasses.fields(cls) if field.name not in ("images", "provenance")]
        source, licence = content["provenance"]
        # Datasets of blocks of 1 degree alone do not name their size, and whole ones no cap.
        content = {"block_deg": splits.BLOCK_DEG, "at_most": None, **content}
        return cls(image_hashes, provenance=(source, licence), **{name: content[name] for name in names})

    def changes(self, now: "Lineage") -> list[str]:
        """Returns one line for each difference, its kind first; none if equal."""
        lines = _image_changes(self.images, now.images)
        if set(self.left_out) != set(now.left_out):
            lines.append(f"images left out as bad: {len(self.left_out)} then, {len(now.left_out)} now")
        if self.partition != now.partition:
            lines.append(f"partition: {self.cells} cells then, {now.cells} now, and not the same")
        for name, then, today in (
            ("provenance: source", self.provenance[0], now.provenance[0]),
            ("provenance: licence", self.provenance[1], now.provenance[1]),
            ("split: policy", self.policy, now.policy),
            ("split: seed", self.seed, now.seed),
            ("split: block size in degrees", self.block_deg, now.block_deg),
            ("cap: --max_examples_per_split", self.at_most or "none", now.at_most or "none"),
        ):
            if then != today:
                lines.append(f"{name} {then!r} then, {today!r} now")
        if self.lists != now.lists:
            names = sorted(name for name in {*self.lists, *now.lists} if self.lists.get(name) != now.lists.get(name))
            lines.append(f"split: by other lists ({', '.join(names)})")
        return lines


class ImageHashes(Mapping[str, str]):
    """SHA-256 of each image by its path below a tree.

    A dict is created at the first look-up by name only.

    Args:
        root: The tree.
        facts: Facts of all images.
        moved: Whether the bad ones were moved out of the tree.
    """

    def __init__(self, root: str | os.PathLike[str], facts: table.ImageTable, moved: bool = False) -> None:
        self._root, self._facts, self._skip = root, facts, set(facts.problems) if moved else frozenset()

    @functools.cached_property
    def _by_name(self) -> dict[str, str]:
        return dict(self.items())

    def __getitem__(self, name: str) -> str:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.items())

    def __len__(self) -> int:
        return len(self._facts) - len(self._skip)

    def items(self) -> "_Items":
        """Returns the pairs, created on access."""
        return _Items(self)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Yields names with their SHA-256."""
        pairs = enumerate(self._facts.hashes_below(self._root))
        return (pair for row, pair in pairs if row not in self._skip)


class _Items(ItemsView[str, str]):
    """Pairs of `ImageHashes`."""

    def __init__(self, hashes: ImageHashes) -> None:
        super().__init__(hashes)
        self._hashes = hashes

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return self._hashes.pairs()


def from_tree(
    tree: companions.TreeFolder,
    images: Mapping[str, str],
    left_out: Iterable[jpeg.ImageFacts],
    cells: partitions.Partition,
    rule: splits.Rule,
    lists: split_lists.SplitLists | None,
    at_most: int | None = None,
) -> Lineage:
    """Returns the lineage of a dataset of a tree.

    Args:
        tree: The tree.
        images: SHA-256 of each image by its path below the tree.
        left_out: Facts of the bad images that are left out.
        cells: The partition.
        rule: The rule of the split.
        lists: Lists of the split, if there are any.
        at_most: As in `Lineage`.
    """
    given = tree.provenance()
    return Lineage(
        images=images,
        left_out={fact.name_below(tree.root): fact.problem for fact in left_out},
        partition=cells.fingerprint,
        cells=len(cells),
        provenance=(given.source, given.licence),
        policy=rule.policy,
        seed=rule.seed,
        block_deg=rule.block_deg,
        lists={path.name: files.sha256_of_file(path) for path in (lists.files if lists else ())},
        at_most=at_most,
    )


def rule_in(metadata: Mapping[str, Any]) -> splits.Rule | None:
    """Returns the rule of the split in metadata.json, None if it has none."""
    try:
        sources = metadata["sources"]
        return splits.Rule(sources["policy"], sources["seed"], sources.get("block_deg", splits.BLOCK_DEG))
    except (AttributeError, KeyError, TypeError):
        return None


def changes_since(folder: pathlib.Path, metadata: Any, now: Lineage) -> list[str]:  # noqa: ANN401 - TFDS' dict
    """Returns a line for each change since a dataset was built.

    Args:
        folder: Of the dataset.
        metadata: Content of its metadata.json.
        now: Lineage of one that is built now.
    """
    try:
        images_then = now.images
        if metadata["source_fingerprint"] != fingerprint.fingerprint(now.images.items()):
            # To say which; a million take 0.5 GB here.
            images_then = checksums.read(folder / checksums.NAME)
        then = Lineage.from_metadata(metadata["sources"], images_then)
    except (KeyError, TypeError, ValueError):
        return ["sources: it holds no list of them"]
    return then.changes(now)


def content_fingerprint(by_split: split_lists.BySplit, facts: table.ImageTable) -> str:
    """Returns one SHA-256 for the examples of all splits without their cells.

    No encoder sees the cells.

    Feature caches are keyed by it: another partition needs no new features, another split does.
    """
    return fingerprint.digest_of_sorted(
        f"{split} {location_id} {heading_deg} {date} {facts.sha256(row)}\n"
        for split, found in by_split.items()
        for location_id, heading_deg, date, _, row in found.views()
    )


def _image_changes(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Returns lines on images that were changed, added, renamed or removed."""
    if then is now:
        return []
    changed = sorted(name for name in then.keys() & now.keys() if then[name] != now[name])
    missing, new = sorted(then.keys() - now.keys()), sorted(now.keys() - then.keys())
    by_hash = collections.defaultdict(list)
    for name in reversed(new):
        by_hash[now[name]].append(name)
    renamed = {name: by_hash[then[name]].pop() for name in missing if by_hash.get(then[name])}
    groups = (
        ("changed", changed),
        ("added", sorted(set(new) - set(renamed.values()))),
        ("renamed", [f"{name} to {renamed[name]}" for name in renamed]),
        ("removed", [name for name in missing if name not in renamed]),
    )
    return [f"images {kind}: {len(names):,} ({_first(names)})" for kind, names in groups if names]


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
