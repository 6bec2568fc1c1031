"""The SHA-256 of images as who brought them into the tree wrote them down, to find what has changed since.

No decoder finds that: of 400 JPEGs with one flipped bit, 396 decode to wrong pixels without a word. Hashes are in the
journal of a scrape or its views.csv, in the journal of an import, and in images.sha256, the list that
`python -m tools.check_tree --record` writes for a tree that has neither.
"""

import contextlib
import csv
import dataclasses
import itertools
import os
import pathlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence

from geods import errors
from geods.imagery.photos import import_journal
from geods.imagery.scraping import scrape_journal, tables
from geods.storage import checksums, external_sort
from geods.tree import image_table, imagery_tree, jpeg


def hashes(root: str | os.PathLike[str]) -> dict[str, tuple[str, str]]:
    """Returns what is written down about a tree.

    Args:
        root: The tree; a table of images has nothing written down.

    Returns:
        (SHA-256 in hexadecimal, name of the file that says so) by path below the tree, with forward slashes.

    Raises:
        TreeError: If a journal or list is damaged.
    """
    return {file: (sha256, _SOURCES[int(source)][0]) for file, source, _, sha256 in _written(pathlib.Path(root))}


def compare(root: str | os.PathLike[str], facts: Sequence[jpeg.ImageFacts]) -> list[jpeg.ImageFacts]:
    """Returns the facts, with a problem for each image whose bytes are not those that were written down.

    Raises:
        TreeError: If a journal or list is damaged.
    """
    known = hashes(root)
    return [_compared(fact, known.get(fact.name_below(root))) for fact in facts]


def compared(root: str | os.PathLike[str], facts: image_table.ImageTable) -> image_table.ImageTable:
    """Returns a table of facts as `compare` returns a list.

    Raises:
        TreeError: If a journal or list is damaged.
    """
    folder = pathlib.Path(root)
    if not any((folder / name).is_file() for name, _ in _SOURCES):
        return facts
    # Both in order of the files, so that neither has to be in memory.
    known = external_sort.in_order(_written(folder))
    found = external_sort.in_order((fact.name_below(root), str(row)) for row, fact in enumerate(facts))
    problems = dict(facts.problems)
    for row, entry in _both(found, known):
        if problem := _compared(facts[row], entry).problem:
            problems[row] = problem
    return facts.with_problems(problems)


def missing(root: str | os.PathLike[str], facts: Sequence[jpeg.ImageFacts]) -> list[str]:
    """Returns the paths that are written down and not among the images, sorted."""
    there = {fact.name_below(root) for fact in facts}
    return sorted(set(hashes(root)) - there)


def _compared(fact: jpeg.ImageFacts, known: tuple[str, str] | None) -> jpeg.ImageFacts:
    """Returns the facts of one image, compared."""
    if known is None or known[0] == fact.sha256:
        return fact
    also = f"; it {fact.problem}" if fact.problem else ""
    return dataclasses.replace(fact, problem=f"has changed since {known[1]} recorded its SHA-256{also}")


def _both(
    found: Iterable[external_sort.Row], known: Iterable[external_sort.Row]
) -> Iterator[tuple[int, tuple[str, str]]]:
    """Yields the row of each image that is written down, with its last SHA-256 and the name of the file of that.

    Args:
        found: (name, row) of images, by name.
        known: What `_written` yields, by name.
    """
    groups = itertools.groupby(known, key=lambda entry: entry[0])
    end: tuple[str | None, Iterable[external_sort.Row]] = (None, ())
    name, entries = next(groups, end)
    for file, row in found:
        while name is not None and name < file:
            name, entries = next(groups, end)
        if name == file:
            *_, (_, source, _, sha256) = entries
            yield int(row), (sha256, _SOURCES[int(source)][0])


def _written(folder: pathlib.Path) -> Iterator[external_sort.Row]:
    """Yields (file, number of the source, number of the line, SHA-256) of all that is written down.

    The greatest numbers of a file count.
    """
    for source, (name, read) in enumerate(_SOURCES):
        if (folder / name).is_file():
            for line, (file, sha256) in enumerate(read(folder / name)):
                yield file, str(source), f"{line:012d}", sha256


def _of_views(path: pathlib.Path) -> Iterator[tuple[str, str]]:
    """Reads views.csv."""
    try:
        with path.open(encoding="utf-8", newline="") as source:
            yield from ((row["file"], row["sha256"]) for row in csv.DictReader(source) if row["sha256"])
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise _damaged(path, error) from error


def _of_scrape(path: pathlib.Path) -> Iterator[tuple[str, str]]:
    """Reads the journal of a scrape; also while it goes on."""
    with scrape_journal.open_to_read(path) as connection:
        rows = connection.execute(
            "SELECT cell, location_id, heading_deg, date, sha256 FROM arrival JOIN panorama USING (pano_id)"
            " JOIN image USING (pano_id) WHERE sha256 IS NOT NULL"
        )
        for cell, place, heading, date, digest in rows:
            yield f"{cell}/{place}/{imagery_tree.view_name(heading, date)}", digest


def _of_import(path: pathlib.Path) -> Iterator[tuple[str, str]]:
    """Reads the journal of an import."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            yield from connection.execute("SELECT target, sha256 FROM photos WHERE state = 'placed'")
    except sqlite3.Error as error:
        raise _damaged(path, error) from error


def _damaged(path: pathlib.Path, error: Exception) -> errors.TreeError:
    """Returns the error for a file that cannot be read."""
    return errors.TreeError(f"{path}: cannot be read ({error}).", "wait for the program that writes it, or put it back")


# The later ones count: a journal is the truth, views.csv is written from it.
_SOURCES: tuple[tuple[str, Callable[[pathlib.Path], Iterator[tuple[str, str]]]], ...] = (
    (checksums.NAME, checksums.rows),
    (tables.VIEWS_NAME, _of_views),
    (import_journal.NAME, _of_import),
    (scrape_journal.NAME, _of_scrape),
)
