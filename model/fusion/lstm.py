"""LSTM over the views of a location in order of heading."""

from typing import Any

import keras
from keras import ops

from geods import errors
from model import tensors
from model.fusion import attention, views


@keras.saving.register_keras_serializable(package="geods")
class LstmOverViews(keras.layers.Layer):
    """LSTM over the views of a location: the report's second solution.

    features `[b, v, c]` or `[b, v, h, w, c]` and view_mask bool `[b, v]` -> one vector for each location `[b, units]`.
    A map is max-pooled as a whole first. Views come in order of heading from pipeline and cache; a masked one leaves
    the state as it is. A location without any view gives zeros.

    Args:
        units: Length of the state; 64 is the report's.

    Raises:
        OptionError: If units is below 1.
    """

    def __init__(self, units: int = 64, **options: object) -> None:
        super().__init__(**options)
        if units < 1:
            raise errors.OptionError(f"an LSTM of {units} units.", "give at least 1")
        self.units = units
        # cuDNN refuses a location without views and a gap in the mask; for three steps it would save nothing.
        self.lstm = keras.layers.LSTM(units, use_cudnn=False, dtype=self.dtype_policy, name="lstm")

    def build(self, features_shape: tuple[Any, ...], view_mask_shape: Any) -> None:  # noqa: ANN401 - a shape
        """Builds the LSTM."""
        self.lstm.build((None, None, features_shape[-1]))

    def call(self, features: tensors.Tensor, view_mask: tensors.Tensor) -> tensors.Tensor:
        """Returns `[b, units]`."""
        seen = ops.cast(view_mask, "bool")
        # Zeroed, because the LSTM computes masked steps too, and an infinity in one gives its gradient a NaN.
        pooled = ops.where(ops.expand_dims(seen, -1), attention.pool(features, "max"), 0.0)
        return self.lstm(ops.cast(pooled, self.compute_dtype), mask=seen)

    def compute_output_spec(self, features: tensors.Tensor, view_mask: tensors.Tensor) -> keras.KerasTensor:
        """Returns shape and dtype of the result without computing it."""
        return keras.KerasTensor((features.shape[0], self.units), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="geods")
class LogProbabilities(keras.layers.Layer):
    """Log-softmax of a location's logits, uniform where it has no view.

    logits `[b, cells]` and view_mask bool `[b, v]` -> log-probabilities float32 `[b, cells]`.
    """

    def __init__(self, **options: object) -> None:
        options.setdefault("dtype", "float32")
        super().__init__(**options)

    def call(self, logits: tensors.Tensor, view_mask: tensors.Tensor) -> tensors.Tensor:
        """Returns log-probabilities `[b, cells]`, with view_mask bool `[b, v]`."""
        return views.or_uniform(ops.log_softmax(ops.cast(logits, "float32"), axis=-1), views.seen_views(view_mask))

    def compute_output_spec(self, logits: tensors.Tensor, view_mask: tensors.Tensor) -> keras.KerasTensor:
        """Returns shape and dtype of the result without computing it."""
        return keras.KerasTensor(logits.shape, dtype="float32")
