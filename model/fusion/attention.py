"""Attention fusion: learned weights of the views of a location."""

from typing import Any

import keras
from keras import ops

from geods import errors
from model import tensors
from model.fusion import views


@keras.saving.register_keras_serializable(package="geods")
class AttentionOverViews(keras.layers.Layer):
    """Attention-weighted mean of the log-probabilities of views.

    logits `[b, v, cells]`, features `[b, v, c]` or `[b, v, h, w, c]` and view_mask bool `[b, v]` -> log-probabilities
    float32 `[b, cells]`. The weight of view i is the softmax over views of u tanh(V x_i), x_i its normalised and
    average-pooled features (Ilse et al. 2018, Attention-based Deep Multiple Instance Learning, arXiv 1802.04712,
    equation 8). u starts at 0, so that training starts from the plain mean of log-probabilities.

    Args:
        units: Length of V x.

    Raises:
        OptionError: If units is below 1.
    """

    def __init__(self, units: int = 64, **options: object) -> None:
        # A weight of 8 bits would favour one of two views that say the same.
        options.setdefault("dtype", "float32")
        super().__init__(**options)
        if units < 1:
            raise errors.OptionError(f"attention of {units} units.", "give at least 1")
        self.units = units
        self.normalise = keras.layers.LayerNormalization(epsilon=1e-6, dtype=self.dtype_policy, name="normalise")
        self.hidden = keras.layers.Dense(units, activation="tanh", dtype=self.dtype_policy, name="hidden")
        self.score = keras.layers.Dense(
            1, use_bias=False, kernel_initializer="zeros", dtype=self.dtype_policy, name="score"
        )

    def build(self, logits_shape: tuple[Any, ...], features_shape: tuple[Any, ...], view_mask_shape: Any) -> None:  # noqa: ANN401
        """Builds the three layers."""
        pooled = (None, None, features_shape[-1])
        self.normalise.build(pooled)
        self.hidden.build(pooled)
        self.score.build((None, None, self.units))

    def call(self, logits: tensors.Tensor, features: tensors.Tensor, view_mask: tensors.Tensor) -> tensors.Tensor:
        """Returns log-probabilities `[b, cells]`."""
        weights = self.weights_of_views(features, view_mask)
        of_views = views.log_probabilities_of_views(logits, view_mask)
        fused = ops.log_softmax(ops.sum(ops.expand_dims(weights, -1) * of_views, axis=1), axis=-1)
        return views.or_uniform(fused, views.seen_views(view_mask))

    def weights_of_views(self, features: tensors.Tensor, view_mask: tensors.Tensor) -> tensors.Tensor:
        """Returns the weight of each view, float32 `[b, v]`.

        It is 0 where masked; the weights of a location sum to 1 unless all its views are masked.
        """
        seen = ops.cast(view_mask, "bool")
        pooled = ops.where(ops.expand_dims(seen, -1), pool(features, "avg"), 0.0)
        scores = ops.squeeze(self.score(self.hidden(self.normalise(pooled))), -1)
        scores = ops.where(seen, scores, -1e9)
        # A softmax; Keras' own warns where a location has one view.
        weights = ops.exp(scores - ops.logsumexp(scores, axis=-1, keepdims=True))
        return ops.where(seen, weights, 0.0)

    def compute_output_spec(
        self, logits: tensors.Tensor, features: tensors.Tensor, view_mask: tensors.Tensor
    ) -> keras.KerasTensor:
        """Returns shape and dtype of the result without computing it."""
        return keras.KerasTensor((logits.shape[0], logits.shape[2]), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "units": self.units}


def pool(features: tensors.Tensor, how: str) -> tensors.Tensor:
    """Returns features `[b, v, ..., c]` pooled to float32 `[b, v, c]`.

    Args:
        features: A feature map or a vector for each view.
        how: "avg" or "max".
    """
    features = ops.cast(features, "float32")
    if len(features.shape) == 3:
        return features
    return (ops.mean if how == "avg" else ops.max)(features, axis=(2, 3))
