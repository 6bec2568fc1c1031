"""Model card of an exported run: README.md beside the file."""

import pathlib

from geods.geo import geometry
from model.export import formats
from trainers.evaluation import exported, predictor
from trainers.runs import run_folder

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


def render(model: predictor.Predictor, kind: formats.Format, size_bytes: int, compared: exported.Difference) -> str:
    """Returns the Markdown of a card.

    Args:
        model: The run.
        kind: Format of the export.
        size_bytes: Size of the exported file or folder.
        compared: The comparison with the run.
    """
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
    metrics = run_folder.read_metrics(folder, "intervals", "within_km", "mean_miles", "constant_guess")
    if not metrics:
        return "This run was not evaluated."
    low, high = metrics["intervals"]["mean_miles"]
    within = ", ".join(f"{share:.1%} within {limit} km" for limit, share in metrics["within_km"].items())
    return (
        f"On {metrics['locations']:,} locations ({metrics['on']}) that it had not seen: mean error "
        f"{metrics['mean_miles']:,.1f} miles (95 % interval {low:,.1f} to {high:,.1f}), median "
        f"{metrics['median_miles']:,.1f} miles ({metrics['median_miles'] * geometry.KM_PER_MILE:,.0f} km); {within}. "
        f"The best constant guess errs by {metrics['constant_guess']['mean_miles']:,.1f} miles."
    )
