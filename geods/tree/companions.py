"""Companion files of an imagery tree: partition, provenance, lists, quarantine."""

import csv
import dataclasses
import os
import pathlib
import sys
from collections.abc import Iterator, Mapping

from geods import errors
from geods.remote import session
from geods.storage import files
from geods.tree import layouts

PARTITION_NAME = "partition.geojson"
PARTITION_VARIABLE = "GEODS_PARTITION"
PROVENANCE_NAME = "provenance.json"
# Tables of all views with their licences: of a scrape or of joined trees, and of an import.
VIEWS_NAME, CREDITS_NAME = "views.csv", "credits.csv"


@dataclasses.dataclass(frozen=True)
class Provenance:
    """Origin of the images of a tree, from its provenance.json.

    Attributes:
        source: Maker of the images, such as "Google Street View Static API".
        licence: Their licence or terms, such as "CC-BY-SA-4.0".
        licences: Licences by location id, where they differ; `licence` is that of the others.
        sources: Sources by location id, likewise.
    """

    source: str = "unknown"
    licence: str = "unknown"
    licences: Mapping[str, str] = dataclasses.field(default_factory=dict)
    sources: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def source_of(self, location_id: str) -> str:
        """Returns the source of the images of a location."""
        return self.sources.get(location_id, self.source)

    def licence_of(self, location_id: str) -> str:
        """Returns the licence of the images of a location."""
        return self.licences.get(location_id, self.licence)


class TreeFolder:
    """An imagery tree with its companion files.

    Args:
        root: Folder of the tree, or a CSV file of images.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = pathlib.Path(root)

    @property
    def quarantine(self) -> pathlib.Path:
        """Folder beside the tree for images that are moved out of it."""
        whole = self.root.resolve()
        return whole.with_name(whole.name + files.QUARANTINE)

    def find_partition(self) -> pathlib.Path:
        """Returns the partition of a tree.

        `<root>/partition.geojson`, else $GEODS_PARTITION, else ./partition.geojson.

        Raises:
            MissingFileError: If there is none of the three, or $GEODS_PARTITION names no file.
        """
        beside, here = self.root / PARTITION_NAME, pathlib.Path(PARTITION_NAME)
        if beside.is_file():
            return beside
        if named := os.environ.get(PARTITION_VARIABLE):
            return files.check_file(session.local_path(named), f"correct ${PARTITION_VARIABLE}, which names it")
        if here.is_file():
            return here
        raise errors.MissingFileError(
            f"no partition: there is no {beside} and no ./{PARTITION_NAME}, and ${PARTITION_VARIABLE} is not set.",
            f"python -m tools.make_partition --boundary=us --out={beside}",
        )

    def provenance(self) -> Provenance:
        """Returns the content of `<root>/provenance.json`.

        All is "unknown" without the file.

        Raises:
            TreeError: If it is not a JSON object with the texts "source" and "licence".
        """
        path = self.root / PROVENANCE_NAME
        if not path.is_file():
            return Provenance()
        try:
            return _provenance_of(files.parse_json(path.read_bytes()), self.root)
        except errors.TreeError:
            raise
        except (ValueError, TypeError, KeyError) as error:
            rule = 'is not a JSON object with the texts "source" and "licence"'
            raise errors.TreeError(f"{path}: {rule}.", "correct it or delete it") from error

    def list_pairs(self) -> tuple[list[tuple[pathlib.Path, pathlib.Path]], bool]:
        """Returns the (train, test) pairs of split lists, and whether they are inside.

        The lists are looked for in the tree, then beside it.
        """
        inside = _pairs(self.root) if self.root.is_dir() else []
        return (inside, True) if inside else (_pairs(self.root.resolve().parent), False)

    def recorded(self, name: str) -> pathlib.Path | None:
        """Returns a tree's journal or list of hashes by its name, or None."""
        path = self.root / name
        return path if path.is_file() else None


def rows(path: pathlib.Path) -> Iterator[dict[str, str]]:
    """Yields the rows of a table of views; none without the file."""
    if path.is_file():
        with path.open(encoding="utf-8", newline="") as table:
            yield from csv.DictReader(table)


def _provenance_of(content: dict[str, str], root: pathlib.Path) -> Provenance:
    source, licence = content["source"], content["licence"]
    if not isinstance(source, str) or not isinstance(licence, str):
        raise TypeError
    tables = {name: content.get(name, "") for name in ("licences", "sources")}
    if tables["sources"] and not (root / VIEWS_NAME).is_file():
        problem = f"{root}: was joined of several trees, and not to the end ({VIEWS_NAME} is missing)."
        raise errors.TreeError(problem, "run the same command of tools.join_trees again")
    licences = _by_location(root, tables["licences"], "licence", licence)
    return Provenance(source, licence, licences, _by_location(root, tables["sources"], "source", source))


def _by_location(root: pathlib.Path, name: str, column: str, default: str) -> dict[str, str]:
    """Returns the values of a column of a table, other than the default, by location.

    Different ones of one location are joined by semicolons.
    """
    if name not in (VIEWS_NAME, CREDITS_NAME):
        return {}

    def values() -> Iterator[tuple[str, str]]:
        pairs = ((row["file"], row[column] or default) for row in rows(root / name))
        return ((layouts.split_name(file, str(root / name))[0], value) for file, value in pairs)

    # Read twice, so that a million locations of the default take no memory.
    found: dict[str, dict[str, None]] = {one: {} for one, value in values() if value != default}
    for location_id, value in values() if found else ():
        if location_id in found:
            found[location_id][sys.intern(value)] = None
    return {location_id: "; ".join(texts) for location_id, texts in found.items()}


def _pairs(folder: pathlib.Path) -> list[tuple[pathlib.Path, pathlib.Path]]:
    """Returns pairs of NumPy files whose names differ in "train" and "test"."""
    pairs = []
    for train in sorted(folder.glob("*.npy")):
        for word, other in (("train", "test"), ("Train", "Test")):
            test = train.with_name(train.name.replace(word, other))
            if word in train.name and test.is_file():
                pairs.append((train, test))
    return pairs
