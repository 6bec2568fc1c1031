"""Keras' precision policy for a part of a test."""

import contextlib

import keras


@contextlib.contextmanager
def policy(name: str):
    """Builds layers in `name`, such as mixed_bfloat16, within the block."""
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.mixed_precision.set_dtype_policy(before)
