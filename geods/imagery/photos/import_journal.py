"""Journal of an import: an SQLite file in the tree, by which it resumes."""

import contextlib
import os
import pathlib
import sqlite3
from collections.abc import Iterator
from types import TracebackType
from typing import NamedTuple

import numpy as np

from geods import errors
from geods.geo import geometry
from geods.imagery.photos import photo
from geods.storage import databases, disk_errors

NAME = "import.sqlite"
CREDITS = ("file", "creator", "licence", "source_id", "sequence", "country")

# A degree of latitude on the sphere of geods.geo.geometry.
_METRES_PER_DEGREE = np.pi / 180 * geometry.EARTH_RADIUS_KM * 1000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS locations (
    number INTEGER PRIMARY KEY, lat REAL NOT NULL, lon REAL NOT NULL, cell INTEGER NOT NULL, UNIQUE (lat, lon));
CREATE TABLE IF NOT EXISTS photos (
    number INTEGER PRIMARY KEY, file TEXT NOT NULL UNIQUE, location INTEGER NOT NULL REFERENCES locations (number),
    lat REAL NOT NULL, lon REAL NOT NULL, heading REAL, date TEXT,
    creator TEXT, licence TEXT, source_id TEXT, sequence TEXT, country TEXT,
    state TEXT NOT NULL DEFAULT 'waiting', sha256 TEXT, target TEXT UNIQUE, problem TEXT, panorama INTEGER);
