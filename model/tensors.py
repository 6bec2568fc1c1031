"""Type of a tensor of any Keras backend."""

from typing import Any, TypeAlias

# tf.Tensor, jax.Array, numpy.ndarray, or Keras' symbolic tensor while a model is built.
Tensor: TypeAlias = Any
