"""One writer a folder: the others are told who holds it."""

import contextlib
import fcntl
import os
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import IO


@contextlib.contextmanager
def exclusive(path: str | os.PathLike[str], busy: Callable[[str], Exception]) -> Iterator[None]:
    """Holds a lock file; the system drops the lock when the process ends, however it ends.

    Args:
        path: The file; it and its folder are made if need be, and it stays.
        busy: Makes the error to raise from the number of the process that holds the lock.

    Raises:
        Exception: What `busy` made, if another process holds it.
    """
    final = pathlib.Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    with final.open("a+", encoding="utf-8") as holder:
        if not _take(holder):
            holder.seek(0)
            raise busy(holder.read().strip() or "unknown")
        holder.truncate(0)
        holder.write(f"{os.getpid()}\n")
        holder.flush()
        yield


def _take(holder: IO[str]) -> bool:
    """Locks an open file; returns False if another process holds it."""
    for pause_s in (0.01, 0.02, 0.05, 0.1, 0.2, 0):
        with contextlib.suppress(OSError):
            fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        # It may be one who only asks, in `is_held`: for less than a millisecond, or a slice of a busy processor.
        time.sleep(pause_s)
    return False


def is_held(path: str | os.PathLike[str]) -> bool:
    """Says whether a process that lives holds the lock."""
    try:
        with open(path, "rb") as holder:
            # Shared, so that two who ask do not see each other.
            fcntl.flock(holder, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
