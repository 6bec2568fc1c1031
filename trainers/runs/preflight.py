"""Checks of names, folders and indexes before TensorFlow starts.

Every error raised here would be raised later as well, by the same functions; a program only learns of it sooner.
"""

import dataclasses
import importlib.util
import itertools
import pathlib

from geods import errors
from geods.dataset import dataset_folder, splits
from geods.geo import partition
from geods.input import nvimagecodec_decoder
from geods.storage import files
from geods.tree import layouts
from model.encoders import onnx_files
from trainers.features import cache_format, joined_cache, runtimes
from trainers.options import evaluate_options, extract_options, stages, train_options
from trainers.runs import human_guesses, run_folder

_NO_FILE = ("imagenet", "random")
_HUB = "hub:"


def check_extract(settings: extract_options.ExtractOptions) -> None:
    """Checks the inputs of trainers.extract.

    Raises:
        GeodsError: If the dataset, a split, a runtime, a decoder or the weights are missing, or a cache is of others.
    """
    data, runtime, cache = settings.data, settings.runtime, settings.cache
    runtimes.check_runtime(runtime.runtime, runtime.precision)
    runtimes.check_writes_graphs(runtime.runtime, data.variants)
    if runtime.decode == "gpu":
        nvimagecodec_decoder.load_decoder()
    _check_encoder(settings.encoder)
    dataset_folder.check_built(data.data_dir, data.config, cache.splits)
    if not cache.overwrite:
        for split, variant in itertools.product(cache.splits, range(data.variants + 1)):
            folder = cache_format.folder_of(cache.cache_dir, split, variant)
            _check_cache(folder, settings.encoder, runtime, cache.cache_dtype)


def check_train(settings: train_options.TrainOptions) -> None:
    """Checks the inputs of trainers.train.

    Raises:
        GeodsError: If the run is finished already, or the data or the encoder are missing.
    """
    data, streaming = settings.data, settings.streaming
    run_folder.check_unfinished(settings.run)
    if settings.cells.partition:
        partition.read(settings.cells.partition)
    if data.config == "report" and data.validation_split == splits.VALIDATION and not data.folds:
        problem = "--config=report: has no validation split, as the report had none."
        raise errors.DatasetError(problem, "train all epochs unseen: --validation_split=")
    names = [split for split in (data.train_split, data.validation_split) if split]
    if streaming.imagery:
        _check_encoder(settings.encoder)
        if not streaming.follow:
            layouts.detect(streaming.imagery)
        return
    if not settings.cells.partition or not data.cache_dir:
        dataset_folder.check_built(data.data_dir, data.config, () if data.cache_dir else names)
    if not data.cache_dir:
        _check_encoder(settings.encoder)
    elif data.folds:
        joined_cache.open_all(data.cache_dir)
    else:
        for split in names:
            joined_cache.open_split(data.cache_dir, split)


def check_evaluate(settings: evaluate_options.EvaluateOptions) -> None:
    """Checks the inputs of trainers.evaluate.

    Raises:
        GeodsError: If there is no such run or checkpoint, or its locations are missing.
    """
    folder, locations = run_folder.check_run(settings.run_dir, settings.checkpoint), settings.locations
    if settings.humans:
        human_guesses.read(settings.humans)
    run_folder.model_of(folder, settings.checkpoint)
    data = run_folder.data_of(folder, locations)
    if locations.imagery:
        layouts.detect(locations.imagery)
    elif not data.folds and not run_folder.is_cached(data, locations):
        dataset_folder.check_built(run_folder.dataset_of(data), data.config, [locations.split])


def _check_encoder(encoder: stages.EncoderOptions) -> None:
    """Raises GeodsError for missing weights or a missing library.

    Whether they fit, only Keras can tell.
    """
    if encoder.backbone.startswith(_HUB) and importlib.util.find_spec("keras_hub") is None:
        problem = f"--backbone={encoder.backbone}: keras-hub is not installed."
        raise errors.OptionError(problem, 'pip install "geods[hub]", or name an encoder of keras.applications')
    if onnx_files.is_onnx(encoder.backbone):
        runtimes.check_runtime("openvino")
        onnx_files.external_files(onnx_files.path_of(encoder.backbone))
        onnx_files.preprocessing_text(encoder.backbone, encoder.mean, encoder.scale, encoder.preprocessing)
    if encoder.backbone_weights not in _NO_FILE:
        step = "--backbone_weights takes imagenet, random, or the path of a weights file"
        files.check_file(encoder.backbone_weights, step)


def _check_cache(
    folder: pathlib.Path, encoder: stages.EncoderOptions, runtime: extract_options.RuntimeOptions, dtype: str
) -> None:
    """Checks that a cache holds the features of the flags.

    The dataset and the weights are compared later.
    """
    if not (folder / cache_format.INDEX).exists():
        return
    present = cache_format.CacheKey(**cache_format.read_index(folder)["key"])
    wanted = dataclasses.replace(
        present.of_encoder(encoder),
        # A cache keeps what it was started with where the flags leave it open.
        precision=present.precision if runtime.precision == "auto" else runtime.precision,
        dtype=dtype,
        runtime=present.runtime if runtime.runtime == "auto" else runtimes.name_of(runtime.runtime, encoder.backbone),
    )
    cache_format.check_same_key(folder, present, wanted)
