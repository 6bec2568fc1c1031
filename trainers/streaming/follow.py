"""Training on an imagery tree, also while a scraper fills it.

    python -m trainers.train --imagery=TREE --follow --pooling=avg --run_dir=runs/followed

Each view goes through the frozen encoder once, when it comes; its features stay in memory (float16, --memory_gb at
most). While the scraper works, a head trains in rounds: an epoch on all that has come, a line with the validation
split's mean miles, a look at what is new. That curve (also in RUN/events/follow, over locations) tells whether more
images are worth their price. When the scraper is done, a new head trains on all of it with the flags' schedule, which
takes seconds: the result is that of a training on the whole tree, whatever the order in which its images came. A head
that goes on training while its data grow ends worse than a new one (Ash and Adams 2020, arXiv:1910.08475).
"""

import pathlib
import time

import keras

from geods.dataset import splits
from geods.geo import partition
from geods.tree import companions
from model import geolocator
from model.encoders import backbones
from trainers.features import feature_encoder
from trainers.options import train_options
from trainers.runs import run_folder
from trainers.streaming import collection, encode_files, feature_store, rounds, sources
from trainers.training import callbacks, fit
from trainers.training import cells as training_cells


def train(settings: train_options.TrainOptions) -> None:
    """Trains and saves one run on --imagery.

    Raises:
        GeodsError: If the tree, its partition, the encoder or the head cannot be used.
        KeyboardInterrupt: After Ctrl-C; what was trained by then is saved.
    """
    run_folder.check_unfinished(settings)
    backbone = backbones.build(feature_encoder.spec_of(settings))
    source = sources.open_feed(settings)
    whole = partition.read(settings.partition or companions.TreeFolder(settings.imagery).find_partition())
    cells = training_cells.finer(settings, whole)
    folder = run_folder.start(settings, cells)
    follower = Follower(settings, cells, backbone, folder)
    try:
        follower.follow(source)
        measured = follower.finish()
    except KeyboardInterrupt:
        follower.save_interrupted()
        raise
    build = (
        f"tfds build geods --config={settings.config} --manual_dir={settings.imagery} --data_dir={settings.data_dir}"
    )
    fit.conclude(measured, folder, before=f"{build}\nthen: ")


class Follower:
    """Trains on what comes, then on all that has come.

    Args:
        settings: The options.
        cells: The run's partition.
        backbone: The frozen encoder.
        folder: The run folder.
    """

    def __init__(
        self,
        settings: train_options.TrainOptions,
        cells: partition.Partition,
        backbone: keras.Model,
        folder: pathlib.Path,
    ) -> None:
        self._settings, self._cells, self._backbone, self._folder = settings, cells, backbone, folder
        self._gathered = collection.FeatureSplits(settings, cells, encode_files.Encoder(backbone, settings.batch_size))
        self._rounds = rounds.OnlineTraining(settings, cells, folder)
        self._patience = sources.StallTimer(settings.follow_timeout_s)
        self._parts: fit.Parts | None = None
        self._said = ""
        size_kb = feature_store.bytes_a_row(self._gathered.feature_shape) / 1e3
        self._say(
            f"features take {size_kb:,.1f} kB a view; "
            f"--memory_gb={settings.memory_gb:g} holds {self._gathered.capacity:,} views"
        )

    def follow(self, source: sources.LocationFeed) -> None:
        """Trains in rounds until nothing more will come, or what has come fills the memory."""
        while True:
            looked_s = time.monotonic()
            news = source.news()
            new = self._gathered.add(news.locations)
            if news.state == "done":
                self._say(f"{news.detail}: {self._gathered.summary()}")
                return
            if self._gathered.is_full:
                self._say(f"--memory_gb={self._settings.memory_gb:g} is full; no more is picked up")
                return
            if new:
                self._train_or_wait(new)
            self._say(self._patience.on(news))
            if self._patience.is_over:
                return
            time.sleep(max(0.0, looked_s + self._settings.follow_poll_s - time.monotonic()))

    def finish(self) -> callbacks.Validation | None:
        """Trains a new head on all that has come with the schedule of the flags, and writes the model.

        Raises:
            DatasetError: If there is nothing to train on.
        """
        train_split, validation = self._gathered.splits()
        if self._settings.validation_split and validation is None:
            self._say("no location falls into validation: nothing chooses the epoch, so the last one counts")
        # As at the start: what the rounds drew must not change the result.
        keras.utils.set_random_seed(self._settings.seed)
        shape, spec = self._gathered.feature_shape, feature_encoder.spec_of(self._settings)
        parts = fit.on_features(self._settings, spec, shape, self._cells, train_split, validation)
        fit.announce(parts, self._cells)
        self._parts = parts
        measured = fit.fit(parts, self._cells, self._settings, self._folder)
        fit.save(parts, self._backbone, self._cells, self._settings, self._folder)
        return measured

    def save_interrupted(self) -> None:
        """Writes the model as far as it is trained, and says how to go on."""
        again = f"python -m trainers.train --flagfile={self._folder / run_folder.FLAGS}"
        parts = self._parts or self._rounds.parts
        checkpoint = self._folder / run_folder.CHECKPOINT
        if parts is None or (parts.validation and not checkpoint.is_file()):
            self._say(f"nothing is trained yet; begin again: {again}")
            return
        if checkpoint.is_file():
            parts.network.set_weights(geolocator.load(checkpoint).get_weights())
        fit.save(parts, self._backbone, self._cells, self._settings, self._folder)
        self._say(
            f"wrote {self._folder / run_folder.MODEL} as far as it was trained, on "
            f"{self._gathered.count(splits.TRAIN):,} locations; begin again: {again} --overwrite"
        )

    def _train_or_wait(self, new: int) -> None:
        """Trains a round if there is enough to train on."""
        count, least = self._gathered.count(splits.TRAIN), self._settings.follow_min_locations
        if count >= least:
            self._rounds.train(self._gathered, new)
        else:
            self._say(f"{self._gathered.summary()}; the first round begins with {least:,} to train on")

    def _say(self, line: str) -> None:
        """Prints a line, but not the same twice."""
        if line and line != self._said:
            print(line, flush=True)
            self._said = line
