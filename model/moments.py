"""How the channels of feature maps vary together over a place: a description of its textures, without any training."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from geods import errors
from model import tensors

# Of 512 channels a region gives 131,328 values; more would be slower to decompose than the encoder is to run.
_MOST_CHANNELS = 512
_NOTHING = 1e-12


@keras.saving.register_keras_serializable(package="geods")
class SecondMoments(keras.layers.Layer):
    """Square roots of the second-moment matrices of all pixels of all views of a place.

    features `[b, v, h, w, c]` and view_mask bool `[b, v]` -> float32 `[b, regions * c (c + 1) / 2]`. For each region,
    M = mean of x x^T over its pixels x `[c]`, scaled to trace 1; what is returned is the upper triangle of M^(1/2), its
    off-diagonal values times sqrt(2), so that Euclidean distances are Frobenius distances of matrices. The square root
    makes strong channels count less, which is what lets second moments tell textures apart (Li et al. 2018, Towards
    Faster Training of Global Covariance Pooling Networks, arXiv 1712.01034). A place without any view gives 0.

    Args:
        regions: (top, bottom) of each, as shares of the height of a map from above.

    Raises:
        OptionError: If a region has no height, or the map too many channels.
    """

    def __init__(self, regions: Sequence[Sequence[float]] = ((0.0, 1.0), (0.5, 1.0)), **options: object) -> None:
        options.setdefault("dtype", "float32")
        super().__init__(**options)
        self.regions = tuple((float(top), float(bottom)) for top, bottom in regions)
        if not self.regions or not all(0 <= top < bottom <= 1 for top, bottom in self.regions):
            problem = f"regions {self.regions} of a feature map."
            raise errors.OptionError(problem, "give at least one (top, bottom) with 0 <= top < bottom <= 1")

    def call(self, features: tensors.Tensor, view_mask: tensors.Tensor) -> tensors.Tensor:
        """Returns the values of places `[b, v, h, w, c]`."""
        rows, channels = features.shape[2], features.shape[-1]
        seen = ops.cast(view_mask, "bool")[:, :, None, None, None]
        # Zeroed and not multiplied by 0: what a missing view holds may be infinite.
        levels = ops.where(seen, ops.cast(features, "float32"), 0.0)
        roots = []
        for top, bottom in self.regions:
            first, last = int(top * rows), max(int(top * rows) + 1, round(bottom * rows))
            pixels = ops.reshape(levels[:, :, first:last], (ops.shape(levels)[0], -1, channels))
            roots.append(_upper(_square_root(ops.matmul(ops.transpose(pixels, (0, 2, 1)), pixels)), channels))
        return ops.concatenate(roots, axis=-1)

    def compute_output_spec(self, features: tensors.Tensor, view_mask: tensors.Tensor) -> keras.KerasTensor:
        """Returns shape and dtype of the result without computing it."""
        channels = features.shape[-1]
        if len(features.shape) != 5 or channels > _MOST_CHANNELS:
            problem = f"second moments of features of shape {tuple(features.shape[2:])}."
            step = f"extract a map of at most {_MOST_CHANNELS} channels, such as --layer=block_12_add --pooling=none"
            raise errors.OptionError(problem, step)
        count = len(self.regions) * channels * (channels + 1) // 2
        return keras.KerasTensor((features.shape[0], count), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Returns what the constructor takes."""
        return {**super().get_config(), "regions": self.regions}


def _square_root(moments: tensors.Tensor) -> tensors.Tensor:
    """Returns the square roots of matrices `[b, c, c]` scaled to trace 1; of the zero matrix, zero."""
    trace = ops.trace(moments, axis1=1, axis2=2)[:, None, None]
    values, vectors = ops.eigh(moments / ops.maximum(trace, _NOTHING))
    # Rounding leaves values just below 0.
    roots = ops.sqrt(ops.maximum(values, 0.0))
    return ops.matmul(vectors * roots[:, None, :], ops.transpose(vectors, (0, 2, 1)))


def _upper(matrices: tensors.Tensor, channels: int) -> tensors.Tensor:
    """Returns the upper triangles of symmetric matrices `[b, c, c]` so that lengths stay what they are."""
    row, column = np.triu_indices(channels)
    weights = np.where(row == column, 1.0, np.sqrt(2.0)).astype("float32")
    return ops.take(ops.reshape(matrices, (-1, channels * channels)), row * channels + column, axis=1) * weights
