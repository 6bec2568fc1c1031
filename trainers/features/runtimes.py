"""Runtimes of a frozen encoder, compiled for batches of one size.

    forward = runtimes.compiled(backbone, 32, "tensorflow", "float32")
    forward(images)         # uint8 [32, h, w, 3] -> float32 [32, *feature_shape]

`tensorflow` folds the weights into the graph as constants, which lets oneDNN lay them out once: 1.1 (ResNet50) to 1.5
times (MobileNetV2) as fast as the same graph with variables, with features that differ in the seventh digit. `openvino`
(extra "openvino", CPU only) compiles that graph for the processor: 1.4 to 2 times as fast, with bfloat16 arithmetic
2.5 to 3 times where the processor has matrix units for it, and in whole numbers of 8 bits (extra "int8") 4 to 7 times.
"""

import importlib.util
import os
import pathlib
import tempfile
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from geods import errors
from geods.cli import backend
from model.encoders import onnx_files, onnx_graph

# "auto" is that of `auto_runtime.resolve`, which comes before all others here.
Runtime = Literal["auto", "tensorflow", "openvino"]
Forward = Callable[..., np.ndarray]
INT8 = "int8"
# OpenVINO's names of Keras' policies; int8 says so in its graph, and the rest of that is float32.
_ARITHMETIC = {"float32": "f32", "mixed_bfloat16": "bf16", "mixed_float16": "f16", INT8: "f32"}


def check_runtime(runtime: Runtime, precision: str = "float32") -> None:
    """Raises OptionError if a runtime, or the quantizer of int8, is not installed."""
    if precision == INT8 and importlib.util.find_spec("nncf") is None:
        problem = "--precision=int8: NNCF, which calibrates encoders, is not installed."
        raise errors.OptionError(problem, 'pip install "geods[int8]", or --precision=float32')
    if runtime == "openvino" and (problem := errors.problem_with_library("openvino", "OpenVINO")):
        step = 'pip install "geods[openvino]", or start a cache with --runtime=tensorflow (--overwrite replaces one)'
        raise errors.OptionError(f"--runtime=openvino: {problem}.", step)


def check_writes_graphs(runtime: Runtime, variants: int = 0) -> None:
    """Raises OptionError if a runtime or --variants needs TensorFlow's graphs."""
    of = "--runtime=openvino" if runtime == "openvino" else f"--variants={variants}" if variants else ""
    if of and backend.name() != backend.DEFAULT:
        problem = f"{of}: it needs graphs of TensorFlow, and Keras' backend is {backend.name()}."
        step = f"export {backend.VARIABLE}={backend.DEFAULT} for the extraction; every backend trains on its features"
        raise errors.OptionError(problem, step)


def name_of(runtime: Runtime, backbone: str) -> str:
    """Returns the library that runs a backbone; an ONNX file has its own."""
    return onnx_graph.runtime() if onnx_files.is_onnx(backbone) else runtime


def policy_of(runtime: Runtime, precision: str) -> str:
    """Returns the Keras policy to build an encoder in.

    OpenVINO chooses its arithmetic itself, from a float32 graph.
    """
    return "float32" if runtime == "openvino" else precision


def compiled(
    backbone: Any,  # noqa: ANN401 - a Keras model
    batch_size: int,
    runtime: Runtime,
    precision: str,
    quantized_path: pathlib.Path | None = None,
    threads: int = 0,
) -> Forward:
    """Compiles an encoder.

    Args:
        backbone: uint8 `[b, h, w, 3]` -> features, built under `policy_of(runtime, precision)`.
        batch_size: Images a batch, always.
        runtime: The library that runs it.
        precision: Keras policy whose arithmetic is wanted, or "int8".
        quantized_path: With "int8", the encoder.xml of what `quantized` returned.
        threads: Of OpenVINO; 0 for a thread a core. TensorFlow's are those of the process.

    Returns:
        A function: uint8 `[batch_size, h, w, 3]`, a tensor or an array -> float32 `[batch_size, *feature_shape]`.

    Raises:
        OptionError: If the runtime is not installed.
    """
    from model.encoders import onnx_encoder

    if any(isinstance(layer, onnx_encoder.OnnxEncoder) for layer in backbone.layers):
        return lambda images: np.asarray(backbone(images, training=False), np.float32)
    check_runtime(runtime)
    check_writes_graphs(runtime)
    if runtime == "tensorflow" and backend.name() != backend.DEFAULT:
        return traced(backbone)
    if runtime == "tensorflow":
        return _in_tensorflow(_graph(backbone, batch_size))
    return _in_openvino(quantized_path or _graph(backbone, batch_size), batch_size, precision, threads)


