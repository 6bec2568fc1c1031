"""Files of an inference graph: SavedModel, ONNX, OpenVINO and LiteRT."""

import contextlib
import importlib.util
import io
import pathlib
import tempfile
from collections.abc import Iterator
from typing import Literal

import keras

from geods import errors
from model.export import encoder_links, graph
from model.fusion import lstm

Format = Literal["saved_model", "onnx", "openvino", "litert"]
FILES: dict[str, str] = {
    "saved_model": "saved_model",
    "onnx": "model.onnx",
    "openvino": "model.xml",
    "litert": "model.tflite",
}
# What a format is written and opened with, beyond TensorFlow.
_LIBRARIES = {
    "saved_model": (),
    "onnx": ("tf2onnx", "onnxruntime"),
    "openvino": ("openvino",),
    "litert": ("ai_edge_litert",),
}
# The newest that tf2onnx 1.17 writes, and which ONNX Runtime reads since 1.14.
_OPSET = 18
_NAMES = (*graph.OUTPUTS, "image", "view_mask")


def check_libraries(kind: Format) -> None:
    """Checks the libraries of a format, and Keras' backend.

    Raises:
        OptionError: If a library is not installed, or the backend is not TensorFlow.
    """
    for name in _LIBRARIES[kind]:
        if importlib.util.find_spec(name) is None:
            problem = f"--format={kind}: {name.replace('_', '-')} is not installed."
            raise errors.OptionError(problem, 'pip install "geods[export]", or choose --format=saved_model')
    if keras.config.backend() != "tensorflow":
        problem = f"--format={kind}: a graph is written by TensorFlow, and KERAS_BACKEND is {keras.config.backend()}."
        raise errors.OptionError(problem, "set KERAS_BACKEND=tensorflow for the export; the run may be of any backend")


def check_exportable(network: keras.Model, kind: Format) -> None:
    """Raises OptionError if a format lacks an operation of a network."""
    if kind in ("saved_model", "litert") and encoder_links.of(network):
        problem = f"--format={kind}: the encoder is an ONNX file, whose operations this format does not have."
        raise errors.OptionError(problem, "choose onnx or openvino, or use the run's model.keras with tools.predict")
    sequences = [layer for layer in network._flatten_layers() if isinstance(layer, lstm.LstmOverViews)]
    if kind == "litert" and sequences:
        problem = "--format=litert: LiteRT has no loop over a variable number of views, which --fusion=lstm needs."
        raise errors.OptionError(problem, "choose onnx, openvino or saved_model, or train with --fusion=attention")


def write(serving: graph.Serving, kind: Format, folder: pathlib.Path, half: bool = False) -> pathlib.Path:
    """Writes an inference graph.

    Args:
        serving: What `graph.frozen` returned.
        kind: The format.
        folder: Where to; it must exist.
        half: With "litert", whether weights are stored as float16.

    Returns:
        The file, or the folder of a SavedModel.
    """
    target = folder / FILES[kind]
    with contextlib.redirect_stdout(io.StringIO()):
        _WRITERS[kind](serving, target, half)
    return target


def _write_saved_model(serving: graph.Serving, target: pathlib.Path, half: bool) -> None:
    import tensorflow as tf

    del half
    tf.saved_model.save(serving.module, str(target), signatures=serving.module.serve)


def _write_onnx(serving: graph.Serving, target: pathlib.Path, half: bool) -> None:
    import onnx
    import tf2onnx

    del half
    serve = serving.module.serve
    converted, _ = tf2onnx.convert.from_function(serve, input_signature=serve.input_signature, opset=_OPSET)
    onnx.save(encoder_links.join_onnx(converted, serving.links), target)


def _write_openvino(serving: graph.Serving, target: pathlib.Path, half: bool) -> None:
    import openvino

    del half
    # Not `openvino_graph.convert`, which refuses the loop of --fusion=lstm once its weights are constants.
    with _saved(serving) as folder:
        # And not openvino.convert_model, which reports its use to a server.
        converted = openvino.Core().read_model(folder)
    names = {*_NAMES, *(name for link in serving.links for name in (link.images, link.features))}
    for port in (*converted.inputs, *converted.outputs):
        known = [name for name in port.get_names() if name.partition(":")[0] in names]
        port.get_tensor().set_names({known[0].partition(":")[0]})
    openvino.save_model(encoder_links.join_openvino(converted, serving.links), target, compress_to_fp16=False)


def _write_litert(serving: graph.Serving, target: pathlib.Path, half: bool) -> None:
    import tensorflow as tf

    with _saved(serving) as folder:
        converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
        if half:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        target.write_bytes(converter.convert())


@contextlib.contextmanager
def _saved(serving: graph.Serving) -> Iterator[pathlib.Path]:
    """Yields a temporary SavedModel of a graph."""
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(serving.module, folder, signatures=serving.module.serve)
        yield pathlib.Path(folder)


_WRITERS = {
    "saved_model": _write_saved_model,
    "onnx": _write_onnx,
    "openvino": _write_openvino,
    "litert": _write_litert,
}
