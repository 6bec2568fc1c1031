"""Measures the whole job, from images to held-out error, beside the report's.

    python -m tools.benchmark_job --images=tree --work_dir=benchmark --backbone=resnet50 --backbone_weights=random

Ours: tools.build_dataset, trainers.extract, trainers.train and trainers.evaluate, each a process of its own, cold and
with the features ready. The report's: chunks of 1,000 images in memory, the encoder in the loop at every step of one
image, 20 passes over each chunk. That takes hours, so a stretch of its steps is run before and after ours and the rest
is estimated from it, and its held-out error comes from the same head trained by the same schedule on cached maps of the
frozen encoder; --full runs all of it. Prints both errors, how many times as fast ours is, and what was run and what was
estimated; --grow=1000,10000 also the cost of larger sets, made by repeating the images. Appends lines of JSON to
WORK_DIR/job.jsonl.
"""

import dataclasses
import itertools
import pathlib
import statistics
from typing import Any, Literal

from geods import errors
from geods.cli import flags, program
from tools.benchmarks import contenders_job, results, stages, trees


@dataclasses.dataclass(frozen=True)
class Options(trees.EncoderImageOptions):
    """Images, encoder and recipes to measure."""

    locations: int = flags.option(0, "Locations to take, spread over the tree; 0 for all.")
    runtime: Literal["auto", "tensorflow", "openvino"] = flags.option(
        "auto", "Runtime of our trainers.extract, which prints the one it takes for auto."
    )
    precision: Literal["auto", "float32", "mixed_bfloat16", "int8"] = flags.option(
        "auto", "Precision of our trainers.extract, which prints the one it takes for auto."
    )
    recipe: str = flags.option("mlp", "Our recipe, one of trainers/recipes on pooled features.")
    head: str = flags.option("report_6m", "Head of the report.")
    epochs: int = flags.option(20, "The report's passes over each chunk.")
    stretch_steps: int = flags.option(100, "Steps of the report's training that are run to estimate the rest from.")
    full: bool = flags.option(False, "Whether to run all of the report's job instead of estimating it.")
    rounds: int = flags.option(1, "How often to run our job.")
    grow: tuple[int, ...] = flags.option((), "Further numbers of images to run our job on, such as 1000,10000,100000.")

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
            OptionError: If one is too small.
        """
        super().__post_init__()
        flags.check_at_least(self, 1, ("epochs", "stretch_steps"))
        if min((self.locations, *self.grow)) < 0:
            raise errors.OptionError("--locations and --grow must not be below 0.", "give larger numbers")


def main(settings: Options) -> None:
    """Measures and prints."""
    work = pathlib.Path(settings.work_dir) / "job"
    root = trees.resized(settings.tree(), work / "tree", *settings.size_px, most=settings.locations)
    encoder = encoder_of(settings)
    tensorflow = stages.run("TensorFlow alone", stages.TENSORFLOW, work / "tensorflow.log")
    built = contenders_job.build(root, work)
    arguments = contenders_job.report_arguments(root, work, encoder, settings.head, settings.epochs)
    print(f"{len(arguments['train']):,} images to train on, {len(arguments['test']):,} held out", flush=True)
    stretches = [_stretch(arguments, settings, work)]
    ours: list[list[stages.Measured]] = []
    for number in range(settings.rounds):
        ours.append(_ours(root, work, encoder, settings, built if number == 0 else None))
        if not settings.full:
            stretches.append(_stretch(arguments, settings, work))
    our_error = contenders_job.error_miles(work)
    print(f"ours: {our_error[0]:,.1f} mean miles; now the report's head, for its error", flush=True)
    measured, found = stretches[0]
    their_error = (
        (found["mean_miles"], [], "")
        if settings.full
        else contenders_job.report_error(work, encoder, settings.head, settings.epochs)
    )
    theirs_s = [measured.seconds] if settings.full else _estimated(stretches, arguments)
    outcome = {"ours": our_error, "report": their_error}
    _report(ours, stretches, theirs_s, outcome, tensorflow, settings)
    for count in settings.grow:
        _grow(root, count, encoder, settings, tensorflow)


def encoder_of(settings: Options) -> contenders_job.Encoder:
    """Returns the encoder that the flags describe; trainers.extract resolves "auto"."""
    own = (settings.runtime, settings.precision)
    return contenders_job.Encoder(settings.backbone, settings.backbone_weights, *settings.size_px, *own)


def _stretch(
    arguments: dict[str, Any], settings: Options, work: pathlib.Path
) -> tuple[stages.Measured, dict[str, float]]:
    """Runs a stretch of the report's job, or all of it."""
    measured, found = contenders_job.run_report(arguments, 0 if settings.full else settings.stretch_steps, work)
    print(f"report: {1 / found['step_s']:,.2f} steps/s, {measured.peak_rss_mb:,.0f} MB", flush=True)
    return measured, found