def traced(backbone: Any) -> Forward:  # noqa: ANN401 - a Keras model
    """Returns an encoder for batches of any size, run by Keras' backend."""
    if backend.name() != backend.DEFAULT:
        return lambda images: np.asarray(backbone.predict_on_batch(np.asarray(images)), np.float32)
    import tensorflow as tf

    forward = tf.function(lambda images: tf.cast(backbone(images, training=False), tf.float32), autograph=False)
    return lambda images: forward(images).numpy()


def quantized(backbone: Any, batches: Sequence[np.ndarray]) -> tuple[bytes, bytes]:  # noqa: ANN401 - a Keras model
    """Quantizes an encoder to integers of 8 bits.

    Args:
        backbone: uint8 `[b, h, w, 3]` -> features, in float32.
        batches: Images for the ranges of its layers' values, uint8 `[b, h, w, 3]` each.

    Returns:
        OpenVINO's encoder.xml and encoder.bin.

    Raises:
        OptionError: If OpenVINO or NNCF is not installed.
    """
    check_runtime("openvino", INT8)
    # As its developers' own tests do: else it reports its use to a server. It must be set before the import.
    os.environ.setdefault("NNCF_CI", "1")
    import nncf
    import openvino

    from model.export import openvino_graph

    # Steps that lie evenly round 0. Those that do not, its other preset, made MobileNetV2 a seventh slower and its
    # features no nearer.
    model = nncf.quantize(
        openvino_graph.convert(_graph(backbone, len(batches[0]))),
        nncf.Dataset(batches),
        preset=nncf.QuantizationPreset.PERFORMANCE,
        subset_size=len(batches),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "encoder.xml")
        openvino.save_model(model, path, compress_to_fp16=False)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()


def _graph(backbone: Any, batch_size: int) -> Any:  # noqa: ANN401 - a Keras model, a concrete function
    """Returns an encoder for batches of one size."""
    import tensorflow as tf

    signature = [tf.TensorSpec((batch_size, *backbone.input_shape[1:]), tf.uint8)]

    def encode(images: Any) -> Any:  # noqa: ANN401 - tensors
        return tf.cast(backbone(images, training=False), tf.float32)

    return tf.function(encode, input_signature=signature, autograph=False).get_concrete_function()


def _in_tensorflow(graph: Any) -> Forward:  # noqa: ANN401 - a concrete function
    """Returns a graph that TensorFlow runs, with its variables as constants."""
    import tensorflow as tf

    # Not among TensorFlow's public names, but what its own converters call.
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    frozen = convert_variables_to_constants_v2(graph)

    def forward(images: Any) -> np.ndarray:  # noqa: ANN401 - a tensor or an array
        found: np.ndarray = frozen(tf.convert_to_tensor(images))[0].numpy()
        return found

    return forward


def _in_openvino(
    source: Any,  # noqa: ANN401 - a path, a concrete function
    batch_size: int,
    precision: str,
    threads: int,
) -> Forward:
    """Returns a graph, or a file of OpenVINO's, compiled by OpenVINO."""
    import openvino

    from model.export import openvino_graph

    # LATENCY gives all cores to one batch; THROUGHPUT splits them between requests, and there is one: half as fast.
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": _ARITHMETIC[precision], "PERFORMANCE_HINT": "LATENCY"}
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    core = openvino.Core()
    if isinstance(source, pathlib.Path):
        model = core.read_model(source)
        # Calibrated on batches of another size, perhaps.
        model.reshape([batch_size, *model.input().shape[1:]])
    else:
        model = openvino_graph.convert(source)
    compiled_model = core.compile_model(model, "CPU", settings)

    def forward(images: Any) -> np.ndarray:  # noqa: ANN401 - a tensor or an array
        # A copy, because the next call writes over the memory of the result.
        return np.array(compiled_model(np.asarray(images))[0])

    return forward
