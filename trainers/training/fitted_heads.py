"""Heads fitted in one pass: neighbours, centroids and kernel regression."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from geods.dataset import splits
from geods.geo import partition
from geods.storage import memory
from model import geolocator
from model.encoders import backbones, second_order_pooling
from model.heads import centroids, kernel_regression, knn
from trainers.options import train_options
from trainers.training import inputs

# Blocks that are left out in turn; where 1 degree leaves fewer, smaller ones are taken.
_LEAST_BLOCKS = 5
# Products of matrices with fewer rows are slower, with more they are as fast.
_AT_ONCE = 1024
# Locations whose neighbours are averaged to landmarks, for each landmark; kept in memory.
_READ_FIRST = 2


def classifier_of(
    head: train_options.HeadOptions,
    spec: backbones.BackboneSpec | backbones.JoinedSpec,
    feature_shape: tuple[int, ...],
    cells: partition.Partition,
    train: inputs.Split,
) -> keras.Model:
    """Returns a classifier fitted in one pass over the training examples.

    Args:
        head: --head, and its flags.
        spec: The encoder, or several, that gives the features.
        feature_shape: Shape of one view's features.
        cells: The run's partition.
        train: The training split, of a cache.
    """
    if head.head == centroids.NAME:
        return _centroids(head, feature_shape, cells, train)
    if head.head == knn.NAME:
        return _nearest_neighbours(head, feature_shape, cells, train)
    return _kernel_regression(head, feature_shape, spec, cells, train)


def _nearest_neighbours(
    head: train_options.HeadOptions, feature_shape: tuple[int, ...], cells: partition.Partition, train: inputs.Split
) -> keras.Model:
    needed = neighbours_bytes(train.examples, feature_shape)
    memory.check_memory(f"the features of {train.examples:,} locations", needed, "pool the features, or train on fewer")
    density = knn.NeighbourDensity(
        train.examples, cells.centroids, head.neighbours, head.sigma_km, head.sharpness, name="density"
    )
    classifier = knn.build_classifier(density, feature_shape)
    density.remember(*next(_pieces(density.describe, train, train.examples)))
    return classifier


def _centroids(
    head: train_options.HeadOptions, feature_shape: tuple[int, ...], cells: partition.Partition, train: inputs.Split
) -> keras.Model:
    """Returns a classifier by the mean features of each cell's training examples."""
    layer = centroids.CentroidDistances(len(cells), head.sharpness, name="distances")
    classifier = geolocator.build_classifier(centroids.build(layer, feature_shape), feature_shape, head.fusion)
    sums, counts = np.zeros((len(cells), feature_shape[-1])), np.zeros(len(cells), int)
    for number in range(len(train.inputs)):
        batch, truth = train.inputs[number]
        # Each view counts, whether it is an example or one of a location.
        views, mask = batch["features"], batch["view_mask"]
        labels = np.repeat(truth[:, 2].astype(int), mask.sum(axis=1))
        np.add.at(sums, labels, keras.ops.convert_to_numpy(layer.pool(views[mask])))
        counts += np.bincount(labels, minlength=len(cells))
    layer.remember(sums, counts)
    print(f"{(counts > 0).sum():,} of {len(cells):,} cells have training images")
    return classifier


def _kernel_regression(
    head: train_options.HeadOptions,
    feature_shape: tuple[int, ...],
    spec: backbones.BackboneSpec | backbones.JoinedSpec,
    cells: partition.Partition,
    train: inputs.Split,
) -> keras.Model:
    """Returns a fitted regression of distances; prints its hyperparameters."""
    locations, landmarks = train.examples, 0
    if locations > head.most_places:
        landmarks = min(head.most_places, kernel_regression.LANDMARKS)
        locations = min(train.examples, _READ_FIRST * landmarks)
        print(f"all {train.examples:,} locations are fitted, {landmarks:,} kernels are remembered (--most_places)")
    _check_memory(locations, feature_shape, len(cells), landmarks)
    regression = kernel_regression.KernelRegression(landmarks or locations, len(cells), name="kernel_regression")
    classifier = kernel_regression.build_classifier(regression, feature_shape, _encoders(spec, feature_shape))
    pool = keras.Model(classifier.input, classifier.get_layer("moment_roots").output, name="look")
    pieces = _pieces(lambda views, mask: pool({"features": views, "view_mask": mask}), train, locations)
    features, coords = next(pieces)
    _, blocks = splits.fold_blocks(coords, _LEAST_BLOCKS)
    print(f"fitting a kernel regression of {train.examples:,} locations; 10,000 take a minute", flush=True)
    fitted = kernel_regression.fit(
        features, coords, blocks.reshape(-1), cells.centroids, head.nearness_km, landmarks=landmarks, further=pieces
    )
    regression.remember(fitted)
    print(
        f"kernel width {fitted.width:g}, ridge {fitted.ridge:g}, spread {fitted.spread_km:g} km: "
        f"{fitted.held_out_km:,.1f} km off on average with each block left out in turn"
    )
    return classifier


