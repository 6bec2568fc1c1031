"""Memory that is free but still counts as the process's own, given back to the system.

glibc puts arrays of up to 32 MB into its heap once larger ones were freed, and gives back only the end of the heap
(mallopt(3), M_MMAP_THRESHOLD): after a million locations were read and sorted, 48 of 86 MB were held for nothing.
"""

import contextlib
import ctypes

# Below so many rows there is nothing to gain: it takes 10 ms.
_FEW = 100_000


def give_back(rows: int) -> None:
    """Gives free memory back after work on so many rows; only glibc needs it, elsewhere nothing is done."""
    if rows >= _FEW:
        with contextlib.suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)
