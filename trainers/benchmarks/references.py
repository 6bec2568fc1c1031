"""References: what the machine can do at this moment, in bursts of a tenth of a second or two."""

import concurrent.futures
import hashlib
import os
import pathlib
from collections.abc import Sequence

import numpy as np

_RING = 256


class Decoding:
    """libjpeg-turbo (simplejpeg) in one thread a core, from memory into a ring of images that is used again.

    Args:
        paths: JPEGs of one size.
        images: How many a burst decodes.
    """

    def __init__(self, paths: Sequence[str], images: int) -> None:
        import simplejpeg

        self._decode = simplejpeg.decode_jpeg
        self._contents = [pathlib.Path(path).read_bytes() for path in paths[:images]]
        self._images = images
        height_px, width_px = simplejpeg.decode_jpeg_header(self._contents[0])[:2]
        self._ring = np.zeros((_RING, height_px, width_px, 3), dtype=np.uint8)
        self._threads = os.cpu_count() or 1
        self._pool = concurrent.futures.ThreadPoolExecutor(self._threads)

    def run(self) -> int:
        """Decodes the images once."""
        list(self._pool.map(self._share, range(self._threads)))
        return self._images

    def _share(self, thread: int) -> None:
        """Decodes one thread's part."""
        for number in range(thread, self._images, self._threads):
            self._decode(self._contents[number % len(self._contents)], buffer=self._ring[number % _RING])


class MatrixProduct:
    """Products of square float32 or bfloat16 matrices in TensorFlow; an item is 10^9 floating-point operations.

    Args:
        size: Rows of the matrices.
        products: How many a burst multiplies.
        dtype: "float32" or "bfloat16".
    """

    def __init__(self, size: int = 2048, products: int = 4, dtype: str = "float32") -> None:
        import tensorflow as tf

        # Values that keep their size however often they are multiplied.
        matrix = tf.cast(tf.random.stateless_normal((size, size), (0, 0)) / size**0.5, dtype)

        def chain() -> tf.Tensor:
            found = matrix
            for _ in range(products):
                found = tf.linalg.matmul(found, matrix)
            return found

        self._chain = tf.function(chain, autograph=False)
        self._gflop = round(2 * size**3 * products / 1e9)

    def run(self) -> int:
        """Multiplies."""
        self._chain().numpy()
        return self._gflop


class Hashing:
    """SHA-256 of bytes in memory in one thread; an item is 10^6 bytes.

    Args:
        megabytes: How many a burst hashes.
    """

    def __init__(self, megabytes: int = 128) -> None:
        self._content, self._megabytes = bytes(1_000_000), megabytes

    def run(self) -> int:
        """Hashes."""
        for _ in range(self._megabytes):
            hashlib.sha256(self._content).digest()
        return self._megabytes
