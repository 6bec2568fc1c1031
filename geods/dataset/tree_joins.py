"""Several imagery trees joined into one.

The images keep their names, so that the result is a standard tree. Its views.csv names for each image the tree it came
from and what that tree's views.csv, credits.csv or provenance.json say of it; it is written last, and without it the
tree is refused, so that half a join is never taken for a whole one.
"""

import collections
import csv
import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from geods import errors
from geods.dataset import recorded_hashes
from geods.geo import partition as partitions
from geods.storage import files
from geods.tree import companions, imagery_tree, jpeg, labelling, layouts, table, tree_copies

_CREDITS = ("copyright", "source", "licence", "sequence", "pano_id", "original_name")
_COLUMNS = ("file", "latitude", "longitude", "heading", "date", *_CREDITS, "sha256", "tree")


@dataclasses.dataclass(frozen=True)
class Part:
    """A tree that is joined, with its images checked.

    Attributes:
        tree: The tree.
        labels: Its locations with their cells.
        facts: Facts of its images, by row.
    """

    tree: companions.TreeFolder
    labels: labelling.Labels
    facts: table.ImageTable


def read(root: pathlib.Path, cells: partitions.Partition) -> Part:
    """Reads a tree and checks its images, also against recorded hashes.

    Raises:
        GeodsError: If the tree or one of its images cannot be used.
    """
    tree, locations = companions.TreeFolder(root), layouts.read(root)
    facts = recorded_hashes.compare(tree, table.ImageTable(jpeg.checked(locations.paths), locations))
    step = f"python -m tools.check_tree --tree={root} --on_bad_image=quarantine moves them out of it"
    jpeg.check_none_bad(facts.bad(), len(facts), root, step)
    return Part(tree, labelling.label(locations, cells), facts)


def common_partition(roots: Sequence[pathlib.Path]) -> pathlib.Path:
    """Returns the partition that all trees hold.

    Raises:
        TreeError: If one holds none, or theirs differ.
    """
    paths = [root / companions.PARTITION_NAME for root in roots]
    if not all(path.is_file() for path in paths) or len({path.read_bytes() for path in paths}) > 1:
        problem = f"{', '.join(map(str, roots))}: do not all hold the same {companions.PARTITION_NAME}."
        raise errors.TreeError(problem, "name the partition of the joined tree: --partition=PATH")
    return paths[0]


