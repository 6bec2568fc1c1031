"""Measures tfds build against a plain copy of the same images with their SHA-256.

    python -m tools.benchmark_build --images=tree --work_dir=benchmark

Both with and without decoding every image first, which the builder does so that no bad image gets into a dataset, and
which takes most of its time. The start of Python and TensorFlow does not count. Prints images a second and the share of
the copy, and appends a line of JSON each to WORK_DIR/build.jsonl. Without --images it draws a simulated tree. 30 s on 2
cores, 363 images and 2 rounds.
"""

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

from geods import errors
from geods.cli import flags, program
from tools.benchmarks import harness, results, trees

_BUILDING, _REFERENCES = "tools.benchmarks.contenders_build", "tools.benchmarks.worker"
_SIMULATED_PER_CELL = 5


@dataclasses.dataclass(frozen=True)
class Options:
    """Images and builds to measure."""

    images: str = flags.option("", "Imagery tree; empty to draw a simulated one.", path="in")
    work_dir: str = flags.option("benchmark", "Folder for what is written, and for the results.", path="out")
    rounds: int = flags.option(5, "Clean readings of each.")

    def __post_init__(self) -> None:
        """Checks the number.

        Raises:
            OptionError: If it is below 1.
        """
        flags.check_at_least(self, 1, ("rounds",))


def main(settings: Options) -> None:
    """Measures and prints."""
    work = pathlib.Path(settings.work_dir)
    source = trees.given_or_simulated(settings.images, work, _SIMULATED_PER_CELL)
    images = len(list(source.glob("*/*/*.jpg")))
    size_bytes = sum(path.stat().st_size for path in source.glob("*/*/*.jpg"))
    with contextlib.closing(harness.Worker(harness.Contender("hashing", f"{_REFERENCES}:Hashing", {}))) as reference:
        measured = harness.measure(
            reference, contenders(source, work / "build", images), settings.rounds, checker(size_bytes)
        )
    _report(measured, work)


def checker(size_bytes: int) -> Callable[[harness.Contender, dict[str, Any]], None]:
    """Returns a check for the harness: every contender writes all bytes."""

    def check(contender: harness.Contender, facts: dict[str, Any]) -> None:
        if facts["bytes"] < size_bytes:
            problem = f"{contender.name}: wrote {facts['bytes']:,} bytes of images of {size_bytes:,}."
            raise errors.BenchmarkError(problem, "its figure would be wrong; mend it")

    return check


def contenders(source: pathlib.Path, folder: pathlib.Path, images: int) -> list[harness.Contender]:
    """Returns the copies and the builds, each build after the copy it is compared to."""
    found = []
    for checked in (False, True):
        for name, kind in (("copy with sha256", "Copy"), ("tfds build", "Build")):
            words = f"{name}, images decoded first" if checked else name
            target = folder / f"{kind.lower()}{int(checked)}"
            arguments = {"root": str(source), "target": str(target), "checked": checked}
            found.append(harness.Contender(words, f"{_BUILDING}:{kind}", arguments, images))
    return found


def _report(measured: list[harness.Result], work: pathlib.Path) -> None:
    """Prints the table and writes the lines."""
    rows = [
        [
            result.contender.name,
            results.rate(result),
            results.against(result, measured[number - number % 2]),
            results.shares(result),
            f"{result.peak_rss_mb:,.0f}",
            results.rounds(result),
        ]
        for number, result in enumerate(measured)
    ]
    results.append(work / "build.jsonl", [results.as_json("build", result) for result in measured])
    columns = ["way", "images/s", "of the copy", "per MB/s of sha256", "peak MB", "clean, dropped, steady"]
    print(results.table(columns, rows))
    print(f"{results.legend(measured)}wrote {work / 'build.jsonl'}")


if __name__ == "__main__":
    program.run(Options, main)
