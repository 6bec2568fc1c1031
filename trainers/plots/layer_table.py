"""Layers of a network as a table of text (the course report's Figures 5 and 8)."""

import math
from collections.abc import Iterator

import keras

from model.encoders import backbones

_HEADER = ("Layer", "Type", "Output shape", "Parameters")


def layer_table(model: keras.Model) -> str:
    """Returns a row for each layer: output shape and parameters.

    The encoder is one row.

    Args:
        model: A head, a classifier, or a whole network as `geolocator.load` returns it.
    """
    rows = [_HEADER, *map(_row, _layers(model))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join([*map(str.ljust, row[:3], widths), row[3].rjust(widths[3])]) for row in rows]
    trainable, whole = _count(model.trainable_weights), _count(model.weights)
    return "\n".join([*lines, f"trainable {trainable:,}, others {whole - trainable:,}, all {whole:,}"])


def _layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yields the layers of a network, with inner models, but the encoder, unfolded."""
    for layer in model.layers:
        inner = getattr(layer, "layer", layer)
        if isinstance(inner, keras.Model) and not isinstance(inner, backbones.Backbone):
            yield from _layers(inner)
        elif not isinstance(inner, keras.layers.InputLayer):
            yield inner


def _row(layer: keras.layers.Layer) -> tuple[str, str, str, str]:
    output = layer.output
    shapes = [tuple(part.shape[1:]) for part in keras.tree.flatten(output)]
    return layer.name, type(layer).__name__, ", ".join(map(str, shapes)), f"{layer.count_params():,}"


def _count(weights: list[keras.Variable]) -> int:
    return sum(math.prod(weight.shape) for weight in weights)
