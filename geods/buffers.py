"""Memory for batches that is used again once nobody looks at it, so that the kernel need not clear new pages each time.

    pool = buffers.BufferPool()
    batch = pool.take((64, 300, 600, 3))
    del batch           # its memory goes back as soon as the last array or tensor on it is gone

A new batch of 64 images of 300x600 is 35 MB of pages to fault in and clear: as long as decoding a quarter of it.
"""

import collections
import ctypes
import math
import mmap
import threading
import weakref

import numpy as np

_KEPT = 8


class BufferPool:
    """Hands out uint8 arrays and takes their memory back; safe to use from many threads."""

    def __init__(self) -> None:
        """Begins with nothing."""
        self._free: dict[int, collections.deque[mmap.mmap]] = collections.defaultdict(
            lambda: collections.deque(maxlen=_KEPT)
        )
        self._lock = threading.Lock()

    def take(self, shape: tuple[int, ...]) -> np.ndarray:
        """Returns an array whose values are what was there before.

        Args:
            shape: Of the array, with at least one element.

        Returns:
            uint8 of that shape, aligned to pages. Its memory is free again when no array shares it any more.
        """
        size = math.prod(shape)
        with self._lock:
            free = self._free[size]
            memory = free.pop() if free else None
        if memory is None:
            memory = mmap.mmap(-1, size)
            if hasattr(mmap, "MADV_HUGEPAGE"):
                memory.madvise(mmap.MADV_HUGEPAGE)
        # All views of an array keep this alive, and unlike arrays, none of them replaces it by what it lies on.
        lease = (ctypes.c_uint8 * size).from_buffer(memory)
        weakref.finalize(lease, self._give_back, size, memory).atexit = False
        return np.frombuffer(memoryview(lease), dtype=np.uint8).reshape(shape)

    def _give_back(self, size: int, memory: mmap.mmap) -> None:
        """Keeps memory for the next."""
        # Not under the lock: a garbage collection may come here while the same thread holds it. Appending is atomic.
        self._free[size].append(memory)
