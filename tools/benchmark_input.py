"""Measures how fast images reach a training, beside other loaders.

    python -m tools.benchmark_input --images=tree --work_dir=benchmark --rounds=5

Reads, decodes and batches (64, with labels) the images of an imagery tree, by geods, by TensorFlow, TFDS and Keras, by
the course report's generator, and by PyTorch, Grain, WebDataset and Hugging Face datasets where they are installed (no
part of geods needs them). Prints each as a share of what libjpeg-turbo decodes at the same moment in one thread a core,
with the spread over rounds, and appends a line of JSON each to WORK_DIR/input.jsonl. Without --images it draws a
simulated tree. With --data_service it also measures what that service's workers decode (python -m tools.data_service).
With --photographs it measures photographs of 12 and 16 million pixels instead, which it makes of the images: decoded
whole, at a part of their size, and by Pillow's draft.
Disks are not measured: the files are in the page cache after the first pass.
"""

import dataclasses
import importlib.util
import os
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from geods import errors
from geods.cli import flags, program
from tools.benchmarks import harness, results, trees

if TYPE_CHECKING:
    from tools.benchmarks import image_sets


_LOADERS = "tools.benchmarks.contenders_input"
_SOURCES = "tools.benchmarks.contenders_sources"
_BURST_IMAGES = 600
OURS, OURS_ALONE = "geods with simplejpeg", "geods with TensorFlow alone"
OURS_ELSEWHERE = "geods from a tf.data service"
PIPELINE = "geods dataset"
# Name and arguments of the pipeline as trainings, evaluations and loops of one's own take it.
_PIPELINES = (
    (PIPELINE, {"views": "single"}),
    (f"{PIPELINE} shuffled", {"views": "single", "shuffle": True}),
    (f"{PIPELINE} all views", {"views": "all"}),
    (f"{PIPELINE} TensorFlow alone", {"views": "single", "decode": "tensorflow"}),
)
# What must have Pillow's pixels to the last bit.
_EXACT = (OURS, OURS_ALONE, OURS_ELSEWHERE, *(name for name, _ in _PIPELINES))


@dataclasses.dataclass(frozen=True)
class Options(trees.SizedImageOptions):
    """Loaders and images to measure."""

    locations: int = flags.option(
        0, "Locations to take, each with up to three images; 0 for all. Few make readings short."
    )
    data_service: str = flags.option("", "host:port of a tf.data service to measure too; its workers decode.")
    photographs: bool = flags.option(False, "Whether to measure photographs of many pixels instead of loaders.")
    only: tuple[str, ...] = flags.option((), "Names of the loaders to measure, as in the table; all if empty.")

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
            OptionError: If one is below 1.
        """
        super().__post_init__()
        flags.check_at_least(self, 0, ("locations",))


def main(settings: Options) -> None:
    """Measures and prints."""
    if importlib.util.find_spec("simplejpeg") is None:
        problem = "simplejpeg, which gives the limit, is not installed."
        raise errors.BenchmarkError(problem, 'pip install "geods[fast]"')
    work = pathlib.Path(settings.work_dir)
    if settings.photographs:
        return _report_photographs(settings, work)
    from tools.benchmarks import checks, image_sets

    if settings.data_service:
        from geods.input import data_service as input_data_service

        input_data_service.check_reachable(settings.data_service)
    found = image_sets.prepare(settings.tree(), work / "input", *settings.size_px, settings.locations)
    chosen = results.chosen(contenders(found, settings.data_service), settings.only)
    print(f"{len(found.paths):,} images of {found.height_px}x{found.width_px}, {settings.rounds} rounds", flush=True)
    expected = checks.of_files(found.paths)
    arguments = {"paths": found.paths[:_BURST_IMAGES], "images": _BURST_IMAGES}
    limit = harness.Contender("limit", "tools.benchmarks.worker:Decoding", arguments)
    measured = harness.measure(limit, chosen, settings.rounds, checker(found, expected))
    return _report(measured, expected, work)


def _report_photographs(settings: Options, work: pathlib.Path) -> None:
    """Measures and prints photographs of many pixels."""
    from geods.tree import imagery_tree
    from tools.benchmarks import large_photographs

    views = [view.path for place in imagery_tree.read(settings.tree(needs_partition=False)) for view in place.views]
    large_photographs.report(views, *settings.size_px, settings.rounds, work)


def checker(
    found: "image_sets.ImageSet", expected: dict[str, Any]
) -> Callable[[harness.Contender, dict[str, Any]], None]:
    """Returns a check for the harness: every image is there; ours equal Pillow's."""
    from tools.benchmarks import checks

    def check(contender: harness.Contender, facts: dict[str, Any]) -> None:
        checks.check_found(contender.name, facts, expected, found.labels)
        if contender.name in _EXACT and checks.identical(facts, expected) < 1:
            raise errors.BenchmarkError(f"{contender.name}: its pixels are not Pillow's.", "mend it")

    return check


