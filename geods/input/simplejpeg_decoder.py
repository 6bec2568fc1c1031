"""JPEGs decoded by libjpeg-turbo (simplejpeg) in threads, into their batch.

    decoder = jpeg_threads.ThreadedDecoder(300, 600, otherwise=slow)
    waiting = decoder.submit(contents)      # bytes; returns at once
    waiting.result()                        # uint8 [n, 300, 600, 3]

The pixels are Pillow's to the last bit; what EXIF says is turned is left to `otherwise`. tf.data copies each image into
its batch, and never uses its memory again.

Memory for batches that is used again once nobody looks at it, so that the kernel need not clear new pages each time.

    pool = buffers.BufferPool()
    batch = pool.take((64, 300, 600, 3))
    del batch           # its memory goes back as soon as the last array or tensor on it is gone

A new batch of 64 images of 300x600 is 35 MB of pages to fault in and clear: as long as decoding a quarter of it.
"""

import collections
import concurrent.futures
import ctypes
import dataclasses
import importlib.util
import math
import mmap
import os
import threading
import weakref
from collections.abc import Callable, Sequence

import numpy as np

from geods import errors
from geods.tree import orientation

# Of CMYK it makes RGB in a way of its own, a level off Pillow's and TensorFlow's.
_COLOURS = ("YCbCr", "Gray")


@dataclasses.dataclass(frozen=True, eq=False)
class Waiting:
    """A batch that is being decoded."""

    pixels: np.ndarray
    tasks: Sequence["concurrent.futures.Future[None]"]

    def result(self) -> np.ndarray:
        """Waits and returns uint8 `[n, h, w, 3]`; raises the decoder's errors."""
        for task in self.tasks:
            task.result()
        return self.pixels


def is_installed() -> bool:
    """Returns whether simplejpeg is there."""
    return importlib.util.find_spec("simplejpeg") is not None


class ThreadedDecoder:
    """Decodes batches in threads.

    Args:
        height_px: Height of the results.
        width_px: Width of the results.
        otherwise: Decodes what is no JPEG of this very size to uint8 `[height_px, width_px, 3]`.
        threads: How many; one more than there are cores by default.

    Raises:
        OptionError: If simplejpeg is not installed.
    """

    def __init__(
        self, height_px: int, width_px: int, otherwise: Callable[[bytes], np.ndarray], threads: int | None = None
    ) -> None:
        if not is_installed():
            problem = "decoding by simplejpeg: it is not installed."
            raise errors.OptionError(problem, 'pip install "geods[fast]", or --decode=tensorflow')
        self._shape, self._otherwise = (height_px, width_px, 3), otherwise
        # One more than cores: who reads the next batch holds Python's lock, and a thread that has ended an image waits
        # for it with its core idle. 0.88 of the machine's limit became 0.92.
        self._threads = threads or (os.cpu_count() or 1) + 1
        self._pool = concurrent.futures.ThreadPoolExecutor(self._threads, "jpeg")
        self._buffers = BufferPool()

    def submit(self, contents: Sequence[bytes]) -> Waiting:
        """Begins to decode.

        Args:
            contents: Whole JPEGs, at least one.
        """
        pixels = self._buffers.take((len(contents), *self._shape))
        # Each thread takes what comes next, so all end together, with one task for each and not one for some images.
        left = collections.deque(zip(contents, pixels, strict=True))
        tasks = [self._pool.submit(self._decode, left) for _ in range(min(self._threads, len(contents)))]
        return Waiting(pixels, tasks)

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown(cancel_futures=True)

    def _decode(self, left: collections.deque[tuple[bytes, np.ndarray]]) -> None:
        """Decodes images into their places until none is left."""
        while True:
            try:
                content, place = left.popleft()
            except IndexError:
                return
            if not self._is_decoded(content, place):
                place[:] = self._otherwise(content)

    def _is_decoded(self, content: bytes, place: np.ndarray) -> bool:
        """Decodes an image, or returns that it must be done otherwise."""
        import simplejpeg

        try:
            height_px, width_px, colours, _ = simplejpeg.decode_jpeg_header(content)
            fits = (height_px, width_px, 3) == self._shape and colours in _COLOURS
            fits = fits and orientation.orientation_of(content) == orientation.UPRIGHT
            if fits:
                simplejpeg.decode_jpeg(content, buffer=place)
        # It refuses what libjpeg merely warns of; the other decoder has the last word.
        except ValueError:
            return False
        return fits


_KEPT = 8


class BufferPool:
    """Pool of uint8 arrays whose memory is used again; safe for many threads."""

    def __init__(self) -> None:
        """Begins with nothing."""
        self._free: dict[int, collections.deque[mmap.mmap]] = collections.defaultdict(
            lambda: collections.deque(maxlen=_KEPT)
        )
        self._lock = threading.Lock()

    def take(self, shape: tuple[int, ...]) -> np.ndarray:
        """Returns an array with arbitrary values.

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
