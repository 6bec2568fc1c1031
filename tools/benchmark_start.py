"""Measures the start of programs, each with a small job.

    python -m tools.benchmark_start --run_dir=runs/best --tree=tree --photos=photographs --rounds=5

Each is a process of its own, and each is given real work: a run of recipe best with its dataset and cache, a small tree
that holds its partition, and photographs with a position. Prints the seconds of the clock and of the processor and the
most memory of each, the median and the spread of all rounds, and appends them to WORK_DIR/start.jsonl.
"""

import dataclasses
import pathlib
import shutil

from geods import errors
from geods.cli import flags, program


@dataclasses.dataclass(frozen=True)
class Options:
    """Run, tree and photographs for the jobs."""

    run_dir: str = flags.option("", "Run folder of recipe best.", path="in")
    tree: str = flags.option("", "Small imagery tree that holds its partition.geojson.", path="in")
    photos: str = flags.option("", "Folder of photographs with a position in their EXIF.", path="in")
    work_dir: str = flags.option("benchmark", "Folder for what is made, and for the results.", path="out")
    rounds: int = flags.option(5, "Readings of each program.")

    def __post_init__(self) -> None:
        """Checks that run, tree and photographs are given, and the number of rounds.

        Raises:
            OptionError: If one is missing, or there is no round.
        """
        flags.check_at_least(self, 1, ("rounds",))
        flags.check_given(self, run_dir="give --run_dir=RUN", tree="give --tree=TREE", photos="give --photos=FOLDER")


def main(options: Options) -> None:
    """Measures and prints."""
    from tools.benchmarks import results, stages

    work = pathlib.Path(options.work_dir).resolve() / "start"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(options.run_dir, work / "run")
    done: dict[str, list[stages.Measured]] = {}
    for number in range(options.rounds):
        for name, words in _jobs(options, work, number).items():
            done.setdefault(name, []).append(stages.run(name, ["-m", name, *words], work / f"{name}.log"))
    rows = [
        [
            name,
            results.spread([one.seconds for one in readings], 1),
            results.spread([one.processor_s for one in readings], 1),
            f"{max(one.peak_rss_mb for one in readings):,.0f}",
        ]
        for name, readings in done.items()
    ]
    print(results.table(["program", "seconds", "of the processor", "MB"], rows))
    found = {name: [dataclasses.asdict(one) for one in readings] for name, readings in done.items()}
    results.append(work.parent / "start.jsonl", [{"benchmark": "start", "programs": found}])


def _jobs(options: Options, work: pathlib.Path, number: int) -> dict[str, list[str]]:
    """Returns the words of each program; the last two need TensorFlow."""
    run, made = f"--run_dir={work / 'run'}", work / str(number)
    partition = f"{options.tree}/partition.geojson"
    photographs = sorted(map(str, pathlib.Path(options.photos).glob("*.jpg")))
    if not photographs:
        problem = f"--photos={options.photos}: holds no *.jpg."
        raise errors.OptionError(problem, "name a folder of photographs with a position in their EXIF")
    return {
        "tools.cost": ["--images=2970"],
        "tools.make_partition": ["--boundary=demo", f"--out={made}.geojson"],
        "tools.import_images": [f"--source={options.photos}", f"--partition={partition}", f"--out={made}"],
        "tools.check_tree": [f"--tree={options.tree}"],
        "tools.verify": [str(work / "run")],
        "tools.render": [run],
        "trainers.calibrate": [run],
        "tools.predict": [run, photographs[0]],
        "tools.build_dataset": [f"--manual_dir={options.tree}", f"--data_dir={made}_data"],
        "trainers.evaluate": [run],
    }


if __name__ == "__main__":
    program.run(Options, main)
