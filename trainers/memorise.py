"""The heads that are not trained step by step: they look at every training place once and remember it."""

import math

import keras
import numpy as np

from geods import headroom, partition, splits
from model import kernel_regression, moments, neighbours
from trainers import inputs, options


def classifier_of(
    settings: options.TrainOptions,
    feature_shape: tuple[int, ...],
    cells: partition.Partition,
    train: inputs.Split,
) -> keras.Model:
    """Returns a classifier that has looked at every training example once.

    Args:
        settings: --head, and its flags.
        feature_shape: Shape of one view's features.
        cells: The run's partition.
        train: What to remember; from a cache.
    """
    build = _neighbours if settings.head == neighbours.NAME else _kernel
    return build(settings, feature_shape, cells, train)


def _neighbours(
    settings: options.TrainOptions, feature_shape: tuple[int, ...], cells: partition.Partition, train: inputs.Split
) -> keras.Model:
    """Returns a density of nearest neighbours."""
    count = train.examples * math.prod(feature_shape)
    headroom.require(f"the looks of {train.examples:,} places", 12 * count, "pool the features, or train on fewer")
    density = neighbours.NeighbourDensity(
        train.examples, cells.centroids, settings.neighbours, settings.sigma_km, settings.sharpness, name="density"
    )
    classifier = neighbours.build_classifier(density, feature_shape)
    density.remember(*_looks(density.look, train, train.examples))
    return classifier


def _kernel(
    settings: options.TrainOptions, feature_shape: tuple[int, ...], cells: partition.Partition, train: inputs.Split
) -> keras.Model:
    """Returns a regression of distances, fitted; prints what it chose."""
    places = min(train.examples, settings.most_places)
    if places < train.examples:
        print(f"{places:,} of {train.examples:,} places are remembered (--most_places)")
    _require_memory(places, feature_shape, len(cells))
    regression = kernel_regression.KernelRegression(places, len(cells), name="kernel_regression")
    classifier = kernel_regression.build_classifier(regression, feature_shape)
    look = classifier.get_layer("second_moments")
    looks, coords = _looks(look, train, places)
    found = kernel_regression.fit(looks, coords, _blocks(coords), cells.centroids)
    regression.remember(looks, found)
    print(
        f"kernel width {found.width:g}, ridge {found.ridge:g}, spread {found.spread_km:g} km: "
        f"{found.held_out_km:,.1f} km off on average with each block left out in turn"
    )
    return classifier


def _require_memory(places: int, feature_shape: tuple[int, ...], cells: int) -> None:
    """Refuses to fit a kernel regression that would not fit into memory.

    Raises:
        MemoryShortError: If it would not.
    """
    features = keras.KerasTensor((None, None, *feature_shape))
    size = moments.SecondMoments().compute_output_spec(features, keras.KerasTensor((None, None), "bool")).shape[-1]
    # At its peak six matrices of all pairs in float64; the looks in float64, twice in float32, and in the network; four
    # tables over the cells.
    needed = 48 * places**2 + 20 * places * size + 32 * places * cells
    headroom.require(f"--most_places={places}: {size:,} moments a place and all their pairs", needed, "lower it")


def _looks(look: keras.layers.Layer, train: inputs.Split, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns what the first `most` examples look like `[n, d]`, in the order of the training, and where they are."""
    looks: list[np.ndarray] = []
    coords: list[np.ndarray] = []
    for number in range(len(train.inputs)):
        if sum(map(len, looks)) >= most:
            break
        batch, truth = train.inputs[number]
        looks.append(keras.ops.convert_to_numpy(look(batch["features"], batch["view_mask"])))
        coords.append(truth[:, :2])
    return np.concatenate(looks)[:most], np.concatenate(coords)[:most].astype(np.float64)


def _blocks(coords: np.ndarray) -> np.ndarray:
    """Returns the number of the block that each place `[n, 2]` lies in."""
    return np.unique(splits.blocks_of(coords), axis=0, return_inverse=True)[1].reshape(-1)
