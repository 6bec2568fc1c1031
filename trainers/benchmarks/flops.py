"""Floating-point operations of a Keras model's forward pass, counted from its layers: 2 for a multiplication and a sum.

Convolutions and dense layers count; what goes element by element (activation, normalisation, pooling) is below 1 % of
them in every encoder here and does not, as is the custom.
"""

import math
from collections.abc import Iterator
from typing import Any

from geods import errors

# Layers that multiply and are not counted here would make a share of the peak too small without a word.
_MULTIPLIES = ("Attention", "RNN", "LSTM", "GRU", "Einsum", "Conv", "Dot")


def of_model(model: Any) -> int:  # noqa: ANN401 - a Keras model
    """Returns the operations for one example.

    Args:
        model: A functional model, or one whose layers are; their calls are looked through.

    Raises:
        BenchmarkError: If it holds a layer that multiplies and cannot be counted.
    """
    return sum(map(_of_layer, _flat(model)))


def _flat(model: Any) -> Iterator[Any]:  # noqa: ANN401
    """Yields the layers of a model and of the models inside it."""
    for layer in model.layers:
        if getattr(layer, "layers", None):
            yield from _flat(layer)
        elif getattr(layer, "layer", None) is not None:
            yield from _flat(layer.layer)
        else:
            yield layer


def _of_layer(layer: Any) -> int:  # noqa: ANN401
    """Returns the operations of one layer for one example."""
    kind = type(layer).__name__
    # Each value of the output is one product of the kernel's values that lead to it; the last axis leads to others.
    if kind in ("Dense", "Conv1D", "Conv2D", "Conv3D"):
        return 2 * math.prod(layer.output.shape[1:]) * math.prod(layer.kernel.shape[:-1])
    if kind in ("DepthwiseConv1D", "DepthwiseConv2D"):
        return 2 * math.prod(layer.output.shape[1:]) * math.prod(layer.kernel.shape[:-2])
    if any(part in kind for part in _MULTIPLIES):
        raise errors.BenchmarkError(f"{layer.name}: cannot count the operations of a {kind}.", "choose another model")
    return 0
