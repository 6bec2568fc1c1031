"""Cross-validation: the caches of all splits as one, divided into folds by whole blocks of 1 x 1 degree.

Each location is in the test part of exactly one fold, and the model that predicts it has seen no location of its block.
"""

import dataclasses
import pathlib

import numpy as np

from geods import errors, splits
from trainers import cache_files, features, options

# Of the blocks that are not in the held-out fold, one part in so many chooses the epoch, if a recipe wants that.
_VALIDATION_PARTS = 8


class JoinedCache:
    """The caches of several splits, one after the other, as a single one.

    Attributes:
        key: What the first is made of.
        spec: The encoder, for `BackboneSpec.from_dict`.
        rows: What the rows belong to.
        feature_shape: Shape of one row.

    Args:
        caches: At least one, all of the same dataset and encoder.
    """

    def __init__(self, caches: list[features.FeatureCache]) -> None:
        first = caches[0]
        for other in caches[1:]:
            same_split = dataclasses.replace(other.key, split=first.key.split)
            cache_files.refuse_other(other.folder, same_split, first.key)
        self._caches = caches
        self._starts = np.cumsum([0, *(len(cache) for cache in caches)])
        self.key, self.spec, self.feature_shape, self.folder = (
            first.key,
            first.spec,
            first.feature_shape,
            first.folder.parent,
        )
        self.rows = cache_files.Rows.joined([cache.rows for cache in caches])

    def __len__(self) -> int:
        """Returns the number of rows (views)."""
        return int(self._starts[-1])

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Copies rows `[n]` out, `[n, *feature_shape]`."""
        result = np.empty((len(rows), *self.feature_shape), dtype=cache_files.numpy_dtype(self.key.dtype))
        of = np.searchsorted(self._starts, rows, side="right") - 1
        for number in np.unique(of):
            here = np.flatnonzero(of == number)
            result[here] = self._caches[number].take(rows[here] - self._starts[number])
        return result


def open_all(cache_dir: str, variant: int = 0) -> JoinedCache:
    """Opens the caches of all splits below a folder, in the order of their names, or a changed copy of them.

    Raises:
        CacheError: If there is none, one is not finished, or they are not of one dataset and encoder.
    """
    folder = pathlib.Path(cache_dir)
    names = [name for name in splits.NAMES if (folder / name / cache_files.INDEX).is_file()]
    if not names:
        raise errors.CacheError(f"{folder}: no feature cache there.", cache_files.resume(folder / splits.TRAIN))
    return JoinedCache([features.FeatureCache(cache_files.folder_of(folder, name, variant)) for name in names])


def parts(settings: options.TrainOptions, coords: np.ndarray) -> dict[str, np.ndarray]:
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
