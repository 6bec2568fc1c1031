"""Online training.

After each update of a tree, one epoch of a head on all locations so far.
"""

import dataclasses
import pathlib
import time
from collections.abc import Callable

import tensorflow as tf

from geods.dataset import splits
from geods.geo import partition
from trainers.options import train_options
from trainers.runs import events, run_folder
from trainers.streaming import collection
from trainers.training import callbacks, fit, inputs


class OnlineTraining:
    """A head that is trained in rounds of one epoch, at a constant learning rate.

    Attributes:
        parts: The network in training; None before the first round.

    Args:
        build: Builds the parts on a training and a validation split.
        cells: The run's partition.
        head: The decoder of its probabilities.
        optimizer: The loss and the learning rate.
        batch_size: Examples a batch.
        folder: The run folder; the head is kept there as its checkpoint.
    """

    def __init__(
        self,
        build: Callable[[inputs.Split, inputs.Split | None], fit.Parts],
        cells: partition.Partition,
        head: train_options.HeadOptions,
        optimizer: train_options.OptimizerOptions,
        batch_size: int,
        folder: pathlib.Path,
    ) -> None:
        self._build, self._cells, self._head, self._batch_size, self._folder = build, cells, head, batch_size, folder
        self._optimizer = dataclasses.replace(optimizer, lr_schedule="constant")
        self._count, self._started_s = 0, time.monotonic()
        self._curve = events.writer(folder / run_folder.FOLLOW, "rounds")
        self.parts: fit.Parts | None = None

    def train(self, gathered: collection.FeatureSplits, new: int) -> None:
        """Trains one epoch, measures it, prints and writes the figures.

        `new` locations came for it.
        """
        parts = self._parts_on(gathered)
        network = parts.network
        measured = None
        if parts.validation:
            decoder = fit.decoder_of(self._head, self._cells)
            measured = callbacks.Validation(network, parts.validation, self._cells, decoder, 1, self._folder)
        watchers = [callbacks.StopOnNaN(), *([measured] if measured else [])]
        history = network.fit(parts.train.inputs, epochs=1, verbose=0, callbacks=watchers, shuffle=False).history
        self._count += 1
        self._report(gathered, new, history["loss"][-1], measured)

    def _parts_on(self, gathered: collection.FeatureSplits) -> fit.Parts:
        """Returns the head of the rounds before, or a new one, with its present splits."""
        train, validation = gathered.splits()
        if self.parts is None:
            self.parts = self._build(train, validation)
            fit.compile_network(self.parts, self._cells, self._optimizer, self._batch_size)
        self.parts = dataclasses.replace(self.parts, train=train, validation=validation)
        return self.parts

    def _report(
        self, gathered: collection.FeatureSplits, new: int, loss: float, measured: callbacks.Validation | None
    ) -> None:
        """Prints a line and writes the points of the curves over training locations."""
        count = gathered.count(splits.TRAIN)
        line = f"round {self._count}: {count:,} training locations, {new:,} new, loss {loss:.4f}"
        with self._curve.as_default(step=count):
            tf.summary.scalar("train/loss", loss)
            if measured:
                tf.summary.scalar("validation/mean_miles", measured.best_miles)
                line += f", validation {measured.best_miles:,.1f} miles on {gathered.count(splits.VALIDATION):,}"
        self._curve.flush()
        print(f"{line}, {time.monotonic() - self._started_s:,.0f} s", flush=True)
