"""The SHA-256 of images as who brought them into the tree wrote them down, to find what has changed since.

No decoder finds that: of 400 JPEGs with one flipped bit, 396 decode to wrong pixels without a word. Hashes are in the
journal of a scrape or its views.csv, in the journal of an import, and in images.sha256, the list that
`python -m tools.check_tree --record` writes for a tree that has neither.
"""

import contextlib
import csv
import dataclasses
import os
import pathlib
import sqlite3
from collections.abc import Sequence

from geods import errors, fact_table, images, manifests, tree
from geods.photos import import_journal
from geods.scraping import manifest, records


def hashes(root: str | os.PathLike[str]) -> dict[str, tuple[str, str]]:
    """Returns what is written down about a tree.

    Args:
        root: The tree; a table of images has nothing written down.

    Returns:
        (SHA-256 in hexadecimal, name of the file that says so) by path below the tree, with forward slashes.

    Raises:
        TreeError: If a journal or list is damaged.
    """
    folder = pathlib.Path(root)
    found: dict[str, tuple[str, str]] = {}
    # The later ones count: a journal is the truth, views.csv is written from it.
    for name, read in (
        (manifests.NAME, manifests.read),
        (manifest.NAME, _of_views),
        (import_journal.NAME, _of_import),
        (records.NAME, _of_scrape),
    ):
        if (folder / name).is_file():
            found |= {file: (sha256, name) for file, sha256 in read(folder / name).items()}
    return found


def compare(root: str | os.PathLike[str], facts: Sequence[images.ImageFacts]) -> list[images.ImageFacts]:
    """Returns the facts, with a problem for each image whose bytes are not those that were written down.

    Raises:
        TreeError: If a journal or list is damaged.
    """
    known = hashes(root)
    return [_compared(fact, known.get(fact.name_below(root))) for fact in facts]


def compared(root: str | os.PathLike[str], facts: fact_table.FactTable) -> fact_table.FactTable:
    """Returns a table of facts as `compare` returns a list.

    Raises:
        TreeError: If a journal or list is damaged.
    """
    if not (known := hashes(root)):
        return facts
    found = (_compared(fact, known.get(fact.name_below(root))).problem for fact in facts)
    return facts.with_problems({row: problem for row, problem in enumerate(found) if problem})


def missing(root: str | os.PathLike[str], facts: Sequence[images.ImageFacts]) -> list[str]:
    """Returns the paths that are written down and not among the images, sorted."""
    there = {fact.name_below(root) for fact in facts}
    return sorted(set(hashes(root)) - there)


def _compared(fact: images.ImageFacts, known: tuple[str, str] | None) -> images.ImageFacts:
    """Returns the facts of one image, compared."""
    if known is None or known[0] == fact.sha256:
        return fact
    also = f"; it {fact.problem}" if fact.problem else ""
    return dataclasses.replace(fact, problem=f"has changed since {known[1]} recorded its SHA-256{also}")


def _of_views(path: pathlib.Path) -> dict[str, str]:
    """Reads views.csv."""
    try:
        with path.open(encoding="utf-8", newline="") as source:
            return {row["file"]: row["sha256"] for row in csv.DictReader(source) if row["sha256"]}
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise _damaged(path, error) from error


def _of_scrape(path: pathlib.Path) -> dict[str, str]:
    """Reads the journal of a scrape; also while it goes on."""
    with records.open_to_read(path) as connection:
        rows = connection.execute(
            "SELECT cell, location_id, heading_deg, date, sha256 FROM arrival JOIN panorama USING (pano_id)"
            " JOIN image USING (pano_id) WHERE sha256 IS NOT NULL"
        ).fetchall()
    return {f"{cell}/{place}/{tree.view_name(heading, date)}": digest for cell, place, heading, date, digest in rows}


def _of_import(path: pathlib.Path) -> dict[str, str]:
    """Reads the journal of an import."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            return dict(connection.execute("SELECT target, sha256 FROM photos WHERE state = 'placed'").fetchall())
    except sqlite3.Error as error:
        raise _damaged(path, error) from error


def _damaged(path: pathlib.Path, error: Exception) -> errors.TreeError:
    """Returns the error for a file that cannot be read."""
    return errors.TreeError(f"{path}: cannot be read ({error}).", "wait for the program that writes it, or put it back")
