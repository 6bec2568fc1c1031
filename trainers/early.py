"""What is refused before TensorFlow starts, which takes 5 to 30 s: mistakes that names, folders and indexes show.

Whatever is refused here would be refused later as well, by the same functions; a program only asks them sooner.
"""

import dataclasses
import importlib.util
import itertools
import os
import pathlib

from geods import dataset_files, errors, files, gpu_jpegs, partition, tree_layouts
from geods.mirror import fields
from trainers import cache_files, features, folds, options, runs, runtimes

_NO_FILE = ("imagenet", "random")
_HUB = "hub:"


def of_extract(settings: options.ExtractOptions) -> None:
    """Refuses what trainers.extract cannot begin with.

    Raises:
        GeodsError: If the dataset, a split, a runtime, a decoder or the weights are not there, or a cache is of others.
    """
    runtimes.require(settings.runtime, settings.precision)
    if settings.decode == "gpu":
        gpu_jpegs.require()
    _refuse_missing_encoder(settings)
    dataset_files.require(settings.data_dir, settings.config, settings.splits)
    if not settings.overwrite:
        for split, variant in itertools.product(settings.splits, range(settings.variants + 1)):
            _refuse_other_cache(cache_files.folder_of(settings.cache_dir, split, variant), settings)


def of_train(settings: options.TrainOptions) -> None:
    """Refuses what trainers.train cannot begin with.

    Raises:
        GeodsError: If the run is there already, or what it is to be trained with or on is not.
    """
    _refuse_missing_backend()
    runs.refuse_finished(settings)
    if settings.partition:
        partition.read(settings.partition)
    splits = [split for split in (settings.train_split, settings.validation_split) if split]
    if settings.imagery:
        _refuse_missing_encoder(settings)
        if not settings.follow:
            tree_layouts.detect(settings.imagery)
        return
    if not settings.partition or not settings.cache_dir:
        dataset_files.require(settings.data_dir, settings.config, () if settings.cache_dir else splits)
    if not settings.cache_dir:
        _refuse_missing_encoder(settings)
    elif settings.folds:
        folds.open_all(settings.cache_dir)
    else:
        for split in splits:
            features.FeatureCache(pathlib.Path(settings.cache_dir, split))


def of_evaluate(settings: options.EvaluateOptions) -> None:
    """Refuses what trainers.evaluate cannot begin with.

    Raises:
        GeodsError: If there is no such run, or what it is to be evaluated on is not there.
    """
    trained = runs.options_of(runs.require(settings.run_dir))
    if settings.imagery:
        tree_layouts.detect(settings.imagery)
    elif not trained.folds:
        cached = runs.cache_of(trained, settings)
        if cached is None:
            dataset_files.require(fields.here(trained.data_dir), trained.config, [settings.split])


def _refuse_missing_backend() -> None:
    """Refuses a backend of Keras that is not there, on which the import of Keras would fail."""
    if os.environ.get("KERAS_BACKEND") == "jax" and importlib.util.find_spec("jax") is None:
        raise errors.OptionError("KERAS_BACKEND=jax: jax is not installed.", 'pip install "geods[jax]"')


def _refuse_missing_encoder(settings: options.EncoderOptions) -> None:
    """Refuses weights and a library that are not there; whether they fit, only Keras can say."""
    if settings.backbone.startswith(_HUB) and importlib.util.find_spec("keras_hub") is None:
        problem = f"--backbone={settings.backbone}: keras-hub is not installed."
        raise errors.OptionError(problem, 'pip install "geods[hub]", or name an encoder of keras.applications')
    if settings.backbone_weights not in _NO_FILE:
        step = "--backbone_weights takes imagenet, random, or the path of a weights file"
        files.require_file(settings.backbone_weights, step)


def _refuse_other_cache(folder: pathlib.Path, settings: options.ExtractOptions) -> None:
    """Refuses a cache of other features than the flags ask for; the dataset and the weights are compared later."""
    if not (folder / cache_files.INDEX).exists():
        return
    found = cache_files.CacheKey(**cache_files.read_index(folder)["key"])
    wanted = dataclasses.replace(
        found,
        backbone=settings.backbone,
        height_px=settings.height_px,
        width_px=settings.width_px,
        more_heights_px=cache_files.joined(settings.more_heights_px),
        preprocessing=settings.preprocessing,
        layer=settings.layer or (found.layer if settings.unfreeze else ""),
        pooling=settings.pooling,
        precision=settings.precision,
        dtype=settings.cache_dtype,
        runtime=settings.runtime,
    )
    cache_files.refuse_other(folder, found, wanted)
