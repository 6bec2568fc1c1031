"""Training of a run on a cache or on images, from options to the saved model."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Any

import keras

from geods import errors
from geods.cli import flags
from geods.dataset import splits
from model import geolocator
from model.encoders import backbones
from trainers.features import cache_format, feature_encoder, joined_cache
from trainers.options import train_options
from trainers.runs import events, run_folder
from trainers.training import cells, devices, fit, inputs, networks


@contextlib.contextmanager
def in_run_folder(run: train_options.RunOptions) -> Iterator[None]:
    """Locks the run folder and shares the devices for a training."""
    together = devices.sharing(run.devices)
    fit.prepare(run)
    with run_folder.claim(run.run_dir), together:
        yield


class Training:
    """Training on a feature cache or on the images of a dataset.

    Args:
        settings: The options.

    Raises:
        RunError: If the run folder holds a finished run and --overwrite is not given.
    """

    def __init__(self, settings: train_options.TrainOptions) -> None:
        run_folder.check_unfinished(settings.run)
        self._settings = settings
        self._cells = cells.for_run(settings.cells, settings.data)

    def train(self) -> None:
        """Trains and saves the run.

        An ensemble of several --members is saved as the mean of its classifiers.
        """
        settings, parts = self._settings, self._parts(self._settings.run)
        written = flags.to_flagfile(flags.with_absolute_paths(_with_encoder_of_cache(settings)))
        written += f"{parts.train.encoders}\n" if len(settings.data.cache_dir) > 1 else ""
        folder = run_folder.start(settings.run, written, self._cells, parts.train.source)
        events.write_options(folder, settings, written)
        fit.announce(parts, self._cells)
        measured = self._fit(parts, folder, 0)
        if settings.run.members > 1:
            others = [self._other_member(folder, number) for number in range(1, settings.run.members)]
            parts = dataclasses.replace(parts, classifier=geolocator.join_classifiers([parts.classifier, *others]))
        backbone = parts.backbone or self._backbone_of_cache()
        fit.save(parts, backbone, self._cells, settings.head, folder, settings.run.serving_graph)
        fit.conclude(measured, folder)

    def _fit(self, parts: fit.Parts, folder: pathlib.Path, member: int) -> Any:  # noqa: ANN401 - as fit.fit
        own = folder / f"member{member}" if member else folder
        settings, snapshot = self._settings, run_folder.snapshot(folder, member)
        return fit.fit(parts, self._cells, settings.data, settings.head, settings.optimizer, own, snapshot)

    def _other_member(self, folder: pathlib.Path, number: int) -> keras.Model:
        """Trains another member of an ensemble and returns its classifier."""
        run = self._settings.run
        print(f"member {number + 1}/{run.members}", flush=True)
        run = dataclasses.replace(run, seed=run.seed + number)
        keras.utils.set_random_seed(run.seed)
        parts = self._parts(run)
        self._fit(parts, folder, number)
        return parts.classifier

    def _parts(self, run: train_options.RunOptions) -> fit.Parts:
        parts = self._from_cache(run) if self._settings.data.cache_dir else self._from_images(run)
        if run.devices < 2:
            return parts
        batch_size = self._settings.data.batch_size
        train = devices.padded(parts.train, batch_size)
        validation = devices.padded(parts.validation, batch_size) if parts.validation else None
        return dataclasses.replace(parts, train=train, validation=validation)

    def _from_cache(self, run: train_options.RunOptions) -> fit.Parts:
        """Returns a classifier on cached features."""
        data, settings, validation, seed = self._settings.data, self._settings, None, run.seed
        steps = settings.optimizer.steps_per_epoch
        cache: joined_cache.Cache
        if data.folds:
            cache = joined_cache.open_all(data.cache_dir)
            train = inputs.from_fold(data, cache, self._cells, splits.TRAIN, seed, steps)
            if data.validation_split:
                validation = inputs.from_fold(data, cache, self._cells, splits.VALIDATION, seed)
        else:
            train, cache = inputs.from_cache(data, data.train_split, self._cells, train=True, seed=seed, steps=steps)
            if data.validation_split:
                validation, other = inputs.from_cache(data, data.validation_split, self._cells, train=False, seed=seed)
                same = dataclasses.replace(cache.key, split=other.key.split)
                cache_format.check_same_key(other.folder, other.key, same)
        if data.exact_pixels and cache.key.decode == "cpu":
            problem = f"--exact_pixels: {cache.folder} holds features of photographs decoded at a part of their size."
            raise errors.CacheError(problem, "extract again with --exact_pixels --overwrite, or leave it out")
        if problem := inputs.staleness(cache, data):
            # With --partition the dataset is not needed, and a cache may be used where the dataset is not.
            if not settings.cells.partition:
                step = "extract again with --overwrite, or name the dataset it was made of"
                raise errors.CacheError(problem, step)
            print(f"note: {problem}")
        spec = backbones.spec_of(cache.spec)
        # Built first: a cache of other weights than those of the unfrozen blocks is refused before any training, and a
        # chunk's model is saved with its encoder.
        is_needed = settings.encoder.unfreeze or settings.optimizer.schedule == "chunked"
        backbone = self._backbone_of_cache() if is_needed else None
        classifier = fit.classifier_of(
            settings.head, settings.encoder.unfreeze, spec, cache.feature_shape, self._cells, train
        )
        return fit.on_features(classifier, settings.augmentation, train, validation, backbone)

    def _from_images(self, run: train_options.RunOptions) -> fit.Parts:
        """Returns the whole network on images."""
        data, settings, validation = self._settings.data, self._settings, None
        size_px = (settings.encoder.height_px, settings.encoder.width_px)
        optimizer = settings.optimizer
        if optimizer.schedule == "chunked":
            train = inputs.from_image_chunks(data, size_px, self._cells, run.seed, optimizer)
        else:
            steps = optimizer.steps_per_epoch
            train = inputs.from_images(data, size_px, data.train_split, self._cells, train=True, run=run, steps=steps)
        if data.validation_split:
            validation = inputs.from_images(data, size_px, data.validation_split, self._cells, train=False, run=run)
        spec = feature_encoder.spec_of(settings.encoder, run.seed)
        backbone = backbones.build(spec)
        backbone.trainable = optimizer.train_backbone
        classifier = networks.classifier_of(
            settings.head, settings.encoder.unfreeze, spec, tuple(backbone.output_shape[1:]), len(self._cells)
        )
        network = networks.on_images(settings.augmentation, backbone, classifier)
        return fit.Parts(network, classifier, backbone, train, validation)

    def _backbone_of_cache(self) -> Any:  # noqa: ANN401 - a Keras model
        """Builds the encoder whose features a cache holds.

        Raises:
            CacheError: If its weights are not those the cache was made with.
        """
        folders = [pathlib.Path(folder, self._settings.data.train_split) for folder in self._settings.data.cache_dir]
        # Their rows are in memory already: of a million they would be 46 MB once more.
        found = [cache_format.read_index(folder) for folder in folders]
        backbone = backbones.build(backbones.spec_of(joined_cache.spec_of(found)))
        if backbones.weights_sha256(backbone) != "+".join(index["key"]["weights_sha256"] for index in found):
            names = " and ".join(index["spec"]["weights"] for index in found)
            problem = f"{' and '.join(map(str, folders))}: made with other weights than {names} gives now."
            raise errors.CacheError(problem, "put the old weights back, or extract again with --overwrite")
        return backbone


def _with_encoder_of_cache(settings: train_options.TrainOptions) -> train_options.TrainOptions:
    """Returns options with the encoder and the decoding of the cache, for flags.cfg."""
    folders = settings.data.cache_dir
    if not folders:
        return settings
    split = splits.TRAIN if settings.data.folds else settings.data.train_split
    index = cache_format.read_index(pathlib.Path(folders[0], split))
    exact_pixels = index["key"].get("decode") == cache_format.EXACT_PIXELS
    if len(folders) > 1:
        return flags.replace(settings, exact_pixels=exact_pixels)
    spec = backbones.BackboneSpec.from_dict(index["spec"])
    names = ("layer", "pooling", "height_px", "width_px", "more_heights_px", "preprocessing", "mean", "scale")
    same = {name: getattr(spec, name) for name in names}
    same |= {"backbone": spec.name, "backbone_weights": spec.weights, "exact_pixels": exact_pixels}
    return flags.replace(settings, **same)
