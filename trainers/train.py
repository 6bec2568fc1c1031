"""Trains a head on cached features, or the whole network end to end from images.

    python -m trainers.train --flagfile=trainers/recipes/mlp.cfg --data_dir=data --cache_dir=cache --run_dir=runs/mlp
    python -m trainers.train --flagfile=trainers/recipes/mlp.cfg --pooling=avg --imagery=TREE --follow

On the pooled features of 800 places this takes about 30 s on 2 cores. Prints a line an epoch with the loss, the
validation split's mean miles, and the time left; writes the run folder (trainers/runs.py says what is in it). Watch it
with tensorboard --logdir=runs. Without --cache_dir the images go through the encoder in every epoch.

With --imagery they come from an imagery tree and go through the encoder once; with --follow from one that a scraper is
filling, until its journal says that it is done (trainers/follow.py).
"""

import pathlib
from typing import TYPE_CHECKING, Any

from geods import cli, errors
from trainers import options

if TYPE_CHECKING:
    from geods import partition
    from trainers import features, fitting


def main(settings: options.TrainOptions) -> None:
    """Trains and saves one run."""
    cli.import_quietly("tensorflow")
    from geods import partition
    from trainers import fitting, follow, runs

    fitting.prepare(settings)
    if settings.imagery:
        follow.train(settings)
        return
    cells = partition.read(settings.partition) if settings.partition else _dataset_partition(settings)
    parts = _from_cache(settings, cells) if settings.cache_dir else _from_images(settings, cells)
    folder = runs.start(settings, cells)
    fitting.announce(parts, cells)
    measured = fitting.fit(parts, cells, settings, folder)
    fitting.save(parts, parts.backbone or _backbone_of_cache(settings), cells, settings, folder)
    fitting.conclude(measured, folder)


def _dataset_partition(settings: options.TrainOptions) -> "partition.Partition":
    """Returns the partition the dataset was built with."""
    from geods import datasets

    return datasets.partition_of(datasets.open_builder(settings.data_dir, settings.config))


def _from_cache(settings: options.TrainOptions, cells: "partition.Partition") -> "fitting.Parts":
    """Returns a classifier on cached features."""
    from model import backbones
    from trainers import fitting, inputs

    train, cache = inputs.from_cache(settings, settings.train_split, cells, train=True)
    _refuse_stale(cache, settings)
    validation = None
    if settings.validation_split:
        validation, _ = inputs.from_cache(settings, settings.validation_split, cells, train=False)
    spec = backbones.BackboneSpec.from_dict(cache.spec)
    # Built first, so that a cache of other weights than those of the unfrozen blocks is refused before any training.
    backbone = _backbone_of_cache(settings) if settings.unfreeze else None
    return fitting.on_features(settings, spec, cache.feature_shape, cells, train, validation, backbone)


def _refuse_stale(cache: "features.FeatureCache", settings: options.TrainOptions) -> None:
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


def _from_images(settings: options.TrainOptions, cells: "partition.Partition") -> "fitting.Parts":
    """Returns the whole network on images."""
    from model import backbones
    from trainers import extract, fitting, inputs, networks

    train = inputs.from_images(settings, settings.train_split, cells, train=True)
    validation = None
    if settings.validation_split:
        validation = inputs.from_images(settings, settings.validation_split, cells, train=False)
    spec = extract.spec_of(settings)
    backbone = backbones.build(spec)
    backbone.trainable = settings.train_backbone
    classifier = networks.classifier_of(settings, spec, tuple(backbone.output_shape[1:]), len(cells))
    network = networks.on_images(settings, backbone, classifier)
    return fitting.Parts(network, classifier, backbone, train, validation)


def _backbone_of_cache(settings: options.TrainOptions) -> Any:  # noqa: ANN401 - a Keras model
    """Builds the encoder whose features a cache holds.

    Raises:
        CacheError: If its weights are not those the cache was made with.
    """
    from model import backbones
    from trainers import features

    folder = pathlib.Path(settings.cache_dir, settings.train_split)
    cache = features.FeatureCache(folder)
    backbone = backbones.build(backbones.BackboneSpec.from_dict(cache.spec))
    if backbones.weights_sha256(backbone) != cache.key.weights_sha256:
        problem = f"{folder}: was made with other weights than {cache.spec['weights']} gives now."
        raise errors.CacheError(problem, "put the old weights back, or extract again with --overwrite")
    return backbone


if __name__ == "__main__":
    cli.run(options.TrainOptions, main)
