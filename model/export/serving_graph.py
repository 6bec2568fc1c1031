"""The graph beside a run's model.keras, for prediction without TensorFlow."""

import concurrent.futures
import pathlib

import keras
import numpy as np

from geods import errors
from geods.storage import files
from model.export import formats, graph, openvino_graph

_VIEWS = 2


def write(network: keras.Model, path: pathlib.Path) -> str:
    """Writes the graph of a network, if it gives the network's answers.

    Args:
        network: As `geolocator.build_geolocator` returns it.
        path: The file, model.xml of a folder of its own; the weights come beside it.

    Returns:
        Why there is none; empty where there is one.
    """
    files.discard(path.parent)
    if problem := errors.problem_with_library("openvino", "OpenVINO"):
        return f'{problem} (pip install "geods[openvino]")'
    try:
        formats.check_libraries("openvino")
        formats.check_exportable(network, "openvino")
    except errors.OptionError as error:
        return error.problem.removeprefix("--format=openvino: ").removesuffix(".")
    try:
        return _write(network, path)
    # An operation that OpenVINO lacks raises what its reader meets first; the run itself is whole.
    except RuntimeError as error:
        # Of a full disk, half a graph.
        files.discard(path.parent)
        return f"OpenVINO cannot run it: {errors.in_short(error)}"


def _write(network: keras.Model, path: pathlib.Path) -> str:
    import openvino

    model = openvino_graph.of_network(network)
    given = _draw(network)
    with concurrent.futures.ThreadPoolExecutor(1) as beside:
        # Half a second of OpenVINO's own, without Python's lock, as long as the network itself takes.
        compiling = beside.submit(openvino.Core().compile_model, model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        wanted = keras.ops.convert_to_numpy(network(given, training=False)["log_probabilities"])
        compiled = compiling.result()
    difference = float(np.abs(compiled(given)["log_probabilities"] - wanted).max())
    # NaN is no agreement either.
    if not difference <= (most := graph.most_difference(network)):
        return f"its log-probabilities differ from the network's by {difference:.1e}, more than {most:.1e}"
    path.parent.mkdir()
    openvino.save_model(model, path, compress_to_fp16=False)
    return ""


def _draw(network: keras.Model) -> dict[str, np.ndarray]:
    """Returns a drawn location of two views."""
    height_px, width_px = network.input["image"].shape[2:4]
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (1, _VIEWS, 8, 16, 3)).astype(np.uint8)
    rows, columns = np.arange(height_px) * 8 // height_px, np.arange(width_px) * 16 // width_px
    return {"image": coarse[:, :, rows][:, :, :, columns], "view_mask": np.ones((1, _VIEWS), bool)}
