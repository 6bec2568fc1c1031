"""From views to locations: a network applied to every view, and the fusion of what the views say."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="geods")
class PerView(keras.layers.Wrapper):
    """Applies a model to every view: `[b, v, ...]` -> `[b, v, ...]`, for any number of locations and views.

    Args:
        layer: keras.Model `[n, ...]` -> `[n, ...]`; it sees all views of all locations as one batch.
    """

    def build(self, views_shape: tuple[int | None, ...]) -> None:
        """Builds the model for the shape of one view."""
        super().build((None, *views_shape[2:]))

    def call(self, views: Any, training: bool | None = None) -> Any:  # noqa: ANN401 - tensors of any backend
        """Returns the model's output for views `[b, v, ...]`."""
        flat = ops.reshape(views, (-1, *views.shape[2:]))
        result = self.layer(flat, training=training)
        return ops.reshape(result, (-1, ops.shape(views)[1], *result.shape[1:]))

    def compute_output_spec(self, views: Any, training: bool | None = None) -> keras.KerasTensor:  # noqa: ANN401
        """Returns shape and dtype of the result without computing it."""
        one = self.layer.compute_output_spec(keras.KerasTensor((None, *views.shape[2:]), dtype=views.dtype))
        return keras.KerasTensor((*views.shape[:2], *one.shape[1:]), dtype=one.dtype)


@keras.saving.register_keras_serializable(package="geods")
class MeanOfProbabilities(keras.layers.Layer):
    """Fuses the views of a location: the mean of their probabilities, in logarithms.

    logits `[b, v, cells]` and view_mask bool `[b, v]` -> log-probabilities float32 `[b, cells]`. Views the mask leaves
    out count for nothing, whatever they hold. A location without any view has seen nothing, so all its cells are
    equally probable.

    Late averaging of single-view softmaxes beat joint models of four views on 50 US states (92.4 % against 72 %;
    github.com/vdefont/vdefont.github.io, "GeoGuessr AI").
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - Keras' own
        """Takes the options of every Keras layer."""
        options.setdefault("dtype", "float32")
        super().__init__(**options)

    def call(self, logits: Any, view_mask: Any) -> Any:  # noqa: ANN401 - tensors of any backend
        """Returns log-probabilities `[b, cells]` of logits `[b, v, cells]`."""
        seen = ops.cast(view_mask, "bool")[:, :, None]
        # Zeroed before the softmax: an infinity in a padded view would give its gradient a NaN that no mask removes.
        of_views = ops.log_softmax(ops.where(seen, ops.cast(logits, "float32"), 0.0), axis=-1)
        count = ops.sum(ops.cast(seen, "float32"), axis=1)
        # A finite stand-in for log 0: the logarithm of a sum of nothing but -inf has no gradient.
        summed = ops.logsumexp(ops.where(seen, of_views, -1e9), axis=1)
        fused = summed - ops.log(ops.maximum(count, 1.0))
        ignorance = -ops.log(ops.cast(logits.shape[-1], "float32"))
        return ops.where(count > 0, fused, ignorance)

    def compute_output_shape(
        self, logits_shape: tuple[int | None, ...], view_mask_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Returns (b, cells)."""
        return (logits_shape[0], logits_shape[2])
