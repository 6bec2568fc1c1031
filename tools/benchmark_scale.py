"""Measures what grows with the number of locations: seconds and memory of every program of the road.

    python -m tools.benchmark_scale --sizes=1000,10000 --work_dir=benchmark/scale

Draws trees of tiny images, one a location, and runs build, extract, an epoch of images, a training and an evaluation on
each, every one a process of its own. What counts is the time of one more location: the difference of two sizes, without
the start of Python and TensorFlow. Prints a table and appends a line of JSON each to WORK_DIR/scale.jsonl. About 4
minutes on 2 cores for the default sizes.
"""

import dataclasses
import pathlib

from geods import cli, errors
from trainers import options
from trainers.benchmarks import results, stages


@dataclasses.dataclass(frozen=True)
class Options:
    """How many of what."""

    sizes: tuple[int, ...] = cli.option((1000, 10_000), "Numbers of locations, each larger than the one before.")
    points: int = cli.option(10_000_000, "Points to look up the cell of.")
    predictions: int = cli.option(1_000_000, "Predictions to take the figures of.")
    work_dir: str = cli.option("benchmark/scale", "Folder for trees, datasets, caches, runs and the results.")

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
            OptionError: If there are no two sizes that grow, or a number is below 1.
        """
        options.require_at_least(self, 1, ("points", "predictions"))
        if len(self.sizes) < 2 or list(self.sizes) != sorted(set(self.sizes)) or self.sizes[0] < 100:
            problem = f"--sizes={','.join(map(str, self.sizes))}: growth needs two sizes of 100 or more that grow."
            raise errors.OptionError(problem, "give them as --sizes=1000,10000")


def main(settings: Options) -> None:
    """Measures and prints."""
    from trainers.benchmarks import scale

    work = pathlib.Path(settings.work_dir)
    before: dict[str, stages.Measured] = {}
    rows, lines, last = [], [], 0
    for size in settings.sizes:
        for measured in scale.programs(work, size):
            print(f"{size:,} locations: {measured.name}, {measured.seconds:,.1f} s", flush=True)
            line = dataclasses.asdict(measured) | {"benchmark": "scale", "locations": size}
            if measured.name in before:
                line["ms_a_location"] = 1000 * (measured.seconds - before[measured.name].seconds) / (size - last)
            rows.append(_row(line))
            lines.append(line)
            before[measured.name] = measured
        last = size
    for measured in scale.lookups(work, settings.points, settings.predictions):
        lines.append(dataclasses.asdict(measured) | {"benchmark": "scale", "locations": 0})
        rows.append(_row(lines[-1]))
    results.append(work / "scale.jsonl", lines)
    print(results.table(["program", "locations", "s", "ms a further location", "peak MB"], rows))
    print(f"wrote {work / 'scale.jsonl'}")


def _row(line: dict[str, object]) -> list[str]:
    """Returns a row of the table."""
    further = f"{line['ms_a_location']:.2f}" if "ms_a_location" in line else ""
    locations = f"{line['locations']:,}" if line["locations"] else ""
    return [str(line["name"]), locations, f"{line['seconds']:,.1f}", further, f"{line['peak_rss_mb']:,.0f}"]


if __name__ == "__main__":
    cli.run(Options, main)
