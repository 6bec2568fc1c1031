"""Several devices that train one network, each on its share of every batch.

    with devices.sharing(2):
        ...  # build, compile, fit, save

Every device holds all weights: on TensorFlow by tf.distribute.MirroredStrategy, on JAX by
keras.distribution.DataParallel. Without a GPU these are CPU cores, which makes nothing faster: it shows that several
devices learn what one learns. Several machines cannot: tf.distribute.MultiWorkerMirroredStrategy raises under Keras 3
(https://github.com/keras-team/keras/issues/20585).

All batches get --batch_size rows, which the devices divide: a last batch that is not full is filled up with its own
rows once more, at weight 0. JAX takes no other batches (https://github.com/keras-team/keras/issues/21167), and Keras'
mean of the devices' means would be that of the batch for shares of one size alone. Loss, gradient and figures are then
those of the real rows. Keras takes the mean over all rows of a batch, and weighs a batch by all its
rows in the loss of an epoch; so the truth holds the ratio of all rows to the real ones.
"""

import contextlib
import dataclasses
import functools
import os
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from geods import errors
from model import losses, tensors
from trainers.training import cached_batches, inputs


def sharing(count: int) -> contextlib.AbstractContextManager[object]:
    """Returns a context in which networks are trained on several devices.

    Called before TensorFlow is used.

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
    """Returns the scope of a TensorFlow strategy over GPUs, else parts of the CPU."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        _check_count(count, len(gpus), "TensorFlow sees {} GPUs")
        names = [f"GPU:{number}" for number in range(count)]
    else:
        _check_count(count, os.cpu_count() or 1, "TensorFlow sees no GPU, and there are {} CPU cores")
        parts = [tf.config.LogicalDeviceConfiguration()] * count
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], parts)
        names = [f"CPU:{number}" for number in range(count)]
    return tf.distribute.MirroredStrategy(names).scope()


def _data_parallel(count: int) -> contextlib.AbstractContextManager[object]:
    """Returns the scope of a distribution over JAX's devices."""
    names = keras.distribution.list_devices()
    step = f"export XLA_FLAGS=--xla_force_host_platform_device_count={count}" if names[0].startswith("cpu") else ""
    _check_count(count, len(names), f"JAX has {{}} ({', '.join(names)})", step)
    return keras.distribution.DataParallel(devices=names[:count]).scope()


def _check_count(count: int, present: int, what: str, step: str = "") -> None:
    """Raises OptionError if there are fewer devices than asked for.

    `what` describes them.
    """
    if count > present:
        problem = f"--devices={count}: {what.format(present)}."
        raise errors.OptionError(problem, step or f"give --devices={present} at most")


# Column of the truth behind latitude, longitude and cell: rows of the batch for each real row, 0 of one added.
_SCALE = 3


class PaddedBatches(keras.utils.PyDataset):
    """Batches of cached features, padded to one size.

    Args:
        batches: Batches of (inputs, truth).
        batch_size: Rows that each is to have.
    """

    def __init__(self, batches: cached_batches.CachedBatches, batch_size: int) -> None:
        super().__init__()
        self._batches, self._batch_size = batches, batch_size

    def __len__(self) -> int:
        """Returns the number of batches."""
        return len(self._batches)

    def __getitem__(self, number: int) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        """Returns (inputs, truth, weights) of one batch."""
        values, truth = self._batches[number]
        position = np.arange(self._batch_size)
        rows, real = position % len(truth), position < len(truth)
        scale = np.where(real, self._batch_size / len(truth), 0)
        full = {name: value[rows] for name, value in values.items()}
        truth = np.column_stack([truth[rows], scale]).astype(np.float32)
        return _without_bool(full), truth, real.astype(np.float32)

    def on_epoch_end(self) -> None:
        """Shuffles for the next epoch."""
        self._batches.on_epoch_end()


class MaskedLoss(keras.losses.Loss):
    """A loss whose mean over a full batch is that over its real rows.

    Args:
        loss: Takes truths without the last column.
    """

    def __init__(self, loss: losses.GeolocationLoss) -> None:
        super().__init__(name=loss.name, dtype="float32")
        self._loss = loss

    def call(self, y_true: tensors.Tensor, y_pred: tensors.Tensor) -> tensors.Tensor:
        """Returns the loss `[b]` of truths `[b, 4]` and log-probabilities `[b, cells]`."""
        return self._loss.call(y_true, y_pred) * y_true[:, _SCALE]


class EpochLoss(keras.metrics.Mean):
    """Mean loss over the real rows of an epoch.

    Args:
        loss: Takes truths without the last column.
    """

    def __init__(self, loss: losses.GeolocationLoss) -> None:
        # Under this name it takes the place of Keras' own, whose mean counts the added rows of a batch too.
        super().__init__(name="loss", dtype="float32")
        self._loss = loss

    def update_state(self, y_true: tensors.Tensor, y_pred: tensors.Tensor, sample_weight: tensors.Tensor) -> None:
        """Adds the losses of truths `[b, 4]` and log-probabilities `[b, cells]`."""
        # A location outside every cell has weight 0 as well, and counts, as on one device.
        real = ops.cast(y_true[:, _SCALE] > 0, "float32")
        super().update_state(self._loss.call(y_true, y_pred) * ops.cast(sample_weight, "float32"), real)


def padded(split: inputs.Split, batch_size: int) -> inputs.Split:
    """Returns a split in batches of exactly `batch_size` rows.

    Rows are added behind all others.
    """
    if isinstance(split.inputs, cached_batches.CachedBatches):
        batches: Any = PaddedBatches(split.inputs, batch_size)
    else:
        fill = functools.partial(_filled, batch_size)
        batches = split.inputs.map(fill, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)
    return dataclasses.replace(split, inputs=batches, chunks=None, is_padded=True)


def _filled(
    batch_size: int, values: dict[str, tf.Tensor], truth: tf.Tensor, weights: tf.Tensor
) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
    """Returns one batch of images, padded."""
    count, position = tf.shape(truth)[0], tf.range(batch_size)
    rows, real = position % count, tf.cast(position < count, tf.float32)
    scale = real * tf.cast(batch_size / count, tf.float32)
    full = {name: tf.gather(value, rows) for name, value in values.items()}
    return _without_bool(full), tf.concat([tf.gather(truth, rows), scale[:, None]], 1), tf.gather(weights, rows) * real


def _without_bool(values: dict[str, Any]) -> dict[str, Any]:
    """Returns inputs whose mask is of integers; the network makes bool of them.

    Under a TensorFlow strategy Keras (3.15.1) averages the first batch over the devices to learn its shapes, and
    TensorFlow's AddN takes no bool: `_maybe_symbolic_build` in
    https://github.com/keras-team/keras/blob/master/keras/src/backend/tensorflow/trainer.py.
    """
    mask = values["view_mask"]
    integers = tf.cast(mask, tf.uint8) if isinstance(mask, tf.Tensor) else mask.astype(np.uint8)
    return {**values, "view_mask": integers}
