"""The process of one contender.

It reads its arguments as a line of JSON, then a command a line: run, or facts.

    (echo '{"size": 9}'; echo run) | python -m tools.benchmarks.worker tools.benchmarks.worker:MatrixProduct

Started by `harness.Worker`; answers each line on standard input with a line of JSON.

The references, whose bursts take a tenth of a second or two, are here too.
"""

import concurrent.futures
import hashlib
import importlib
import json
import os
import pathlib
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import psutil


def main(target: str) -> None:
    """Builds the contender, then obeys."""
    # What libraries print must not come between the lines of JSON.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    module, _, name = target.partition(":")
    contender = getattr(importlib.import_module(module), name)(**json.loads(sys.stdin.readline()))
    print(json.dumps({}), file=answers, flush=True)
    for line in sys.stdin:
        found = _facts(contender) if line.strip() == "facts" else _run(contender)
        print(json.dumps(found), file=answers, flush=True)
    if hasattr(contender, "close"):
        contender.close()


def _facts(contender: Any) -> dict[str, Any]:  # noqa: ANN401
    """Returns what the contender says of itself, if it says anything."""
    return contender.facts() if hasattr(contender, "facts") else {}


def _run(contender: Any) -> dict[str, float]:  # noqa: ANN401 - whatever is measured
    """Lets the contender work once."""
    cpu_s, started_s = _cpu_s(), time.perf_counter()
    items = contender.run()
    seconds = time.perf_counter() - started_s
    return {"items": items, "seconds": seconds, "cpu_s": _cpu_s() - cpu_s, "peak_rss_mb": _peak_rss_mb()}


def _family() -> list[psutil.Process]:
    """Returns this process and all that it has started and that still run."""
    me = psutil.Process()
    return [me, *me.children(recursive=True)]


def _cpu_s() -> float:
    """Returns processor seconds of this process and its children, ended or running."""
    me, *children = _family()
    times = [process.cpu_times() for process in children]
    # Children that have ended are counted by whom they belonged to.
    ended = me.cpu_times().children_user + me.cpu_times().children_system
    ended += sum(one.user + one.system + one.children_user + one.children_system for one in times)
    # To the microsecond, where cpu_times has ticks of 10 ms.
    return time.process_time() + ended


def _peak_rss_mb() -> float:
    """Returns the most memory that this process and its children have held, MB."""
    return sum(_peak_of(process) for process in _family()) / 2**20


def _peak_of(process: psutil.Process) -> int:
    """Returns the most memory that a process has held, bytes.

    Where the system does not record it, this is the current amount.
    """
    try:
        with open(f"/proc/{process.pid}/status", encoding="ascii", errors="replace") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return int(process.memory_info().rss)


if __name__ == "__main__":
    main(*sys.argv[1:])


_RING = 256


class Decoding:
    """libjpeg-turbo (simplejpeg) in one thread a core, from memory into a ring.

    The images of the ring are used again.

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
    """Products of square float32 or bfloat16 matrices in TensorFlow.

    An item is 10^9 floating-point operations.

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
