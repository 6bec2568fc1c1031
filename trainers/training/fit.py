"""The training loop: a network is built, compiled, fitted and saved."""

import dataclasses
import math
import pathlib
from typing import Any

import keras

from geods.cli import program
from geods.geo import partition
from model import decode, geolocator, losses, metrics, optimizers
from model.encoders import backbones
from model.export import serving_graph
from trainers.options import train_options
from trainers.runs import distance_metrics, events, learned_locations, run_folder
from trainers.training import (
    board,
    callbacks,
    chunked_schedule,
    devices,
    fitted_heads,
    inputs,
    networks,
    snapshots,
)

# docs/training.md has the errors with 100, 200 and 400 locations.
_FEW_TO_TRAIN, _FEW_TO_VALIDATE = 100, 30


@dataclasses.dataclass(frozen=True, eq=False)
class Parts:
    """A network in training, its parts and its data.

    Attributes:
        network: The trained model: inputs as `trainers.training.inputs` gives them -> log-probabilities.
        classifier: The part of it behind the features.
        backbone: The part before them; with a cache None, but where it is needed while training.
        train: The training split.
        validation: The validation split, if there is one.
    """

    network: Any
    classifier: Any
    backbone: Any
    train: inputs.Split
    validation: inputs.Split | None


def prepare(run: train_options.RunOptions) -> None:
    """Sets the seeds, the precision and the determinism of the whole process."""
    if run.deterministic:
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(run.seed)
    keras.mixed_precision.set_dtype_policy(run.precision)


def decoder_of(head: train_options.HeadOptions, cells: partition.Partition) -> decode.Decoder:
    """Returns the layer that turns probabilities into a point."""
    lattice = cells.lattice(head.lattice_deg) if head.lattice_deg else ()
    return decode.Decoder(head.decode, cells.centroids, cells.diagonal_km, lattice, head.temperature, name="decoder")


def classifier_of(
    head: train_options.HeadOptions,
    unfreeze: str,
    spec: backbones.BackboneSpec | backbones.JoinedSpec,
    feature_shape: tuple[int, ...],
    cells: partition.Partition,
    train: inputs.Split,
) -> keras.Model:
    """Returns a new classifier on the features of an encoder.

    One whose head is fitted has seen all of `train`.
    """
    if head.is_fitted:
        return fitted_heads.classifier_of(head, spec, feature_shape, cells, train)
    return networks.classifier_of(head, unfreeze, spec, feature_shape, len(cells))


def on_features(
    classifier: keras.Model,
    changes: train_options.AugmentationOptions,
    train: inputs.Split,
    validation: inputs.Split | None,
    backbone: keras.Model | None = None,
) -> Parts:
    """Returns the parts of a training on features.

    `backbone` is the encoder they come from, if it is built.
    """
    return Parts(networks.on_features(changes, classifier), classifier, backbone, train, validation)


def announce(parts: Parts, cells: partition.Partition) -> None:
    """Prints the numbers of examples, cells and parameters, and if they are few."""
    count = sum(math.prod(weight.shape) for weight in parts.network.trainable_weights)
    validated = f", validated on {len(parts.validation.coords):,} locations" if parts.validation else ""
    print(f"{parts.train.examples:,} training examples{validated}; {len(cells)} cells; {count:,} trainable parameters")
    if len(parts.train.coords) < _FEW_TO_TRAIN:
        few = f"note: {len(parts.train.coords):,} training locations are few; with {_FEW_TO_TRAIN} a model of a country"
        print(f"{few} begins to beat a constant guess (docs/training.md)")
    if parts.validation and len(parts.validation.coords) < _FEW_TO_VALIDATE:
        few = f"note: {len(parts.validation.coords)} validation locations choose the epoch: below {_FEW_TO_VALIDATE}"
        print(f"{few} that is mostly chance; --validation_split= trains on, for all --epochs")


