"""Measures cost by number of cells: partition, labels, evaluation, maps.

    python -m tools.benchmark_cells --work_dir=benchmark/cells

For the demo's 245 cells of 2 degrees and for 10,312 cells of equal area all over the world it makes the partition,
labels points, evaluates drawn predictions in batches as trainers.evaluate does, and draws their maps, each in a process
of its own. Prints seconds, memory and the size of the page, and appends them to WORK_DIR/cells.jsonl.
"""

import dataclasses
import pathlib

from geods.cli import flags, program
from tools.benchmarks import results, stages

PARTITIONS = {
    "demo": ("--boundary=demo",),
    "world": ("--boundary=world", "--cells=equal_area", "--cell_deg=2"),
}

_LABEL = """
import sys
import numpy as np
from geods.geo import geometry, partition
cells = partition.read(sys.argv[1])
points = geometry.sample_box(*cells.bounds, int(sys.argv[2]), np.random.default_rng(0))
print((cells.label(*points.T) >= 0).mean())
"""
_EVALUATE = """
import pathlib, shutil, sys
import numpy as np
from geods.geo import geometry, partition
from trainers.runs import distance_metrics, prediction_writer, run_folder
run, count = pathlib.Path(sys.argv[1]), int(sys.argv[2])
cells, rng = partition.read(run / run_folder.PARTITION), np.random.default_rng(0)
truth = geometry.sample_box(*cells.bounds, count, rng)
labels = cells.label(*truth.T)
points, top = np.empty((count, 2)), np.empty((count, 5), np.int32)
with prediction_writer.writing(run, count, len(cells)) as writer:
    for rows in np.array_split(np.arange(count), -(-count // 32)):
        seen = geometry.destination(truth[rows], rng.uniform(0, 360, len(rows)), rng.exponential(300, len(rows)))
        probabilities = np.exp(-geometry.pairwise_km(seen, cells.centroids) / 300)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        top[rows] = distance_metrics.top_cells(probabilities)
        points[rows] = cells.centroids[top[rows, 0]]
        guesses = distance_metrics.Guesses(truth[rows], labels[rows], points[rows], top[rows])
        writer.add([f"{lat},{lon}" for lat, lon in truth[rows].tolist()], guesses, probabilities)
    writer.metrics = distance_metrics.evaluate(distance_metrics.Guesses(truth, labels, points, top), cells)
"""


@dataclasses.dataclass(frozen=True)
class Options:
    """Sizes to measure."""

    points: int = flags.option(1_000_000, "Points to label.")
    predictions: int = flags.option(2_000, "Predictions to evaluate and draw.")
    work_dir: str = flags.option("benchmark/cells", "Folder for partitions, runs and the results.", path="out")

    def __post_init__(self) -> None:
        """Checks the numbers."""
        flags.check_at_least(self, 5, ("points", "predictions"))


def main(settings: Options) -> None:
    """Measures and prints."""
    work = pathlib.Path(settings.work_dir)
    rows = []
    for name, words in PARTITIONS.items():
        run, log = work / name, work / "log.txt"
        run.mkdir(parents=True, exist_ok=True)
        cells, page = str(run / "partition.geojson"), run / "map.html"
        steps = {
            "make_partition": ("-m", "tools.make_partition", *words, f"--out={cells}"),
            f"labels of {settings.points:,} points": ("-c", _LABEL, cells, str(settings.points)),
            f"evaluation of {settings.predictions:,}": ("-c", _EVALUATE, str(run), str(settings.predictions)),
            "maps": ("-m", "tools.render", f"--run_dir={run}"),
        }
        for step, command in steps.items():
            measured = stages.run(step, command, log)
            page_mb = round(page.stat().st_size / 1e6, 2) if step == "maps" else None
            results.append(work / "cells.jsonl", [dataclasses.asdict(measured) | {"cells": name, "page_mb": page_mb}])
            figures = [f"{measured.seconds:,.1f}", f"{measured.processor_s:,.1f}", f"{measured.peak_rss_mb:,.0f}"]
            rows.append([name, step, *figures, f"{page_mb:g}" if page_mb else ""])
            print(" | ".join(rows[-1]), flush=True)
    print(results.table(["cells", "step", "s", "processor s", "peak MB", "page MB"], rows))


if __name__ == "__main__":
    program.run(Options, main)
