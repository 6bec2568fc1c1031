"""One writer a folder: the others get an error that names the process."""

import contextlib
import fcntl
import os
import pathlib
import socket
import time
from collections.abc import Callable, Iterator
from typing import IO

from geods import errors
from geods.storage import disk_errors, files

NAME = ".lock"


@contextlib.contextmanager
def exclusive(
    path: str | os.PathLike[str], busy: Callable[[str], Exception] | None = None, keep_file: bool = True
) -> Iterator[None]:
    """Locks a file; the system drops the lock when the process ends, however it ends.

    Args:
        path: The file; it and its folder are made if need be.
        busy: Makes the error from the process that has the lock: "4711 on host since 2026-01-31 12:00:00 UTC"; waits
            for that process if not given.
        keep_file: Whether the file stays when the block has ended, empty.

    Raises:
        Exception: What `busy` made, if another process holds it.
    """
    final = pathlib.Path(path)
    with _locked(final, busy) as holder:
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
        me = f"{os.getpid()} on {socket.gethostname()} since {since}\n".encode()
        try:
            with disk_errors.translate_disk_errors(final, len(me)):
                holder.truncate(0)
                holder.write(me)
            yield
        finally:
            holder.truncate(0)
            if not keep_file:
                final.unlink(missing_ok=True)


@contextlib.contextmanager
def shared(path: str | os.PathLike[str], busy: Callable[[str], Exception]) -> Iterator[None]:
    """Locks a file together with others that share it; `exclusive` excludes them.

    Args:
        path: The file; it and its folder are made if need be, and stay.
        busy: As in `exclusive`.

    Raises:
        Exception: What `busy` made, if a process holds it alone.
    """
    with _locked(pathlib.Path(path), busy, fcntl.LOCK_SH):
        yield


@contextlib.contextmanager
def folder(
    path: str | os.PathLike[str],
    error: type[errors.GeodsError],
    otherwise: str,
    lock: str | os.PathLike[str] | None = None,
) -> Iterator[None]:
    """Locks a folder against other writers, and removes temporaries of killed ones.

    Args:
        path: The folder.
        error: What to raise if another process holds it.
        otherwise: What to do but wait, such as "name another --cache_dir".
        lock: The file that is locked; .lock in the folder, which is made, if not given.

    Raises:
        GeodsError: `error`, which says who holds it.
        DiskFullError: If what the block writes does not fit.
        UnwritableError: If the folder must not be written.
    """

    def busy(process: str) -> errors.GeodsError:
        return error(f"{path}: process {process} is writing there.", f"wait until it ends, or {otherwise}")

    new = not pathlib.Path(path).exists()
    try:
        with (
            exclusive(lock or pathlib.Path(path, NAME), busy, keep_file=False),
            disk_errors.translate_disk_errors(path),
        ):
            files.sweep(path)
            yield
    finally:
        if new:
            # Of a block that wrote nothing.
            with contextlib.suppress(OSError):
                pathlib.Path(path).rmdir()


def _locked(path: pathlib.Path, busy: Callable[[str], Exception] | None, kind: int = fcntl.LOCK_EX) -> IO[bytes]:
    """Opens and locks a lock file, or raises the error that `busy` makes."""
    while True:
        holder = _opened(path)
        if busy is None:
            fcntl.flock(holder, kind)
        elif not _take(holder, kind):
            with holder:
                holder.seek(0)
                raise busy(holder.read().decode().strip() or "unknown")
        if _is_at(holder, path):
            return holder
        # Who held it until now has removed it: another process may make and lock a new one.
        holder.close()


def _is_at(holder: IO[bytes], path: pathlib.Path) -> bool:
    """Returns whether an open file still has this path."""
    try:
        return os.path.samestat(os.fstat(holder.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _opened(path: pathlib.Path) -> IO[bytes]:
    """Opens a lock file, which is made if need be.

    Raises:
        DiskFullError: If there is no room for it.
        UnwritableError: If its folder must not be written.
    """
    with disk_errors.translate_disk_errors(path.parent):
        while True:
            path.parent.mkdir(parents=True, exist_ok=True)
            # The folder may be removed between the two, by a process that made it and did not use it.
            with contextlib.suppress(FileNotFoundError):
                # Without a buffer: what does not fit would be tried once more when the file is closed.
                return path.open("ab+", buffering=0)


def _take(holder: IO[bytes], kind: int) -> bool:
    """Locks an open file; returns False if another process holds it."""
    for pause_s in (0.01, 0.02, 0.05, 0.1, 0.2, 0):
        with contextlib.suppress(OSError):
            fcntl.flock(holder, kind | fcntl.LOCK_NB)
            return True
        # It may be one who only asks, in `is_held`: for less than a millisecond, or a slice of a busy processor.
        time.sleep(pause_s)
    return False


def is_held(path: str | os.PathLike[str]) -> bool:
    """Returns whether a living process has the lock."""
    try:
        with open(path, "rb") as holder:
            # Shared, so that two who ask do not see each other.
            fcntl.flock(holder, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
