"""Cross-validation.

The caches of all splits as one, divided into folds by whole blocks (of 1 degree, or smaller in small areas).

Each location is in the test part of exactly one fold, and the model that predicts it has seen no location of its block.
"""

import numpy as np

from geods.dataset import splits
from trainers.options import train_options

# Of the blocks that are not in the held-out fold, one part in so many chooses the epoch, if a recipe wants that.
_VALIDATION_PARTS = 8


def parts(data: train_options.DataOptions, coords: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the locations of each part of a fold.

    Args:
        data: --folds, --fold, and --validation_split, which leaves no validation part if it is empty.
        coords: `[n, 2]` degrees of all locations.

    Returns:
        Indices by "train", "validation" and "test"; every location in exactly one.
    """
    held_out = splits.folds(coords, data.folds) == data.fold
    rest = np.flatnonzero(~held_out)
    is_validation = np.zeros(len(rest), bool)
    if data.validation_split:
        # Another seed: else these would be the next fold's blocks in part.
        is_validation = splits.folds(coords[rest], _VALIDATION_PARTS, seed=1) == 0
    return {
        splits.TRAIN: rest[~is_validation],
        splits.VALIDATION: rest[is_validation],
        splits.TEST: np.flatnonzero(held_out),
    }
