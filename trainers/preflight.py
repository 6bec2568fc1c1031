"""What is refused before TensorFlow starts, which takes 5 to 30 s: mistakes that names, folders and indexes show.

Whatever is refused here would be refused later as well, by the same functions; a program only asks them sooner.
"""

import dataclasses
import importlib.util
import itertools
import os
import pathlib

from geods import errors
from geods.dataset import dataset_folder
from geods.geo import partition
from geods.input import nvimagecodec_decoder
from geods.remote import session
from geods.storage import files
from geods.tree import layouts
from trainers.features import cache_format, feature_cache, joined_cache, runtimes
from trainers.options import encoder_options, evaluate_options, train_options
from trainers.runs import run_folder

_NO_FILE = ("imagenet", "random")
_HUB = "hub:"


def check_extract(settings: encoder_options.ExtractOptions) -> None:
    """Refuses what trainers.extract cannot begin with.

    Raises:
        GeodsError: If the dataset, a split, a runtime, a decoder or the weights are not there, or a cache is of others.
    """
    runtimes.check_runtime(settings.runtime, settings.precision)
    if settings.decode == "gpu":
        nvimagecodec_decoder.load_decoder()
    _check_encoder(settings)
    dataset_folder.check_built(settings.data_dir, settings.config, settings.splits)
    if not settings.overwrite:
        for split, variant in itertools.product(settings.splits, range(settings.variants + 1)):
            _check_cache(cache_format.folder_of(settings.cache_dir, split, variant), settings)


def check_train(settings: train_options.TrainOptions) -> None:
    """Refuses what trainers.train cannot begin with.

    Raises:
        GeodsError: If the run is there already, or what it is to be trained with or on is not.
    """
    _check_backend()
    run_folder.check_unfinished(settings)
    if settings.partition:
        partition.read(settings.partition)
    splits = [split for split in (settings.train_split, settings.validation_split) if split]
    if settings.imagery:
        _check_encoder(settings)
        if not settings.follow:
            layouts.detect(settings.imagery)
        return
    if not settings.partition or not settings.cache_dir:
        dataset_folder.check_built(settings.data_dir, settings.config, () if settings.cache_dir else splits)
    if not settings.cache_dir:
        _check_encoder(settings)
    elif settings.folds:
        joined_cache.open_all(settings.cache_dir)
    else:
        for split in splits:
            feature_cache.FeatureCache(pathlib.Path(settings.cache_dir, split))


def check_evaluate(settings: evaluate_options.EvaluateOptions) -> None:
    """Refuses what trainers.evaluate cannot begin with.

    Raises:
        GeodsError: If there is no such run, or what it is to be evaluated on is not there.
    """
    trained = run_folder.options_of(run_folder.check_run(settings.run_dir))
    if settings.imagery:
        layouts.detect(settings.imagery)
    elif not trained.folds:
        cached = run_folder.cache_of(trained, settings)
        if cached is None:
            dataset_folder.check_built(session.local_path(trained.data_dir), trained.config, [settings.split])


def _check_backend() -> None:
    """Refuses a backend of Keras that is not there, on which the import of Keras would fail."""
    if os.environ.get("KERAS_BACKEND") == "jax" and importlib.util.find_spec("jax") is None:
        raise errors.OptionError("KERAS_BACKEND=jax: jax is not installed.", 'pip install "geods[jax]"')


def _check_encoder(settings: encoder_options.EncoderOptions) -> None:
    """Refuses weights and a library that are not there; whether they fit, only Keras can say."""
    if settings.backbone.startswith(_HUB) and importlib.util.find_spec("keras_hub") is None:
        problem = f"--backbone={settings.backbone}: keras-hub is not installed."
        raise errors.OptionError(problem, 'pip install "geods[hub]", or name an encoder of keras.applications')
    if settings.backbone_weights not in _NO_FILE:
        step = "--backbone_weights takes imagenet, random, or the path of a weights file"
        files.check_file(settings.backbone_weights, step)


def _check_cache(folder: pathlib.Path, settings: encoder_options.ExtractOptions) -> None:
    """Refuses a cache of other features than the flags ask for; the dataset and the weights are compared later."""
    if not (folder / cache_format.INDEX).exists():
        return
    found = cache_format.CacheKey(**cache_format.read_index(folder)["key"])
    wanted = dataclasses.replace(
        found,
        backbone=settings.backbone,
        height_px=settings.height_px,
        width_px=settings.width_px,
        more_heights_px=cache_format.joined(settings.more_heights_px),
        preprocessing=settings.preprocessing,
        layer=settings.layer or (found.layer if settings.unfreeze else ""),
        pooling=settings.pooling,
        precision=settings.precision,
        dtype=settings.cache_dtype,
        runtime=settings.runtime,
    )
    cache_format.check_same_key(folder, found, wanted)
