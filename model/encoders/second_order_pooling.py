"""Second-order pooling: covariances of channels as a description of textures.

Nothing is trained. `SecondOrderPooling` pools the map of one view, so that a cache need not hold the map;
`MatrixSquareRoot` joins the views of a location.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from geods import errors
from model import tensors

# Of 512 channels a region gives 131,328 values; more would be slower to decompose than the encoder is to run.
_MOST_CHANNELS = 512
_NOTHING = 1e-12
# Of a matrix of trace 1 the least root that iteration finds: real textures of one view had 0.004, the least of 720.
_LEAST_ROOT = 1e-3
REGIONS = ((0.0, 1.0), (0.5, 1.0))


# The name in model.keras files is that of its first version.
@keras.saving.register_keras_serializable(package="geods", name="SecondMoments")
class SecondOrderPooling(keras.layers.Layer):
    """Pools a feature map to the second moments of its pixels.

    features `[b, h, w, c]` -> float32 `[b, regions * c (c + 1) / 2]`: for each region the upper triangle of the mean of
    x x^T over its pixels x `[c]`, row by row.

    Args:
        regions: (top, bottom) of each, as shares of the height of a map from above.

    Raises:
        OptionError: If a region has no height, or the map too many channels.
    """

    def __init__(self, regions: Sequence[Sequence[float]] = REGIONS, **options: object) -> None:
        options.setdefault("dtype", "float32")
        super().__init__(**options)
        self.regions = tuple((float(top), float(bottom)) for top, bottom in regions)
        if not self.regions or not all(0 <= top < bottom <= 1 for top, bottom in self.regions):
            problem = f"regions {self.regions} of a feature map."
            raise errors.OptionError(problem, "give at least one (top, bottom) with 0 <= top < bottom <= 1")

    def call(self, features: tensors.Tensor) -> tensors.Tensor:
        """Returns the moments of maps `[b, h, w, c]`."""
        _, rows, columns, channels = features.shape
        levels = ops.cast(features, "float32")
        parts = []
        for top, bottom in self.regions:
            first, last = int(top * rows), max(int(top * rows) + 1, round(bottom * rows))
            pixels = ops.reshape(levels[:, first:last], (-1, (last - first) * columns, channels))
            products = ops.matmul(ops.transpose(pixels, (0, 2, 1)), pixels) / float(pixels.shape[1])
            parts.append(_upper(products, channels))
        return ops.concatenate(parts, axis=-1)

    def compute_output_spec(self, features: tensors.Tensor) -> keras.KerasTensor:
        """Returns shape and dtype of the result without computing it."""
        channels = features.shape[-1]
        if len(features.shape) != 4 or channels > _MOST_CHANNELS:
            problem = f"second moments of features of shape {tuple(features.shape[1:])}."
            step = f"take a layer with a map of at most {_MOST_CHANNELS} channels, such as --layer=block_12_add"
            raise errors.OptionError(problem, step)
        return keras.KerasTensor((features.shape[0], len(self.regions) * _triangle(channels)), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "regions": self.regions}


@keras.saving.register_keras_serializable(package="geods", name="MomentRoots")
class MatrixSquareRoot(keras.layers.Layer):
    """Matrix square root of second moments, averaged over a location's views.

    moments `[b, v, d]`, each of `d` being upper triangles of matrices `[c, c]`, and view_mask bool `[b, v]` ->
    float32 `[b, d]`. For each matrix M, the mean over views scaled to trace 1, what is returned is the upper triangle
    of M^(1/2), its off-diagonal values times sqrt(2), so that Euclidean distances are Frobenius distances of matrices.
    The square root makes strong channels count less, which is what lets second moments distinguish textures (Li et al.
    2018, Towards Faster Training of Global Covariance Pooling Networks, arXiv 1712.01034). A location without any view
    gives 0.

    The root is found by decomposition; an exported graph takes `iterations` of Newton and Schulz instead, since ONNX
    and LiteRT know no decomposition. It is no argument of the constructor, so saved models decompose.

    Args:
        channels: c, one number for all matrices or one for each.

    Attributes:
        iterations: 0 to decompose.

    Raises:
        OptionError: If d is no multiple of c (c + 1) / 2, or not the sum of those of all matrices.
    """

    def __init__(self, channels: int | Sequence[int], **options: object) -> None:
        options.setdefault("dtype", "float32")
        super().__init__(**options)
        self.channels = channels if isinstance(channels, int) else tuple(channels)
        self.iterations = 0

    def call(self, moments: tensors.Tensor, view_mask: tensors.Tensor) -> tensors.Tensor:
        """Returns the roots `[b, d]` of moments `[b, v, d]`."""
        seen = ops.expand_dims(ops.cast(view_mask, "bool"), -1)
        # Zeroed and not multiplied by 0: what a missing view holds may be infinite. The trace takes care of the count.
        whole = ops.sum(ops.where(seen, ops.cast(moments, "float32"), 0.0), axis=1)
        if isinstance(self.channels, int):
            return _roots(whole, self.channels, self.iterations)
        found, end = [], 0
        # Matrices of one size at once.
        for channels, group in itertools.groupby(self.channels):
            start, end = end, end + sum(map(_triangle, group))
            found.append(_roots(whole[:, start:end], channels, self.iterations))
        return ops.concatenate(found, axis=1)

    def compute_output_spec(self, moments: tensors.Tensor, view_mask: tensors.Tensor) -> keras.KerasTensor:
        """Returns shape and dtype of the result without computing it."""
        size = moments.shape[-1]
        each = [self.channels] if isinstance(self.channels, int) else self.channels
        matrices = sum(map(_triangle, each))
        if size % matrices or (size != matrices and len(each) > 1):
            problem = f"{size:,} values of a view are no second moments of {self.channels} channels."
            raise errors.OptionError(problem, "extract with --pooling=moments")
        return keras.KerasTensor((moments.shape[0], size), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "channels": self.channels}


def channels_of(size: int, matrices: int) -> int:
    """Returns the channels of a vector of so many second-moment triangles.

    Raises:
        OptionError: If they cannot be.
    """
    channels = (math.isqrt(8 * size // matrices + 1) - 1) // 2
    if matrices * _triangle(channels) != size or not size:
        problem = f"{size:,} values of a view are no second moments of {matrices} maps."
        raise errors.OptionError(problem, "extract with --pooling=moments")
    return channels


def _roots(triangles: tensors.Tensor, channels: int, iterations: int) -> tensors.Tensor:
    """Returns the scaled upper triangles of roots `[b, n * c (c + 1) / 2]`."""
    size = triangles.shape[-1]
    each = ops.reshape(triangles, (-1, _triangle(channels)))
    row, column = np.triu_indices(channels)
    lengths = np.where(row == column, 1.0, np.sqrt(2.0)).astype("float32")
    return ops.reshape(_upper(_square_root(_symmetric(each, channels), iterations), channels) * lengths, (-1, size))


def _triangle(channels: int) -> int:
    return channels * (channels + 1) // 2


def _square_root(moments: tensors.Tensor, iterations: int) -> tensors.Tensor:
    """Returns square roots of matrices `[b, c, c]` scaled to trace 1.

    The root of the zero matrix is zero.
    """
    if iterations:
        trace = ops.sum(moments * np.eye(moments.shape[-1], dtype="float32"), axis=(1, 2), keepdims=True)
        return _newton_schulz(moments / ops.maximum(trace, _NOTHING), iterations)
    trace = ops.trace(moments, axis1=1, axis2=2)[:, None, None]
    values, vectors = ops.eigh(moments / ops.maximum(trace, _NOTHING))
    # Rounding leaves values just below 0.
    roots = ops.sqrt(ops.maximum(values, 0.0))
    return ops.matmul(vectors * roots[:, None, :], ops.transpose(vectors, (0, 2, 1)))


def _newton_schulz(scaled: tensors.Tensor, iterations: int) -> tensors.Tensor:
    """Returns square roots of matrices `[b, c, c]` of trace 1, by iteration.

    Y' = Y P, Z' = P Z with P = a - b Z Y, from Y = M, Z = 1 (Higham 2008, Functions of Matrices, equation 6.35, has
    a = 3 / 2, b = 1 / 2).
    """
    whole = np.eye(scaled.shape[-1], dtype="float32")
    root, inverse = scaled, None
    for number, (a, b) in enumerate(_steps(iterations), 1):
        step = a * whole - b * (root if inverse is None else ops.matmul(inverse, root))
        root = ops.matmul(root, step)
        # Of the last step only the root counts.
        if number < iterations:
            inverse = step if inverse is None else ops.matmul(step, inverse)
    return root


def _steps(iterations: int) -> Iterator[tuple[float, float]]:
    """Yields coefficients (a, b) of the steps.

    Steps x' = x (a - b x^2) take [_LEAST_ROOT, 1] to 1. Each is the best of its kind for the interval that the one
    before leaves (Chen and Chow 2014, A Stable Scaling of Newton-Schulz for Improving the Sign Function Computation of
    a Hermitian Matrix): 10 do what 18 equal ones did.
    """
    low, high = _LEAST_ROOT, 1.0
    for _ in range(iterations):
        curve = 3 / (low * low + low * high + high * high)
        # Both ends of the interval go to one value, and the peak between them as far above 1 as that is below.
        end, peak = low * (3 - curve * low * low), 2 / math.sqrt(curve)
        scale = 2 / (end + peak)
        yield 3 * scale, curve * scale
        low, high = scale * end, scale * peak


def _upper(matrices: tensors.Tensor, channels: int) -> tensors.Tensor:
    """Returns the upper triangles of matrices `[b, c, c]`, row by row."""
    row, column = np.triu_indices(channels)
    return ops.take(ops.reshape(matrices, (-1, channels * channels)), row * channels + column, axis=1)


def _symmetric(triangles: tensors.Tensor, channels: int) -> tensors.Tensor:
    """Returns symmetric matrices `[b, c, c]` from their upper triangles."""
    row, column = np.triu_indices(channels)
    place = np.empty((channels, channels), np.int64)
    place[row, column] = place[column, row] = np.arange(len(row))
    return ops.reshape(ops.take(triangles, place.reshape(-1), axis=1), (-1, channels, channels))
