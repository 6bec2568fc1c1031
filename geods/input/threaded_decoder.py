"""JPEGs decoded in threads, straight into their batch.

    decoder = threaded_decoder.ThreadedDecoder(300, 600)
    waiting = decoder.submit(contents)      # bytes; returns at once
    waiting.result()                        # uint8 [n, 300, 600, 3]

libjpeg-turbo (simplejpeg) gives the pixels of Pillow to the last bit. TensorFlow, which does too, decodes what it
refuses, and everything where it is not installed.

Memory for batches that is used again once nobody looks at it, so that the kernel need not clear new pages each time.

    pool = threaded_decoder.BufferPool()
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
import pathlib
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, TypeVar

import numpy as np

from geods import errors
from geods.input import jpeg_scale
from geods.tree import orientation

_AHEAD = 2
Row = TypeVar("Row")
Submitted = TypeVar("Submitted")
Library = Literal["auto", "tensorflow", "simplejpeg"]
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


def submitted_ahead(rows: Iterable[Row], submit: Callable[[Row], Submitted]) -> Iterator[tuple[Row, Submitted]]:
    """Yields rows with their results of `submit`, two rows behind it."""
    waiting: collections.deque[tuple[Row, Submitted]] = collections.deque()
    for row in rows:
        waiting.append((row, submit(row)))
        if len(waiting) > _AHEAD:
            yield waiting.popleft()
    while waiting:
        yield waiting.popleft()


def is_installed() -> bool:
    """Returns whether simplejpeg is there."""
    return importlib.util.find_spec("simplejpeg") is not None


def read_file(path: bytes) -> bytes:
    """Returns the content of a file, for the `read` of a decoder of paths."""
    return pathlib.Path(os.fsdecode(path)).read_bytes()


class ThreadedDecoder:
    """Decodes batches in threads.

    Args:
        height_px: Height of the results.
        width_px: Width of the results.
        library: simplejpeg, tensorflow, or auto for the first where it is installed.
        exact_pixels: Whether photographs of at least four times the size are decoded whole (geods/input/jpeg_scale.py).
        read: Returns the JPEG of what is given, such as a path; without it JPEGs are given.
        threads: How many; one more than there are cores by default.

    Raises:
        OptionError: If simplejpeg is asked for and not installed.
    """

    def __init__(
        self,
        height_px: int,
        width_px: int,
        library: Library = "auto",
        exact_pixels: bool = False,
        read: Callable[[bytes], bytes] | None = None,
        threads: int | None = None,
    ) -> None:
        if library == "simplejpeg" and not is_installed():
            problem = "decoding by simplejpeg: it is not installed."
            raise errors.OptionError(problem, 'pip install "geods[fast]", or --decode=tensorflow')
        # Not imported for each image, which took 1 of the 15 microseconds that Python takes for one.
        is_wanted = library != "tensorflow" and is_installed()
        self._simplejpeg: Any = importlib.import_module("simplejpeg") if is_wanted else None
        self._shape, self._exact_pixels, self._read = (height_px, width_px, 3), exact_pixels, read
        # One more than cores: who reads the next batch holds Python's lock, and a thread that has ended an image waits
        # for it with its core idle. 0.88 of the machine's limit became 0.92.
        self._threads = threads or (os.cpu_count() or 1) + 1
        self._pool = concurrent.futures.ThreadPoolExecutor(self._threads, "jpeg")
        self._buffers = BufferPool()

    def submit(self, contents: Sequence[bytes]) -> Waiting:
        """Starts to decode.

        Args:
            contents: Whole JPEGs, at least one; b"" gives black.
        """
        pixels = self._buffers.take((len(contents), *self._shape))
        # Each thread takes what comes next, so all end together, with one task for each and not one for some images.
        left = collections.deque(zip(contents, pixels, strict=True))
        if self._threads == 1:
            # In the caller's, so that a process of one thread keeps to one core.
            self._decode_next(left)
            return Waiting(pixels, ())
        tasks = [self._pool.submit(self._decode_next, left) for _ in range(min(self._threads, len(contents)))]
        return Waiting(pixels, tasks)

    def decode(self, contents: np.ndarray) -> np.ndarray:
        """Decodes bytes `[...]` to uint8 `[..., h, w, 3]`, for tf.numpy_function.

        TensorFlow takes the array as its tensor without a copy, as its memory starts at a page.
        """
        return self.submit(contents.ravel().tolist()).result().reshape(*contents.shape, *self._shape)

    def ahead(self, rows: Iterable[dict[str, np.ndarray]]) -> Iterator[dict[str, np.ndarray]]:
        """Yields rows with their `image` decoded, while the threads are at the next two."""
        for row, pixels in submitted_ahead(rows, lambda row: self.submit(row["image"].ravel().tolist())):
            yield {**row, "image": pixels.result().reshape(*row["image"].shape, *self._shape)}

    def decode_one(self, content: bytes) -> np.ndarray:
        """Decodes one JPEG to uint8 `[h, w, 3]`."""
        return self.submit([content]).result()[0]

    def undefined(self, shape: Sequence[int]) -> np.ndarray:
        """Returns memory of a batch that is not decoded, with arbitrary values."""
        return self._buffers.take(tuple(shape))

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown(cancel_futures=True)

    def _decode_next(self, left: collections.deque[tuple[bytes, np.ndarray]]) -> None:
        """Decodes images into their places until none is left."""
        while True:
            try:
                content, place = left.popleft()
            except IndexError:
                return
            if content:
                self._decode_into(content if self._read is None else self._read(content), place)
            else:
                place[:] = 0

    def _decode_into(self, content: bytes, place: np.ndarray) -> None:
        """Decodes one image."""
        turn = orientation.orientation_of(content)
        if self._simplejpeg is None or not self._by_simplejpeg(content, turn, place):
            place[:] = self._fitted(self._by_tensorflow(content, turn), turn)

    def _by_simplejpeg(self, content: bytes, turn: int, place: np.ndarray) -> bool:
        """Decodes an image into its place; returns whether it could."""
        simplejpeg = self._simplejpeg
        try:
            height_px, width_px, colours, _ = simplejpeg.decode_jpeg_header(content)
            if colours not in _COLOURS:
                return False
            if (height_px, width_px, 3) == self._shape and turn == orientation.UPRIGHT:
                simplejpeg.decode_jpeg(content, buffer=place)
                return True
            scale = self._scale(height_px, width_px, turn)
            # It takes the smallest size that is not below these.
            least = (-(-height_px // scale), -(-width_px // scale)) if scale > 1 else (height_px, width_px)
            # Memory that is used again, of few sizes: new pages cost a tenth of the time of a large photograph.
            memory = self._buffers.take((1 << (3 * math.prod(least)).bit_length(),))
            size = {"min_height": least[0], "min_width": least[1]} if scale > 1 else {}
            pixels = simplejpeg.decode_jpeg(content, buffer=memory, **size)
        # It refuses what libjpeg merely warns of; TensorFlow has the last word.
        except ValueError:
            return False
        place[:] = self._fitted(_Decoded(pixels, height_px, width_px, scale), turn)
        return True

    def _by_tensorflow(self, content: bytes, turn: int) -> "_Decoded":
        import tensorflow as tf

        from geods.input import tf_decoder

        height_px, width_px, _ = tf.io.extract_jpeg_shape(content).numpy().tolist()
        scale = self._scale(height_px, width_px, turn)
        # Not .numpy(), which copies: 0.1 ms of 0.8 for an image of 300x600.
        pixels = np.asarray(memoryview(tf_decoder.decode_stored(content, scale)))
        return _Decoded(pixels, height_px, width_px, scale)

    def _scale(self, height_px: int, width_px: int, turn: int) -> int:
        """Returns by how much decoding makes an image of a stored size smaller."""
        return 1 if self._exact_pixels else jpeg_scale.denominator(height_px, width_px, *self._stored_size(turn))

    def _stored_size(self, turn: int) -> tuple[int, int]:
        """Returns height and width of the result before it is turned."""
        height_px, width_px, _ = self._shape
        return (width_px, height_px) if turn in orientation.TRANSPOSED else (height_px, width_px)

    def _fitted(self, found: "_Decoded", turn: int) -> np.ndarray:
        """Returns a decoded image turned and resized."""
        from geods.input import tf_decoder

        if found.scale > 1:
            extent = (found.height_px / found.scale, found.width_px / found.scale)
            resized = tf_decoder.resize(as_tensor(found.pixels), *self._stored_size(turn), *extent)
            return orientation.turned(resized.numpy(), turn)
        pixels = orientation.turned(found.pixels, turn)
        if pixels.shape == self._shape:
            return pixels
        return tf_decoder.resize(as_tensor(pixels), *self._shape[:2], *pixels.shape[:2]).numpy()


def as_tensor(pixels: np.ndarray) -> Any:  # noqa: ANN401 - TensorFlow, which is imported late, or not at all
    """Returns uint8 pixels as a tensor, on the same memory where it starts at a page.

    A copy of each batch took a quarter of the images a second.
    """
    import tensorflow as tf

    if pixels.flags.c_contiguous and pixels.flags.writeable and pixels.ctypes.data % mmap.PAGESIZE == 0:
        return tf.experimental.dlpack.from_dlpack(pixels.__dlpack__())
    return tf.constant(pixels)


@dataclasses.dataclass(frozen=True, eq=False)
class _Decoded:
    """Pixels as stored, made smaller by `scale`; the size of the whole image."""

    pixels: np.ndarray
    height_px: int
    width_px: int
    scale: int


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
