"""Trains a head on cached features, or the whole network end to end from images.

    python -m trainers.train --flagfile=trainers/recipes/mlp.cfg --data_dir=data --cache_dir=cache --run_dir=runs/mlp

On the pooled features of 800 places this takes about 30 s on 2 cores. Prints a line an epoch with the loss, the
validation split's mean miles, and the time left; writes the run folder (trainers/runs.py says what is in it). Watch it
with tensorboard --logdir=runs. Without --cache_dir the images go through the encoder in every epoch.
"""

import dataclasses
import math
import pathlib
from typing import TYPE_CHECKING, Any

from geods import cli, errors
from trainers import options, scoring

if TYPE_CHECKING:
    from geods import partition
    from trainers import callbacks, features, inputs


@dataclasses.dataclass(frozen=True, eq=False)
class Parts:
    """What a training is made of.

    Attributes:
        network: What is trained: inputs as `trainers.inputs` gives them -> log-probabilities.
        classifier: The part of it behind the features.
        backbone: The part before them; None with a cache, where nothing is before them.
        train: The training split.
        validation: The validation split, if there is one.
    """

    network: Any
    classifier: Any
    backbone: Any
    train: "inputs.Split"
    validation: "inputs.Split | None"


def main(settings: options.TrainOptions) -> None:
    """Trains and saves one run."""
    cli.import_quietly("tensorflow")
    import keras

    from geods import partition
    from model import geolocator
    from trainers import runs

    if settings.deterministic:
        _make_deterministic()
    keras.utils.set_random_seed(settings.seed)
    keras.mixed_precision.set_dtype_policy(settings.precision)
    cells = partition.read(settings.partition) if settings.partition else _dataset_partition(settings)
    parts = _from_cache(settings, cells) if settings.cache_dir else _from_images(settings, cells)
    folder = runs.start(settings, cells)
    _print_parts(parts, cells)
    measured = _fit(parts, cells, settings, folder)
    backbone = parts.backbone or _backbone_of_cache(settings)
    whole = geolocator.build_geolocator(backbone, parts.classifier, decoder_of(settings, cells))
    geolocator.save(whole, folder / runs.MODEL)
    if measured:
        print(f"best epoch {measured.best_epoch + 1}: validation {measured.best_miles:,.1f} mean miles")
    print(f"wrote {folder / runs.MODEL}; next: python -m trainers.evaluate --run_dir={folder}")


def decoder_of(settings: options.TrainOptions, cells: "partition.Partition") -> Any:  # noqa: ANN401 - a Keras layer
    """Returns the layer that turns probabilities into a point."""
    from model import decode

    return decode.Decoder(settings.decode, cells.centroids, cells.diagonal_km, name="decoder")


def _make_deterministic() -> None:
    """Asks TensorFlow for operations that give the same bits every time."""
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()


def _dataset_partition(settings: options.TrainOptions) -> "partition.Partition":
    """Returns the partition the dataset was built with."""
    from geods import datasets

    return datasets.partition_of(datasets.open_builder(settings.data_dir, settings.config))


def _from_cache(settings: options.TrainOptions, cells: "partition.Partition") -> Parts:
    """Returns a classifier on cached features."""
    import keras

    from model import geolocator, heads
    from trainers import inputs

    train, cache = inputs.from_cache(settings, settings.train_split, cells, train=True)
    _refuse_stale(cache, settings)
    validation = None
    if settings.validation_split:
        validation, _ = inputs.from_cache(settings, settings.validation_split, cells, train=False)
    head = heads.build(settings.head, cache.feature_shape, len(cells), settings.dropout)
    classifier = geolocator.build_classifier(head, cache.feature_shape)
    # Another model of the same layers: a compiled one inside the geolocator would take its loss and metrics along.
    network = keras.Model(classifier.input, classifier.output, name="trainable")
    return Parts(network, classifier, None, train, validation)


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


def _from_images(settings: options.TrainOptions, cells: "partition.Partition") -> Parts:
    """Returns the whole network on images."""
    from model import backbones, geolocator, heads
    from trainers import extract, inputs

    train = inputs.from_images(settings, settings.train_split, cells, train=True)
    validation = None
    if settings.validation_split:
        validation = inputs.from_images(settings, settings.validation_split, cells, train=False)
    backbone = backbones.build(extract.spec_of(settings))
    backbone.trainable = settings.train_backbone
    shape = tuple(backbone.output_shape[1:])
    classifier = geolocator.build_classifier(heads.build(settings.head, shape, len(cells), settings.dropout), shape)
    return Parts(geolocator.build_trainable(backbone, classifier), classifier, backbone, train, validation)


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


def _print_parts(parts: Parts, cells: "partition.Partition") -> None:
    """Prints what is trained on what."""
    count = sum(math.prod(weight.shape) for weight in parts.network.trainable_weights)
    held = f", validated on {len(parts.validation.coords):,} locations" if parts.validation else ""
    print(f"{parts.train.examples:,} training examples{held}; {len(cells)} cells; {count:,} trainable parameters")


def _fit(
    parts: Parts, cells: "partition.Partition", settings: options.TrainOptions, folder: pathlib.Path
) -> "callbacks.Validation | None":
    """Trains the network; afterwards it has the weights of its best epoch."""
    from model import losses, metrics
    from trainers import callbacks

    network = parts.network
    network.compile(
        optimizer=_optimizer(settings, parts.train.examples),
        loss=losses.GeolocationLoss(cells.centroids, settings.loss, settings.smoothing, settings.scale_km),
        weighted_metrics=[
            metrics.CellAccuracy(),
            metrics.MeanMiles(cells.centroids),
            *(metrics.WithinKm(cells.centroids, limit) for limit in scoring.WITHIN_KM),
        ],
    )
    decoder = decoder_of(settings, cells)
    measured = None
    if parts.validation:
        measured = callbacks.Validation(network, parts.validation, cells, decoder, settings.patience, folder)
    # In this order: the others print and write what the validation has measured.
    watchers = [callbacks.StopOnNaN(), *([measured] if measured else [])]
    watchers += [callbacks.Progress(settings.epochs, measured), callbacks.Board(folder, cells, measured)]
    # The inputs shuffle themselves; Keras warns if that is left open for a dataset.
    network.fit(parts.train.inputs, epochs=settings.epochs, verbose=0, callbacks=watchers, shuffle=False)
    return measured


def _optimizer(settings: options.TrainOptions, examples: int) -> Any:  # noqa: ANN401 - a Keras optimizer
    """Returns Adam, or AdamW if there is weight decay, with the learning rate's schedule."""
    import keras

    rate: Any = settings.learning_rate
    if settings.lr_schedule == "cosine":
        steps = settings.epochs * max(1, -(-examples // settings.batch_size))
        rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps)
    if settings.weight_decay:
        return keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay)
    return keras.optimizers.Adam(rate)


if __name__ == "__main__":
    cli.run(options.TrainOptions, main)
