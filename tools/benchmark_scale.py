"""Measures seconds and memory of every program by number of locations.

    python -m tools.benchmark_scale --sizes=1000,10000 --work_dir=benchmark/scale

Draws trees of tiny images, one a location, and runs on each, every one a process of its own: build, extract, an epoch
of images, a training, an evaluation and what reads it. What counts is the time of one more location: the difference of
two sizes, without the start of Python and TensorFlow, and of the processor, to which other work on the machine does not
count. Prints a table and appends a line of JSON to WORK_DIR/scale.jsonl after each program. About 7 minutes on 2 idle
cores for the default sizes.
"""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence

from geods import errors
from geods.cli import flags, program
from tools.benchmarks import results, stages, trees

# What is measured, by the name that --programs takes.
PROGRAMS = {
    "build": "build",
    "compare": "build where it is there",
    "extract": "extract",
    "epoch": "an epoch of images",
    "train": "train, one epoch on features",
    "evaluate": "evaluate the train split",
    "calibrate": "calibrate on it",
    "render": "its maps",
    "imagery": "evaluate --imagery",
    "report": "build, config report",
}

_EPOCH = """
import sys
from geods.dataset import dataset_reader
from geods.input import pipeline
shape = pipeline.PipelineOptions(32, 32, batch_size=64, views="single", shuffle=True, deterministic=False)
builder = dataset_reader.open_builder(sys.argv[1], "random")
print(sum(len(batch["cell"]) for batch in pipeline.batches(builder, "train", shape)))
"""
_LABEL = """
import sys
import numpy as np
from geods.geo import partition
cells = partition.read(sys.argv[1])
rng = np.random.default_rng(0)
for _ in range(int(sys.argv[2]) // 1_000_000):
    print((cells.label(rng.uniform(30, 48, 1_000_000), rng.uniform(-120, -70, 1_000_000)) >= 0).mean())
"""
_SCORE = """
import sys
import numpy as np
from geods.geo import partition
from trainers.runs import distance_metrics
cells, count = partition.read(sys.argv[1]), int(sys.argv[2])
rng = np.random.default_rng(0)
truth = np.column_stack([rng.uniform(30, 48, count), rng.uniform(-120, -70, count)])
top = rng.integers(len(cells), size=(count, 5))
guesses = distance_metrics.Guesses(truth, cells.label(truth[:, 0], truth[:, 1]), cells.centroids[top[:, 0]], top)
print(distance_metrics.evaluate(guesses, cells)["mean_miles"])
"""


