"""Measures README's steps, from tree to prediction, beside another checkout's.

    python -m tools.benchmark_road --against=../before --images=tree --backbone_weights=WEIGHTS.h5 --rounds=5

`git worktree add ../before COMMIT` makes such a checkout. Steps: the build of all configs (tools.build_dataset, or the
tfds command in a checkout without it), then extract, train and evaluate of the recipe best, render, and predict of one
photograph. Each is a process of its own, started with this Python in the checkout's folder; the checkouts take turns.
Prints the seconds of each step of both, which share of the other's seconds ours take, and the held-out errors with
their intervals. --precision is that of our extraction alone. Appends a line of JSON to WORK_DIR/road.jsonl.
"""

import dataclasses
import json
import pathlib
import shutil
from typing import Literal

from geods import errors
from geods.cli import flags, program
from geods.dataset import dataset_folder
from tools.benchmarks import results, stages, trees

_ROOT = pathlib.Path(__file__).parent.parent
_NAMES = ("before", "now")


@dataclasses.dataclass(frozen=True)
class Options(trees.ImageOptions):
    """Images to measure on, weights, and the other checkout."""

    against: str = flags.option("", "Folder of another checkout of geods.", path="local")
    backbone_weights: str = flags.option("imagenet", "MobileNetV2's weights: imagenet, random, or a file.", path="in")
    precision: Literal["auto", "float32", "mixed_bfloat16", "int8"] = flags.option("auto", "Precision of extraction.")

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If there is no other checkout.
        """
        super().__post_init__()
        if not (pathlib.Path(self.against) / "trainers" / "train.py").is_file():
            problem = f"--against={self.against}: is no checkout of geods."
            raise errors.OptionError(problem, "git worktree add ../before COMMIT, then --against=../before")


def main(settings: Options) -> None:
    """Measures and prints."""
    root, work = settings.tree().resolve(), pathlib.Path(settings.work_dir).resolve() / "road"
    checkouts = dict(zip(_NAMES, (pathlib.Path(settings.against).resolve(), _ROOT), strict=True))
    rounds: dict[str, list[list[stages.Measured]]] = {name: [] for name in _NAMES}
    for _ in range(settings.rounds):
        for name, checkout in checkouts.items():
            mine = [f"--precision={settings.precision}"] if name == "now" and settings.precision != "auto" else []
            done = _road(checkout, root, work / name, [f"--backbone_weights={settings.backbone_weights}", *mine])
            rounds[name].append(done)
            print(f"{name}: " + ", ".join(f"{one.name} {one.seconds:,.1f} s" for one in done), flush=True)
    _report(rounds, work, settings)


def _road(checkout: pathlib.Path, root: pathlib.Path, work: pathlib.Path, encoder: list[str]) -> list[stages.Measured]:
    """Runs the steps of one checkout, everything again, with flags of its extraction."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    data, cache, run = (work / name for name in ("data", "cache", "run"))
    photograph = str(next(root.glob("*/*/*.jpg")))
    recipes = checkout / "trainers" / "recipes"
    build = ["-m", "tools.build_dataset", f"--config={','.join(dataset_folder.CONFIGS)}"]
    if not (checkout / "tools" / "build_dataset.py").is_file():
        build = ["-m", "tensorflow_datasets.scripts.cli.main", "build", "geods"]
    steps = {
        "build": [*build, f"--manual_dir={root}", f"--data_dir={data}"],
        "extract": [
            *("-m", "trainers.extract", f"--flagfile={recipes / 'features' / 'textures.cfg'}", f"--data_dir={data}"),
            *(f"--cache_dir={cache}", *encoder),
        ],
        "train": [
            *("-m", "trainers.train", f"--flagfile={recipes / 'best.cfg'}", f"--data_dir={data}"),
            *(f"--cache_dir={cache}", f"--run_dir={run}"),
        ],
        "evaluate": ["-m", "trainers.evaluate", f"--run_dir={run}"],
        "render": ["-m", "tools.render", f"--run_dir={run}"],
        "predict": ["-m", "tools.predict", f"--run_dir={run}", photograph],
    }
    return [stages.run(name, words, work / f"{name}.log", folder=checkout) for name, words in steps.items()]


def _report(rounds: dict[str, list[list[stages.Measured]]], work: pathlib.Path, settings: Options) -> None:
    """Prints the table and writes the line."""
    seconds = {name: _seconds(done) for name, done in rounds.items()}
    rows = []
    for step in seconds[_NAMES[0]]:
        before, now = (seconds[name][step] for name in _NAMES)
        shares = [mine / theirs for mine, theirs in zip(now, before, strict=True)]
        rows.append([step, results.spread(before, 1), results.spread(now, 1), results.spread(shares, 2)])
    print(results.table(["step", "seconds before", "seconds now", "share"], rows))
    for name in _NAMES:
        metrics = json.loads((work / name / "run" / "metrics.json").read_text(encoding="utf-8"))
        low, high = metrics["intervals"]["mean_miles"]
        print(f"{name}: {metrics['mean_miles']:,.1f} mean miles ({low:,.1f} to {high:,.1f})")
    memory = {name: max(done[-1].peak_rss_mb for done in rounds[name]) for name in _NAMES}
    print("predict holds " + ", ".join(f"{name} {peak:,.0f} MB" for name, peak in memory.items()))
    line = {"benchmark": "road", "precision": settings.precision, "seconds": seconds, "predict_peak_mb": memory}
    results.append(pathlib.Path(settings.work_dir) / "road.jsonl", [line])


def _seconds(rounds: list[list[stages.Measured]]) -> dict[str, list[float]]:
    """Returns the seconds of each step in every round, and in all."""
    found = {one.name: [done[number].seconds for done in rounds] for number, one in enumerate(rounds[0])}
    return {**found, "in all": [sum(one.seconds for one in done) for done in rounds]}


if __name__ == "__main__":
    program.run(Options, main)