CREATE INDEX IF NOT EXISTS by_sha256 ON photos (sha256);
CREATE INDEX IF NOT EXISTS by_location ON photos (location);
CREATE INDEX IF NOT EXISTS by_state ON photos (state, number);
"""
# Older journals know neither panoramas nor the state of one that views were cut from.
_RENEW = (
    "BEGIN; ALTER TABLE photos RENAME TO older; DROP INDEX by_sha256; DROP INDEX by_location; DROP INDEX by_state;",
    _SCHEMA,
    "INSERT INTO photos SELECT older.*, NULL FROM older; DROP TABLE older; COMMIT;",
)
STATES = ("waiting", "placed", "cut", "duplicate", "bad", "panorama")


class Waiting(NamedTuple):
    """A photograph that is not in the tree yet.

    Attributes:
        number: Its number in the journal.
        file: Its path below the source's folder.
        location: Number of its location.
        cell: Cell of its location.
        lat_deg: Latitude of its location, degrees.
        lon_deg: Longitude of its location, degrees.
        heading_deg: Compass direction, degrees; None if not known.
        date: "YYYY-MM"; None if not known.
        target: Where an earlier run put it in the tree; None if none did.
    """

    number: int
    file: str
    location: int
    cell: int
    lat_deg: float
    lon_deg: float
    heading_deg: float | None
    date: str | None
    target: str | None


class Journal:
    """The journal of one tree; one process at a time can hold it.

    Args:
        root: Folder of the tree; made if need be.

    Raises:
        TreeError: If another process holds it, or it cannot be read or written.
        DiskFullError: If it does not fit.
    """

    def __init__(self, root: pathlib.Path) -> None:
        """Opens the journal, or makes an empty one."""
        self.path = root / NAME
        try:
            root.mkdir(parents=True, exist_ok=True)
            # Held until it is closed: two imports at once would number their views alike.
            self._database = databases.open_alone(self.path, _SCHEMA)
            if not any(name == "panorama" for _, name, *_ in self._database.execute("PRAGMA table_info(photos)")):
                self._database.executescript("".join(_RENEW))
        except (OSError, sqlite3.Error) as error:
            if isinstance(error, OSError) or "unable to open" in str(error):
                raise errors.TreeError(f"{root}: cannot be written ({error}).", "name another folder") from error
            if refusal := disk_errors.as_disk_error(self.path, error):
                raise refusal from error
            locked = "locked" in str(error)
            problem = "another import is writing this tree" if locked else f"cannot be used ({error})"
            step = "wait until it has ended" if locked else "import into a new folder"
            raise errors.TreeError(f"{self.path}: {problem}.", step) from error

    def __enter__(self) -> "Journal":
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the journal."""
        self._database.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commits the writes of the block together, or undoes them."""
        self._database.execute("BEGIN")
        try:
            yield
        except BaseException:
            # A full disk has undone it already.
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    @contextlib.contextmanager
    def steps(self) -> Iterator[None]:
        """Commits the writes of the block at once, also if the block raises.

        Each of them is true by itself.
        """
        self._database.execute("BEGIN")
        try:
            yield
        finally:
            if self._database.in_transaction:
                self._database.execute("COMMIT")

    def __len__(self) -> int:
        """Returns the number of photographs noted."""
        return int(self._database.execute("SELECT COUNT(*) FROM photos").fetchone()[0])

    def has(self, file: str) -> bool:
        """Says whether a file has been found before."""
        return self._one("SELECT 1 FROM photos WHERE file = ?", file) is not None

    def add(self, found: photo.Photo, cell: int, same_place_m: float) -> bool:
        """Notes a photograph; returns False if it was noted before.

        Args:
            found: The photograph.
            cell: Cell of its coordinates.
            same_place_m: It joins the nearest location within so many metres.

        Raises:
            TreeError: If the same file was noted with another place, heading or date.
        """
        facts = (found.lat_deg, found.lon_deg, found.heading_deg, found.date)
        before = self._one("SELECT lat, lon, heading, date, state FROM photos WHERE file = ?", found.file)
        if before and before[:4] == facts:
            return False
        if before and before[4] in ("bad", "panorama"):
            self._database.execute("DELETE FROM photos WHERE file = ?", (found.file,))
        elif before:
            problem = f"{found.file}: was {_told(*before[:4])} in an earlier line or run, and is {_told(*facts)} now."
            raise errors.TreeError(problem, "correct the source, or import into a new folder")
        location = self._location(found, cell, same_place_m)
        rest = (found.creator, found.licence, found.source_id, found.sequence, found.country)
        self._database.execute(
            "INSERT INTO photos"
            " (file, location, lat, lon, heading, date, creator, licence, source_id, sequence, country)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (found.file, location, *facts, *rest),
        )
        return True

    def await_again(self, root: pathlib.Path, source: pathlib.Path) -> list[str]:
        """Lets bad photographs be tried again, and missing images be placed again.

        Photographs that are neither in the tree nor in the source any more are forgotten; their names are returned.
        """
        query = "SELECT COALESCE(panorama, number), target FROM photos WHERE state = 'placed'"
        missing = {(number,) for number, target in self._database.execute(query) if not os.path.lexists(root / target)}
        with self.transaction():
            # What was a duplicate of a missing image may be the only one now.
            states = ("bad", "panorama", "duplicate" if missing else "bad")
            again = "UPDATE photos SET state = 'waiting', problem = NULL WHERE state IN (?, ?, ?)"
            self._database.execute(again, states)
            self._database.executemany("UPDATE photos SET state = 'waiting' WHERE number = ?", missing)
            # All views of a panorama are cut again, also where an error came between them.
            waiting = "SELECT number FROM photos WHERE state = 'waiting'"
            self._database.execute(f"DELETE FROM photos WHERE panorama IN ({waiting})")  # noqa: S608 - fixed text
            rows = self._database.execute("SELECT number, file FROM photos WHERE state = 'waiting'")
            gone = [(number, file) for number, file in rows if not os.path.lexists(source / file)]
            self._database.executemany("DELETE FROM photos WHERE number = ? AND file = ?", gone)
        return [file for _, file in gone]

    def waiting(self, at_most: int) -> list[Waiting]:
        """Returns the first photographs that are not in the tree yet."""
        rows = self._database.execute(
            "SELECT photos.number, file, location, cell, locations.lat, locations.lon, heading, date, target"
            " FROM photos JOIN locations ON location = locations.number"
            " WHERE state = 'waiting' ORDER BY photos.number LIMIT ?",
            (at_most,),
        )
        return [Waiting(*row) for row in rows]

    def twin(self, number: int, sha256: str) -> str | None:
        """Returns the file of a placed photograph with the same bytes, or None."""
        query = "SELECT file FROM photos WHERE sha256 = ? AND state IN ('placed', 'cut') AND number <> ?"
        row = self._one(query, sha256, number)
        return row[0] if row else None

    def views_alike(self, view: Waiting) -> int:
        """Returns the number of views of a location with the same heading and date.

        Without a heading, those of unknown heading are counted.
        """
        condition = "heading IS NULL" if view.heading_deg is None else "heading = ? AND date IS ?"
        values = () if view.heading_deg is None else (view.heading_deg, view.date)
        query = f"SELECT COUNT(*) FROM photos WHERE location = ? AND target IS NOT NULL AND {condition}"  # noqa: S608
        return int(self._database.execute(query, (view.location, *values)).fetchone()[0])

    def is_taken(self, target: str) -> bool:
        """Says whether a path in the tree belongs to a photograph."""
        return self._one("SELECT 1 FROM photos WHERE target = ?", target) is not None

    def placed(self, number: int, sha256: str, target: str) -> None:
        """Notes that a photograph is in the tree."""
        self._database.execute(
            "UPDATE photos SET state = 'placed', sha256 = ?, target = ? WHERE number = ?", (sha256, target, number)
        )

    def cut(self, number: int, sha256: str) -> None:
        """Notes that views were cut from a panorama."""
        self._database.execute("UPDATE photos SET state = 'cut', sha256 = ? WHERE number = ?", (sha256, number))

    def placed_view(self, panorama: int, heading_deg: float, sha256: str, target: str) -> None:
        """Records that a view of a panorama is in the tree.

        All but its heading and bytes is the panorama's.
        """
        same = "location, lat, lon, date, creator, licence, source_id, sequence, country"
        self._database.execute(
            f"INSERT INTO photos (file, heading, state, sha256, target, panorama, {same})"  # noqa: S608 - fixed names
            f" SELECT file || '#' || ?, ?, 'placed', ?, ?, number, {same} FROM photos WHERE number = ?",
            (f"{heading_deg:g}", heading_deg, sha256, target, panorama),
        )

    def left_out(self, number: int, state: str, problem: str) -> None:
        """Records the reason to leave a photograph out: "duplicate", "bad" or "panorama"."""
        query = "UPDATE photos SET state = ?, problem = ?, target = NULL WHERE number = ?"
        self._database.execute(query, (state, problem, number))

    def counts(self) -> dict[str, int]:
        """Returns photographs by state, and the numbers of locations and cells in use."""
        by_state = dict(self._database.execute("SELECT state, COUNT(*) FROM photos GROUP BY state").fetchall())
        places = self._database.execute(
            "SELECT COUNT(DISTINCT location), COUNT(DISTINCT cell)"
            " FROM photos JOIN locations ON location = locations.number WHERE state = 'placed'"
        ).fetchone()
        return {state: by_state.get(state, 0) for state in STATES} | {
            "locations": places[0],
            "cells": places[1],
        }

    def problems(self, state: str, at_most: int) -> list[str]:
        """Returns why the first photographs of a state are not in the tree."""
        query = "SELECT problem FROM photos WHERE state = ? ORDER BY number LIMIT ?"
        return [problem for (problem,) in self._database.execute(query, (state, at_most))]

    def credits(self) -> Iterator[tuple[str, ...]]:
        """Yields the columns of CREDITS for each image in the tree, ordered by path."""
        yield from self._database.execute(
            "SELECT target, creator, licence, source_id, sequence, country FROM photos WHERE state = 'placed'"
            " ORDER BY target"
        )

    def _location(self, found: photo.Photo, cell: int, same_place_m: float) -> int:
        """Returns the number of the location that a photograph belongs to."""
        row = self._one("SELECT number FROM locations WHERE lat = ? AND lon = ?", found.lat_deg, found.lon_deg)
        if row:
            return int(row[0])
        if same_place_m and (near := self._nearest(found.lat_deg, found.lon_deg, same_place_m)):
            return near
        insert = "INSERT INTO locations (lat, lon, cell) VALUES (?, ?, ?)"
        return int(self._database.execute(insert, (found.lat_deg, found.lon_deg, cell)).lastrowid or 0)

    def _nearest(self, lat_deg: float, lon_deg: float, within_m: float) -> int | None:
        """Returns the number of the nearest location within a distance, or None."""
        # Haversine rounds at 0.2 m between far points; near ones are exact to far less than this margin.
        margin = within_m / _METRES_PER_DEGREE * (1 + 1e-9) + 1e-12
        query = "SELECT number, lat, lon FROM locations WHERE lat BETWEEN ? AND ? ORDER BY number"
        rows = np.array(self._database.execute(query, (lat_deg - margin, lat_deg + margin)).fetchall()).reshape(-1, 3)
        distances_m = geometry.haversine_km(rows[:, 1:], [lat_deg, lon_deg]) * 1000
        if not len(rows) or distances_m.min() > within_m:
            return None
        return int(rows[np.argmin(distances_m), 0])

    def _one(self, query: str, *values: object) -> tuple | None:
        """Returns the first row of a query, None if there is none."""
        row: tuple | None = self._database.execute(query, values).fetchone()
        return row


def _told(lat_deg: float, lon_deg: float, heading_deg: float | None, date: str | None) -> str:
    """Says what is known of a photograph."""
    heading = "" if heading_deg is None else f", heading {heading_deg:g}"
    return f"at {photo.location_id(lat_deg, lon_deg)}{heading}{f', {date}' if date else ''}"