class Join:
    """A tree made of others.

    Attributes:
        images: Images in the joined tree.
        copied: Those that this run has put there.
        twins: Images left out, as one of their location or of a tree before theirs has the same bytes.
        shared: Number of locations that are in several trees.

    Args:
        out: Folder of the joined tree.
        parts: The trees, in the order in which their images are named.
    """

    def __init__(self, out: pathlib.Path, parts: Sequence[Part]) -> None:
        self.images = self.copied = self.twins = 0
        self._out, self._parts = out, parts
        counts = collections.Counter(name for part in parts for name in part.labels.locations.ids)
        # Of the locations in several trees: SHA-256 by name of their images.
        self._names: dict[str, dict[str, str]] = {name: {} for name, count in counts.items() if count > 1}
        self.shared = len(self._names)

    def write(self, cells_path: pathlib.Path, link: bool) -> None:
        """Puts all images into the tree, then writes views.csv.

        Args:
            cells_path: File of the partition.
            link: Make hard links instead of copies.

        Raises:
            TreeError: If the folder holds something else, was joined with another partition, or cannot be written.
        """
        self._write_provenance()
        joined_on = self._out / companions.PARTITION_NAME
        if joined_on.is_file() and joined_on.read_bytes() != cells_path.read_bytes():
            # Its images lie in the folders of that partition's cells.
            problem = f"{self._out}: was joined with another partition than {cells_path}."
            raise errors.TreeError(problem, f"give --partition={joined_on}, or name a new --out")
        files.write_bytes(joined_on, cells_path.read_bytes())
        with (
            files.atomic_path(self._out / companions.VIEWS_NAME) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as target,
        ):
            sheet = csv.DictWriter(target, _COLUMNS, restval="", lineterminator="\n")
            sheet.writeheader()
            # The same photograph, placed by its EXIF in one tree and by a rounded table in another, is one image.
            seen = np.empty(0, np.uint64)
            for part in self._parts:
                digests = np.fromiter((int(fact.sha256[:16], 16) for fact in part.facts), np.uint64)
                sheet.writerows(self._images_of(part, np.isin(digests, seen), link))
                seen = np.append(seen, digests)
            target.flush()
            self._check_no_others(temporary)

    def _check_no_others(self, views: pathlib.Path) -> None:
        """Raises TreeError if the tree holds images that are in none of its parts."""
        locations = layouts.read(self._out, "tree")
        if locations.views == self.images:
            return
        ours = {row["file"] for row in companions.rows(views)}
        others = sorted({jpeg.name_below(file, self._out) for file in locations.files()} - ours)
        problem = f"{self._out}: holds {len(others):,} images that are in none of its trees, or in two: {others[0]}."
        raise errors.TreeError(problem, "delete them and run the same command again, or name a new --out")

    def _write_provenance(self) -> None:
        path = self._out / companions.PROVENANCE_NAME
        joined = [str(part.tree.root.resolve()) for part in self._parts]
        there = [each.name for each in self._out.iterdir() if not each.name.startswith(".")]
        try:
            before = files.parse_json(path.read_bytes())["joined"] if there else []
            is_ours = set(before) <= set(joined)
        except (OSError, ValueError, KeyError, TypeError):
            is_ours = False
        if not is_ours:
            problem = f"{self._out}: is not empty, and not a join of some of these trees."
            raise errors.TreeError(problem, "name a new folder, and all trees that were joined before")
        about = [part.tree.provenance() for part in self._parts]
        content: dict[str, Any] = {
            "source": _joined(one.source for one in about),
            "licence": _joined(one.licence for one in about),
        }
        content |= {"licences": companions.VIEWS_NAME, "sources": companions.VIEWS_NAME, "joined": joined}
        files.write_json(path, content)

    def _images_of(self, part: Part, is_twin: np.ndarray, link: bool) -> Iterator[dict[str, Any]]:
        """Puts the images of a tree into this one; yields the row of each in views.csv."""
        provenance, known = part.tree.provenance(), _credits(part.tree)
        for location, cell in zip(part.labels.locations, part.labels.cells.tolist(), strict=True):
            about: dict[str, Any] = {"source": provenance.source_of(location.location_id)}
            about |= {"licence": provenance.licence_of(location.location_id), "tree": str(part.tree.root)}
            if (folder := self._out / str(cell) / location.location_id).is_dir():
                # Of a join that was killed.
                files.sweep(folder)
            names = self._names.get(location.location_id, {})
            for view in location.views:
                sha256 = part.facts.sha256(view.row)
                if is_twin[view.row] or (named := self._named(location.location_id, view, sha256, names)) is None:
                    self.twins += 1
                    continue
                name = layouts.name("tree", cell, location, named)
                self.images += 1
                self.copied += tree_copies.put(view.path, self._out / name, link)
                own = known.get(part.facts[view.row].name_below(part.tree.root), {})
                row = about | own | dict(zip(("latitude", "longitude"), location.location_id.split(","), strict=True))
                row |= {"file": name.as_posix(), "heading": named.heading_deg, "date": named.date or ""}
                yield row | {"sha256": sha256}

    def _named(
        self, location_id: str, view: imagery_tree.View, sha256: str, names: dict[str, str]
    ) -> imagery_tree.View | None:
        """Returns the view under a name that is free, None if its bytes are there."""
        if location_id in self._names and sha256 in names.values():
            return None
        view = imagery_tree.renamed(view, names)
        names[imagery_tree.view_name(view.heading_deg, view.date, view.index)] = sha256
        return view


def _joined(texts: Iterator[str]) -> str:
    return "; ".join(dict.fromkeys(texts))


def _credits(tree: companions.TreeFolder) -> dict[str, dict[str, str]]:
    """Returns what a tree's tables say of its images, by file."""
    found: dict[str, dict[str, str]] = {}
    for row in companions.rows(tree.root / companions.CREDITS_NAME):
        about = {"copyright": row["creator"], "original_name": row["source_id"]} | row
        found[row["file"]] = {name: about[name] for name in _CREDITS if about.get(name)}
    for row in companions.rows(tree.root / companions.VIEWS_NAME):
        found[row["file"]] = {name: row[name] for name in _CREDITS if row.get(name)}
    return found