def _encoders(
    spec: backbones.BackboneSpec | backbones.JoinedSpec, feature_shape: tuple[int, ...]
) -> list[tuple[int, int]]:
    """Returns the number of pooled features and of image sizes of each encoder."""
    if isinstance(spec, backbones.BackboneSpec):
        return [(feature_shape[-1], len(spec.sizes_px))]
    return [(width, len(part.sizes_px)) for width, part in zip(spec.widths, spec.parts, strict=True)]


def _check_memory(locations: int, feature_shape: tuple[int, ...], cells: int, landmarks: int) -> None:
    """Raises MemoryShortError if a kernel regression would not fit into memory."""
    size = _moments_of(feature_shape)
    needed = kernel_bytes(locations, feature_shape, cells, landmarks)
    memory.check_memory(
        f"--most_places={landmarks or locations}: {size:,} moments a location and all their pairs", needed, "lower it"
    )


def neighbours_bytes(locations: int, feature_shape: tuple[int, ...]) -> int:
    """Returns the memory of the pooled features of so many locations in float32.

    Once as gathered, once as a tensor, and twice in the network while they are stored; measured 17 bytes a number by
    `tests/soak/soak_memory.py`.
    """
    return 18 * locations * feature_shape[-1]


def kernel_bytes(locations: int, feature_shape: tuple[int, ...], cells: int, landmarks: int = 0) -> int:
    """Returns the memory that fitting a kernel regression takes at its peak.

    Three matrices of all pairs in float64, and three more of those it is chosen on; the features in float64, twice in
    float32, and in the network; four tables over the cells. With landmarks, these matrices and all features but one
    copy are theirs. `tests/soak/soak_memory.py` compares it with what is used.
    """
    tried, width = min(locations, kernel_regression.CHOSEN_ON), _moments_of(feature_shape)
    read_first = 4 * locations * width if landmarks else 0
    return (
        24 * ((landmarks or locations) ** 2 + tried**2)
        + 20 * (landmarks or locations) * width
        + read_first
        + 32 * locations * cells
    )


def _moments_of(feature_shape: tuple[int, ...]) -> int:
    if len(feature_shape) == 1:
        return feature_shape[0]
    return int(
        second_order_pooling.SecondOrderPooling()
        .compute_output_spec(keras.KerasTensor((None, *feature_shape)))
        .shape[-1]
    )


def _pieces(pool: Callable[..., Any], train: inputs.Split, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields pooled features `[n, d]` and coordinates `[n, 2]` of all examples.

    First of `count`, then of `_AT_ONCE` each.
    """
    pooled, coords, end = np.zeros((0, 0), np.float32), np.zeros((0, 2)), 0
    left = train.examples
    for number in range(len(train.inputs)):
        batch, truth = train.inputs[number]
        rows = keras.ops.convert_to_numpy(pool(batch["features"], batch["view_mask"]))
        while len(rows):
            if not end:
                # Filled in place: concatenating in the end would take twice the memory.
                pooled, coords = (
                    np.empty((min(count, left), rows.shape[1]), np.float32),
                    np.empty((min(count, left), 2)),
                )
            here = rows[: len(pooled) - end]
            pooled[end : end + len(here)], coords[end : end + len(here)] = here, truth[: len(here), :2]
            rows, truth, end = rows[len(here) :], truth[len(here) :], end + len(here)
            if end == len(pooled):
                left, count, end = left - len(pooled), _AT_ONCE, 0
                yield pooled, coords
