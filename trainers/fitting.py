"""Fitting a network to what `trainers.inputs` gives, and saving it: the part that all ways to train share."""

import dataclasses
import math
import pathlib
from typing import Any

import keras

from geods import partition
from model import decode, geolocator, heads, losses, metrics
from trainers import callbacks, inputs, options, runs, scoring


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
    train: inputs.Split
    validation: inputs.Split | None


def prepare(settings: options.TrainOptions) -> None:
    """Sets what holds for the whole process: seeds, precision, and whether every bit repeats."""
    if settings.deterministic:
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(settings.seed)
    keras.mixed_precision.set_dtype_policy(settings.precision)


def decoder_of(settings: options.TrainOptions, cells: partition.Partition) -> decode.Decoder:
    """Returns the layer that turns probabilities into a point."""
    return decode.Decoder(settings.decode, cells.centroids, cells.diagonal_km, name="decoder")


def on_features(
    settings: options.TrainOptions,
    feature_shape: tuple[int, ...],
    cells: partition.Partition,
    train: inputs.Split,
    validation: inputs.Split | None,
) -> Parts:
    """Returns a new classifier with nothing before it."""
    head = heads.build(settings.head, feature_shape, len(cells), settings.dropout)
    classifier = geolocator.build_classifier(head, feature_shape)
    # Another model of the same layers: a compiled one inside the geolocator would take its loss and metrics along.
    network = keras.Model(classifier.input, classifier.output, name="trainable")
    return Parts(network, classifier, None, train, validation)


def announce(parts: Parts, cells: partition.Partition) -> None:
    """Prints what is trained on what."""
    count = sum(math.prod(weight.shape) for weight in parts.network.trainable_weights)
    held = f", validated on {len(parts.validation.coords):,} locations" if parts.validation else ""
    print(f"{parts.train.examples:,} training examples{held}; {len(cells)} cells; {count:,} trainable parameters")


def compile_network(
    network: keras.Model, cells: partition.Partition, settings: options.TrainOptions, examples: int
) -> None:
    """Gives a network its loss, its figures and its optimizer for `examples` an epoch."""
    network.compile(
        optimizer=_optimizer(settings, examples),
        loss=losses.GeolocationLoss(cells.centroids, settings.loss, settings.smoothing, settings.scale_km),
        weighted_metrics=[
            metrics.CellAccuracy(),
            metrics.MeanMiles(cells.centroids),
            *(metrics.WithinKm(cells.centroids, limit) for limit in scoring.WITHIN_KM),
        ],
    )


def fit(
    parts: Parts, cells: partition.Partition, settings: options.TrainOptions, folder: pathlib.Path
) -> callbacks.Validation | None:
    """Trains the network; afterwards it has the weights of its best epoch."""
    compile_network(parts.network, cells, settings, parts.train.examples)
    decoder = decoder_of(settings, cells)
    measured = None
    if parts.validation:
        measured = callbacks.Validation(parts.network, parts.validation, cells, decoder, settings.patience, folder)
    # In this order: the others print and write what the validation has measured.
    watchers = [callbacks.StopOnNaN(), *([measured] if measured else [])]
    watchers += [callbacks.Progress(settings.epochs, measured), callbacks.Board(folder, cells, measured)]
    # The inputs shuffle themselves; Keras warns if that is left open for a dataset.
    parts.network.fit(parts.train.inputs, epochs=settings.epochs, verbose=0, callbacks=watchers, shuffle=False)
    return measured


def save(
    parts: Parts,
    backbone: keras.Model,
    cells: partition.Partition,
    settings: options.TrainOptions,
    folder: pathlib.Path,
) -> None:
    """Writes the whole network, from images to a point, into the run folder."""
    whole = geolocator.build_geolocator(backbone, parts.classifier, decoder_of(settings, cells))
    geolocator.save(whole, folder / runs.MODEL)


def conclude(measured: callbacks.Validation | None, folder: pathlib.Path, before: str = "") -> None:
    """Prints how it ended and what comes next; `before` is a command that has to come before evaluation."""
    if measured:
        print(f"best epoch {measured.best_epoch + 1}: validation {measured.best_miles:,.1f} mean miles")
    print(f"wrote {folder / runs.MODEL}; next: {before}python -m trainers.evaluate --run_dir={folder}")


def _optimizer(settings: options.TrainOptions, examples: int) -> keras.optimizers.Optimizer:
    """Returns Adam, or AdamW if there is weight decay, with the learning rate's schedule."""
    rate: Any = settings.learning_rate
    if settings.lr_schedule == "cosine":
        steps = settings.epochs * max(1, -(-examples // settings.batch_size))
        rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps)
    if settings.weight_decay:
        return keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay)
    return keras.optimizers.Adam(rate)
