"""Errors of full and read-only disks: file, bytes needed, bytes free."""

import contextlib
import errno
import os
import pathlib
import re
import shutil
from collections.abc import Iterator

from geods import errors

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# The last two: a file where a folder is wanted.
_CLOSED = {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST}
# TensorFlow, HDF5, NumPy and SQLite raise errors of their own kinds, with or without a number.
_FULL_IN_WORDS = re.compile(
    r"No space left on device|Disk quota exceeded|File too large|\d+ requested and \d+ written"
    r"|database or disk is full",
    re.IGNORECASE,
)
_MAKE_ROOM = "make room, then run the same command again"


def check_room(folder: str | os.PathLike[str], size_bytes: int) -> None:
    """Raises DiskFullError if results would not fit.

    Args:
        folder: Where they go; it need not be there yet.
        size_bytes: How much they will take, at least.

    Raises:
        DiskFullError: If less is free.
    """
    if size_bytes > (free_bytes := _free_bytes(pathlib.Path(folder))):
        raise errors.DiskFullError(f"{folder}: {_room(size_bytes, free_bytes)}.", _MAKE_ROOM)


@contextlib.contextmanager
def translate_disk_errors(path: str | os.PathLike[str], size_bytes: int | None = None) -> Iterator[None]:
    """Translates a full or read-only disk's OSError into one with path and next step.

    Raises:
        DiskFullError: If it does not fit.
        UnwritableError: If it must not be written.
    """
    try:
        yield
    except errors.GeodsError:
        raise
    # Whatever it is: TensorFlow and HDF5 have errors of their own for it.
    except Exception as error:
        if found := as_disk_error(path, error, size_bytes):
            raise found from error
        raise


def as_disk_error(
    path: str | os.PathLike[str], error: BaseException, size_bytes: int | None = None, written_bytes: int = 0
) -> errors.GeodsError | None:
    """Returns the error for an OSError of a full or read-only disk.

    It has `errno`, `strerror` and `filename`, as every OSError of the system.

    Args:
        path: What was being written.
        error: What was raised.
        size_bytes: How much it needs; None if not known.
        written_bytes: How much of that is there already and will be taken away.

    Returns:
        A DiskFullError or an UnwritableError; None if the error says something else, or is of a file elsewhere, such as
        one that was read.
    """
    found: errors.DiskFullError | errors.UnwritableError
    root = _root(error)
    number, name = getattr(root, "errno", None), getattr(root, "filename", None)
    if name and not _near(pathlib.Path(path), pathlib.Path(os.fsdecode(name))):
        return None
    if number in _CLOSED:
        said = os.strerror(number)
        found = errors.UnwritableError(
            f"{path}: cannot be written ({said}).", "make it writable, or name another place"
        )
    elif number in _FULL or _FULL_IN_WORDS.search(str(error)):
        number = number if number in _FULL else errno.ENOSPC
        said = f"{os.strerror(number)}; {_room(size_bytes, _free_bytes(pathlib.Path(path)) + written_bytes)}"
        found = errors.DiskFullError(f"{path}: cannot be written ({said}).", _MAKE_ROOM)
    else:
        return None
    found.errno, found.strerror, found.filename = number, said, os.fspath(path)
    return found


def _root(error: BaseException) -> BaseException:
    """Returns the first cause of an error."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _near(path: pathlib.Path, other: pathlib.Path) -> bool:
    """Returns whether a path is in the folder of another, or above it."""
    return path.parent in (other, *other.parents) or other in path.parents


def _free_bytes(path: pathlib.Path) -> int:
    """Returns the free bytes of the disk that holds a path, which need not be there."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def _room(size_bytes: int | None, free_bytes: int) -> str:
    """Returns the bytes that are needed and free, as text."""
    needed = f"{size_bytes:,} bytes are needed" if size_bytes else "more bytes are needed"
    return f"{needed}, {free_bytes:,} are free"
