"""Exports a run as a SavedModel, ONNX, OpenVINO or LiteRT file.

    python -m tools.export --run_dir=runs/best --format=onnx --out=exported

The exported folder needs neither geods nor Keras. It holds the network, partition.geojson and a model card, README.md.
The network takes any number of locations and views and gives a point, a cell and the probabilities of all cells. A
SavedModel takes JPEG bytes, the others pixels. The export is opened by its own runtime in a new process and compared
with the run on locations of its dataset (or --images): log-probabilities that differ by more than 1e-4 (for a kernel
regression: by more than its rounding) are an error, and nothing is left behind. --half stores LiteRT's weights as
float16, half the size, and prints how many answers change instead.
"""

import dataclasses
import pathlib
import shutil
import tempfile
from typing import TYPE_CHECKING, Literal

from geods import errors
from geods.cli import flags, program

if TYPE_CHECKING:
    from model.export import formats
    from trainers.evaluation import exported, keras_predictor

_USES = {
    "saved_model": """serve = tensorflow.saved_model.load("saved_model").signatures["serving_default"]
answer = serve(jpeg=tensorflow.constant([[open("photograph.jpg", "rb").read()]]))""",
    "onnx": """session = onnxruntime.InferenceSession("model.onnx")
answer = dict(zip([o.name for o in session.get_outputs()], session.run(None, {"image": image, "view_mask": mask})))""",
    "openvino": """compiled = openvino.Core().compile_model("model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
answer = compiled({"image": image, "view_mask": mask})""",
    "litert": """runner = ai_edge_litert.interpreter.Interpreter(model_path="model.tflite").get_signature_runner()
answer = runner(image=image, view_mask=mask)""",
}
_LIBRARIES = {"saved_model": "tensorflow", "onnx": "onnxruntime", "openvino": "openvino", "litert": "ai_edge_litert"}


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
    from trainers.evaluation import exported, keras_predictor

    formats.check_libraries(options.format)
    model = keras_predictor.KerasPredictor(folder)
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
        card = model_card(model, options.format, size_bytes, compared)
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


def model_card(
    model: "keras_predictor.KerasPredictor", kind: "formats.Format", size_bytes: int, compared: "exported.Difference"
) -> str:
    """Returns the Markdown of a model card.

    Args:
        model: The run.
        kind: Format of the export.
        size_bytes: Size of the exported file or folder.
        compared: The comparison with the run.
    """
    from trainers.runs import run_folder

    height_px, width_px, options = model.height_px, model.width_px, model.options
    takes = (
        "`jpeg`: string [b, v], the bytes of JPEGs; an empty string is no view"
        if kind == "saved_model"
        else f"`image`: uint8 [b, v, {height_px}, {width_px}, 3] RGB, upright; `view_mask`: bool [b, v]"
    )
    return f"""# Where a street-level photograph was taken: {model.folder.resolve().name}

A network that chooses among the {len(model.partition):,} cells of `partition.geojson`, exported by geods as {kind}.

| | |
| --- | --- |
| takes | {takes}; b locations of v views each, any number, views in order of heading |
| gives | `coords` [b, 2] (lat, lon) degrees; `cells` int32 [b]; `probabilities`, `log_probabilities` [b, cells] |
| images | resized to {width_px} x {height_px} px by a triangle filter, as Pillow's BILINEAR |
| size | {size_bytes / 1e6:,.1f} MB |
| encoder | {options.encoder.backbone}; {run_folder.ENCODER_LICENCE} |
| images it learned from | {run_folder.images_licence_of(options.data) or "licence not known"} |
| compared with the run | {compared.locations} locations: log-probabilities within {compared.log_probability:.1e}, \
{compared.other_cells} other cells, {compared.other_points} other points |

```python
import {_LIBRARIES[kind]}
{_USES[kind]}
```

## Figures

{_figures(model.folder)}

## Intended use

{run_folder.INTENDED_USE}
"""


def _figures(folder: pathlib.Path) -> str:
    """Returns the figures of the run's evaluation as text."""
    from geods.geo import geometry
    from trainers.runs import run_folder

    metrics = run_folder.read_metrics(folder, "intervals", "within_km", "mean_miles", "constant_guess")
    if not metrics:
        return "This run was not evaluated."
    low, high = metrics["intervals"]["mean_miles"]
    within = ", ".join(f"{share:.1%} within {limit} km" for limit, share in metrics["within_km"].items())
    return (
        f"On {metrics['locations']:,} locations ({metrics['on']}) {run_folder.seen_or_not(metrics)}: mean error "
        f"{metrics['mean_miles']:,.1f} miles (95 % interval {low:,.1f} to {high:,.1f}), median "
        f"{metrics['median_miles']:,.1f} miles ({metrics['median_miles'] * geometry.KM_PER_MILE:,.0f} km); {within}. "
        f"The best constant guess errs by {metrics['constant_guess']['mean_miles']:,.1f} miles."
    )


if __name__ == "__main__":
    program.run(Options, main)
