"""Recorded SHA-256 of images: journals, views.csv and images.sha256.

They find changed bytes, which no decoder does: of 400 JPEGs with one flipped bit, 396 decode to wrong pixels without an
error. images.sha256 is the list that `python -m tools.check_tree --record` writes for a tree without a journal.
"""

import contextlib
import csv
import itertools
import pathlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator

from geods import errors
from geods.imagery.photos import import_journal
from geods.imagery.scraping import scrape_journal
from geods.storage import checksums, databases, external_sort
from geods.tree import companions, imagery_tree, table


def compare(tree: companions.TreeFolder, facts: table.ImageTable) -> table.ImageTable:
    """Returns the facts, with a problem for each image with another recorded hash.

    Raises:
        TreeError: If a journal or list is damaged.
    """
    if not any(tree.recorded(name) for name, _ in _SOURCES):
        return facts
    # Both in order of the files, so that neither has to be in memory.
    known = external_sort.in_order(_recorded(tree))
    images = external_sort.in_order((name, str(row)) for row, (name, _) in enumerate(facts.hashes_below(tree.root)))
    problems = dict(facts.problems)
    for row, sha256, source in _both(images, known):
        if sha256 != facts.sha256(row):
            also = f"; it {problems[row]}" if row in problems else ""
            problems[row] = f"has changed since {source} recorded its SHA-256{also}"
    return facts.with_problems(problems)


def missing(tree: companions.TreeFolder, facts: table.ImageTable) -> list[str]:
    """Returns the recorded paths that are not among the images, sorted."""
    return sorted({file for file, *_ in _recorded(tree)} - {name for name, _ in facts.hashes_below(tree.root)})


def _both(images: Iterable[external_sort.Row], known: Iterable[external_sort.Row]) -> Iterator[tuple[int, str, str]]:
    """Yields the row of each recorded image, its last SHA-256, and the file's name.

    The file is the one that recorded it.

    Args:
        images: (name, row) of images, by name.
        known: Rows of `_recorded`, by name.
    """
    groups = itertools.groupby(known, key=lambda entry: entry[0])
    end: tuple[str | None, Iterable[external_sort.Row]] = (None, ())
    name, entries = next(groups, end)
    for file, row in images:
        while name is not None and name < file:
            name, entries = next(groups, end)
        if name == file:
            *_, (_, source, _, sha256) = entries
            yield int(row), sha256, _SOURCES[int(source)][0]


def _recorded(tree: companions.TreeFolder) -> Iterator[external_sort.Row]:
    """Yields (file, source number, line number, SHA-256) of all records.

    The greatest numbers of a file count.
    """
    for source, (name, read) in enumerate(_SOURCES):
        if path := tree.recorded(name):
            for line, (file, sha256) in enumerate(read(path)):
                yield file, str(source), f"{line:012d}", sha256


def _of_views(path: pathlib.Path) -> Iterator[tuple[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as source:
            yield from ((row["file"], row["sha256"]) for row in csv.DictReader(source) if row["sha256"])
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise _damaged(path, error) from error


def _of_scrape(path: pathlib.Path) -> Iterator[tuple[str, str]]:
    """Reads the journal of a scrape, also of a running one."""
    with scrape_journal.open_to_read(path) as connection:
        rows = connection.execute(
            "SELECT cell, location_id, heading_deg, date, sha256 FROM arrival JOIN panorama USING (pano_id)"
            " JOIN image USING (pano_id) WHERE sha256 IS NOT NULL"
        )
        for cell, location_id, heading, date, digest in rows:
            yield f"{cell}/{location_id}/{imagery_tree.view_name(heading, date)}", digest


def _of_import(path: pathlib.Path) -> Iterator[tuple[str, str]]:
    try:
        with contextlib.closing(databases.open_to_read(path)) as connection:
            yield from connection.execute("SELECT target, sha256 FROM photos WHERE state = 'placed'")
    except sqlite3.Error as error:
        raise _damaged(path, error) from error


def _damaged(path: pathlib.Path, error: Exception) -> errors.TreeError:
    return errors.TreeError(f"{path}: cannot be read ({error}).", "wait for the program that writes it, or put it back")


# The last one counts: views.csv is written from the journal.
_SOURCES: tuple[tuple[str, Callable[[pathlib.Path], Iterator[tuple[str, str]]]], ...] = (
    (checksums.NAME, checksums.rows),
    (companions.VIEWS_NAME, _of_views),
    (import_journal.NAME, _of_import),
    (scrape_journal.NAME, _of_scrape),
)
