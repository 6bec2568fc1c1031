"""Contenders that run a frozen encoder: ours, TensorFlow's and Keras'.

An item is an image; one `run` is `batches` batches. Images come from memory, so that nothing but the encoder counts.

The floating-point operations of a Keras model's forward pass are counted from its layers: 2 for a multiplication and a
sum. Convolutions and dense layers count; what goes element by element (activation, normalisation, pooling) is below 1 %
of them in every encoder here and does not, as is the custom.
"""

import math
import pathlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from geods import errors
from model.encoders import backbones
from trainers.features import quantization, runtimes


class Encoder:
    """A frozen encoder; a child gives `forward`.

    Args:
        spec: Fields of a `backbones.BackboneSpec`.
        images: File of uint8 `[batch, h, w, 3]`.
        features: File to write the features of these images to, float32, when asked for facts.
        batches: How often a run goes over them.
        precision: Keras policy.
    """

    def __init__(self, spec: dict[str, Any], images: str, features: str, batches: int, precision: str) -> None:
        self._images = np.load(images, allow_pickle=False)
        self._features, self._batches, self.precision = features, batches, precision
        keras.mixed_precision.set_dtype_policy(self.policy())
        self.backbone = backbones.build(backbones.BackboneSpec.from_dict(spec))

    def policy(self) -> str:
        """Returns the Keras policy to build the encoder in."""
        return self.precision

    def forward(self, images: np.ndarray) -> np.ndarray:
        """Returns the features of a batch."""
        raise NotImplementedError

    def run(self) -> int:
        """Encodes; returns the number of images whose features came."""
        return sum(len(self.forward(self._images)) for _ in range(self._batches))

    def facts(self) -> dict[str, Any]:
        """Writes the features; returns their file and the operations an image takes."""
        np.save(self._features, self.forward(self._images).astype(np.float32), allow_pickle=False)
        return {"features": str(pathlib.Path(self._features)), "gflop": of_model(self.backbone) / 1e9}


class Ours(Encoder):
    """The project's own, as trainers.extract runs it."""

    def __init__(self, runtime: runtimes.Runtime, **others: Any) -> None:  # noqa: ANN401 - as Encoder takes them
        self._runtime = runtime
        super().__init__(**others)
        quantized_path = self._quantized() if self.precision == runtimes.INT8 else None
        self._compiled = runtimes.compiled(self.backbone, len(self._images), runtime, self.precision, quantized_path)

    def _quantized(self) -> pathlib.Path:
        """Calibrates the encoder on the images; returns its file."""
        parts = runtimes.quantized(self.backbone, np.split(self._images, len(self._images)))
        return quantization.save(pathlib.Path(self._features).with_suffix(""), parts)

    def policy(self) -> str:
        """Returns the Keras policy to build the encoder in."""
        return runtimes.policy_of(self._runtime, self.precision)

    def forward(self, images: np.ndarray) -> np.ndarray:
        """Returns the features of a batch."""
        return self._compiled(images)


class KerasPredict(Encoder):
    """model.predict."""

    def forward(self, images: np.ndarray) -> np.ndarray:
        """Returns the features of a batch."""
        found: np.ndarray = self.backbone.predict(images, batch_size=len(images), verbose=0)
        return found


class TensorFlowFunction(Encoder):
    """The model inside a tf.function, with its weights as variables."""

    def __init__(self, **others: Any) -> None:  # noqa: ANN401 - as Encoder takes them
        super().__init__(**others)
        self._function = tf.function(lambda images: self.backbone(images, training=False), autograph=False)

    def forward(self, images: np.ndarray) -> np.ndarray:
        """Returns the features of a batch."""
        found: np.ndarray = self._function(tf.constant(images)).numpy()
        return found


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
