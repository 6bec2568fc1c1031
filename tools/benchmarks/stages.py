"""Programs run one after another, each with its seconds and its most memory."""

import dataclasses
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Sequence

from geods import errors

_SAID_LINES = 4
# What every stage that uses TensorFlow holds before it has done anything.
TENSORFLOW = ("-c", "import keras, tensorflow, tensorflow_datasets")


@dataclasses.dataclass(frozen=True)
class Measured:
    """One program that has run.

    Attributes:
        name: What the table calls it.
        seconds: From its start to its end.
        peak_rss_mb: Most memory that it held.
        processor_s: Of all its threads; on a busy machine this is what it costs.
    """

    name: str
    seconds: float
    peak_rss_mb: float
    processor_s: float


def run(
    name: str,
    words: Sequence[str],
    log: pathlib.Path,
    python: str = "",
    folder: pathlib.Path | None = None,
) -> Measured:
    """Runs `python` with some words and measures it.

    Args:
        name: For the table.
        words: What follows the Python interpreter.
        log: File for its output.
        python: The interpreter, of another environment perhaps; this one if not given.
        folder: Where it runs, another checkout perhaps; here if not given.

    Raises:
        BenchmarkError: If it fails; its last lines are in the message.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "wb") as output:
        started_s = time.perf_counter()
        process = subprocess.Popen(
            [python or sys.executable, *words], stdout=output, stderr=subprocess.STDOUT, cwd=folder
        )
        # Not process.wait(), which forgets the memory.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started_s
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        said = " | ".join(log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-_SAID_LINES:])
        problem = f"{name}: ended with code {process.returncode}: {said}"
        raise errors.BenchmarkError(problem, f"run it alone: python {' '.join(words)}")
    return Measured(name, seconds, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime)
