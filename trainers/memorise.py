"""The recipe that trains nothing: a classifier that remembers the training places."""

import keras
import numpy as np

from geods import partition
from model import neighbours
from trainers import inputs, options


def classifier_of(
    settings: options.TrainOptions,
    feature_shape: tuple[int, ...],
    cells: partition.Partition,
    train: inputs.Split,
) -> keras.Model:
    """Returns a classifier that has looked at every training example once.

    Args:
        settings: --neighbours, --sigma_km and --sharpness.
        feature_shape: Shape of one view's features.
        cells: The run's partition.
        train: What to remember; from a cache.
    """
    density = neighbours.NeighbourDensity(
        train.examples, cells.centroids, settings.neighbours, settings.sigma_km, settings.sharpness, name="density"
    )
    classifier = neighbours.build_classifier(density, feature_shape)
    looks, coords = [], []
    for number in range(len(train.inputs)):
        batch, truth = train.inputs[number]
        looks.append(keras.ops.convert_to_numpy(density.look(batch["features"], batch["view_mask"])))
        coords.append(truth[:, :2])
    density.remember(np.concatenate(looks), np.concatenate(coords))
    return classifier
