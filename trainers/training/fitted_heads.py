"""The heads that are not trained step by step: they look at every training place once and remember it."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from geods.dataset import splits
from geods.geo import partition
from geods.storage import memory
from model.encoders import backbones, second_order_pooling
from model.heads import kernel_regression, knn
from trainers.options import train_options
from trainers.training import inputs


def classifier_of(
    settings: train_options.TrainOptions,
    spec: backbones.BackboneSpec,
    feature_shape: tuple[int, ...],
    cells: partition.Partition,
    train: inputs.Split,
) -> keras.Model:
    """Returns a classifier that has looked at every training example once.

    Args:
        settings: --head, and its flags.
        spec: Encoder that gives the features.
        feature_shape: Shape of one view's features.
        cells: The run's partition.
        train: What to remember; from a cache.
    """
    if settings.head == knn.NAME:
        return _neighbours(settings, feature_shape, cells, train)
    return _kernel(settings, feature_shape, len(spec.sizes_px), cells, train)


def _neighbours(
    settings: train_options.TrainOptions,
    feature_shape: tuple[int, ...],
    cells: partition.Partition,
    train: inputs.Split,
) -> keras.Model:
    """Returns a density of nearest neighbours."""
    needed = neighbours_bytes(train.examples, feature_shape)
    memory.check_memory(f"the looks of {train.examples:,} places", needed, "pool the features, or train on fewer")
    density = knn.NeighbourDensity(
        train.examples, cells.centroids, settings.neighbours, settings.sigma_km, settings.sharpness, name="density"
    )
    classifier = knn.build_classifier(density, feature_shape)
    density.remember(*_looks(density.describe, train, train.examples))
    return classifier


def _kernel(
    settings: train_options.TrainOptions,
    feature_shape: tuple[int, ...],
    sizes: int,
    cells: partition.Partition,
    train: inputs.Split,
) -> keras.Model:
    """Returns a regression of distances, fitted; prints what it chose."""
    places = min(train.examples, settings.most_places)
    if places < train.examples:
        print(f"{places:,} of {train.examples:,} places are remembered (--most_places)")
    _check_memory(places, feature_shape, len(cells))
    regression = kernel_regression.KernelRegression(places, len(cells), name="kernel_regression")
    classifier = kernel_regression.build_classifier(regression, feature_shape, sizes)
    look = keras.Model(classifier.input, classifier.get_layer("moment_roots").output, name="look")
    looks, coords = _looks(lambda features, mask: look({"features": features, "view_mask": mask}), train, places)
    print(f"fitting a kernel regression of {places:,} places; 10,000 take a minute", flush=True)
    found = kernel_regression.fit(looks, coords, _blocks(coords), cells.centroids, settings.nearness_km)
    regression.remember(looks, found)
    print(
        f"kernel width {found.width:g}, ridge {found.ridge:g}, spread {found.spread_km:g} km: "
        f"{found.held_out_km:,.1f} km off on average with each block left out in turn"
    )
    return classifier


def _check_memory(places: int, feature_shape: tuple[int, ...], cells: int) -> None:
    """Refuses to fit a kernel regression that would not fit into memory.

    Raises:
        MemoryShortError: If it would not.
    """
    size = _moments_of(feature_shape)
    needed = kernel_bytes(places, feature_shape, cells)
    memory.check_memory(f"--most_places={places}: {size:,} moments a place and all their pairs", needed, "lower it")


def neighbours_bytes(places: int, feature_shape: tuple[int, ...]) -> int:
    """Returns the memory that remembering so many places takes: their pooled looks in float32.

    Once as gathered, once as a tensor, and twice in the network while they are stored; measured 17 bytes a number by
    `tests/soak/soak_memory.py`.
    """
    return 18 * places * feature_shape[-1]


def kernel_bytes(places: int, feature_shape: tuple[int, ...], cells: int) -> int:
    """Returns the memory that fitting a kernel regression takes at its peak.

    Three matrices of all pairs in float64, and three more of those it is chosen on; the looks in float64, twice in
    float32, and in the network; four tables over the cells. `tests/soak/soak_memory.py` holds it against what is used.
    """
    tried = min(places, kernel_regression.CHOSEN_ON)
    return 24 * (places**2 + tried**2) + 20 * places * _moments_of(feature_shape) + 32 * places * cells


def _moments_of(feature_shape: tuple[int, ...]) -> int:
    """Returns how many moments a place has."""
    if len(feature_shape) == 1:
        return feature_shape[0]
    return int(
        second_order_pooling.SecondOrderPooling()
        .compute_output_spec(keras.KerasTensor((None, *feature_shape)))
        .shape[-1]
    )


def _looks(look: Callable[..., Any], train: inputs.Split, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns what the first `most` examples look like `[n, d]`, in the order of the training, and where they are."""
    looks, coords, there = np.zeros((most, 0), np.float32), np.zeros((most, 2)), 0
    for number in range(len(train.inputs)):
        if there == most:
            break
        batch, truth = train.inputs[number]
        found = keras.ops.convert_to_numpy(look(batch["features"], batch["view_mask"]))[: most - there]
        if not there:
            # In place and not joined in the end, when all would be there twice.
            looks = np.empty((most, found.shape[1]), np.float32)
        looks[there : there + len(found)] = found
        coords[there : there + len(found)] = truth[: len(found), :2]
        there += len(found)
    return looks[:there], coords[:there]


def _blocks(coords: np.ndarray) -> np.ndarray:
    """Returns the number of the block that each place `[n, 2]` lies in."""
    return np.unique(splits.blocks_of(coords), axis=0, return_inverse=True)[1].reshape(-1)
