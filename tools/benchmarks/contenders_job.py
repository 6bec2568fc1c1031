"""The two whole jobs that tools.benchmark_job compares.

One is ours, by our programs, the other the course report's.
"""

import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import Any

from geods.storage import files
from tools.benchmarks import stages

CONFIG = "blocked"
# Of the report: what fitted into its memory.
CHUNK = 1000


@dataclasses.dataclass(frozen=True)
class Encoder:
    """The encoder of both jobs.

    Attributes:
        name: Of the encoder.
        weights: As in `backbones.BackboneSpec`.
        height_px: Height of the images.
        width_px: Width of the images.
        runtime: Of trainers.extract, for ours.
        precision: Of trainers.extract, for ours.
    """

    name: str
    weights: str
    height_px: int
    width_px: int
    runtime: str = "tensorflow"
    precision: str = "float32"

    def flags(self) -> list[str]:
        """Returns the encoder's flags for trainers.extract."""
        size = [f"--height_px={self.height_px}", f"--width_px={self.width_px}"]
        return [f"--backbone={self.name}", f"--backbone_weights={self.weights}", *size]


def build(root: pathlib.Path, work: pathlib.Path) -> stages.Measured:
    """Builds the dataset of a tree in WORK/data, replacing it."""
    words = [f"--config={CONFIG}", f"--manual_dir={root}", f"--data_dir={work / 'data'}", "--overwrite"]
    return stages.run("build", ["-m", "tools.build_dataset", *words], work / "build.log")


def extract(work: pathlib.Path, encoder: Encoder) -> stages.Measured:
    """Extracts pooled features of all splits to WORK/cache, replacing it."""
    words = ["-m", "trainers.extract", f"--data_dir={work / 'data'}", f"--config={CONFIG}", *encoder.flags()]
    words += [f"--runtime={encoder.runtime}", f"--precision={encoder.precision}", "--pooling=avg", "--batch_size=16"]
    return stages.run("extract", [*words, f"--cache_dir={work / 'cache'}", "--overwrite"], work / "extract.log")


def train(work: pathlib.Path, recipe: str, more: Sequence[str] = ()) -> stages.Measured:
    """Trains one of our recipes on WORK/cache to WORK/run, replacing it."""
    words = ["-m", "trainers.train", f"--recipe={recipe}", f"--data_dir={work / 'data'}"]
    words += [f"--config={CONFIG}", f"--cache_dir={work / 'cache'}", f"--run_dir={work / 'run'}", "--overwrite"]
    return stages.run("train", [*words, *more], work / "train.log")


def evaluate(work: pathlib.Path) -> stages.Measured:
    """Evaluates WORK/run on the held-out locations."""
    return stages.run("evaluate", ["-m", "trainers.evaluate", f"--run_dir={work / 'run'}"], work / "evaluate.log")


def error_miles(work: pathlib.Path) -> tuple[float, list[float], str]:
    """Returns the held-out error of WORK/run, its 95 % interval, and a constant's."""
    metrics = json.loads((work / "run" / "metrics.json").read_text(encoding="utf-8"))
    constant = f"{metrics['constant_guess']['mean_miles']:,.1f}"
    return metrics["mean_miles"], metrics["intervals"]["mean_miles"], constant


def report_error(work: pathlib.Path, encoder: Encoder, head: str, epochs: int) -> tuple[float, list[float], str]:
    """Trains the report's head by its schedule on cached maps, in WORK/report.

    The encoder stays as it is, so the head sees what it would see in the loop. The dataset is that of WORK/data.

    Returns:
        As `error_miles`.
    """
    folder = work / "report"
    data = [f"--data_dir={work / 'data'}", f"--config={CONFIG}"]
    cache = [f"--cache_dir={folder / 'cache'}"]
    words = ["-m", "trainers.extract", *data, *cache, *encoder.flags(), "--pooling=none", "--preprocessing=raw"]
    words += ["--splits=train,test", "--batch_size=16", "--runtime=tensorflow"]
    stages.run("report's features", words, folder / "extract.log")
    words = ["-m", "trainers.train", f"--recipe={head}", *data, *cache, "--schedule=chunked"]
    words += [f"--chunk_examples={CHUNK}", "--batch_size=1", f"--epochs={epochs}", "--validation_split="]
    stages.run("report's head", [*words, f"--run_dir={folder / 'run'}", "--overwrite"], folder / "train.log")
    evaluate(folder)
    return error_miles(folder)


def report_arguments(
    root: pathlib.Path, work: pathlib.Path, encoder: Encoder, head: str, epochs: int
) -> dict[str, Any]:
    """Returns the arguments of `report_job`.

    They name the views of WORK/data's training split and of those held out, in a tree.
    """
    from geods.dataset import dataset_reader
    from geods.tree import imagery_tree

    builder = dataset_reader.open_builder(work / "data", CONFIG)
    views = {place.location_id: [str(view.path) for view in place.views] for place in imagery_tree.read(root)}
    found: dict[str, list[Any]] = {"train": [], "labels": [], "test": [], "coords": []}
    for split, also, of_place in (("train", "labels", "cells"), ("test", "coords", "coords")):
        index = dataset_reader.index(builder, split)
        for name, value in zip(index.location_ids.tolist(), getattr(index, of_place).tolist(), strict=True):
            found[split] += views[name]
            found[also] += [value] * len(views[name])
    centroids = dataset_reader.partition_of(builder).centroids.tolist()
    own = {"encoder": encoder.name, "weights": encoder.weights, "head": head, "epochs": epochs}
    return {**found, "centroids": centroids, **own}


def run_report(arguments: dict[str, Any], steps: int, work: pathlib.Path) -> tuple[stages.Measured, dict[str, float]]:
    """Runs the report's job, or some steps of it; returns its cost and its output."""
    files.write_json(work / "report_job.json", arguments | {"steps": steps})
    words = ("-m", "tools.benchmarks.report_training", str(work / "report_job.json"))
    measured = stages.run("report", words, work / "report_job.log")
    said = (work / "report_job.log").read_text(encoding="utf-8").strip().splitlines()
    found: dict[str, float] = json.loads(next(line for line in reversed(said) if line.startswith("{")))
    return measured, found


def report_seconds(found: dict[str, float], arguments: dict[str, Any]) -> float:
    """Returns the seconds of the report's whole job at the rates of some steps.

    They go into loading, steps and test images.
    """
    train, test = len(arguments["train"]), len(arguments["test"])
    return train * (found["chunk_s"] + arguments["epochs"] * found["step_s"]) + test * found["predict_s"]
