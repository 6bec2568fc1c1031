"""The journal TREE/journal.sqlite, and reading it while it is written.

run        what was asked for, and how the last run ended (name, value)
query      one row a point looked up; `outcome` is "open" until all is known
panorama   one row a panorama taken for a query; its id is taken once in the whole tree; pictures of other months at the
           same location have the location_id "<lat>,<lng>/<YYYY-MM>"
image      one row a view; `units` counts the requests sent for it, before they are sent
arrival    the locations that are complete, in that order
original   name of the uploaded file, and the sequence where a list of points may take several of one

status = journal.read_status(tree_dir)
for arrival in journal.complete_locations(tree_dir, after=0): ...
"""

import contextlib
import dataclasses
import itertools
import operator
import os
import pathlib
import sqlite3
from typing import Literal

from geods import errors
from geods.storage import databases, locks
from geods.tree import imagery_tree

NAME, LOCK_NAME, INCOMING_NAME = "journal.sqlite", ".scrape.lock", ".incoming"
FORMAT = 1
OPEN, ACCEPTED = "open", "accepted"

# Joins all panoramas of a location `place`, those of other months too. "0" follows "/", and positions have seven
# decimals, so the index of the ids serves this; CROSS keeps SQLite from taking the tables in another order.
SHOTS = (
    "CROSS JOIN panorama ON panorama.location_id >= place.location_id"
    " AND panorama.location_id < place.location_id || '0'"
)

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

# Not in the first journals.
_ORIGINAL = "CREATE TABLE IF NOT EXISTS original (pano_id TEXT PRIMARY KEY, name TEXT NOT NULL, sequence TEXT)"


def path_in(tree_dir: str | os.PathLike[str]) -> pathlib.Path:
    """Returns the path of a tree's journal."""
    return pathlib.Path(tree_dir, NAME)


def create(path: pathlib.Path) -> sqlite3.Connection:
    """Opens a journal to write, making it if need be.

    Several threads may use it, one at a time.

    Raises:
        TreeError: If the file is not a journal of this format.
    """
    try:
        # Money is counted here: a unit must not be forgotten when the power fails.
        connection = databases.open_to_write(path, _TABLES, synchronous="FULL")
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        raise _no_journal(path) from error
    with contextlib.ExitStack() as stack:
        stack.callback(connection.close)
        _check_format(connection, path)
        connection.execute(_ORIGINAL)
        stack.pop_all()
    return connection


def open_to_read(path: pathlib.Path) -> contextlib.closing[sqlite3.Connection]:
    """Opens a journal that another process may be writing.

    Raises:
        TreeError: If the file is not a journal of this format.
    """
    connection = databases.open_to_read(path)
    try:
        _check_format(connection, path)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise _no_journal(path) from error
    return contextlib.closing(connection)


def _is_begun(path: pathlib.Path) -> bool:
    """Returns whether a journal has tables.

    One whose process was killed as it made the file has none.
    """
    if not path.is_file():
        return False
    try:
        with contextlib.closing(databases.open_to_read(path)) as connection:
            return bool(connection.execute("SELECT 1 FROM sqlite_master").fetchone())
    except sqlite3.DatabaseError:
        # Whoever opens it says what it is.
        return True


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


@dataclasses.dataclass(frozen=True)
class Status:
    """How far a scrape is.

    Attributes:
        state: "running" while its process lives, "done" when nothing is left to do, else "stopped".
        detail: One line on it; of one that stopped, why, and the command that resumes it.
        locations: Complete locations.
        units: Billable units of all requests that were sent, or were about to be.
    """

    state: Literal["running", "stopped", "done"]
    detail: str
    locations: int
    units: int


@dataclasses.dataclass(frozen=True)
class Arrival:
    """A complete location.

    Attributes:
        number: 1, 2, 3 ... in the order of completion.
        location: The location; its images are in place.
    """

    number: int
    location: imagery_tree.Location


def read_status(tree_dir: str | os.PathLike[str]) -> Status | None:
    """Returns the status of a tree's scrape, or None if it has no journal.

    Raises:
        TreeError: If its journal is none.
    """
    path = path_in(tree_dir)
    if not _is_begun(path):
        return None
    # Asked before the journal is read: one that ends in between is then read as it ended.
    running = locks.is_held(pathlib.Path(tree_dir, LOCK_NAME))
    with open_to_read(path) as connection:
        noted = dict(connection.execute("SELECT name, value FROM run WHERE name IN ('state', 'detail')"))
        (locations,) = connection.execute("SELECT COUNT(*) FROM arrival").fetchone()
        (units,) = connection.execute("SELECT TOTAL(units) FROM image").fetchone()
    if running:
        return Status("running", f"{locations:,} locations so far", locations, int(units))
    if noted.get("state") == "done":
        return Status("done", noted.get("detail", ""), locations, int(units))
    return Status("stopped", noted.get("detail", ""), locations, int(units))


def complete_locations(tree_dir: str | os.PathLike[str], after: int = 0) -> list[Arrival]:
    """Returns the locations that were completed after number `after`, in that order.

    Without a journal there are none.

    Raises:
        TreeError: If the journal is none.
    """
    path = path_in(tree_dir)
    if not _is_begun(path):
        return []
    with open_to_read(path) as connection:
        rows = connection.execute(
            "SELECT number, place.cell, place.location_id, panorama.date, heading_deg"  # noqa: S608 - constants
            " FROM arrival JOIN panorama AS place USING (pano_id)"
            f" {SHOTS} JOIN image ON image.pano_id = panorama.pano_id"
            " WHERE number > ? ORDER BY number, heading_deg, panorama.date",
            (after,),
        ).fetchall()
    groups = itertools.groupby(rows, key=operator.itemgetter(0))
    return [Arrival(number, _location(tree_dir, [row[1:] for row in group])) for number, group in groups]


def canonical(tree_dir: str | os.PathLike[str]) -> str:
    """Returns all of a journal that depends on the options alone.

    The same text for every way a scrape went.

    Left out are requests sent, which a killed run repeats, and the order of arrival, which threads decide.
    """
    with open_to_read(path_in(tree_dir)) as connection:
        lines = [f"{name} {value}" for name, value in connection.execute("SELECT * FROM run WHERE name = 'config'")]
        for question in (
            "SELECT * FROM query ORDER BY cell, ordinal",
            "SELECT * FROM panorama ORDER BY pano_id",
            "SELECT pano_id, heading_deg, bytes, sha256 FROM image ORDER BY pano_id, heading_deg",
            "SELECT pano_id FROM arrival ORDER BY pano_id",
            "SELECT * FROM original ORDER BY pano_id",
        ):
            lines += [repr(row) for row in connection.execute(question)]
    return "\n".join(lines) + "\n"


def _location(tree_dir: str | os.PathLike[str], rows: list[tuple[int, str, str | None, int]]) -> imagery_tree.Location:
    """Returns the location of its rows (cell, location_id, date, heading_deg)."""
    cell, location_id = rows[0][:2]
    folder = pathlib.Path(tree_dir, str(cell), location_id)
    lat_deg, lon_deg = imagery_tree.parse_location(location_id, str(folder))
    views = [
        imagery_tree.View(folder / imagery_tree.view_name(heading, date), float(heading), date)
        for _, _, date, heading in rows
    ]
    return imagery_tree.Location(location_id, lat_deg, lon_deg, cell, imagery_tree.sort_views(views))
