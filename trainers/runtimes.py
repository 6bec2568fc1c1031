"""A frozen encoder made ready to run over many batches of one size.

    forward = runtimes.compiled(backbone, 32, "tensorflow", "float32")
    forward(images)         # uint8 [32, h, w, 3] -> float32 [32, *feature_shape]

`tensorflow` folds the weights into the graph as constants, which lets oneDNN lay them out once: 1.1 (ResNet50) to 1.8
times (MobileNetV2) as fast as the same graph with variables, with features that differ in the seventh digit. `openvino`
(extra "openvino", CPU only) compiles that graph for the processor: with bfloat16 arithmetic 2.5 to 3 times as fast.
"""

import importlib.util
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from geods import errors

Runtime = Literal["tensorflow", "openvino"]
Forward = Callable[..., np.ndarray]
# OpenVINO's names of Keras' policies.
_ARITHMETIC = {"float32": "f32", "mixed_bfloat16": "bf16", "mixed_float16": "f16"}


def require(runtime: Runtime) -> None:
    """Refuses a runtime that is not installed.

    Raises:
        OptionError: If it is not.
    """
    if runtime == "openvino" and importlib.util.find_spec("openvino") is None:
        problem = "--runtime=openvino: OpenVINO is not installed."
        raise errors.OptionError(problem, 'pip install "geods[openvino]", or --runtime=tensorflow')


def policy_of(runtime: Runtime, precision: str) -> str:
    """Returns the Keras policy to build an encoder in: OpenVINO chooses its arithmetic itself, from a float32 graph."""
    return "float32" if runtime == "openvino" else precision


def compiled(backbone: Any, batch_size: int, runtime: Runtime, precision: str) -> Forward:  # noqa: ANN401 - a Keras model
    """Makes an encoder ready.

    Args:
        backbone: uint8 `[b, h, w, 3]` -> features, built under `policy_of(runtime, precision)`.
        batch_size: Images it will see at once, always.
        runtime: What runs it.
        precision: Keras policy whose arithmetic is wanted.

    Returns:
        A function: uint8 `[batch_size, h, w, 3]`, a tensor or an array -> float32 `[batch_size, *feature_shape]`.

    Raises:
        OptionError: If the runtime is not installed.
    """
    require(runtime)
    import tensorflow as tf

    signature = [tf.TensorSpec((batch_size, *backbone.input_shape[1:]), tf.uint8)]

    def encode(images: Any) -> Any:  # noqa: ANN401 - tensors
        return tf.cast(backbone(images, training=False), tf.float32)

    graph = tf.function(encode, input_signature=signature, autograph=False)
    return _in_openvino(graph, precision) if runtime == "openvino" else _in_tensorflow(graph)


def _frozen(graph: Any) -> Any:  # noqa: ANN401 - a tf.function, a concrete function
    """Returns a graph with its variables folded in as constants."""
    # Not among TensorFlow's public names, but what its own converters call.
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    return convert_variables_to_constants_v2(graph.get_concrete_function())


def _in_tensorflow(graph: Any) -> Forward:  # noqa: ANN401 - a tf.function
    """Returns a frozen graph that TensorFlow runs."""
    import tensorflow as tf

    frozen = _frozen(graph)

    def forward(images: Any) -> np.ndarray:  # noqa: ANN401 - a tensor or an array
        found: np.ndarray = frozen(tf.convert_to_tensor(images))[0].numpy()
        return found

    return forward


def _in_openvino(graph: Any, precision: str) -> Forward:  # noqa: ANN401 - a tf.function
    """Returns a graph compiled by OpenVINO."""
    import openvino
    import tensorflow as tf

    # LATENCY gives all cores to one batch; THROUGHPUT splits them between requests, and there is one: half as fast.
    settings = {"INFERENCE_PRECISION_HINT": _ARITHMETIC[precision], "PERFORMANCE_HINT": "LATENCY"}
    core = openvino.Core()
    with tempfile.TemporaryDirectory() as folder:
        tf.io.write_graph(_frozen(graph).graph.as_graph_def(), folder, "encoder.pb", as_text=False)
        # And not openvino.convert_model, which reports its use to a server.
        compiled_model = core.compile_model(core.read_model(pathlib.Path(folder, "encoder.pb")), "CPU", settings)

    def forward(images: Any) -> np.ndarray:  # noqa: ANN401 - a tensor or an array
        # A copy, because the next call writes over the memory of the result.
        return np.array(compiled_model(np.asarray(images))[0])

    return forward
