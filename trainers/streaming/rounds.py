"""The head that trains while images come: an epoch on all that has come, and how well it does by now."""

import dataclasses
import pathlib
import time

import tensorflow as tf

from geods.dataset import splits
from geods.geo import partition
from trainers.features import feature_encoder
from trainers.options import train_options
from trainers.runs import run_folder
from trainers.streaming import collection
from trainers.training import callbacks, fit


class OnlineTraining:
    """A head that goes on training on what has come, at a constant learning rate.

    Attributes:
        parts: What is being trained; None before the first round.

    Args:
        settings: The options.
        cells: The run's partition.
        folder: The run folder; the head is kept there as its checkpoint.
    """

    def __init__(self, settings: train_options.TrainOptions, cells: partition.Partition, folder: pathlib.Path) -> None:
        self._settings = dataclasses.replace(settings, lr_schedule="constant")
        self._cells, self._folder = cells, folder
        self._count, self._started_s = 0, time.monotonic()
        self._curve = tf.summary.create_file_writer(str(folder / run_folder.EVENTS / "follow"))
        self.parts: fit.Parts | None = None

    def train(self, gathered: collection.FeatureSplits, new: int) -> None:
        """Trains one epoch, measures it, prints and writes the figures; `new` locations came for it."""
        parts = self._parts_on(gathered)
        network = parts.network
        measured = None
        if parts.validation:
            decoder = fit.decoder_of(self._settings, self._cells)
            measured = callbacks.Validation(network, parts.validation, self._cells, decoder, 1, self._folder)
        watchers = [callbacks.StopOnNaN(), *([measured] if measured else [])]
        history = network.fit(parts.train.inputs, epochs=1, verbose=0, callbacks=watchers, shuffle=False).history
        self._count += 1
        self._tell(gathered, new, history["loss"][-1], measured)

    def _parts_on(self, gathered: collection.FeatureSplits) -> fit.Parts:
        """Returns the head of the rounds before, or a new one, with what to train and measure it on."""
        train, validation = gathered.splits()
        if self.parts is None:
            shape, spec = gathered.feature_shape, feature_encoder.spec_of(self._settings)
            self.parts = fit.on_features(self._settings, spec, shape, self._cells, train, validation)
            fit.compile_network(self.parts, self._cells, self._settings)
        self.parts = dataclasses.replace(self.parts, train=train, validation=validation)
        return self.parts

    def _tell(
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