@dataclasses.dataclass(frozen=True)
class Options:
    """Sizes and programs to measure."""

    sizes: tuple[int, ...] = flags.option((1000, 10_000), "Numbers of locations, each larger than the one before.")
    programs: tuple[str, ...] = flags.option(
        (),
        "Programs: build, compare, extract, epoch, train, evaluate, calibrate, render, imagery, report; all if empty.",
    )
    points: int = flags.option(10_000_000, "Points to label with their cells.")
    predictions: int = flags.option(1_000_000, "Predictions to compute the figures of.")
    work_dir: str = flags.option(
        "benchmark/scale", "Folder for trees, datasets, caches, runs and the results.", path="out"
    )

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
            OptionError: If there are no two sizes that grow, or a number is below 1.
        """
        flags.check_at_least(self, 1, ("points", "predictions"))
        if len(self.sizes) < 2 or list(self.sizes) != sorted(set(self.sizes)) or self.sizes[0] < 100:
            problem = f"--sizes={','.join(map(str, self.sizes))}: growth needs two sizes of 100 or more that grow."
            raise errors.OptionError(problem, "give them as --sizes=1000,10000")


def main(settings: Options) -> None:
    """Measures and prints."""
    work = pathlib.Path(settings.work_dir)
    before: dict[str, stages.Measured] = {}
    rows, last = [], 0
    for size in settings.sizes:
        for measured in programs(work, size, settings.programs):
            line = dataclasses.asdict(measured) | {"benchmark": "scale", "locations": size}
            if measured.name in before:
                more_s = measured.processor_s - before[measured.name].processor_s
                line["processor_ms_a_location"] = 1000 * more_s / (size - last)
            rows.append(_record(line, work))
            before[measured.name] = measured
        last = size
    for measured in lookups(work, settings.points, settings.predictions):
        rows.append(_record(dataclasses.asdict(measured) | {"benchmark": "scale", "locations": 0}, work))
    print(results.table(["program", "locations", "s", "processor s", "ms a further location", "peak MB"], rows))
    print(f"wrote {work / 'scale.jsonl'}")


def _record(line: dict[str, object], work: pathlib.Path) -> list[str]:
    """Appends and prints a line of JSON; returns it as a row of the table.

    Appended at once, so that it is kept when the program is stopped.
    """
    results.append(work / "scale.jsonl", [line])
    further = f"{line['processor_ms_a_location']:.2f}" if "processor_ms_a_location" in line else ""
    locations = f"{line['locations']:,}" if line["locations"] else ""
    times = [f"{line['seconds']:,.1f}", f"{line['processor_s']:,.1f}"]
    row = [str(line["name"]), locations, *times, further, f"{line['peak_rss_mb']:,.0f}"]
    print(" | ".join(row), flush=True)
    return row


def programs(work: pathlib.Path, count: int, wanted: Sequence[str] = ()) -> Iterator[stages.Measured]:
    """Runs all steps on `count` locations; yields the cost of each program.

    Args:
        work: Folder for what they make.
        count: How many locations.
        wanted: Names of PROGRAMS that are run, all if empty; each needs what those before it made.

    Raises:
        OptionError: If there is no such program.
        BenchmarkError: If one fails.
    """
    if unknown := sorted(set(wanted) - set(PROGRAMS)):
        raise errors.OptionError(f"--programs: {unknown[0]} is none of them.", f"choose from {', '.join(PROGRAMS)}")
    root = trees.tiny(work / f"tree{count}", count)
    for name, words in _commands(work, root, count).items():
        if name in wanted or not wanted:
            yield stages.run(PROGRAMS[name], words, work / "log.txt")


def _commands(work: pathlib.Path, root: pathlib.Path, count: int) -> dict[str, Sequence[str]]:
    """Returns the words of each of PROGRAMS."""
    data, cache, run, away = (str(work / f"{name}{count}") for name in ("data", "cache", "run", "away"))
    of_data = (f"--data_dir={data}", "--config=random")
    of_run, evaluate = (f"--run_dir={run}",), ("-m", "trainers.evaluate", f"--run_dir={run}")
    build = trees.build_words(str(root), data, "random")
    train = ("-m", "trainers.train", *of_data, f"--cache_dir={cache}", *of_run, "--overwrite", "--head=linear")
    return {
        "build": build,
        # Without --overwrite what is there is compared with its tree.
        "compare": [word for word in build if word != "--overwrite"],
        "extract": ("-m", "trainers.extract", *of_data, *trees.TINY_ENCODER, f"--cache_dir={cache}", "--overwrite"),
        "epoch": ("-c", _EPOCH, data),
        "train": (*train, "--epochs=1"),
        "evaluate": (*evaluate, "--split=train"),
        "calibrate": ("-m", "trainers.calibrate", *of_run),
        "render": ("-m", "tools.render", *of_run, f"--out={away}"),
        "imagery": (*evaluate, f"--imagery={root}", f"--out={away}"),
        "report": trees.build_words(str(root), data, "report"),
    }


def lookups(work: pathlib.Path, points: int, predictions: int) -> Iterator[stages.Measured]:
    """Labels points and scores predictions, each in a process of its own."""
    from geods.tree import companions

    cells, log = str(trees.tiny(work / "tree100", 100) / companions.PARTITION_NAME), work / "log.txt"
    yield stages.run(f"labels of {points:,} points", ("-c", _LABEL, cells, str(points)), log)
    yield stages.run(f"figures of {predictions:,} predictions", ("-c", _SCORE, cells, str(predictions)), log)


if __name__ == "__main__":
    program.run(Options, main)
