"""Trains a head on cached features, or the whole network end to end from images.

    python -m trainers.train --flagfile=trainers/recipes/mlp.cfg --data_dir=data --cache_dir=cache --run_dir=runs/mlp
    python -m trainers.train --flagfile=trainers/recipes/mlp.cfg --pooling=avg --imagery=TREE --follow

On the pooled features of 800 places this takes about 30 s on 2 cores. Prints a line an epoch with the loss, the
validation split's mean miles, and the time left; writes the run folder (trainers/runs.py says what is in it). Watch it
with tensorboard --logdir=runs. Without --cache_dir the images go through the encoder in every epoch. Stop it at any
time: the same command goes on after the last epoch, or a few seconds before it where epochs are short; with
--deterministic it ends with the same weights, to the last bit.

With --imagery they come from an imagery tree and go through the encoder once; with --follow from one that a scraper is
filling, until its journal says that it is done (trainers/follow.py).
"""

import dataclasses
import pathlib
from typing import TYPE_CHECKING, Any

from geods import cli, errors
from trainers import options

if TYPE_CHECKING:
    from geods import partition
    from trainers import features, fitting, folds


def main(settings: options.TrainOptions) -> None:
    """Trains and saves one run."""
    from trainers import early

    early.of_train(settings)
    cli.import_quietly("tensorflow")
    from trainers import devices, fitting, follow, runs

    together = devices.sharing(settings.devices)
    fitting.prepare(settings)
    with runs.claim(settings.run_dir), together:
        if settings.imagery:
            follow.train(settings)
        else:
            _train(settings)


def _train(settings: options.TrainOptions) -> None:
    """Trains on a cache or on images."""
    from trainers import cells, fitting, runs

    runs.refuse_finished(settings)
    chosen = cells.of_run(settings)
    parts = _parts(settings, chosen)
    folder = runs.start(settings, chosen, parts.train.source)
    fitting.announce(parts, chosen)
    measured = fitting.fit(parts, chosen, settings, folder, runs.snapshot(folder))
    if settings.members > 1:
        parts = _joined_by_others(parts, settings, chosen, folder)
    fitting.save(parts, parts.backbone or _backbone_of_cache(settings), chosen, settings, folder)
    fitting.conclude(measured, folder)


def _joined_by_others(
    first: "fitting.Parts", settings: options.TrainOptions, chosen: "partition.Partition", folder: pathlib.Path
) -> "fitting.Parts":
    """Trains the other members of an ensemble; returns the first with a classifier that is the mean of all."""
    import keras

    from model import geolocator
    from trainers import fitting, runs

    classifiers = [first.classifier]
    for number in range(1, settings.members):
        print(f"member {number + 1}/{settings.members}", flush=True)
        own = dataclasses.replace(settings, seed=settings.seed + number)
        keras.utils.set_random_seed(own.seed)
        parts = _parts(own, chosen)
        fitting.fit(parts, chosen, own, folder / f"member{number}", runs.snapshot(folder, number))
        classifiers.append(parts.classifier)
    return dataclasses.replace(first, classifier=geolocator.join_classifiers(classifiers))


def _parts(settings: options.TrainOptions, chosen: "partition.Partition") -> "fitting.Parts":
    """Returns what is trained on what."""
    from trainers import shares

    parts = _from_cache(settings, chosen) if settings.cache_dir else _from_images(settings, chosen)
    if settings.devices < 2:
        return parts
    train = shares.full(parts.train, settings.batch_size)
    validation = shares.full(parts.validation, settings.batch_size) if parts.validation else None
    return dataclasses.replace(parts, train=train, validation=validation)


def _from_cache(settings: options.TrainOptions, chosen: "partition.Partition") -> "fitting.Parts":
    """Returns a classifier on cached features."""
    from model import backbones
    from trainers import fitting, folds, inputs

    cache: features.FeatureCache | folds.JoinedCache
    validation = None
    if settings.folds:
        cache = folds.open_all(settings.cache_dir)
        train = inputs.from_fold(settings, cache, chosen, "train")
        if settings.validation_split:
            validation = inputs.from_fold(settings, cache, chosen, "validation")
    else:
        train, cache = inputs.from_cache(settings, settings.train_split, chosen, train=True)
        if settings.validation_split:
            validation, _ = inputs.from_cache(settings, settings.validation_split, chosen, train=False)
    _refuse_stale(cache, settings)
    spec = backbones.BackboneSpec.from_dict(cache.spec)
    # Built first, so that a cache of other weights than those of the unfrozen blocks is refused before any training.
    backbone = _backbone_of_cache(settings) if settings.unfreeze else None
    return fitting.on_features(settings, spec, cache.feature_shape, chosen, train, validation, backbone)


def _refuse_stale(cache: "features.FeatureCache | folds.JoinedCache", settings: options.TrainOptions) -> None:
    """Raises CacheError if a cache was made of another dataset than the one at --data_dir.

    With --partition the dataset is not needed, and a cache may be used where the dataset is not.
    """
    from geods import datasets

    if settings.partition:
        return
    wanted = datasets.fingerprint_of(datasets.open_builder(settings.data_dir, settings.config))
    if cache.key.dataset != wanted:
        problem = f"{cache.folder}: was made of dataset {cache.key.dataset}, but {settings.data_dir} holds {wanted}."
        raise errors.CacheError(problem, "extract again with --overwrite, or name the dataset it was made of")


def _from_images(settings: options.TrainOptions, chosen: "partition.Partition") -> "fitting.Parts":
    """Returns the whole network on images."""
    from model import backbones
    from trainers import extraction, fitting, inputs, networks

    train = inputs.from_images(settings, settings.train_split, chosen, train=True)
    validation = None
    if settings.validation_split:
        validation = inputs.from_images(settings, settings.validation_split, chosen, train=False)
    spec = extraction.spec_of(settings)
    backbone = backbones.build(spec)
    backbone.trainable = settings.train_backbone
    classifier = networks.classifier_of(settings, spec, tuple(backbone.output_shape[1:]), len(chosen))
    network = networks.on_images(settings, backbone, classifier)
    return fitting.Parts(network, classifier, backbone, train, validation)


def _backbone_of_cache(settings: options.TrainOptions) -> Any:  # noqa: ANN401 - a Keras model
    """Builds the encoder whose features a cache holds.

    Raises:
        CacheError: If its weights are not those the cache was made with.
    """
    from model import backbones
    from trainers import cache_files

    folder = pathlib.Path(settings.cache_dir, settings.train_split)
    # Its rows are in memory already: of a million they would be 46 MB once more.
    index = cache_files.read_index(folder)
    backbone = backbones.build(backbones.BackboneSpec.from_dict(index["spec"]))
    if backbones.weights_sha256(backbone) != index["key"]["weights_sha256"]:
        problem = f"{folder}: was made with other weights than {index['spec']['weights']} gives now."
        raise errors.CacheError(problem, "put the old weights back, or extract again with --overwrite")
    return backbone


if __name__ == "__main__":
    cli.run(options.TrainOptions, main)
