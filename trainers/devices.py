"""Several devices that train one network together, each on its share of every batch.

    with devices.sharing(2):
        ...  # build, compile, fit, save

Every device holds all weights: on TensorFlow by tf.distribute.MirroredStrategy, on JAX by
keras.distribution.DataParallel. Without a GPU these are CPU cores, which makes nothing faster: it shows that several
devices learn what one learns. trainers/shares.py says what becomes of batches that cannot be divided.

More machines than one are not for this: tf.distribute.MultiWorkerMirroredStrategy raises under Keras 3
(https://github.com/keras-team/keras/issues/20585).
"""

import contextlib
import os

import keras

from geods import errors


def sharing(count: int) -> contextlib.AbstractContextManager[object]:
    """Returns a context in which what is built is trained on several devices; called before TensorFlow is used.

    Args:
        count: How many; 0 or 1 for one, where nothing is done.

    Raises:
        OptionError: If there are not so many, or Keras' backend cannot share.
    """
    if count < 2:
        return contextlib.nullcontext()
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return _mirrored(count)
    if backend == "jax":
        return _data_parallel(count)
    problem = f"--devices={count}: with KERAS_BACKEND={backend} one device trains."
    raise errors.OptionError(problem, "leave --devices out, or set KERAS_BACKEND to tensorflow or jax")


def _mirrored(count: int) -> contextlib.AbstractContextManager[object]:
    """Returns the scope of a TensorFlow strategy over the GPUs, or over parts of the CPU if there are none."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        _require(count, len(gpus), "TensorFlow sees {} GPUs")
        names = [f"GPU:{number}" for number in range(count)]
    else:
        _require(count, os.cpu_count() or 1, "TensorFlow sees no GPU, and there are {} CPU cores")
        parts = [tf.config.LogicalDeviceConfiguration()] * count
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], parts)
        names = [f"CPU:{number}" for number in range(count)]
    return tf.distribute.MirroredStrategy(names).scope()


def _data_parallel(count: int) -> contextlib.AbstractContextManager[object]:
    """Returns the scope of a distribution over JAX's devices."""
    import tensorflow as tf

    # TensorFlow only reads data then; it would take the memory of all GPUs.
    tf.config.set_visible_devices([], "GPU")
    names = keras.distribution.list_devices()
    step = f"export XLA_FLAGS=--xla_force_host_platform_device_count={count}" if names[0].startswith("cpu") else ""
    _require(count, len(names), f"JAX has {{}} ({', '.join(names)})", step)
    return keras.distribution.DataParallel(devices=names[:count]).scope()


def _require(count: int, found: int, what: str, step: str = "") -> None:
    """Raises OptionError if there are fewer devices than asked for; `what` says where they were found."""
    if count > found:
        problem = f"--devices={count}: {what.format(found)}."
        raise errors.OptionError(problem, step or f"give --devices={found} at most")
