"""Exports a run as a SavedModel, ONNX, OpenVINO or LiteRT file.

    python -m tools.export --run_dir=runs/best --format=onnx --out=exported

What is written needs neither geods nor Keras. The folder holds the network, partition.geojson and a model card,
README.md. Any number of locations and views goes in; a point, a cell and the probabilities of all cells come out. A
SavedModel takes JPEGs as they are, the others pixels. What was written is opened by its own runtime in a process of its
own and compared with the run on locations of its dataset (or --images): log-probabilities that differ by more than 1e-4
(a kernel regression of many locations: by more than it rounds) are an error, and nothing is left behind. --half stores
LiteRT's weights as float16, half the size; it prints how many answers change instead.
"""

import dataclasses
import pathlib
import shutil
import tempfile
from typing import TYPE_CHECKING, Literal

from geods import errors
from geods.cli import flags, program

if TYPE_CHECKING:
    from trainers.evaluation import exported


@dataclasses.dataclass(frozen=True)
class Options:
    """Run, format and folder of an export."""

    run_dir: str = flags.option("", "Run folder that trainers.train wrote.", path="in")
    format: Literal["saved_model", "onnx", "openvino", "litert"] = flags.option("saved_model", "What to write.")
    out: str = flags.option("", "Folder to write, which must not exist.", path="out")
    images: str = flags.option("", "Image, folder or tree to compare on; empty: the run's dataset.", path="in")
    compared_locations: int = flags.option(32, "Locations to compare on, at most.")
    half: bool = flags.option(False, "Whether --format=litert stores weights as float16.")

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If one is missing or out of range.
        """
        flags.check_given(self, run_dir="name a folder: --run_dir=RUN", out="name a folder: --out=FOLDER")
        if self.half and self.format != "litert":
            raise errors.OptionError(f"--half with --format={self.format}.", "leave it out, or take --format=litert")
        flags.check_at_least(self, 1, ("compared_locations",))


def main(options: Options) -> None:
    """Writes the export, compares it, and prints where they differ."""
    from trainers.runs import run_folder

    folder = run_folder.check_run(options.run_dir)
    out = pathlib.Path(options.out)
    if out.exists():
        raise errors.OptionError(f"--out={out}: exists already.", "name another folder, or remove it")
    from geods.storage import disk_errors, files

    # Before anything slow; OpenVINO and TensorFlow say by errors of their own that a disk is full.
    with disk_errors.translate_disk_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    disk_errors.check_room(out.parent, (folder / run_folder.MODEL).stat().st_size // (2 if options.half else 1))
    program.import_quietly("tensorflow")
    from model.export import formats, graph
    from trainers.evaluation import exported, model_card, predictor

    formats.check_libraries(options.format)
    model = predictor.Predictor(folder)
    formats.check_exportable(model.network, options.format)
    given = exported.batches(model, exported.read_jpegs(model, options.images, options.compared_locations))
    serving = graph.frozen(model.network, exported.decoder(model) if options.format == "saved_model" else None)
    with (
        disk_errors.translate_disk_errors(out),
        tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as temporary,
    ):
        made = pathlib.Path(temporary, out.name)
        made.mkdir()
        path = formats.write(serving, options.format, made, options.half)
        compared = exported.compare(path, model, given)
        _check(options, compared, graph.most_difference(model.network))
        size_bytes = sum(one.stat().st_size for one in made.rglob("*") if one.is_file())
        card = model_card.render(model, options.format, size_bytes, compared)
        files.write_text(made / "README.md", card)
        shutil.copyfile(folder / run_folder.PARTITION, made / run_folder.PARTITION)
        made.rename(out)
    print(f"exported {out / path.name} ({size_bytes / 1e6:,.1f} MB), with partition.geojson and README.md")
    print(_summary(compared))


def _check(options: Options, compared: "exported.Difference", most: float) -> None:
    """Raises RunError if an export in float32 differs from its run."""
    if compared.log_probability <= most or options.half:
        return
    problem = f"--format={options.format}: log-probabilities differ from the run's by {compared.log_probability:.1e}, "
    problem += f"more than {most:.1e}; nothing was written."
    raise errors.RunError(problem, "choose another --format")


def _summary(compared: "exported.Difference") -> str:
    """Returns the line of the comparison."""
    return (
        f"compared on {compared.locations:,} locations: log-probabilities within {compared.log_probability:.1e}, "
        f"{compared.other_cells:,} other cells, {compared.other_points:,} other points"
    )


if __name__ == "__main__":
    program.run(Options, main)
