"""Fitting a network to what `trainers.training.inputs` gives, and saving it: the part that all ways to train share."""

import dataclasses
import math
import pathlib
from typing import Any

import keras

from geods.geo import partition
from model import decode, geolocator, losses, metrics, optimizers
from model.encoders import backbones
from trainers.options import train_options
from trainers.runs import distance_metrics, run_folder
from trainers.training import callbacks, chunked_schedule, devices, fitted_heads, inputs, networks, snapshots


@dataclasses.dataclass(frozen=True, eq=False)
class Parts:
    """What a training is made of.

    Attributes:
        network: What is trained: inputs as `trainers.training.inputs` gives them -> log-probabilities.
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


def prepare(settings: train_options.TrainOptions) -> None:
    """Sets what holds for the whole process: seeds, precision, and whether every bit repeats."""
    if settings.deterministic:
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(settings.seed)
    keras.mixed_precision.set_dtype_policy(settings.precision)


def decoder_of(settings: train_options.TrainOptions, cells: partition.Partition) -> decode.Decoder:
    """Returns the layer that turns probabilities into a point."""
    lattice = cells.lattice(settings.lattice_deg) if settings.lattice_deg else ()
    return decode.Decoder(
        settings.decode, cells.centroids, cells.diagonal_km, lattice, settings.temperature, name="decoder"
    )


def on_features(
    settings: train_options.TrainOptions,
    spec: backbones.BackboneSpec,
    feature_shape: tuple[int, ...],
    cells: partition.Partition,
    train: inputs.Split,
    validation: inputs.Split | None,
    backbone: keras.Model | None = None,
) -> Parts:
    """Returns a new classifier on the features that the encoder of a spec gives; `backbone` is that, if it is built."""
    if settings.head in train_options.FITTED_HEADS:
        classifier = fitted_heads.classifier_of(settings, spec, feature_shape, cells, train)
        network = keras.Model(classifier.input, classifier.output, name="trainable")
        return Parts(network, classifier, backbone, train, validation)
    classifier = networks.classifier_of(settings, spec, feature_shape, len(cells))
    return Parts(networks.on_features(settings, classifier), classifier, backbone, train, validation)


def announce(parts: Parts, cells: partition.Partition) -> None:
    """Prints what is trained on what."""
    count = sum(math.prod(weight.shape) for weight in parts.network.trainable_weights)
    held = f", validated on {len(parts.validation.coords):,} locations" if parts.validation else ""
    print(f"{parts.train.examples:,} training examples{held}; {len(cells)} cells; {count:,} trainable parameters")


def compile_network(parts: Parts, cells: partition.Partition, settings: train_options.TrainOptions) -> None:
    """Gives the network its loss, its figures and its optimizer."""
    loss = losses.GeolocationLoss(cells.centroids, settings.loss, settings.smoothing, settings.scale_km)
    shared = settings.devices > 1
    parts.network.compile(
        optimizer=_optimizer(settings, parts.train.examples, networks.unfrozen(settings, parts.classifier)),
        loss=devices.MaskedLoss(loss) if shared else loss,
        weighted_metrics=[
            *([devices.EpochLoss(loss)] if shared else []),
            metrics.CellAccuracy(),
            metrics.MeanMiles(cells.centroids),
            *(metrics.WithinKm(cells.centroids, limit) for limit in distance_metrics.WITHIN_KM),
        ],
    )


def fit(
    parts: Parts,
    cells: partition.Partition,
    settings: train_options.TrainOptions,
    folder: pathlib.Path,
    snapshot: pathlib.Path | None = None,
) -> callbacks.Validation | None:
    """Trains the network; afterwards it has the weights of its best epoch, or of its last chunk.

    Args:
        parts: The network and what to train it on.
        cells: The run's partition.
        settings: The options.
        folder: Where events and checkpoints go.
        snapshot: File to go on from, written after epochs; None to begin anew whatever happens.

    Raises:
        RunError: If the snapshot cannot be used.
        TrainingError: If the loss becomes NaN or infinite.
    """
    compile_network(parts, cells, settings)
    decoder = decoder_of(settings, cells)
    measured = None
    if parts.validation:
        measured = callbacks.Validation(parts.network, parts.validation, cells, decoder, settings.patience, folder)
    if settings.head in train_options.FITTED_HEADS:
        if measured:
            print(f"validation {measured.measure()['val_mean_miles']:,.1f} mean miles")
        return None
    if settings.schedule == "chunked":
        chunked_schedule.fit(parts.network, parts.train, measured, settings, folder, snapshot)
        return None
    kept = snapshots.Snapshots(parts.network, measured, settings.epochs, snapshot)
    # In this order: the first stops looking before the validation begins, which has no steps; the others print, write
    # and keep what that has measured.
    watchers = [callbacks.Stall(settings.data_service, settings.data_service_wait_s)] if settings.data_service else []
    watchers += [callbacks.EpochNumber(parts.train), callbacks.StopOnNaN(), *([measured] if measured else [])]
    watchers += [callbacks.Progress(settings.epochs, measured), callbacks.Board(folder, cells, measured), kept]
    if parts.train.forward:
        parts.train.forward(kept.epochs)
    parts.network.fit(
        parts.train.inputs,
        epochs=0 if kept.is_over else settings.epochs,
        initial_epoch=kept.epochs,
        verbose=0,
        callbacks=watchers,
        # The inputs shuffle themselves; Keras warns if that is left open for a dataset.
        shuffle=False,
    )
    return measured


def save(
    parts: Parts,
    backbone: keras.Model,
    cells: partition.Partition,
    settings: train_options.TrainOptions,
    folder: pathlib.Path,
) -> None:
    """Writes the whole network, from images to a point, into the run folder, and finishes the run."""
    whole = geolocator.build_geolocator(backbone, parts.classifier, decoder_of(settings, cells))
    geolocator.save(whole, folder / run_folder.MODEL)
    run_folder.finish(folder)


def conclude(measured: callbacks.Validation | None, folder: pathlib.Path, before: str = "") -> None:
    """Prints how it ended and what comes next; `before` is a command that has to come before evaluation."""
    if measured:
        print(f"best epoch {measured.best_epoch + 1}: validation {measured.best_miles:,.1f} mean miles")
    print(f"wrote {folder / run_folder.MODEL}; next: {before}python -m trainers.evaluate --run_dir={folder}")


def _optimizer(settings: train_options.TrainOptions, examples: int, slow: list[str]) -> keras.optimizers.Optimizer:
    """Returns Adam, or AdamW if there is weight decay or a slower part, with the learning rate's schedule."""
    rate: Any = settings.learning_rate
    if settings.lr_schedule == "cosine":
        steps = settings.epochs * max(1, -(-examples // settings.batch_size))
        rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps)
    if slow:
        return optimizers.PacedAdamW(rate, settings.weight_decay, slow, settings.unfreeze_rate)
    if settings.weight_decay:
        return keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay)
    return keras.optimizers.Adam(rate)
