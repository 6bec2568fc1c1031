"""The report's schedule: all epochs on one chunk of 1,000 examples, then on the next, and never back.

It was born of memory that held 1,000 images. What a chunk taught is forgotten while the next is learnt, which
`--schedule=plain` does not do; it is here to compare with. Nothing is chosen by validation, as in the report: the model
is the one after the last chunk, and a validation split is only measured.
"""

import math
import pathlib
import time
from typing import Any

import keras
import tensorflow as tf

from geods import errors
from model import geolocator
from trainers import callbacks, inputs, options, runs


class ChunkLog(keras.callbacks.Callback):
    """Logs the loss of one chunk after each epoch, and saves the model after the last.

    Attributes:
        loss: Of the last epoch.

    Args:
        folder: The run folder; the model goes to checkpoints/chunk_<number>_loss_<loss>.keras, as the report named it.
        number: Of the chunk, from 0.
        chunks: How many there are.
        epochs: Epochs a chunk.
        writer: Of the events for TensorBoard.
    """

    def __init__(self, folder: pathlib.Path, number: int, chunks: int, epochs: int, writer: Any) -> None:  # noqa: ANN401
        super().__init__()
        self._folder, self._number, self._chunks, self._epochs = folder, number, chunks, epochs
        self._writer, self._started = writer, time.monotonic()
        self.loss = math.nan

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Prints and writes the loss."""
        logs = logs or {}
        self.loss = float(logs["loss"])
        with self._writer.as_default(step=self._number * self._epochs + epoch + 1):
            for name, value in logs.items():
                tf.summary.scalar(f"train/{name}", value)
        print(
            f"chunk {self._number + 1}/{self._chunks}, epoch {epoch + 1}/{self._epochs}: loss {self.loss:.4f}, "
            f"cell accuracy {logs['cell_accuracy']:.1%}, {time.monotonic() - self._started:,.0f} s",
            flush=True,
        )

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Saves the model."""
        name = f"chunk_{self._number:03d}_loss_{self.loss:.3f}.keras"
        geolocator.save(self.model, self._folder / pathlib.Path(runs.CHECKPOINT).parent / name)


def fit(
    network: keras.Model,
    train: inputs.Split,
    measured: callbacks.Validation | None,
    settings: options.TrainOptions,
    folder: pathlib.Path,
) -> None:
    """Trains a compiled network chunk by chunk; afterwards it has the weights of the last chunk.

    Args:
        network: What to train.
        train: The training split.
        measured: Measures the validation split after each chunk, if there is one.
        settings: Epochs and size of a chunk.
        folder: The run folder.

    Raises:
        OptionError: If the inputs cannot be divided.
        TrainingError: If the loss becomes NaN or infinite.
    """
    if train.chunks is None:
        raise errors.OptionError("--schedule=chunked: these inputs cannot be divided.", "use --schedule=plain")
    chunks = -(-train.examples // settings.chunk_examples)
    writer = tf.summary.create_file_writer(str(folder / runs.EVENTS))
    for number, chunk in enumerate(train.chunks(settings.chunk_examples)):
        log = ChunkLog(folder, number, chunks, settings.epochs, writer)
        watchers = [callbacks.StopOnNaN(), log]
        network.fit(chunk, epochs=settings.epochs, verbose=0, callbacks=watchers, shuffle=False)
        if measured:
            _log_validation(measured, writer, (number + 1) * settings.epochs, f"chunk {number + 1}/{chunks}")
    writer.close()


def _log_validation(measured: callbacks.Validation, writer: Any, step: int, chunk: str) -> None:  # noqa: ANN401
    """Measures, prints and writes the validation split after a chunk."""
    figures = measured.measure()
    with writer.as_default(step=step):
        for name, value in figures.items():
            tf.summary.scalar(f"validation/{name[4:]}", value)
    print(f"{chunk}: validation {figures['val_mean_miles']:,.1f} mean miles", flush=True)
