"""The type of a tensor, which depends on the backend Keras runs on, so that no single class names it."""

from typing import Any, TypeAlias

# tf.Tensor, jax.Array, numpy.ndarray, or Keras' symbolic tensor while a model is built.
Tensor: TypeAlias = Any
