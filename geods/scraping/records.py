"""The journal's file: TREE/journal.sqlite and its tables.

run        what was asked for, and how the last run ended (name, value)
query      one row a point looked up; `outcome` is "open" until all is known
panorama   one row a panorama taken for a query; its id is taken once in the whole tree
image      one row a view; `units` counts the requests sent for it, before they are sent
arrival    the locations that are complete, in that order
"""

import contextlib
import os
import pathlib
import sqlite3

from geods import errors

NAME, LOCK_NAME, INCOMING_NAME = "journal.sqlite", ".scrape.lock", ".incoming"
FORMAT = 1
OPEN, ACCEPTED = "open", "accepted"

_TABLES = """
BEGIN;
CREATE TABLE run (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE query (
    cell INTEGER, ordinal INTEGER, lat_deg REAL NOT NULL, lon_deg REAL NOT NULL,
    outcome TEXT NOT NULL, detail TEXT NOT NULL, pano_id TEXT,
    PRIMARY KEY (cell, ordinal)
) WITHOUT ROWID;
CREATE TABLE panorama (
    pano_id TEXT PRIMARY KEY, cell INTEGER NOT NULL, location_id TEXT NOT NULL UNIQUE, date TEXT,
    copyright TEXT NOT NULL, source TEXT NOT NULL, licence TEXT NOT NULL, sequence TEXT,
    UNIQUE (cell, sequence)
) WITHOUT ROWID;
CREATE TABLE image (
    pano_id TEXT, heading_deg INTEGER, units INTEGER NOT NULL DEFAULT 0, bytes INTEGER, sha256 TEXT,
    PRIMARY KEY (pano_id, heading_deg)
) WITHOUT ROWID;
CREATE INDEX image_sha256 ON image (sha256);
CREATE TABLE arrival (number INTEGER PRIMARY KEY, pano_id TEXT NOT NULL UNIQUE);
PRAGMA user_version = 1;
COMMIT;
"""


def path_in(tree_dir: str | os.PathLike[str]) -> pathlib.Path:
    """Returns the path of a tree's journal."""
    return pathlib.Path(tree_dir, NAME)


def create(path: pathlib.Path) -> sqlite3.Connection:
    """Opens a journal to write, making it if need be; for use by several threads, one at a time.

    Raises:
        TreeError: If the file is not a journal of this format.
    """
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # Money is counted here: a unit must not be forgotten when the power fails.
        connection.execute("PRAGMA synchronous = FULL")
        if not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            connection.executescript(_TABLES)
        _check_format(connection, path)
    except sqlite3.DatabaseError as error:
        connection.close()
        if isinstance(error, sqlite3.OperationalError):
            raise
        raise _no_journal(path) from error
    return connection


def open_to_read(path: pathlib.Path) -> contextlib.closing[sqlite3.Connection]:
    """Opens a journal that another process may be writing.

    Raises:
        TreeError: If the file is not a journal of this format.
    """
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        _check_format(connection, path)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise _no_journal(path) from error
    return contextlib.closing(connection)


def _check_format(connection: sqlite3.Connection, path: pathlib.Path) -> None:
    """Raises TreeError if a journal is of another format."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found != FORMAT:
        connection.close()
        problem = f"{path}: is no scraper's journal of format {FORMAT}, but {found}."
        raise errors.TreeError(problem, "use the geods that wrote it, move it away, or name another folder")


def _no_journal(path: pathlib.Path) -> errors.TreeError:
    """Returns the error for a file that is something else."""
    return errors.TreeError(f"{path}: is not a scraper's journal.", "move it away, or name another folder")
