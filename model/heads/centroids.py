"""Nearest centroid in feature space: the course report's k-nearest neighbours."""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from model import tensors

NAME = "centroids"
# Finite, so that no probability becomes NaN where every cell of a view is without examples.
_LOG_NOTHING = -1e9


@keras.saving.register_keras_serializable(package="geods")
class CentroidDistances(keras.layers.Layer):
    """Logits of a softmax over the distances to each cell's mean features.

    features `[n, c]` or `[n, h, w, c]`, then average-pooled -> logits float32 `[n, cells]`,

        logit(cell) = -sharpness |f - mean of the cell's training examples|,

    and none for a cell without an example.

    Args:
        cells: Number of cells.
        sharpness: Factor of the distances; 1 is the plain softmax.
    """

    def __init__(self, cells: int, sharpness: float = 1.0, **options: object) -> None:
        options.setdefault("dtype", "float32")
        super().__init__(**options)
        self.cells, self.sharpness = cells, sharpness

    def build(self, features_shape: tuple[Any, ...]) -> None:
        """Creates the weights of the cells."""
        options = {"initializer": "zeros", "trainable": False}
        self.means = self.add_weight(name="means", shape=(self.cells, features_shape[-1]), **options)
        self.is_known = self.add_weight(name="is_known", shape=(self.cells,), **options)

    def remember(self, sums: npt.ArrayLike, counts: npt.ArrayLike) -> None:
        """Stores the means of sums `[cells, c]` over counts `[cells]` of examples."""
        counts = np.asarray(counts)
        self.means.assign(np.asarray(sums) / np.maximum(counts, 1)[:, None])
        self.is_known.assign(counts > 0)

    def pool(self, features: tensors.Tensor) -> tensors.Tensor:
        """Returns features `[n, c]` float32."""
        features = ops.cast(features, "float32")
        return ops.mean(features, axis=(1, 2)) if len(features.shape) == 4 else features

    def call(self, features: tensors.Tensor) -> tensors.Tensor:
        """Returns logits `[n, cells]`."""
        pooled = self.pool(features)
        # Expanded: the differences of all pairs would take n x cells x c numbers.
        squared = ops.sum(pooled**2, axis=-1, keepdims=True) + ops.sum(self.means**2, axis=-1)
        squared -= 2 * ops.matmul(pooled, ops.transpose(self.means))
        return ops.where(self.is_known > 0, -self.sharpness * ops.sqrt(ops.maximum(squared, 0.0)), _LOG_NOTHING)

    def compute_output_spec(self, features: tensors.Tensor) -> keras.KerasTensor:
        """Returns shape and dtype of the result without computing it."""
        return keras.KerasTensor((features.shape[0], self.cells), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "cells": self.cells, "sharpness": self.sharpness}


def build(layer: CentroidDistances, feature_shape: tuple[int, ...]) -> keras.Model:
    """Builds a head: features `[n, *feature_shape]` -> logits `[n, cells]`."""
    features = keras.Input(feature_shape, name="features")
    return keras.Model(features, layer(features), name=NAME)
