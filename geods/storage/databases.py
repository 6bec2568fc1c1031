"""SQLite stores: opened to read or to write, and copied while others use them."""

import contextlib
import os
import pathlib
import sqlite3


def open_to_read(path: str | os.PathLike[str]) -> sqlite3.Connection:
    """Opens a store that another process may be writing.

    Raises:
        sqlite3.OperationalError: If it is missing or cannot be opened.
    """
    return sqlite3.connect(f"{pathlib.Path(path).absolute().as_uri()}?mode=ro", uri=True)


def open_to_write(
    path: str | os.PathLike[str], schema: str, synchronous: str = "NORMAL", timeout_s: float = 5
) -> sqlite3.Connection:
    """Opens a store to write; several threads may use it, each statement is kept.

    Args:
        path: The file; made if need be, its folder not.
        schema: SQL script that makes the tables of an empty store.
        synchronous: "NORMAL" may lose the last statements when the power fails, "FULL" none; neither loses the store.
        timeout_s: How long a statement waits for other processes.

    Raises:
        sqlite3.DatabaseError: If the file is something else, or cannot be written.
    """
    connection = sqlite3.connect(path, timeout=timeout_s, check_same_thread=False, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        if not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            connection.executescript(schema)
    except BaseException:
        connection.close()
        raise
    return connection


def open_alone(path: str | os.PathLike[str], schema: str, timeout_s: float = 1) -> sqlite3.Connection:
    """Opens a store that no other process may open until it is closed.

    Args:
        path: The file; made if need be, its folder not. Empty for a temporary file that closing removes.
        schema: SQL script that makes the tables that are missing.
        timeout_s: How long to wait for another process.

    Raises:
        sqlite3.DatabaseError: If another process has it open, or it is something else, or cannot be written.
    """
    connection = sqlite3.connect(path, timeout=timeout_s, isolation_level=None)
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("COMMIT")
        connection.executescript(schema)
    except BaseException:
        connection.close()
        raise
    return connection


def copy(path: pathlib.Path, target: pathlib.Path) -> None:
    """Copies a store as it is between two changes, also while others write it."""
    with contextlib.closing(open_to_read(path)) as source, contextlib.closing(sqlite3.connect(target)) as copied:
        source.backup(copied)
