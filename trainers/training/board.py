"""TensorBoard while training: curves, maps of errors, speed, gradients."""

import pathlib
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from geods.geo import partition
from trainers.runs import events
from trainers.training import callbacks

# A map takes 0.15 to 0.25 s of the processor: `make demo` improves in 12 of its 40 epochs, which take 0.2 s each.
_SECONDS_A_MAP = 10.0


class Board(keras.callbacks.Callback):
    """Events of each epoch.

    `train/` and `validation/` hold the figures of the epoch, `best/` those of the best epoch so far, `speed/` the
    seconds and examples of training alone. A map of the errors is drawn when they improve, but not more often than
    every ten seconds, and at the end that of the best epoch.

    Args:
        folder: Folder of the events.
        cells: The run's partition.
        validation: The validation, which comes before this among the callbacks.
        examples: Training examples an epoch.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        cells: partition.Partition,
        validation: callbacks.Validation | None,
        examples: int = 0,
    ) -> None:
        super().__init__()
        self._writer = events.writer(folder, "training")
        self._cells, self._validation, self._examples = cells, validation, examples
        self._started_s = self._stepped_s = 0.0
        self._drawn_s, self._undrawn = time.monotonic(), (0, np.zeros((0, 2)))

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Stores the time."""
        self._started_s = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stores the time, as validation comes after the last step."""
        self._stepped_s = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the logs of the other callbacks."""
        seconds = self._stepped_s - self._started_s
        optimizer = self.model.optimizer
        further = {
            "learning_rate": float(ops.convert_to_numpy(optimizer.learning_rate)),
            "gradient_norm": gradient_norm(optimizer),
            "speed/seconds_an_epoch": seconds,
            "speed/examples_a_second": self._examples / max(seconds, 1e-9),
        }
        improved = bool(self._validation and self._validation.improved)
        self.write(epoch + 1, logs or {}, further, improved)

    def write(self, step: int, logs: dict[str, float], further: dict[str, float], improved: bool) -> None:
        """Writes figures as Keras names them, and a map of the errors if they improved."""
        with self._writer.as_default(step=step):
            for name, value in logs.items():
                group, bare = ("validation", name[4:]) if name.startswith("val_") else ("train", name)
                tf.summary.scalar(f"{group}/{bare}", value)
                if improved and group == "validation":
                    tf.summary.scalar(f"best/{bare}", value)
            for name, value in further.items():
                tf.summary.scalar(name, value)
        if improved and self._validation:
            self._undrawn = step, self._validation.points
            if time.monotonic() - self._drawn_s >= _SECONDS_A_MAP:
                self._draw()
        self._writer.flush()

    def _draw(self) -> None:
        """Draws the map that is due, if there is one."""
        step, points = self._undrawn
        if self._validation and step:
            # Half a second of imports, which a head that is fitted in one pass never needs.
            from trainers.plots import figures

            picture = figures.to_png(figures.error_map(self._cells, self._validation.coords, points))
            with self._writer.as_default(step=step):
                tf.summary.image("validation/errors", tf.io.decode_png(picture, channels=3)[None])
        self._drawn_s, self._undrawn = time.monotonic(), (0, points)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Draws the last map and closes the events file."""
        self._draw()
        self._writer.close()


def gradient_norm(optimizer: Any) -> float:  # noqa: ANN401 - any Adam, perhaps in Keras' LossScaleOptimizer
    """Returns the norm of the mean gradient of the last ten or so steps.

    It is that of Adam's first moment, corrected for its start at 0 (Kingma and Ba 2015, arXiv 1412.6980, algorithm 1):
    a norm of every step's own gradient would cost each step time, this costs an epoch 1 ms for 750,000 weights.
    """
    adam = getattr(optimizer, "inner_optimizer", optimizer)
    moments = [variable for variable in adam.variables if variable.path.endswith("_momentum")]
    squares = sum(float(ops.convert_to_numpy(ops.sum(ops.square(moment)))) for moment in moments)
    steps = int(ops.convert_to_numpy(adam.iterations))
    return float(squares**0.5 / (1 - adam.beta_1 ** max(1, steps)))
