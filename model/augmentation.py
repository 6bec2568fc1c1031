"""Augmentation of images, cached features and view masks while training.

Nothing here mirrors: a mirrored road has its cars, its signs and the sun on the wrong side. All layers act only while
training, so a network with them predicts as one without.
"""

from typing import Any

import keras
from keras import ops

from geods import errors
from model import tensors

# Random numbers that `jittered` takes for an image.
DRAWS = 5


class _Augmentation(keras.layers.Layer):
    """Base of layers whose arguments are shares in [0, 1)."""

    def __init__(self, shares: dict[str, float], **options: object) -> None:
        options.setdefault("dtype", "float32")
        super().__init__(**options)
        for name, value in shares.items():
            if not 0 <= value < 1:
                raise errors.OptionError(f"{name} is {value}.", "give a share of at least 0 and below 1")
            setattr(self, name, value)
        self._shares = tuple(shares)
        self._random = keras.random.SeedGenerator()

    def compute_output_spec(
        self, values: tensors.Tensor, *_others: tensors.Tensor, training: bool | None = None
    ) -> keras.KerasTensor:
        """Returns the shape and dtype of the first argument."""
        return keras.KerasTensor(values.shape, dtype=values.dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), **{name: getattr(self, name) for name in self._shares}}


@keras.saving.register_keras_serializable(package="geods")
class ImageJitter(_Augmentation):
    """Random brightness, contrast and crop of each view.

    uint8 `[b, v, h, w, 3]` -> uint8 of the same shape; each view draws its own random numbers.

    Args:
        brightness: Greatest shift, as a share of 255.
        contrast: Greatest change of the differences from the image's mean, as a share.
        crop: Greatest share cut off each axis; the rest is resized to the old size, with its own aspect.

    Raises:
        OptionError: If a share lies outside [0, 1).
    """

    def __init__(self, brightness: float = 0.0, contrast: float = 0.0, crop: float = 0.0, **options: object) -> None:
        super().__init__({"brightness": brightness, "contrast": contrast, "crop": crop}, **options)

    def call(self, images: tensors.Tensor, training: bool | None = None) -> tensors.Tensor:
        """Returns the changed images while training, the images themselves otherwise."""
        if not training:
            return images
        shape = ops.shape(images)
        flat = ops.reshape(images, (-1, *images.shape[2:]))
        draws = keras.random.uniform((ops.shape(flat)[0], DRAWS), seed=self._random)
        return ops.reshape(jittered(flat, draws, self.brightness, self.contrast, self.crop), shape)


@keras.saving.register_keras_serializable(package="geods")
class ViewMixup(_Augmentation):
    """Blends the features of a view with those of another view of its location.

    Both views share their true point, so the label stays.

    features `[b, v, ...]` and view_mask bool `[b, v]` -> features: (1 - t) x_i + t x_j, j a view of the location drawn
    again for each i, t uniform in [0, strength].

    Args:
        strength: Greatest share of the other view, in [0, 1).

    Raises:
        OptionError: If it lies outside.
    """

    def __init__(self, strength: float = 0.5, **options: object) -> None:
        super().__init__({"strength": strength}, **options)

    def call(self, features: tensors.Tensor, view_mask: tensors.Tensor, training: bool | None = None) -> tensors.Tensor:
        """Returns blended features while training, the features themselves otherwise."""
        if not training:
            return features
        places, views = ops.shape(features)[0], ops.shape(features)[1]
        a_view = (places, views, *[1] * (len(features.shape) - 2))
        lots = keras.random.uniform((places, views, views), seed=self._random)
        # The largest lot among the views that are there; a masked view may blend with anything, it does not count.
        other = ops.argmax(ops.where(ops.cast(view_mask, "bool")[:, None, :], lots, -1.0), axis=-1)
        partner = ops.take_along_axis(features, ops.reshape(other, a_view), axis=1)
        share = ops.cast(keras.random.uniform(a_view, 0, self.strength, seed=self._random), features.dtype)
        return features + share * (partner - features)


@keras.saving.register_keras_serializable(package="geods")
class ViewDropout(_Augmentation):
    """Masks random views of a location, but never its last one.

    view_mask bool `[b, v]` -> bool `[b, v]`.

    Args:
        rate: Share of views hidden, in [0, 1).

    Raises:
        OptionError: If it lies outside.
    """

    def __init__(self, rate: float = 0.3, **options: object) -> None:
        super().__init__({"rate": rate}, **options)

    def call(self, view_mask: tensors.Tensor, training: bool | None = None) -> tensors.Tensor:
        """Returns a mask with fewer views while training, the mask itself otherwise."""
        if not training:
            return view_mask
        seen = ops.cast(view_mask, "bool")
        lots = ops.where(seen, keras.random.uniform(ops.shape(view_mask), dtype="float32", seed=self._random), -1.0)
        best = ops.max(lots, axis=1, keepdims=True)
        return ops.logical_and(seen, ops.logical_or(lots >= self.rate, lots == best))


def jittered(
    images: tensors.Tensor, draws: tensors.Tensor, brightness: float, contrast: float, crop: float
) -> tensors.Tensor:
    """Applies crop, contrast and brightness by given random numbers.

    Args:
        images: uint8 `[n, h, w, 3]`.
        draws: `[n, DRAWS]`, each in [0, 1): share cut off, corner of the crop (2), contrast, brightness.
        brightness: See `ImageJitter`, as the next two.
        contrast: Greatest change, as a share.
        crop: Greatest share cut off.

    Returns:
        uint8 `[n, h, w, 3]`.
    """
    levels = ops.cast(images, "float32")
    if crop:
        levels = _cropped(levels, 1 - crop * draws[:, :1], draws[:, 1:3])
    signed = (2 * draws - 1)[:, None, None, :]
    mean = ops.mean(levels, axis=(1, 2, 3), keepdims=True)
    levels = mean + (levels - mean) * (1 + contrast * signed[..., 3:4])
    levels = levels + 255 * brightness * signed[..., 4:5]
    return ops.cast(ops.round(ops.clip(levels, 0, 255)), images.dtype)


def _cropped(levels: tensors.Tensor, kept: tensors.Tensor, where: tensors.Tensor) -> tensors.Tensor:
    """Crops images `[n, h, w, 3]` and resizes them to their old size.

    Args:
        levels: The images.
        kept: `[n, 1]` share of both sides that stays: they shrink alike, so that what is round stays round.
        where: `[n, 2]` where the window lies, from 0 (top, left) to 1.
    """
    corner = where * (1 - kept) * ops.cast(ops.shape(levels)[1:3], "float32")
    none = ops.zeros_like(kept)
    # x' = a0 x + a1 y + a2, y' = b0 x + b1 y + b2, with x along the width.
    transform = ops.concatenate([kept, none, corner[:, 1:], none, kept, corner[:, :1], none, none], axis=1)
    return ops.image.affine_transform(levels, transform, interpolation="bilinear", fill_mode="nearest")
