"""The report's schedule: all epochs on one chunk, then on the next.

The report had memory for 1,000 images. What a chunk taught is forgotten while the next is learnt, which
`--schedule=plain` does not do; it is here to compare with. Nothing is chosen by validation, as in the report: the model
is the one after the last chunk, and a validation split is only measured.
"""

import pathlib
import time
from typing import Any

import keras
import tensorflow as tf

from geods import errors
from model import geolocator
from trainers.options import train_options
from trainers.runs import events, run_folder
from trainers.training import callbacks, inputs, snapshots


class ChunkLog(keras.callbacks.Callback):
    """Logs the loss of one chunk after each epoch.

    After the last, saves the model and measures the validation split.

    Args:
        whole: From images to a point, with the weights in training.
        folder: The run folder; the model goes to checkpoints/chunk_<number>_loss_<loss>.keras, as the report named it.
        number: Of the chunk, from 0.
        chunks: How many there are.
        epochs: Epochs a chunk.
        writer: Of the events for TensorBoard.
        measured: Measures the validation split, if there is one.
    """

    def __init__(
        self,
        whole: keras.Model,
        folder: pathlib.Path,
        number: int,
        chunks: int,
        epochs: int,
        writer: Any,  # noqa: ANN401 - TensorFlow exports no type for it
        measured: callbacks.Validation | None,
    ) -> None:
        super().__init__()
        self._whole, self._folder, self._number, self._chunks, self._epochs = whole, folder, number, chunks, epochs
        self._writer, self._measured, self._started = writer, measured, time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Prints and writes the loss; of the last epoch, the model and the figures too."""
        logs = logs or {}
        step = self._number * self._epochs + epoch + 1
        with self._writer.as_default(step=step):
            for name, value in logs.items():
                tf.summary.scalar(f"train/{name}", value)
        self._writer.flush()
        print(
            f"chunk {self._number + 1}/{self._chunks}, epoch {epoch + 1}/{self._epochs}: loss {logs['loss']:.4f}, "
            f"cell accuracy {logs['cell_accuracy']:.1%}, {time.monotonic() - self._started:,.0f} s",
            flush=True,
        )

        if epoch + 1 == self._epochs:
            name = f"chunk_{self._number:03d}_loss_{logs['loss']:.3f}.keras"
            geolocator.save(self._whole, self._folder / pathlib.Path(run_folder.CHECKPOINT).parent / name)
            self._measure(step)

    def _measure(self, step: int) -> None:
        """Measures, prints and writes the validation split."""
        if self._measured:
            figures = self._measured.measure()
            with self._writer.as_default(step=step):
                for name, value in figures.items():
                    tf.summary.scalar(f"validation/{name[4:]}", value)
            miles = figures["val_mean_miles"]
            print(f"chunk {self._number + 1}/{self._chunks}: validation {miles:,.1f} mean miles", flush=True)


def fit(
    network: keras.Model,
    whole: keras.Model,
    train: inputs.Split,
    measured: callbacks.Validation | None,
    optimizer: train_options.OptimizerOptions,
    folder: pathlib.Path,
    snapshot: pathlib.Path | None = None,
) -> None:
    """Trains a compiled network chunk by chunk.

    Afterwards it has the weights of the last chunk.

    Args:
        network: The model in training.
        whole: From images to a point with its weights, saved after each chunk.
        train: The training split.
        measured: Measures the validation split after each chunk, if there is one.
        optimizer: Epochs and size of a chunk.
        folder: The run folder.
        snapshot: File to resume from, written after epochs; None to start again whatever happens.

    Raises:
        OptionError: If the inputs cannot be divided.
        RunError: If the snapshot cannot be used.
        TrainingError: If the loss becomes NaN or infinite.
    """
    if train.chunks is None:
        raise errors.OptionError("--schedule=chunked: these inputs cannot be divided.", "use --schedule=plain")
    chunks = -(-train.examples // optimizer.chunk_examples)
    writer = events.writer(folder, "training")
    kept = snapshots.Snapshots(network, None, chunks * optimizer.epochs, snapshot)
    for number, chunk in enumerate(train.chunks(optimizer.chunk_examples)):
        done = max(0, min(optimizer.epochs, kept.epochs - number * optimizer.epochs))
        if done == optimizer.epochs:
            # Keras shuffles once before a chunk and after each of its epochs.
            chunk.forward(optimizer.epochs + 1)
            continue
        chunk.forward(done)
        log = ChunkLog(whole, folder, number, chunks, optimizer.epochs, writer, measured)
        watchers = [callbacks.StopOnNaN(), log, kept]
        network.fit(chunk, epochs=optimizer.epochs, initial_epoch=done, verbose=0, callbacks=watchers, shuffle=False)
    writer.close()
