"""What a mirror knows of its bucket: which object each file was a copy of when the two last met.

A file with another signature has been changed here since, an object with another tag there.
"""

import contextlib
import pathlib
import sqlite3
from collections.abc import Iterable, Iterator

from geods.remote import urls
from geods.storage import disk_errors

_WAIT_S = 60
_TABLES = (
    "CREATE TABLE IF NOT EXISTS objects (key TEXT PRIMARY KEY, tag TEXT NOT NULL, file TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS claims (key TEXT PRIMARY KEY, token TEXT NOT NULL) WITHOUT ROWID",
)


class Records:
    """The records of a place.

    Args:
        url: The place.
    """

    def __init__(self, url: urls.Url) -> None:
        """Makes the tables if need be."""
        self._path: pathlib.Path = url.records
        self._key = url.key
        with disk_errors.translate_disk_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._open() as database:
                for line in _TABLES:
                    database.execute(line)

    def all(self) -> dict[str, tuple[str, str]]:
        """Returns tag and signature of each object at and below the place."""
        where, values = "", list[str]()
        if self._key:
            # "0" is what follows "/".
            where, values = " WHERE key = ? OR (key >= ? AND key < ?)", [self._key, f"{self._key}/", f"{self._key}0"]
        with self._open() as database:
            return {key: (tag, file) for key, tag, file in database.execute(f"SELECT * FROM objects{where}", values)}  # noqa: S608

    def keep(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """Notes key, tag and signature of objects and files that are the same."""
        with self._open() as database:
            database.executemany("INSERT OR REPLACE INTO objects VALUES (?, ?, ?)", rows)

    def forget(self, keys: Iterable[str]) -> None:
        """Notes that neither is there."""
        with self._open() as database:
            database.executemany("DELETE FROM objects WHERE key = ?", [(key,) for key in keys])

    @property
    def token(self) -> str:
        """The token of the claim of this mirror on the place, empty if it has none."""
        with self._open() as database:
            row = database.execute("SELECT token FROM claims WHERE key = ?", (self._key,)).fetchone()
        return row[0] if row else ""

    @token.setter
    def token(self, token: str) -> None:
        """Notes the token of the claim, or that there is none."""
        with self._open() as database:
            database.execute("INSERT OR REPLACE INTO claims VALUES (?, ?)", (self._key, token))

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Gives a connection whose changes are kept when the block ends well."""
        with (
            disk_errors.translate_disk_errors(self._path),
            contextlib.closing(sqlite3.connect(self._path, timeout=_WAIT_S)) as database,
            database,
        ):
            yield database
