"""Inference graph of a network, with its weights as constants.

Weights become constants before any converter sees the graph: from graphs with variables, LiteRT files came out without
them and failed at their first prediction (TensorFlow 2.21).
"""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import keras

from model.encoders import second_order_pooling
from model.export import encoder_links
from model.heads import kernel_regression

OUTPUTS = ("cells", "coords", "log_probabilities", "probabilities")
# After 10 steps roots of real textures are within 8e-6 of those in float64. They are 27 products of matrices, where 18
# steps of equal coefficients were 54, a tenth of what `best` takes for a photograph.
_ITERATIONS = 10
# Of log-probabilities: what float32 loses in another order of sums is below 1e-5.
_MOST_DIFFERENCE = 1e-4
# OpenVINO's reader compares each variable with each node that reads one: of MobileNetV2 at two sizes it took 1.3 s,
# and with weights of fewer values as constants 0.7 s. Constants of more values cost time and memory in copies.
_MANY = 1 << 20


def most_difference(network: keras.Model) -> float:
    """Returns the greatest difference of log-probabilities a graph may have.

    1e-4, or the rounding of float32 in a kernel regression, where that is larger: its coefficients cancel.
    """
    layers = network._flatten_layers()
    roundings = [layer.rounding() for layer in layers if isinstance(layer, kernel_regression.KernelRegression)]
    return max([_MOST_DIFFERENCE, *roundings])


@dataclasses.dataclass(frozen=True, eq=False)
class Serving:
    """An inference graph.

    Attributes:
        module: tf.Module with a function `serve`.
        links: ONNX encoders that are to be joined with it, whose features are further inputs of `serve` and their
            images further outputs.
    """

    module: Any
    links: list[encoder_links.Link]


def frozen(network: keras.Model, decode: Callable[[Any], Any] | None = None) -> Serving:
    """Returns the inference graph of a network.

    Args:
        network: As `geolocator.build_geolocator` returns it.
        decode: TensorFlow function from the bytes of a JPEG, a scalar string, to uint8 `[h, w, 3]`; without it the
            graph takes pixels.

    Returns:
        Serving, whose function `serve` takes image uint8 `[b, v, h, w, 3]` and view_mask bool `[b, v]`, or with
        `decode` jpeg string `[b, v]`, where an empty string is no view. It gives coords float32 `[b, 2]` (lat, lon) in
        degrees, cells int32 `[b]`, probabilities and log_probabilities float32 `[b, cells]`.
    """
    import tensorflow as tf

    # Not among TensorFlow's public names, but what its own converters call.
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    function, links = traced(network)
    names, shape = sorted(function.structured_outputs), network.input["image"].shape
    constant = convert_variables_to_constants_v2(function, lower_control_flow=False)
    module = tf.Module()
    if decode is None:
        module.serve = tf.function(
            lambda *given: dict(zip(names, constant(*given), strict=True)),
            autograph=False,
            input_signature=[tf.TensorSpec(one.shape, one.dtype, one.op.name) for one in constant.inputs],
        )
        return Serving(module, links)

    def serve(jpeg: Any) -> dict[str, Any]:  # noqa: ANN401 - a tensor
        present = tf.strings.length(jpeg) > 0
        pixels = tf.map_fn(
            lambda content: tf.cond(
                tf.strings.length(content) > 0, lambda: decode(content), lambda: tf.zeros(shape[2:], tf.uint8)
            ),
            tf.reshape(jpeg, [-1]),
            fn_output_signature=tf.TensorSpec(shape[2:], tf.uint8),
        )
        found = constant(tf.reshape(pixels, tf.concat([tf.shape(jpeg), shape[2:]], 0)), present)
        return dict(zip(OUTPUTS, found, strict=True))

    jpegs = [tf.TensorSpec((None, None), tf.string, name="jpeg")]
    module.serve = tf.function(serve, autograph=False, input_signature=jpegs)
    return Serving(module, links)


def traced(network: keras.Model) -> tuple[Any, list[encoder_links.Link]]:
    """Returns a network as a concrete function, and its ONNX encoders to join.

    Its arguments are image, view_mask and the features of those encoders; it returns a dict of OUTPUTS and of the
    encoders' images.
    """
    import tensorflow as tf

    links = encoder_links.of(network)
    weights = [(one, keras.ops.convert_to_numpy(one)) for one in network.variables if math.prod(one.shape) < _MANY]
    signature = [
        tf.TensorSpec((None, None, *network.input["image"].shape[2:]), tf.uint8, name="image"),
        tf.TensorSpec((None, None), tf.bool, name="view_mask"),
        *(tf.TensorSpec((None, *link.output_shape()), tf.float32, name=link.features) for link in links),
    ]

    def outputs(image: Any, view_mask: Any, *features: Any) -> dict[str, Any]:  # noqa: ANN401 - tensors
        constants = [(one, tf.constant(values)) for one, values in weights]
        with encoder_links.cut(links, features) as fed, keras.StatelessScope(constants):
            found = _outputs(network, image, view_mask)
        return dict(zip(OUTPUTS, found, strict=True)) | {link.images: fed[link.images] for link in links}

    with _exportable(network):
        return tf.function(outputs, input_signature=signature, autograph=False).get_concrete_function(), links


def _outputs(network: keras.Model, image: Any, view_mask: Any) -> list[Any]:  # noqa: ANN401 - tensors
    """Returns the tensors of OUTPUTS."""
    import tensorflow as tf

    result = network({"image": image, "view_mask": view_mask}, training=False)
    log_probabilities = tf.cast(result["log_probabilities"], tf.float32)
    cells = tf.squeeze(tf.math.top_k(log_probabilities, 1)[1], -1)
    return [cells, result["coords"], log_probabilities, tf.exp(log_probabilities)]


@contextlib.contextmanager
def _exportable(network: keras.Model) -> Iterator[None]:
    """Puts layers into a form that all formats know: float32, no decomposition."""
    # A wrapper's layer and a model's layers count as well; ONNX and LiteRT files of bfloat16 open nowhere.
    layers = [layer for layer in network._flatten_layers() if isinstance(layer, keras.layers.Layer)]
    before = [(layer, layer.dtype_policy) for layer in layers]
    roots = [layer for layer in layers if isinstance(layer, second_order_pooling.MatrixSquareRoot)]
    try:
        for layer in layers:
            layer.dtype_policy = keras.DTypePolicy("float32")
        for layer in roots:
            layer.iterations = _ITERATIONS
        yield
    finally:
        for layer, policy in before:
            layer.dtype_policy = policy
        for layer in roots:
            layer.iterations = 0
