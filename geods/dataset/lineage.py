"""What a dataset is made of, and what has changed in that since: equal sources make equal datasets, byte for byte."""

import collections
import dataclasses
import functools
import os
from collections.abc import Collection, ItemsView, Iterable, Iterator, Mapping, Sequence
from typing import Any

from geods.dataset import split_lists
from geods.geo import partition as partitions
from geods.storage import files
from geods.tree import companions, fingerprint, image_table, jpeg, labelled_table

_SHOWN = 3


@dataclasses.dataclass(frozen=True)
class Lineage:
    """All that decides what is in a dataset.

    Attributes:
        images: SHA-256 of each image, by its path below the tree.
        left_out: Why images were left out, by path; they are in `images` too.
        partition: Fingerprint of the partition.
        cells: Number of its cells.
        provenance: Source and licence of the images.
        policy: How it is split.
        seed: Seed of the split.
        lists: SHA-256 of the lists it is split by, by name; empty without lists.
    """

    images: Mapping[str, str]
    left_out: Mapping[str, str]
    partition: str
    cells: int
    provenance: tuple[str, str]
    policy: str
    seed: int
    lists: Mapping[str, str]

    def to_metadata(self) -> dict[str, Any]:
        """Returns all but the images, for metadata.json; `from_metadata` joins the two again."""
        content = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        del content["images"]
        return content | {"provenance": list(self.provenance)}

    @classmethod
    def from_metadata(cls, content: Mapping[str, Any], image_hashes: Mapping[str, str]) -> "Lineage":
        """Returns what `to_metadata` wrote, with the images of its list.

        Raises:
            KeyError: If something is missing in it.
            TypeError: If something is of another kind.
        """
        names = [field.name for field in dataclasses.fields(cls) if field.name not in ("images", "provenance")]
        source, licence = content["provenance"]
        return cls(image_hashes, provenance=(source, licence), **{name: content[name] for name in names})

    def changes(self, now: "Lineage") -> list[str]:
        """Returns one line for each thing that is not as it was, begun by its kind; none if all is as it was."""
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
        ):
            if then != today:
                lines.append(f"{name} {then!r} then, {today!r} now")
        if self.lists != now.lists:
            names = sorted(name for name in {*self.lists, *now.lists} if self.lists.get(name) != now.lists.get(name))
            lines.append(f"split: by other lists ({', '.join(names)})")
        return lines


class ImageHashes(Mapping[str, str]):
    """SHA-256 of each image by its path below a tree; a dict of them is only made when one is looked up.

    Args:
        root: The tree.
        facts: Of all images.
    """

    def __init__(self, root: str | os.PathLike[str], facts: Collection[jpeg.ImageFacts]) -> None:
        self._root, self._facts = root, facts

    @functools.cached_property
    def _by_name(self) -> dict[str, str]:
        """All of them."""
        return dict(self.items())

    def __getitem__(self, name: str) -> str:
        """Returns the one of an image."""
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        """Yields the names."""
        return (name for name, _ in self.items())

    def __len__(self) -> int:
        """Returns the number of images."""
        return len(self._facts)

    def items(self) -> "_Items":
        """Returns the pairs, made when they are looked at."""
        return _Items(self)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Yields names with their SHA-256."""
        return image_table.hashes_below(self._root, self._facts)


class _Items(ItemsView[str, str]):
    """The pairs of `ImageHashes`."""

    def __init__(self, hashes: ImageHashes) -> None:
        """Takes the hashes."""
        super().__init__(hashes)
        self._hashes = hashes

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Yields the pairs."""
        return self._hashes.pairs()


def of(
    root: str | os.PathLike[str],
    facts: Collection[jpeg.ImageFacts],
    left_out: Iterable[jpeg.ImageFacts],
    cells: partitions.Partition,
    split: tuple[str, int],
    lists: split_lists.SplitLists | None,
) -> Lineage:
    """Returns what a dataset of a tree is made of.

    Args:
        root: The tree.
        facts: Of all images.
        left_out: Of the bad ones among them that are left out.
        cells: The partition.
        split: Policy and seed.
        lists: What it is split by, if there are lists.
    """
    given = companions.provenance(root)
    return Lineage(
        images=ImageHashes(root, facts),
        left_out={fact.name_below(root): fact.problem for fact in left_out},
        partition=cells.fingerprint,
        cells=len(cells),
        provenance=(given.source, given.licence),
        policy=split[0],
        seed=split[1],
        lists={path.name: files.sha256_of_file(path) for path in (lists.files if lists else ())},
    )


def content_fingerprint(by_split: Mapping[str, Sequence[split_lists.Labelled]], facts: image_table.ImageTable) -> str:
    """Returns one SHA-256 for the examples of all splits without their cells, which no encoder sees.

    Feature caches go by it: a tree that has only got another partition needs no new features, one that is split
    otherwise does.
    """
    return fingerprint.digest_of_sorted(
        f"{split} {location_id} {heading_deg} {date} {facts.sha256(row)}\n"
        for split, found in by_split.items()
        for location_id, heading_deg, date, _, row in labelled_table.views_of(found)
    )


def _image_changes(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Returns the lines on images that changed, came, went or have another name."""
    if then is now:
        return []
    changed = sorted(name for name in then.keys() & now.keys() if then[name] != now[name])
    gone, new = sorted(then.keys() - now.keys()), sorted(now.keys() - then.keys())
    by_hash = collections.defaultdict(list)
    for name in reversed(new):
        by_hash[now[name]].append(name)
    renamed = {name: by_hash[then[name]].pop() for name in gone if by_hash.get(then[name])}
    came = sorted(set(new) - set(renamed.values()))
    went = [name for name in gone if name not in renamed]
    told = (
        ("changed", changed),
        ("added", came),
        ("renamed", [f"{name} to {renamed[name]}" for name in renamed]),
        ("removed", went),
    )
    return [f"images {what}: {len(names):,} ({_first(names)})" for what, names in told if names]


def _first(names: Sequence[str]) -> str:
    """Returns the first names, and whether there are more."""
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
