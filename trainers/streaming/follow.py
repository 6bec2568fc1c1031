"""Training on an imagery tree, also while a scraper fills it.

    python -m trainers.train --imagery=TREE --follow --pooling=avg --run_dir=runs/followed

Each view goes through the frozen encoder once, when it arrives; its features stay in memory (float16, --memory_gb at
most). While the scraper works, a head trains in rounds: an epoch on all locations so far, a line with the validation
split's mean miles, a poll of the scraper's journal. That curve (also in RUN/follow, over locations) shows
whether more images are worth their price. When the scraper is done, a new head trains on all of it with the flags'
schedule, which takes seconds: the result is that of a training on the whole tree, whatever the order in which its
images arrived. A head that is trained further while its data grow ends worse than a new one
(Ash and Adams 2020, arXiv:1910.08475).
"""

import dataclasses
import pathlib
import time
from collections.abc import Callable

import keras
import tensorflow as tf

from geods.cli import flags
from geods.dataset import splits
from geods.geo import partition
from geods.tree import companions
from model import geolocator
from model.encoders import backbones
from trainers.features import feature_encoder
from trainers.options import train_options
from trainers.runs import events, run_folder
from trainers.streaming import collection, encode_files, feature_store, sources
from trainers.training import callbacks, fit, inputs
from trainers.training import cells as training_cells


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


class Follower:
    """Training on the locations that arrive, then on all of them.

    Args:
        settings: The options.

    Raises:
        GeodsError: If the tree, its partition or the encoder cannot be used.
    """

    def __init__(self, settings: train_options.TrainOptions) -> None:
        run_folder.check_unfinished(settings.run)
        self._settings, run = settings, settings.run
        self._spec = feature_encoder.spec_of(settings.encoder, run.seed)
        self._backbone = backbones.build(self._spec)
        self._feed = sources.open_feed(settings.streaming, settings.cells.partition)
        whole = partition.read(
            settings.cells.partition or companions.TreeFolder(settings.streaming.imagery).find_partition()
        )
        self._cells = training_cells.finer(settings.cells, whole)
        written = flags.to_flagfile(flags.with_absolute_paths(settings))
        self._folder = run_folder.start(run, written, self._cells)
        events.write_options(self._folder, settings, written)
        data = settings.data
        encoder = encode_files.Encoder(self._backbone, data.batch_size, data.exact_pixels)
        self._gathered = collection.FeatureSplits(settings.streaming, data, self._cells, encoder, run.seed)
        self._rounds = OnlineTraining(
            self._parts_on, self._cells, settings.head, settings.optimizer, data.batch_size, self._folder
        )
        self._timer = sources.StallTimer(settings.streaming.follow_timeout_s)
        self._parts: fit.Parts | None = None
        self._printed = ""

    def train(self) -> None:
        """Trains and saves one run on --imagery.

        Raises:
            GeodsError: If the tree or the head cannot be used.
            KeyboardInterrupt: After Ctrl-C; the model is saved as far as it is trained.
        """
        size_kb = feature_store.bytes_a_row(self._gathered.feature_shape) / 1e3
        self._print_once(
            f"features take {size_kb:,.1f} kB a view; "
            f"--memory_gb={self._settings.streaming.memory_gb:g} holds {self._gathered.capacity:,} views"
        )
        try:
            self.follow()
            measured = self.finish()
        except KeyboardInterrupt:
            self.save_interrupted()
            raise
        data = self._settings.data
        build = f"tfds build geods --config={data.config} --manual_dir={self._settings.streaming.imagery}"
        fit.conclude(measured, self._folder, before=f"{build} --data_dir={data.data_dir}\nthen: ")

    def follow(self) -> None:
        """Trains in rounds until the feed is done or stalled, or memory is full."""
        streaming = self._settings.streaming
        while True:
            polled_s = time.monotonic()
            update = self._feed.update()
            new = self._gathered.add(update.locations)
            if update.state == "done":
                self._print_once(f"{update.detail}: {self._gathered.summary()}")
                return
            if self._gathered.is_full:
                self._print_once(f"--memory_gb={streaming.memory_gb:g} is full; no more is picked up")
                return
            if new:
                self._train_or_wait(new)
            self._print_once(self._timer.message(update))
            if self._timer.is_over:
                return
            time.sleep(max(0.0, polled_s + streaming.follow_poll_s - time.monotonic()))

    def finish(self) -> callbacks.Validation | None:
        """Trains a new head on all locations by the flags' schedule; writes the model.

        Raises:
            DatasetError: If there is nothing to train on.
        """
        settings = self._settings
        train_split, validation = self._gathered.splits()
        if settings.data.validation_split and validation is None:
            self._print_once("no location falls into validation: nothing chooses the epoch, so the last one counts")
        # As at the start: random numbers drawn by the rounds must not change the result.
        keras.utils.set_random_seed(settings.run.seed)
        self._parts = parts = self._parts_on(train_split, validation)
        fit.announce(parts, self._cells)
        measured = fit.fit(parts, self._cells, settings.data, settings.head, settings.optimizer, self._folder)
        fit.save(parts, self._backbone, self._cells, settings.head, self._folder, settings.run.serving_graph)
        return measured

    def save_interrupted(self) -> None:
        """Writes the model as trained so far, and prints the command to train again."""
        again = f"python -m trainers.train --flagfile={self._folder / run_folder.FLAGS}"
        parts = self._parts or self._rounds.parts
        checkpoint = self._folder / run_folder.CHECKPOINT
        if parts is None or (parts.validation and not checkpoint.is_file()):
            self._print_once(f"nothing is trained yet; start again: {again}")
            return
        if checkpoint.is_file():
            parts.network.set_weights(geolocator.load(checkpoint).get_weights())
        fit.save(parts, self._backbone, self._cells, self._settings.head, self._folder, with_graph=False)
        self._print_once(
            f"wrote {self._folder / run_folder.MODEL} as far as it was trained, on "
            f"{self._gathered.count(splits.TRAIN):,} locations; start again: {again} --overwrite"
        )

    def _parts_on(self, train: inputs.Split, validation: inputs.Split | None) -> fit.Parts:
        """Returns a new head on features in memory."""
        settings, shape = self._settings, self._gathered.feature_shape
        classifier = fit.classifier_of(settings.head, settings.encoder.unfreeze, self._spec, shape, self._cells, train)
        return fit.on_features(classifier, settings.augmentation, train, validation, self._backbone)

    def _train_or_wait(self, new: int) -> None:
        """Trains a round if there is enough to train on."""
        count, least = self._gathered.count(splits.TRAIN), self._settings.streaming.follow_min_locations
        if count >= least:
            self._rounds.train(self._gathered, new)
        else:
            self._print_once(f"{self._gathered.summary()}; the first round begins with {least:,} to train on")

    def _print_once(self, line: str) -> None:
        """Prints a line, but not the same twice."""
        if line and line != self._printed:
            print(line, flush=True)
            self._printed = line
