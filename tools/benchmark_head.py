"""Measures training steps of a head on cached features and with the encoder.

    python -m tools.benchmark_head --images=tree --work_dir=benchmark --head=report_6m

Builds a dataset of some of the images, extracts their features by trainers.extract, and takes steps as trainers.train
does: on the cache, with the encoder in the loop, on one constant batch (all that the arithmetic allows), and as the
report did (one image a step, pixels in memory). Before, it compares the losses of the first steps on the cache and in
the loop under one seed, and refuses to go on if they differ. Prints examples a second and how many times as fast as the
others the cache is, and appends a line of JSON each to WORK_DIR/head.jsonl. Without --images it draws a simulated tree.
"""

import contextlib
import dataclasses
import pathlib
from typing import Any

from geods import errors
from geods.cli import flags, program
from tools.benchmarks import harness, results, stages, trees

_STEPS = "tools.benchmarks.contenders_head"
_CONFIG = "random"
_CURVE_STEPS, _CURVE_BATCH = 6, 2
# One seed, the same batches: what is left is the order of float32 sums.
_CURVE_TOLERANCE = 1e-3
_PRECISIONS = {"float32": "float16", "mixed_bfloat16": "bfloat16"}


@dataclasses.dataclass(frozen=True)
class Options(trees.EncoderImageOptions):
    """Head, encoder and images to measure."""

    head: str = flags.option("report_6m", "Head, as for trainers.train.")
    locations: int = flags.option(120, "Locations to take from the tree, each with up to three images.")
    batch_size: int = flags.option(32, "Examples a step; the report's training takes one.")
    examples: int = flags.option(256, "Examples a reading, except of the report's training.")
    report_images: int = flags.option(8, "Images a reading of the report's training.")
    only: tuple[str, ...] = flags.option((), "Names of the ways to measure, as in the table; all if empty.")

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
            OptionError: If one is below 1.
        """
        super().__post_init__()
        flags.check_at_least(self, 1, ("locations", "batch_size", "examples", "report_images"))


def main(settings: Options) -> None:
    """Measures and prints."""
    work = pathlib.Path(settings.work_dir)
    folder = work / f"head_{settings.backbone}"
    _prepare(settings.tree(), folder, settings)
    chosen = results.chosen(contenders(folder, settings), settings.only)
    curves = [_losses(folder, settings, cached) for cached in (True, False)]
    furthest = check_same_losses(*curves)
    print(f"first {len(curves[0])} losses, cached and in the loop: within {furthest:.1e} of each other", flush=True)
    peak = harness.Contender("peak", "tools.benchmarks.worker:MatrixProduct", {})
    measured = harness.measure(peak, chosen, settings.rounds)
    _report(measured, furthest, settings, work)


def contenders(folder: pathlib.Path, settings: Options) -> list[harness.Contender]:
    """Returns all ways to take steps; ours first."""
    found = []
    for precision in _PRECISIONS:
        short = precision.removeprefix("mixed_")
        trained = _train_fields(folder, settings, precision)
        cached = trained | {"cache_dir": str(folder / f"cache_{_PRECISIONS[precision]}")}
        for name, kind, arguments in (
            ("cached", "Cached", {"settings": cached, "examples": settings.examples}),
            ("synthetic", "Synthetic", {"settings": cached, "examples": settings.examples}),
            ("in the loop", "InTheLoop", {"settings": trained, "steps": 1}),
        ):
            found.append(harness.Contender(f"{name} {short}", f"{_STEPS}:{kind}", arguments))
    arguments = {"encoder": settings.backbone, "encoder_weights": settings.backbone_weights, "head": settings.head}
    arguments |= {"images": str(folder / "images.npy"), "classes": _cells(folder)}
    return [*found, harness.Contender("report's fit", f"{_STEPS}:Report", arguments, settings.report_images)]


def check_same_losses(cached: list[float], in_the_loop: list[float]) -> float:
    """Returns how far apart two loss curves are at most, relative to the loss.

    Raises:
        BenchmarkError: If that is more than arithmetic explains, so that one of them trains something else.
    """
    import numpy as np

    left, right = np.array(cached), np.array(in_the_loop)
    furthest = float(np.max(np.abs(left - right) / np.abs(right))) if left.shape == right.shape else float("inf")
    if not furthest <= _CURVE_TOLERANCE:
        problem = f"losses on the cache {left.round(5)} are not those in the loop {right.round(5)}."
        raise errors.BenchmarkError(problem, "the two train different things; their speeds cannot be compared")
    return furthest


def _prepare(source: pathlib.Path, folder: pathlib.Path, settings: Options) -> None:
    """Makes the dataset, the caches and the report's pixels, unless they are there."""
    import numpy as np

    tree = trees.resized(source, folder / "tree", *settings.size_px, most=settings.locations)
    np.save(folder / "images.npy", trees.pixels(tree, settings.report_images, *settings.size_px), allow_pickle=False)
    if not (folder / "data").is_dir():
        print("building the dataset", flush=True)
        stages.run("build", trees.build_words(str(tree), str(folder / "data"), _CONFIG), folder / "build.log")
    encoder = [f"--backbone={settings.backbone}", f"--backbone_weights={settings.backbone_weights}"]
    encoder += [f"--height_px={settings.height_px}", f"--width_px={settings.width_px}", "--batch_size=16"]
    for dtype, split in (("float32", "validation"), *((dtype, "train") for dtype in _PRECISIONS.values())):
        print(f"extracting features, {dtype}", flush=True)
        words = ["--splits=" + split, f"--cache_dir={folder / f'cache_{dtype}'}", f"--cache_dtype={dtype}"]
        data = [f"--data_dir={folder / 'data'}", f"--config={_CONFIG}"]
        stages.run("extract", ["-m", "trainers.extract", *data, *encoder, *words], folder / f"extract_{dtype}.log")