def compile_network(
    parts: Parts, cells: partition.Partition, optimizer: train_options.OptimizerOptions, batch_size: int
) -> None:
    """Compiles the network with its loss, metrics and optimizer."""
    loss = losses.GeolocationLoss(cells.centroids, optimizer.loss, optimizer.smoothing, optimizer.scale_km)
    steps = -(-parts.train.examples // batch_size)
    if optimizer.steps_per_epoch:
        chunks = -(-parts.train.examples // optimizer.chunk_examples) if optimizer.schedule == "chunked" else 1
        steps = chunks * optimizer.steps_per_epoch
    parts.network.compile(
        optimizer=_optimizer(optimizer, optimizer.epochs * max(1, steps), networks.unfrozen_paths(parts.classifier)),
        loss=devices.MaskedLoss(loss) if parts.train.is_padded else loss,
        weighted_metrics=[
            *([devices.EpochLoss(loss)] if parts.train.is_padded else []),
            metrics.CellAccuracy(),
            metrics.MeanMiles(cells.centroids),
            *(metrics.WithinKm(cells.centroids, limit) for limit in distance_metrics.WITHIN_KM),
        ],
    )


def fit(
    parts: Parts,
    cells: partition.Partition,
    data: train_options.DataOptions,
    head: train_options.HeadOptions,
    optimizer: train_options.OptimizerOptions,
    folder: pathlib.Path,
    snapshot: pathlib.Path | None = None,
) -> callbacks.Validation | None:
    """Trains the network.

    Afterwards it has the weights of its best epoch, or of its last chunk.

    Args:
        parts: The network and what to train it on.
        cells: The run's partition.
        data: The batches, and the tf.data service that gives them.
        head: The head and its decoder.
        optimizer: The loss, the learning rate and the schedule.
        folder: Where events and checkpoints go.
        snapshot: File to resume from, written after epochs; None to start again whatever happens.

    Raises:
        RunError: If the snapshot cannot be used.
        TrainingError: If the loss becomes NaN or infinite.
    """
    compile_network(parts, cells, optimizer, data.batch_size)
    measured = None
    if parts.validation:
        decoder = decoder_of(head, cells)
        measured = callbacks.Validation(parts.network, parts.validation, cells, decoder, optimizer.patience, folder)
    board.write_projector(folder, parts.train.inputs, cells)
    if head.is_fitted:
        if measured:
            _write_fitted(measured, cells, folder)
        return None
    if optimizer.schedule == "chunked":
        whole = geolocator.build_geolocator(parts.backbone, parts.classifier, decoder_of(head, cells))
        chunked_schedule.fit(parts.network, whole, parts.train, measured, optimizer, folder, snapshot)
        return None
    kept = snapshots.Snapshots(parts.network, measured, optimizer.epochs, snapshot)
    # In this order: the later ones print, write and keep what the validation has measured.
    watchers = [callbacks.EpochNumber(parts.train), callbacks.StopOnNaN(), *([measured] if measured else [])]
    examples = optimizer.steps_per_epoch * data.batch_size or parts.train.examples
    watchers += [callbacks.Progress(optimizer.epochs, measured), board.Board(folder, cells, measured, examples), kept]
    if parts.train.forward:
        parts.train.forward(kept.epochs)
    with callbacks.stall_detection(data.data_service, data.data_service_wait_s) as first:
        parts.network.fit(
            parts.train.inputs,
            epochs=0 if kept.is_over else optimizer.epochs,
            initial_epoch=kept.epochs,
            verbose=0,
            callbacks=[*first, *watchers],
            # The inputs shuffle themselves; Keras warns if that is left open for a dataset.
            shuffle=False,
        )
    return measured


def _write_fitted(measured: callbacks.Validation, cells: partition.Partition, folder: pathlib.Path) -> None:
    """Prints the validation of a head fitted in one pass, and writes its events."""
    figures = measured.measure()
    print(f"validation {figures['val_mean_miles']:,.1f} mean miles")
    watching = board.Board(folder, cells, measured)
    watching.write(1, figures, {}, improved=True)
    watching.on_train_end()


def save(
    parts: Parts,
    backbone: keras.Model,
    cells: partition.Partition,
    head: train_options.HeadOptions,
    folder: pathlib.Path,
    with_graph: bool,
) -> None:
    """Writes the whole network, if wanted also as a graph, and finishes the run."""
    whole = geolocator.build_geolocator(backbone, parts.classifier, decoder_of(head, cells))
    geolocator.save(whole, folder / run_folder.MODEL)
    if with_graph and (missing := serving_graph.write(whole, folder / run_folder.GRAPH)):
        print(f"no {run_folder.GRAPH}: {missing}; tools.predict starts TensorFlow")
    learned = [part for part in (parts.train, parts.validation) if part]
    ids, coords = [part.location_ids for part in learned], [part.coords for part in learned]
    learned_locations.LearnedLocations.joined(ids, coords).write(folder)
    events.write_end(folder)
    run_folder.finish(folder)


def conclude(measured: callbacks.Validation | None, folder: pathlib.Path, before: str = "") -> None:
    """Prints the best epoch and the next command.

    `before` is a command that has to come before evaluation.
    """
    if measured:
        print(f"best epoch {measured.best_epoch + 1}: validation {measured.best_miles:,.1f} mean miles")
    print(f"wrote {folder / run_folder.MODEL}")
    program.print_next(f"{before}python -m trainers.evaluate --run_dir={folder}")


def _optimizer(optimizer: train_options.OptimizerOptions, steps: int, slow: list[str]) -> keras.optimizers.Optimizer:
    """Returns Adam with its learning-rate schedule.

    AdamW if there is weight decay or a slower part.
    """
    rate: Any = optimizer.learning_rate
    if optimizer.lr_schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(optimizer.learning_rate, steps)
    if slow:
        return optimizers.PacedAdamW(rate, optimizer.weight_decay, slow, optimizer.unfreeze_rate)
    if optimizer.weight_decay:
        return keras.optimizers.AdamW(rate, weight_decay=optimizer.weight_decay)
    return keras.optimizers.Adam(rate)
