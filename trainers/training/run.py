"""Training of one run: its parts from a cache or from images, the fit, and what it saves."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from geods import errors
from trainers.options import train_options

if TYPE_CHECKING:
    from geods.geo import partition
    from trainers.features import feature_cache, joined_cache
    from trainers.training import fit


def in_run_folder(settings: train_options.TrainOptions, train_it: Callable[[train_options.TrainOptions], None]) -> None:
    """Trains in a run folder that is locked, on the devices asked for."""
    from trainers.runs import run_folder
    from trainers.training import devices, fit

    together = devices.sharing(settings.devices)
    fit.prepare(settings)
    with run_folder.claim(settings.run_dir), together:
        train_it(settings)


def train(settings: train_options.TrainOptions) -> None:
    """Trains on a cache or on images."""
    from trainers.runs import run_folder
    from trainers.training import cells, fit

    run_folder.check_unfinished(settings)
    chosen = cells.for_run(settings)
    parts = _parts(settings, chosen)
    folder = run_folder.start(settings, chosen, parts.train.source)
    fit.announce(parts, chosen)
    measured = fit.fit(parts, chosen, settings, folder, run_folder.snapshot(folder))
    if settings.members > 1:
        parts = _joined_by_others(parts, settings, chosen, folder)
    fit.save(parts, parts.backbone or _backbone_of_cache(settings), chosen, settings, folder)
    fit.conclude(measured, folder)


def _joined_by_others(
    first: "fit.Parts", settings: train_options.TrainOptions, chosen: "partition.Partition", folder: pathlib.Path
) -> "fit.Parts":
    """Trains the other members of an ensemble; returns the first with a classifier that is the mean of all."""
    import keras

    from model import geolocator
    from trainers.runs import run_folder
    from trainers.training import fit

    classifiers = [first.classifier]
    for number in range(1, settings.members):
        print(f"member {number + 1}/{settings.members}", flush=True)
        own = dataclasses.replace(settings, seed=settings.seed + number)
        keras.utils.set_random_seed(own.seed)
        parts = _parts(own, chosen)
        fit.fit(parts, chosen, own, folder / f"member{number}", run_folder.snapshot(folder, number))
        classifiers.append(parts.classifier)
    return dataclasses.replace(first, classifier=geolocator.join_classifiers(classifiers))


def _parts(settings: train_options.TrainOptions, chosen: "partition.Partition") -> "fit.Parts":
    """Returns what is trained on what."""
    from trainers.training import devices

    parts = _from_cache(settings, chosen) if settings.cache_dir else _from_images(settings, chosen)
    if settings.devices < 2:
        return parts
    train = devices.padded(parts.train, settings.batch_size)
    validation = devices.padded(parts.validation, settings.batch_size) if parts.validation else None
    return dataclasses.replace(parts, train=train, validation=validation)


def _from_cache(settings: train_options.TrainOptions, chosen: "partition.Partition") -> "fit.Parts":
    """Returns a classifier on cached features."""
    from model.encoders import backbones
    from trainers.features import joined_cache
    from trainers.training import fit, inputs

    cache: feature_cache.FeatureCache | joined_cache.JoinedCache
    validation = None
    if settings.folds:
        cache = joined_cache.open_all(settings.cache_dir)
        train = inputs.from_fold(settings, cache, chosen, "train")
        if settings.validation_split:
            validation = inputs.from_fold(settings, cache, chosen, "validation")
    else:
        train, cache = inputs.from_cache(settings, settings.train_split, chosen, train=True)
        if settings.validation_split:
            validation, _ = inputs.from_cache(settings, settings.validation_split, chosen, train=False)
    _check_not_stale(cache, settings)
    spec = backbones.BackboneSpec.from_dict(cache.spec)
    # Built first, so that a cache of other weights than those of the unfrozen blocks is refused before any training.
    backbone = _backbone_of_cache(settings) if settings.unfreeze else None
    return fit.on_features(settings, spec, cache.feature_shape, chosen, train, validation, backbone)


def _check_not_stale(
    cache: "feature_cache.FeatureCache | joined_cache.JoinedCache", settings: train_options.TrainOptions
) -> None:
    """Raises CacheError if a cache was made of another dataset than the one at --data_dir.

    With --partition the dataset is not needed, and a cache may be used where the dataset is not.
    """
    from geods.dataset import dataset_reader

    if settings.partition:
        return
    wanted = dataset_reader.fingerprint_of(dataset_reader.open_builder(settings.data_dir, settings.config))
    if cache.key.dataset != wanted:
        problem = f"{cache.folder}: was made of dataset {cache.key.dataset}, but {settings.data_dir} holds {wanted}."
        raise errors.CacheError(problem, "extract again with --overwrite, or name the dataset it was made of")


def _from_images(settings: train_options.TrainOptions, chosen: "partition.Partition") -> "fit.Parts":
    """Returns the whole network on images."""
    from model.encoders import backbones
    from trainers.features import feature_encoder
    from trainers.training import fit, inputs, networks

    train = inputs.from_images(settings, settings.train_split, chosen, train=True)
    validation = None
    if settings.validation_split:
        validation = inputs.from_images(settings, settings.validation_split, chosen, train=False)
    spec = feature_encoder.spec_of(settings)
    backbone = backbones.build(spec)
    backbone.trainable = settings.train_backbone
    classifier = networks.classifier_of(settings, spec, tuple(backbone.output_shape[1:]), len(chosen))
    network = networks.on_images(settings, backbone, classifier)
    return fit.Parts(network, classifier, backbone, train, validation)


def _backbone_of_cache(settings: train_options.TrainOptions) -> Any:  # noqa: ANN401 - a Keras model
    """Builds the encoder whose features a cache holds.

    Raises:
        CacheError: If its weights are not those the cache was made with.
    """
    from model.encoders import backbones
    from trainers.features import cache_format

    folder = pathlib.Path(settings.cache_dir, settings.train_split)
    # Its rows are in memory already: of a million they would be 46 MB once more.
    index = cache_format.read_index(folder)
    backbone = backbones.build(backbones.BackboneSpec.from_dict(index["spec"]))
    if backbones.weights_sha256(backbone) != index["key"]["weights_sha256"]:
        problem = f"{folder}: was made with other weights than {index['spec']['weights']} gives now."
        raise errors.CacheError(problem, "put the old weights back, or extract again with --overwrite")
    return backbone
