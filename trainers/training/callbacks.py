"""Keras callbacks: stop on NaN, validation in miles, progress, stall detection."""

import contextlib
import math
import os
import pathlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from geods import errors
from geods.cli import program
from geods.geo import partition
from model import decode, geolocator
from trainers.runs import distance_metrics, run_folder
from trainers.training import inputs


class EpochNumber(keras.callbacks.Callback):
    """Sets the epoch number of the training split, which decides its order."""

    def __init__(self, split: inputs.Split) -> None:
        super().__init__()
        self._begin = split.begin

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Hands over the number."""
        if self._begin:
            self._begin(epoch)


class StopOnNaN(keras.callbacks.Callback):
    """Raises TrainingError, with epoch and step, when the loss is NaN or infinite."""

    def __init__(self) -> None:
        super().__init__()
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Stores the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Raises TrainingError if the loss is NaN or infinite."""
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            problem = f"the loss became {loss} in epoch {self._epoch + 1}, step {batch + 1}."
            raise errors.TrainingError(problem, "lower --learning_rate, or train with --precision=float32")


class Validation(keras.callbacks.Callback):
    """Mean miles of the validation split after each epoch.

    It uses all views and the run's decoder.

    The best weights are kept in memory and in checkpoints/best.keras; training ends after `patience` epochs without
    improvement, and the best weights are restored.

    Attributes:
        best_miles: Least mean distance so far.
        best_epoch: Epoch it came from, counted from 0; -1 before the first.
        best_weights: Of that epoch; none before the first.
        improved: Whether the last epoch was the best so far.
        coords: `[n, 2]` degrees, (lat, lon), the true points.
        points: `[n, 2]` degrees, the points predicted after the last epoch.

    Args:
        network: The model in training, whose output are log-probabilities.
        split: The validation split.
        cells: The run's partition.
        decoder: Turns log-probabilities into a point.
        patience: Epochs to wait for an improvement.
        folder: The run folder.
    """

    def __init__(
        self,
        network: keras.Model,
        split: inputs.Split,
        cells: partition.Partition,
        decoder: decode.Decoder,
        patience: int,
        folder: pathlib.Path,
    ) -> None:
        super().__init__()
        self._network, self._split, self._cells, self._decoder = network, split, cells, decoder
        self._patience, self._folder = patience, folder
        self.best_miles, self.best_epoch = math.inf, -1
        self.best_weights: list[np.ndarray] = []
        self.improved = False
        self.points = np.zeros((0, 2))
        self.coords = split.coords

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds val_* figures to the logs and keeps the best weights."""
        measured = self.measure()
        if logs is not None:
            logs.update(measured)
        self._keep_best(epoch, measured["val_mean_miles"])

    def measure(self) -> dict[str, float]:
        """Returns val_* figures of the network as it is now."""
        guessed = [self._guess(log_probabilities) for log_probabilities in self._pieces()]
        # Behind the locations there may be rows that only fill up the last batch (trainers/training/devices.py).
        count = len(self.coords)
        self.points = np.concatenate([points for points, _ in guessed])[:count]
        top_cells = np.concatenate([top for _, top in guessed])[:count]
        guesses = distance_metrics.Guesses(self._split.coords, self._split.cells, self.points, top_cells)
        measured = distance_metrics.measure(guesses, self._cells)
        figures_of = {
            f"val_{name}": measured[name] for name in ("mean_miles", "median_miles", "top1_cell", "score_map")
        }
        return figures_of | {f"val_within_{limit}_km": share for limit, share in measured["within_km"].items()}

    def _pieces(self) -> Iterator[np.ndarray]:
        """Yields log-probabilities `[b, cells]` of as many locations as are decoded."""
        batches: list[np.ndarray] = []
        for batch in _batches_of(self._split.inputs):
            batches.append(np.asarray(self._predicted({name: np.asarray(value) for name, value in batch[0].items()})))
            if sum(map(len, batches)) >= decode.DECODED_AT_ONCE:
                yield np.concatenate(batches)
                batches = []
        if batches:
            yield np.concatenate(batches)

    def _predicted(self, values: dict[str, Any]) -> Any:  # noqa: ANN401 - an array or a tensor
        """Returns the log-probabilities of one batch."""
        strategy = getattr(self._network, "distribute_strategy", None)
        if strategy is None or strategy.num_replicas_in_sync == 1:
            return self._network.predict_on_batch(values)
        # predict_on_batch gives the whole batch to every device, and returns the results of all.
        return self._network.predict(values, batch_size=len(values["view_mask"]), verbose=0)

    def _guess(self, log_probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns points `[b, 2]`, degrees, and the top cells `[b, k]`.

        They follow from log-probabilities `[b, cells]`.
        """
        points = keras.ops.convert_to_numpy(self._decoder(log_probabilities)).astype(np.float64)
        return points, distance_metrics.top_cells(log_probabilities).astype(np.int32)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Restores the best weights."""
        if self.best_weights:
            self._network.set_weights(self.best_weights)

    def _keep_best(self, epoch: int, miles: float) -> None:
        """Keeps the weights if they are the best so far.

        Ends the training after `patience` epochs without that.
        """
        self.improved = miles < self.best_miles
        if self.improved:
            self.best_miles, self.best_epoch = miles, epoch
            self.best_weights = self._network.get_weights()
            geolocator.save(self._network, self._folder / run_folder.CHECKPOINT)
        elif epoch - self.best_epoch >= self._patience:
            self.model.stop_training = True


def _batches_of(batches: Any) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401 - as inputs.Split has them
    """Yields the batches of a split in order.

    Iteration over a PyDataset does not end by itself.
    """
    if isinstance(batches, keras.utils.PyDataset):
        yield from (batches[number] for number in range(len(batches)))
    else:
        yield from batches


class Progress(keras.callbacks.Callback):
    """Prints one line an epoch."""

    def __init__(self, epochs: int, validation: Validation | None) -> None:
        super().__init__()
        self._epochs, self._validation, self._started = epochs, validation, time.monotonic()
        self._first: int | None = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Stores the first epoch of this process."""
        self._first = epoch if self._first is None else self._first

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Prints loss, miles, best, seconds and time left."""
        logs = logs or {}
        seconds = time.monotonic() - self._started
        left = seconds / (epoch + 1 - (self._first or 0)) * (self._epochs - epoch - 1)
        line = f"epoch {epoch + 1}/{self._epochs}: loss {logs['loss']:.4f}, cell accuracy {logs['cell_accuracy']:.1%}"
        if self._validation:
            mark = " (best)" if self._validation.improved else f" (best {self._validation.best_miles:,.1f})"
            line += f", validation {logs['val_mean_miles']:,.1f} miles{mark}"
        print(f"{line}, {seconds:,.0f} s, at most {left:,.0f} s left", flush=True)


_CHECK_S = 1.0
_EXIT_FAILED = 2


class StallDetection(keras.callbacks.Callback):
    """Ends a training on a tf.data service when no step has ended for a while.

    TensorFlow 2.21 waits for a missing worker until one listens under its port again, an hour at least, inside a call
    that no signal interrupts. So the process is ended as by a kill, after which the same command resumes with the last
    finished epoch.

    Args:
        address: host:port of the dispatcher.
        wait_s: How long a step may take; compiling counts.
    """

    def __init__(self, address: str, wait_s: float) -> None:
        super().__init__()
        self._address, self._wait_s = address, wait_s
        self._stepped_s, self._over = 0.0, threading.Event()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the thread of an epoch."""
        self._stepped_s, self._over = time.monotonic(), threading.Event()
        name = type(self).__name__
        threading.Thread(target=self._watch, args=(self._over,), name=name, daemon=True).start()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stores the time of the step."""
        self._stepped_s = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Ends the thread."""
        self.stop()

    def stop(self) -> None:
        """Ends the thread."""
        self._over.set()

    def _watch(self, over: threading.Event) -> None:
        """Checks every second until the epoch is over."""
        while not over.wait(_CHECK_S):
            if time.monotonic() - self._stepped_s > self._wait_s:
                problem = (
                    f"--data_service={self._address}: no step ended for {self._wait_s:g} s; a worker may be missing."
                )
                step = "start it again under its port, then the same command; or raise --data_service_wait_s"
                program.show_error(errors.TrainingError(problem, step))
                os._exit(_EXIT_FAILED)


@contextlib.contextmanager
def stall_detection(address: str, wait_s: float) -> Iterator[list[StallDetection]]:
    """Gives the callback of a training on a tf.data service, if there is one.

    It goes before all others: it stops watching before the validation starts, which has no steps. Keras calls nothing
    when a training fails or is interrupted, so its thread ends here.
    """
    found = [StallDetection(address, wait_s)] if address else []
    try:
        yield found
    finally:
        for callback in found:
            callback.stop()
