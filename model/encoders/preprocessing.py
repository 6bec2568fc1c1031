"""Preprocessing and resizing of images as layers of the network."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from model import tensors
from model.encoders import registry


@keras.saving.register_keras_serializable(package="geods")
class Preprocessing(keras.layers.Layer):
    """Normalises uint8 images as an encoder's training did.

    uint8 `[b, h, w, 3]` (RGB, 0 to 255) -> float32 `[b, h, w, 3]`. It stays float32 under mixed precision: bfloat16
    would keep 8 of the bits after mean and scale have moved the values; the encoder's first layer casts them itself.

    Args:
        encoder: Name in model.encoders.registry, whose preprocess_input is applied.
        kind: "own" for that, "raw" to pass 0 to 255 through, as the report "GeoGuessrAI" did.

    Raises:
        BackboneError: If there is no such encoder.
    """

    def __init__(self, encoder: str, kind: str = "own", **options: object) -> None:
        options.setdefault("dtype", "float32")
        super().__init__(**options)
        self.encoder = encoder
        self.kind = kind
        self._preprocess = registry.find(encoder).preprocess

    def call(self, images: tensors.Tensor) -> tensors.Tensor:
        """Returns float32 `[b, h, w, 3]` for images `[b, h, w, 3]`."""
        levels = ops.cast(images, "float32")
        return levels if self.kind == "raw" else self._preprocess(levels)

    def compute_output_shape(self, images_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the shape of the images."""
        return images_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "encoder": self.encoder, "kind": self.kind}


@keras.saving.register_keras_serializable(package="geods")
class Resized(keras.layers.Layer):
    """Antialiased bilinear resize.

    `[b, h, w, 3]` -> float32 `[b, height_px, width_px, 3]`, of the same levels: what `keras.ops.image.resize` gives
    with antialias=True, made of operations that every runtime knows; OpenVINO cannot read TensorFlow's own.

    Args:
        height_px: Height of the result.
        width_px: Width of the result.
    """

    def __init__(self, height_px: int, width_px: int, **options: object) -> None:
        options.setdefault("dtype", "float32")
        super().__init__(**options)
        self.height_px, self.width_px = height_px, width_px

    def call(self, images: tensors.Tensor) -> tensors.Tensor:
        """Returns the resized images."""
        rows = _resized(ops.cast(images, "float32"), self.height_px, axis=1)
        return _resized(rows, self.width_px, axis=2)

    def compute_output_spec(self, images: tensors.Tensor) -> keras.KerasTensor:
        """Returns shape and dtype of the result without computing it."""
        return keras.KerasTensor((images.shape[0], self.height_px, self.width_px, 3), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "height_px": self.height_px, "width_px": self.width_px}


def _resized(levels: tensors.Tensor, size: int, axis: int) -> tensors.Tensor:
    """Resizes images `[b, h, w, c]` along one axis to `size` pixels."""
    places, shares = _neighbours(levels.shape[axis], size)
    across = (size, 1, 1) if axis == 1 else (size, 1)
    return sum(
        ops.take(levels, place, axis=axis) * np.reshape(share, across)
        for place, share in zip(places.T, shares.T, strict=True)
    )


def _neighbours(source: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the source pixels and weights of each resized pixel.

    int and float32 `[size, k]`, for `source` pixels resized to `size`.

    The shares fall linearly with the distance from its centre, to 0 at the next pixel of the coarser of the two grids.
    """
    scale = source / size
    reach = max(scale, 1.0)
    centres = (np.arange(size) + 0.5) * scale - 0.5
    places = np.floor(centres - reach).astype(np.int64)[:, None] + np.arange(1, math.ceil(2 * reach) + 1)
    shares = np.maximum(1 - np.abs(places - centres[:, None]) / reach, 0)
    shares[(places < 0) | (places >= source)] = 0
    shares /= shares.sum(axis=1, keepdims=True)
    return np.clip(places, 0, source - 1), shares.astype(np.float32)