def _ours(
    root: pathlib.Path,
    work: pathlib.Path,
    encoder: contenders_job.Encoder,
    settings: Options,
    built: stages.Measured | None = None,
) -> list[stages.Measured]:
    """Runs our job once, cold, or what is left of it once the dataset is built."""
    done = [
        built or contenders_job.build(root, work),
        contenders_job.extract(work, encoder),
        contenders_job.train(work, settings.recipe),
    ]
    done.append(contenders_job.evaluate(work))
    print("ours: " + ", ".join(f"{one.name} {one.seconds:,.1f} s" for one in done), flush=True)
    return done


def _estimated(stretches: list[tuple[stages.Measured, dict[str, float]]], arguments: dict[str, Any]) -> list[float]:
    """Returns the report's seconds for each of our rounds, from the steps around it."""
    each = [contenders_job.report_seconds(found, arguments) for _, found in stretches]
    return [statistics.fmean(pair) for pair in itertools.pairwise(each)]


def _report(
    ours: list[list[stages.Measured]],
    stretches: list[tuple[stages.Measured, dict[str, float]]],
    theirs_s: list[float],
    outcome: dict[str, Any],
    tensorflow: stages.Measured,
    settings: Options,
) -> None:
    """Prints the tables and writes the line."""
    columns = ["stage of ours", "seconds", "peak MB", "beyond TensorFlow"]
    rows = []
    for number, one in enumerate(ours[0]):
        seconds = statistics.median(done[number].seconds for done in ours)
        beyond = one.peak_rss_mb - tensorflow.peak_rss_mb
        rows.append([one.name, f"{seconds:,.1f}", f"{one.peak_rss_mb:,.0f}", f"{beyond:,.0f}"])
    print(results.table(columns, rows))
    cold = [sum(one.seconds for one in done) for done in ours]
    ready = [sum(one.seconds for one in done[2:]) for done in ours]
    theirs = theirs_s * len(cold) if settings.full else theirs_s
    times = {
        "cold": [their / our for their, our in zip(theirs, cold, strict=True)],
        "features ready": [their / our for their, our in zip(theirs, ready, strict=True)],
    }
    how = "run whole" if settings.full else f"estimated from {settings.stretch_steps} steps run {len(stretches)} times"
    columns = ["job", "seconds", "ours is times as fast", "held-out mean miles", "peak MB"]
    peak = max(measured.peak_rss_mb for measured, _ in stretches)
    mine = f"{max(one.peak_rss_mb for done in ours for one in done):,.0f}"
    rows = [
        ["ours, cold", results.spread(cold, 1), results.spread(times["cold"], 1), _miles(outcome["ours"]), mine],
        ["ours, features ready", results.spread(ready, 1), results.spread(times["features ready"], 1), "the same", ""],
        [f"report, {how}", results.spread(theirs_s, 1), "", _miles(outcome["report"]), f"{peak:,.0f}"],
    ]
    print(results.table(columns, rows))
    whole = "" if settings.full else "The report's error is of its head trained whole on cached maps of the encoder. "
    print(f"{whole}A constant guess: {outcome['ours'][2]} mean miles.")
    line = {
        "benchmark": "job",
        "encoder": settings.backbone,
        "weights": settings.backbone_weights,
        "full": settings.full,
    }
    line |= {"recipe": settings.recipe, "head": settings.head, "report_s": theirs_s, "times": times}
    line |= {
        "stages": [[dataclasses.asdict(one) for one in done] for done in ours],
        "tensorflow": tensorflow.peak_rss_mb,
    }
    line |= {"report_stretches": [found for _, found in stretches], "report_peak_mb": peak}
    line |= {"miles": outcome["ours"][:2], "report_miles": outcome["report"][:2], "rounds": len(ours)}
    path = pathlib.Path(settings.work_dir) / "job.jsonl"
    results.append(path, [line])
    print(f"wrote {path}")


def _miles(error: tuple[float, list[float], str]) -> str:
    """Returns a mean distance with its interval, if that is known."""
    mean, interval, _ = error
    return f"{mean:,.1f} ({interval[0]:,.0f} to {interval[1]:,.0f})" if interval else f"{mean:,.1f}"


def _grow(
    root: pathlib.Path, count: int, encoder: contenders_job.Encoder, settings: Options, tensorflow: stages.Measured
) -> None:
    """Runs our job on `count` images and prints what each takes."""
    work = pathlib.Path(settings.work_dir) / "job" / f"grown{count}"
    grown, images = trees.repeated(root, work / "tree", count)
    done = _ours(grown, work, encoder, settings)
    rows = [
        [
            f"{images:,}",
            one.name,
            f"{one.seconds:,.1f}",
            f"{1000 * one.seconds / images:,.2f}",
            f"{one.peak_rss_mb:,.0f}",
        ]
        for one in done
    ]
    print(results.table(["images", "stage", "seconds", "ms an image", "peak MB"], rows))
    line = {
        "benchmark": "job growth",
        "encoder": settings.backbone,
        "images": images,
        "tensorflow": tensorflow.peak_rss_mb,
    }
    line["stages"] = [dataclasses.asdict(one) for one in done]
    results.append(pathlib.Path(settings.work_dir) / "job.jsonl", [line])


if __name__ == "__main__":
    program.run(Options, main)
