"""Cross-validation: the caches of all splits as one, divided into folds by whole blocks of 1 x 1 degree.

Each location is in the test part of exactly one fold, and the model that predicts it has seen no location of its block.
"""

import numpy as np

from geods.dataset import splits
from trainers.options import train_options

# Of the blocks that are not in the held-out fold, one part in so many chooses the epoch, if a recipe wants that.
_VALIDATION_PARTS = 8


def parts(settings: train_options.TrainOptions, coords: np.ndarray) -> dict[str, np.ndarray]:
    """Returns which locations are for what.

    Args:
        settings: --folds, --fold, and --validation_split, which leaves no validation part if it is empty.
        coords: `[n, 2]` degrees of all locations.

    Returns:
        Indices by "train", "validation" and "test"; every location in exactly one.
    """
    held_out = splits.folds(coords, settings.folds) == settings.fold
    rest = np.flatnonzero(~held_out)
    chosen = np.zeros(len(rest), bool)
    if settings.validation_split:
        # Another seed: else these would be the next fold's blocks in part.
        chosen = splits.folds(coords[rest], _VALIDATION_PARTS, seed=1) == 0
    return {
        splits.TRAIN: rest[~chosen],
        splits.VALIDATION: rest[chosen],
        splits.TEST: np.flatnonzero(held_out),
    }