def _train_fields(folder: pathlib.Path, settings: Options, precision: str = "float32") -> dict[str, Any]:
    """Returns the options of trainers.train, without a cache."""
    return {
        "data_dir": str(folder / "data"),
        "config": _CONFIG,
        "backbone": settings.backbone,
        "backbone_weights": settings.backbone_weights,
        "height_px": settings.height_px,
        "width_px": settings.width_px,
        "precision": precision,
        "batch_size": settings.batch_size,
        "head": settings.head,
        "train_views": "single",
        "loss": "one_hot",
        "lr_schedule": "constant",
        "weight_decay": 0.0,
    }


def _losses(folder: pathlib.Path, settings: Options, cached: bool) -> list[float]:
    """Returns the losses of the first steps, on the cache or in the loop."""
    fields = _train_fields(folder, settings) | {"train_split": "validation", "batch_size": _CURVE_BATCH}
    if cached:
        fields |= {"cache_dir": str(folder / "cache_float32")}
    arguments = {"settings": fields, "steps": _CURVE_STEPS}
    with contextlib.closing(harness.Worker(harness.Contender("losses", f"{_STEPS}:Curve", arguments))) as worker:
        found: list[float] = worker.facts()["losses"]
    return found


def _cells(folder: pathlib.Path) -> int:
    """Returns the number of cells."""
    from geods.geo import partition
    from geods.tree import companions

    return len(partition.read(folder / "tree" / companions.PARTITION_NAME))


def _report(measured: list[harness.Result], furthest: float, settings: Options, work: pathlib.Path) -> None:
    """Prints the table and writes the lines."""
    by_name = {result.contender.name: result for result in measured}
    others = ["in the loop float32", "report's fit"]

    def describe(result: harness.Result) -> tuple[list[str], dict[str, Any]]:
        name = result.contender.name.replace("cached", "synthetic").replace("in the loop", "synthetic")
        compared = [results.against(result, by_name[one]) if one in by_name else "" for one in (*others, name)]
        more = {"batch_size": settings.batch_size, "encoder": settings.backbone, "head": settings.head}
        return [results.rate(result, 1), *compared, results.shares(result)], more | {"loss_difference": furthest}

    times = [f"times {name}" for name in others]
    columns = ["step", "examples/s", *times, "of synthetic", "per GFLOP/s of f32 product"]
    results.report("head", work, measured, columns, describe)


if __name__ == "__main__":
    program.run(Options, main)
