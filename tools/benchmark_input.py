"""Measures how fast images reach a training, beside other loaders.

    python -m tools.benchmark_input --images=tree --work_dir=benchmark --rounds=5

Reads, decodes and batches (64, with labels) the images of an imagery tree, by geods, by TensorFlow, TFDS and Keras, by
the course report's generator, and by PyTorch, Grain, WebDataset and Hugging Face datasets where they are installed (no
part of geods needs them). Prints each as a share of what libjpeg-turbo decodes at the same moment in one thread a core,
with the spread over rounds, and appends a line of JSON each to WORK_DIR/input.jsonl. Without --images it draws a
simulated tree. With --data_service it also measures what that service's workers decode (python -m tools.data_service).
Disks are not measured: the files are in the page cache after the first pass.
"""

import contextlib
import dataclasses
import importlib.util
import os
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from geods import errors
from geods.cli import flags, program
from tools.benchmarks import harness, results

if TYPE_CHECKING:
    from tools.benchmarks import image_sets


_LOADERS, _PEERS = "tools.benchmarks.contenders_input", "tools.benchmarks.contenders_input"
_BURST_IMAGES = 600
_SIMULATED_PER_CELL = 5
OURS, OURS_ALONE = "geods with simplejpeg", "geods with TensorFlow alone"
OURS_ELSEWHERE = "geods from a tf.data service"
# What must have Pillow's pixels to the last bit.
_EXACT = (OURS, OURS_ALONE, OURS_ELSEWHERE)


@dataclasses.dataclass(frozen=True)
class Options:
    """Loaders and images to measure."""

    images: str = flags.option("", "Imagery tree, as for tfds build; empty to draw a simulated one.", path="in")
    work_dir: str = flags.option("benchmark", "Folder for the images in each form, and for the results.", path="out")
    height_px: int = flags.option(300, "Height of the images; those of another size are resized beforehand.")
    width_px: int = flags.option(600, "Width of the images.")
    locations: int = flags.option(
        0, "Places to take, each with up to three images; 0 for all. Few make short readings."
    )
    rounds: int = flags.option(5, "Clean readings of each loader.")
    data_service: str = flags.option("", "host:port of a tf.data service to measure too; its workers decode.")
    only: tuple[str, ...] = flags.option((), "Names of the loaders to measure; all if not given.")

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
            OptionError: If one is below 1.
        """
        flags.check_at_least(self, 1, ("height_px", "width_px", "rounds"))
        flags.check_at_least(self, 0, ("locations",))


def main(settings: Options) -> None:
    """Measures and prints."""
    from tools.benchmarks import checks, image_sets, trees

    if importlib.util.find_spec("simplejpeg") is None:
        problem = "simplejpeg, which gives the limit, is not installed."
        raise errors.BenchmarkError(problem, 'pip install "geods[fast]"')
    if settings.data_service:
        from geods.input import data_service as input_data_service

        input_data_service.check_reachable(settings.data_service)
    work = pathlib.Path(settings.work_dir)
    source = trees.given_or_simulated(settings.images, work, _SIMULATED_PER_CELL)
    found = image_sets.prepare(source, work / "input", settings.height_px, settings.width_px, settings.locations)
    chosen = results.chosen(contenders(found, settings.data_service), settings.only)
    print(f"{len(found.paths):,} images of {found.height_px}x{found.width_px}, {settings.rounds} rounds", flush=True)
    expected = checks.of_files(found.paths)
    arguments = {"paths": found.paths[:_BURST_IMAGES], "images": _BURST_IMAGES}
    limit = harness.Contender("limit", "tools.benchmarks.worker:Decoding", arguments)

    with contextlib.closing(harness.Worker(limit)) as reference:
        measured = harness.measure(reference, chosen, settings.rounds, checker(found, expected))
    _report(measured, expected, work)


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
        one("grain threads simplejpeg", f"{_PEERS}:GrainThreads", decode="simplejpeg", threads=cores + 1, **listed),
        one("torch DataLoader Pillow", f"{_PEERS}:TorchLoader", decode="pillow", workers=cores, **listed),
        one("torch DataLoader simplejpeg", f"{_PEERS}:TorchLoader", decode="simplejpeg", workers=cores, **listed),
        one("webdataset simplejpeg", f"{_PEERS}:WebDataset", tars=found.tars, decode="simplejpeg"),
        one("Hugging Face datasets", f"{_PEERS}:HuggingFace", **listed),
    ]
    return ours + tensorflows + [peer for peer in peers if _is_installed(peer)]


def _is_installed(peer: harness.Contender) -> bool:
    """Returns whether a peer can run here."""
    from tools.benchmarks import contenders_input

    return importlib.util.find_spec(contenders_input.NEEDS[peer.target.partition(":")[2]]) is not None


def _report(measured: list[harness.Result], expected: dict[str, Any], work: pathlib.Path) -> None:
    """Prints the table and writes the lines."""
    from tools.benchmarks import checks

    rows, lines = [], []
    for result in measured:
        identical = checks.identical(result.facts, expected)
        rows.append(
            [
                result.contender.name,
                results.shares(result),
                results.against(measured[0], result),
                results.rate(result),
                f"{result.first:,.0f}",
                f"{result.items_per_cpu_s:,.0f}",
                f"{identical:.0%}",
                f"{result.peak_rss_mb:,.0f}",
                results.rounds(result),
            ]
        )
        lines.append(results.as_json("input", result, identical=identical, dtype=result.facts["dtype"]))
    results.append(work / "input.jsonl", lines)
    columns = ["loader", "share of the limit", "times ours", "images/s", "first pass", "images/CPU s", "as Pillow"]
    print(results.table([*columns, "peak MB", "clean, dropped, steady"], rows))
    print(f"{results.legend(measured)}wrote {work / 'input.jsonl'}")


if __name__ == "__main__":
    program.run(Options, main)
