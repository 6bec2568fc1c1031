"""Training on several devices of one machine, each with its share of every batch.

On TensorFlow by MirroredStrategy; on JAX (KERAS_BACKEND=jax, extra "jax") by Keras' DataParallel, which also spans
machines where `jax.distributed` does. The weights are copied to every device, the gradients are averaged, and a run is
saved as from one device.
"""

import contextlib
import os
from collections.abc import Iterator

from geods import errors


def require(count: int, batch_size: int) -> None:
    """Refuses batches that cannot be shared out evenly.

    Raises:
        OptionError: If a batch is not a multiple of the devices.
    """
    if batch_size % count:
        problem = f"--batch_size={batch_size} with --devices={count}: every device takes an equal share of a batch."
        raise errors.OptionError(
            problem, f"give a multiple, such as --batch_size={count * max(1, batch_size // count)}"
        )


@contextlib.contextmanager
def spread(count: int) -> Iterator[None]:
    """Lets networks that are built in the block train on several devices; with one it does nothing.

    Args:
        count: How many.

    Raises:
        OptionError: If there are fewer.
    """
    import keras

    if count == 1:
        yield
    elif keras.backend.backend() == "jax":
        with _data_parallel(count):
            yield
    else:
        with _mirrored(count):
            yield


@contextlib.contextmanager
def _data_parallel(count: int) -> Iterator[None]:
    """Spreads over the devices of JAX."""
    import keras

    before, there = keras.distribution.distribution(), keras.distribution.list_devices()
    if len(there) < count:
        raise _too_few(count, len(there), f"XLA_FLAGS=--xla_force_host_platform_device_count={count}")
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=there[:count]))
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)


@contextlib.contextmanager
def _mirrored(count: int) -> Iterator[None]:
    """Spreads over the GPUs of TensorFlow, or over parts of the CPU where there is none: to try it, it is no faster."""
    import tensorflow as tf

    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    if kind == "CPU":
        with contextlib.suppress(RuntimeError):
            # Refused once TensorFlow has begun to work; what there is then is counted below.
            parts = [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
            tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], parts)
    there = len(tf.config.list_logical_devices(kind))
    if there < count:
        raise _too_few(count, there, os.environ.get("CUDA_VISIBLE_DEVICES", ""))
    with tf.distribute.MirroredStrategy([f"{kind}:{number}" for number in range(count)]).scope():
        yield


def _too_few(count: int, there: int, setting: str) -> errors.OptionError:
    """Returns the error for devices that are not there."""
    problem = f"--devices={count}: there are {there} here."
    return errors.OptionError(problem, f"give --devices={there}" + (f", or look at {setting}" if setting else ""))
