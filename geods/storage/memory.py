"""Checks of memory before work starts, and the release of free memory.

A check ends the program with a figure and a flag to change; without it the system would kill the process later.

glibc puts arrays of up to 32 MB into its heap once larger ones were freed, and gives back only the end of the heap
(mallopt(3), M_MMAP_THRESHOLD): after a million locations were read and sorted, 48 of 86 MB were free but not returned.
"""

import contextlib
import ctypes
import mmap
import pathlib

from geods import errors


def available_bytes() -> int | None:
    """Returns the available memory by Linux and its control group; None elsewhere."""
    try:
        lines = pathlib.Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return None
    group = pathlib.Path("/sys/fs/cgroup")
    try:
        limit = int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
    except (OSError, ValueError):
        limit = available
    return min(available, limit)


def check_memory(what: str, size_bytes: float, step: str) -> None:
    """Raises MemoryShortError if the estimate exceeds the available memory.

    Args:
        what: What needs the memory, such as "--batch_size=64: batches of images".
        size_bytes: How much it needs, estimated.
        step: What to change.

    Raises:
        MemoryShortError: If less is available.
    """
    available = available_bytes()
    if available is not None and size_bytes > available:
        problem = f"{what} would take {size_bytes / 1e9:,.1f} GB of memory, {available / 1e9:,.1f} are available."
        raise errors.MemoryShortError(problem, step)


def release_file_pages(path: pathlib.Path) -> None:
    """Drops the pages of a file that a library has mapped and will hardly read again.

    What is read all the same comes from the file again. Only Linux knows them; elsewhere nothing is done.
    """
    with contextlib.suppress(AttributeError, OSError):
        maps = pathlib.Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        for line in (line for line in maps if line.endswith(f" {path.resolve()}")):
            start, end = (int(part, 16) for part in line.split(maxsplit=1)[0].split("-"))
            ctypes.CDLL(None).madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), mmap.MADV_DONTNEED)


# Below so many rows there is nothing to gain: it takes 10 ms.
_FEW = 100_000


def release_free_memory(rows: int) -> None:
    """Returns free memory to the system after work on many rows.

    Only glibc needs it; elsewhere nothing is done.
    """
    if rows >= _FEW:
        with contextlib.suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)
