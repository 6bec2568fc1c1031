"""Start of a scrape: the folder, its lock, its journal, its companion files."""

import contextlib
import errno
import os
import pathlib
import shlex
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from geods import errors
from geods.cli import flags
from geods.geo import partition
from geods.imagery import source
from geods.imagery.scraping import journal_writer, options, scrape_journal
from geods.storage import files, locks
from geods.tree import companions


def check_budget(settings: options.ScrapeOptions, client: source.Source) -> None:
    """Raises OptionError if images cost something and nothing may be spent."""
    if settings.dry_run or not client.units_per_image:
        return
    if settings.prices.affordable_units < client.units_per_image:
        problem = f"--max_cost={settings.max_cost:g}: buys no image at {settings.price_per_1000:g} USD a thousand."
        raise errors.OptionError(problem, "see what it costs with --dry_run, then give --max_cost in USD")


@contextlib.contextmanager
def journal_of(
    settings: options.ScrapeOptions, client: source.Source, cells: partition.Partition, config: Mapping[str, Any]
) -> Iterator[journal_writer.Writer]:
    """Yields the locked journal of the tree; a temporary one for a dry run.

    Raises:
        TreeError: If the folder cannot be used or is in use.
        DiskFullError: If there is no room in it.
    """
    with contextlib.ExitStack() as opened:
        folder = settings.out
        try:
            if settings.dry_run:
                folder = opened.enter_context(tempfile.TemporaryDirectory())
            else:
                _claim_folder(pathlib.Path(folder))
                opened.enter_context(locks.exclusive(pathlib.Path(folder, scrape_journal.LOCK_NAME), _busy(folder)))
                files.sweep(folder)
            journal = journal_writer.Writer(folder, config)
            opened.callback(journal.close)
            if not settings.dry_run:
                journal.note("stopped", f"the last run was killed. {resume(folder)}")
                _describe_tree(pathlib.Path(folder), settings, client, cells)
        except (OSError, sqlite3.OperationalError) as error:
            if isinstance(error, errors.GeodsError):
                raise
            raise _unwritable(folder, error) from error
        yield journal


def _unwritable(folder: str, error: OSError | sqlite3.OperationalError) -> errors.GeodsError:
    """Returns the error for a folder that cannot be written."""
    problem = f"{folder}: cannot be written ({getattr(error, 'strerror', None) or error})."
    # SQLite's error codes came with Python 3.11.
    sqlite_full = isinstance(error, sqlite3.OperationalError) and "disk is full" in str(error)
    if sqlite_full or getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return errors.DiskFullError(problem, "make room, then run the same command again")
    return errors.TreeError(problem, "make it writable, or name another folder with --out")


def _claim_folder(root: pathlib.Path) -> None:
    """Makes the folder, or checks that it is a scraper's.

    Raises:
        TreeError: If it is a file or holds something else.
    """
    if root.exists() and not root.is_dir():
        raise errors.TreeError(f"{root}: is a file, not a folder.", "name a new folder with --out")
    root.mkdir(parents=True, exist_ok=True)
    # In a bucket there are no locks, so that a tree which came from one has the journal alone.
    if any(root.iterdir()) and not any(
        (root / name).exists() for name in (scrape_journal.LOCK_NAME, scrape_journal.NAME)
    ):
        problem = f"{root}: is not empty, and not a tree that was scraped."
        raise errors.TreeError(problem, "name a new folder; images of different sources must not mix")


def _busy(folder: str) -> Callable[[str], errors.TreeError]:
    """Returns what makes the error for a tree that another process scrapes."""

    def busy(process: str) -> errors.TreeError:
        return errors.TreeError(f"{folder}: process {process} is scraping into it.", "wait until it ends")

    return busy


def _describe_tree(
    root: pathlib.Path, settings: options.ScrapeOptions, client: source.Source, cells: partition.Partition
) -> None:
    """Writes the files that readers of the tree and a resumed scrape need.

    They are the partition and the source of the images.
    """
    files.write_text(root / options.SAVED_NAME, flags.to_flagfile(settings))
    if not (root / companions.PARTITION_NAME).is_file():
        partition.write(cells, root / companions.PARTITION_NAME)
    if not (root / companions.PROVENANCE_NAME).is_file():
        about = {"source": client.name, "licence": client.licence}
        about |= {"licences": companions.VIEWS_NAME} if client.has_own_licences else {}
        files.write_json(root / companions.PROVENANCE_NAME, about)


def resume(folder: str | os.PathLike[str]) -> str:
    """Returns how to go on."""
    return f"Go on: python -m tools.scrape --flagfile={shlex.quote(str(pathlib.Path(folder, options.SAVED_NAME)))}"
