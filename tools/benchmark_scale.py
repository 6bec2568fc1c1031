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

from geods import errors
from geods.cli import flags, program
from tools.benchmarks import results, stages


@dataclasses.dataclass(frozen=True)
class Options:
    """Sizes and programs to measure."""

    sizes: tuple[int, ...] = flags.option((1000, 10_000), "Numbers of locations, each larger than the one before.")
    programs: tuple[str, ...] = flags.option(
        (),
        "Of build, compare, extract, epoch, train, evaluate, calibrate, render, imagery, report, beam; all if empty.",
    )
    points: int = flags.option(10_000_000, "Points to look up the cell of.")
    predictions: int = flags.option(1_000_000, "Predictions to take the figures of.")
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
    from tools.benchmarks import scale

    work = pathlib.Path(settings.work_dir)
    before: dict[str, stages.Measured] = {}
    rows, last = [], 0
    for size in settings.sizes:
        for measured in scale.programs(work, size, settings.programs):
            line = dataclasses.asdict(measured) | {"benchmark": "scale", "locations": size}
            if measured.name in before:
                more_s = measured.processor_s - before[measured.name].processor_s
                line["processor_ms_a_location"] = 1000 * more_s / (size - last)
            rows.append(_record(line, work))
            before[measured.name] = measured
        last = size
    for measured in scale.lookups(work, settings.points, settings.predictions):
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


if __name__ == "__main__":
    program.run(Options, main)