def contenders(found: "image_sets.ImageSet", service: str = "") -> list[harness.Contender]:
    """Returns all loaders that can run here, with the data service at this address."""
    size = {"height_px": found.height_px, "width_px": found.width_px}
    listed = {"paths": found.paths, "labels": found.labels}
    cores = os.cpu_count() or 1

    def one(name: str, target: str, **arguments: Any) -> harness.Contender:  # noqa: ANN401 - what JSON takes
        return harness.Contender(name, target, arguments, len(found.paths))

    ours = [
        one(OURS, f"{_LOADERS}:Ours", data_dir=found.data_dir, decode="simplejpeg", **size),
        one(OURS_ALONE, f"{_LOADERS}:Ours", data_dir=found.data_dir, decode="tensorflow", **size),
    ]
    ours += [one(name, f"{_LOADERS}:OurPipeline", data_dir=found.data_dir, **size, **how) for name, how in _PIPELINES]
    if service:
        # Workers start in folders of their own.
        where = str(pathlib.Path(found.data_dir).resolve())
        ours.append(one(OURS_ELSEWHERE, f"{_LOADERS}:OursElsewhere", data_dir=where, service=service, **size))
    tensorflows = [
        one("tf.data from files", f"{_LOADERS}:TensorFlowFiles", **listed),
        one("tfds", f"{_LOADERS}:PlainTfds", data_dir=found.data_dir),
        one("keras directory", f"{_LOADERS}:KerasDirectory", folders=found.folders, **size),
        one("report's generator", f"{_LOADERS}:ReportGenerator", **listed),
        one("report's like for like", f"{_LOADERS}:ReportLikeForLike", **listed),
    ]
    peers = [
        one("grain threads simplejpeg", f"{_LOADERS}:GrainThreads", decode="simplejpeg", threads=cores + 1, **listed),
        one("torch DataLoader Pillow", f"{_LOADERS}:TorchLoader", decode="pillow", workers=cores, **listed),
        one("torch DataLoader simplejpeg", f"{_LOADERS}:TorchLoader", decode="simplejpeg", workers=cores, **listed),
        one("webdataset simplejpeg", f"{_LOADERS}:WebDataset", tars=found.tars, decode="simplejpeg"),
        one("Hugging Face datasets", f"{_LOADERS}:HuggingFace", **listed),
        one("data_source", f"{_SOURCES}:DataSource", data_dir=found.data_dir),
        one("data_source by torch", f"{_SOURCES}:TorchSource", data_dir=found.data_dir, workers=cores),
        one("data_source by grain", f"{_SOURCES}:GrainSource", data_dir=found.data_dir, workers=cores),
    ]
    return ours + tensorflows + [peer for peer in peers if _is_installed(peer)]


def _is_installed(peer: harness.Contender) -> bool:
    """Returns whether a peer can run here."""
    from tools.benchmarks import contenders_input

    return importlib.util.find_spec(contenders_input.NEEDS[peer.target.partition(":")[2]]) is not None


def _report(measured: list[harness.Result], expected: dict[str, Any], work: pathlib.Path) -> None:
    """Prints the table and writes the lines."""
    from tools.benchmarks import checks

    def describe(result: harness.Result) -> tuple[list[str], dict[str, Any]]:
        identical = checks.identical(result.facts, expected)
        cells = [
            results.shares(result),
            results.spread(result.cpu_ratios),
            results.against(measured[0], result),
            results.rate(result),
            f"{result.first:,.0f}",
            f"{result.items_per_cpu_s:,.0f}",
            f"{identical:.0%}",
        ]
        return cells, {"identical": identical, "dtype": result.facts["dtype"]}

    columns = [
        "loader",
        "share of the limit",
        "by processor time",
        "times ours",
        "images/s",
        "first pass",
        "images/CPU s",
        "as Pillow",
    ]
    results.report("input", work, measured, columns, describe)


if __name__ == "__main__":
    program.run(Options, main)
