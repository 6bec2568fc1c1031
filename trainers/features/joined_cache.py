"""Feature caches joined: all splits as one, and augmented copies of a cache."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from geods import errors
from geods.dataset import splits
from trainers.features import cache_format, feature_cache


class FeatureSource(Protocol):
    """Features to gather batches from.

    A cache, several joined, or features in memory.
    """

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """Shape of one row."""

    @property
    def rows(self) -> cache_format.Rows:
        """Locations and headings of the rows."""

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Copies rows `[n]` out, `[n, *feature_shape]`."""


class AugmentedCache:
    """Caches of the same views, one of them drawn for each row and each epoch.

    Attributes:
        feature_shape: Shape of one row.
        rows: Locations and headings of the rows.

    Args:
        caches: The images as they are, then their augmented copies.
        seed: Of the draws.

    Raises:
        CacheError: If a copy is of other images or another encoder.
    """

    def __init__(self, caches: Sequence["feature_cache.FeatureCache | JoinedCache"], seed: int) -> None:
        first = caches[0]
        for copy in caches[1:]:
            if differences := [text for text in copy.key.differences(first.key) if not text.startswith("variant ")]:
                problem = f"variant {copy.key.variant}: was made of something else: {'; '.join(differences)}."
                raise errors.CacheError(problem, "extract again with --overwrite and the same flags")
        self._caches, self._rng = caches, np.random.default_rng([seed, len(caches)])
        self.feature_shape, self.rows = first.feature_shape, first.rows
        self.draw()

    def draw(self) -> None:
        """Draws for all rows at once, however often Keras reads a batch."""
        self._drawn = self._rng.integers(len(self._caches), size=len(self.rows))

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Copies rows `[n]` out, `[n, *feature_shape]`, each from a cache drawn for it."""
        drawn = self._drawn[rows]
        result = self._caches[0].take(rows)
        for number in np.unique(drawn[drawn > 0]):
            here = np.flatnonzero(drawn == number)
            result[here] = self._caches[number].take(rows[here])
        return result


class JoinedCache:
    """The caches of several splits, one after the other, as a single one.

    Attributes:
        key: Key of the first.
        spec: The encoder, for `BackboneSpec.from_dict`.
        rows: Locations and headings of the rows.
        feature_shape: Shape of one row.

    Args:
        caches: At least one, all of the same dataset and encoder.
    """

    def __init__(self, caches: list[feature_cache.FeatureCache]) -> None:
        first = caches[0]
        for other in caches[1:]:
            same_split = dataclasses.replace(other.key, split=first.key.split)
            cache_format.check_same_key(other.folder, same_split, first.key)
        self._caches = caches
        self._starts = np.cumsum([0, *(len(cache) for cache in caches)])
        self.key, self.spec, self.feature_shape, self.folder = (
            first.key,
            first.spec,
            first.feature_shape,
            first.folder.parent,
        )
        self.rows = cache_format.Rows.joined([cache.rows for cache in caches])

    def __len__(self) -> int:
        """Returns the number of rows (views)."""
        return int(self._starts[-1])

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Copies rows `[n]` out, `[n, *feature_shape]`."""
        result = np.empty((len(rows), *self.feature_shape), dtype=cache_format.numpy_dtype(self.key.dtype))
        of = np.searchsorted(self._starts, rows, side="right") - 1
        for number in np.unique(of):
            here = np.flatnonzero(of == number)
            result[here] = self._caches[number].take(rows[here] - self._starts[number])
        return result


def open_all(cache_dir: str | os.PathLike[str], variant: int = 0) -> JoinedCache:
    """Opens the caches of all splits below a folder, or an augmented copy of them.

    Raises:
        CacheError: If there is none, one is not finished, or they are not of one dataset and encoder.
    """
    folder = pathlib.Path(cache_dir)
    names = [name for name in splits.NAMES if (folder / name / cache_format.INDEX).is_file()]
    if not names:
        raise errors.CacheError(f"{folder}: no feature cache there.", cache_format.resume(folder / splits.TRAIN))
    return JoinedCache([feature_cache.FeatureCache(cache_format.folder_of(folder, name, variant)) for name in names])
