"""Caches of changed images beside the cache of the images themselves, to draw from in training."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from geods import errors
from trainers import cache_files


class Cache(Protocol):
    """A FeatureCache or a JoinedCache."""

    @property
    def key(self) -> cache_files.CacheKey:
        """What it is made of."""

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """Shape of one row."""

    @property
    def rows(self) -> cache_files.Rows:
        """What the rows belong to."""

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Copies rows out."""


class DrawnCache:
    """Several caches of the same views, one of them drawn for each row, anew each epoch.

    Attributes:
        feature_shape: Shape of one row.
        rows: What the rows belong to.

    Args:
        caches: The images as they are, then their changed copies.
        seed: Of the draws.

    Raises:
        CacheError: If a copy is of other images or another encoder.
    """

    def __init__(self, caches: Sequence[Cache], seed: int) -> None:
        first = caches[0]
        for copy in caches[1:]:
            if differences := [text for text in copy.key.differences(first.key) if not text.startswith("variant ")]:
                problem = f"variant {copy.key.variant}: was made of something else: {'; '.join(differences)}."
                raise errors.CacheError(problem, "extract again with --overwrite and the same flags")
        self._caches, self._rng = caches, np.random.default_rng([seed, len(caches)])
        self.feature_shape, self.rows = first.feature_shape, first.rows
        self.draw()

    def draw(self) -> None:
        """Draws for all rows; not while they are taken, so that how often Keras looks at a batch does not count."""
        self._drawn = self._rng.integers(len(self._caches), size=len(self.rows))

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Copies rows `[n]` out, `[n, *feature_shape]`, each from a cache drawn for it."""
        drawn = self._drawn[rows]
        result = self._caches[0].take(rows)
        for number in np.unique(drawn[drawn > 0]):
            here = np.flatnonzero(drawn == number)
            result[here] = self._caches[number].take(rows[here])
        return result
