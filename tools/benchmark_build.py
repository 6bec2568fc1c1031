"""Measures tfds build against a plain copy of the same images with their SHA-256.

    python -m tools.benchmark_build --images=tree --work_dir=benchmark

Both with and without decoding every image first, which the builder does so that no bad image gets into a dataset, and
which takes most of its time. The start of Python and TensorFlow does not count. Prints images a second and the share of
the copy, and appends a line of JSON each to WORK_DIR/build.jsonl. Without --images it draws a simulated tree. 30 s on 2
cores, 363 images and 2 rounds.
"""

import pathlib
from collections.abc import Callable
from typing import Any

from geods import errors
from geods.cli import program
from tools.benchmarks import harness, results, trees

_BUILDING = "tools.benchmarks.contenders_build"


def main(settings: trees.ImageOptions) -> None:
    """Measures and prints."""
    work = pathlib.Path(settings.work_dir)
    source = settings.tree()
    images = len(list(source.glob("*/*/*.jpg")))
    size_bytes = sum(path.stat().st_size for path in source.glob("*/*/*.jpg"))
    hashing = harness.Contender("hashing", "tools.benchmarks.worker:Hashing", {})
    chosen = contenders(source, work / "build", images)
    measured = harness.measure(hashing, chosen, settings.rounds, checker(size_bytes))

    def describe(result: harness.Result) -> tuple[list[str], dict[str, Any]]:
        number = measured.index(result)
        copy = measured[number - number % 2]
        return [results.rate(result), results.against(result, copy), results.shares(result)], {}

    results.report("build", work, measured, ["way", "images/s", "of the copy", "per MB/s of sha256"], describe)


def checker(size_bytes: int) -> Callable[[harness.Contender, dict[str, Any]], None]:
    """Returns a check for the harness: every contender writes all bytes."""

    def check(contender: harness.Contender, facts: dict[str, Any]) -> None:
        if facts["bytes"] < size_bytes:
            problem = f"{contender.name}: wrote {facts['bytes']:,} bytes of images of {size_bytes:,}."
            raise errors.BenchmarkError(problem, "its figure would be wrong; fix it")

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


if __name__ == "__main__":
    program.run(trees.ImageOptions, main)
