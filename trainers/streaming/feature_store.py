"""Growing features in memory, read like a `feature_cache.FeatureCache` on disk.

store = feature_store.GrowingFeatures((1280,))
store.add(locations, [rows of the first views, rows of the next, ...])
store.take(np.arange(64))  # float16 [64, 1280]
"""

import math
from collections.abc import Sequence

import numpy as np

from geods.tree import imagery_tree, string_array
from trainers.features import cache_format

DTYPE = np.dtype(np.float16)


class GrowingFeatures:
    """Features of views, float16, in the order they came.

    Attributes:
        feature_shape: Shape of one row.
        rows: Locations and headings of the rows.

    Args:
        feature_shape: As the attribute.
    """

    def __init__(self, feature_shape: tuple[int, ...]) -> None:
        self.feature_shape = feature_shape
        self.rows = _rows_of([])
        self._blocks: list[np.ndarray] = []
        self._starts = np.zeros(1, np.int64)

    def __len__(self) -> int:
        """Returns the number of rows (views)."""
        return int(self._starts[-1])

    def add(self, locations: Sequence[imagery_tree.Location], features: np.ndarray) -> None:
        """Adds the views of some locations.

        Args:
            locations: The locations.
            features: `[views, *feature_shape]` float16, those of the first location first.
        """
        self.rows = cache_format.Rows.joined([self.rows, _rows_of(locations)])
        self._blocks.append(np.ascontiguousarray(features, dtype=DTYPE))
        self._starts = np.append(self._starts, self._starts[-1] + len(features))

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Copies rows out.

        Args:
            rows: `[n]` integers.

        Returns:
            `[n, *feature_shape]` float16.
        """
        result = np.empty((len(rows), *self.feature_shape), DTYPE)
        block_of = np.searchsorted(self._starts, rows, side="right") - 1
        for block in np.unique(block_of):
            here = np.flatnonzero(block_of == block)
            result[here] = self._blocks[block][rows[here] - self._starts[block]]
        return result


def _rows_of(locations: Sequence[imagery_tree.Location]) -> cache_format.Rows:
    """Returns the cache rows of the views of some locations."""
    headings = [np.nan if v.heading_deg is None else v.heading_deg for location in locations for v in location.views]
    return cache_format.Rows(
        string_array.Texts.of(location.location_id for location in locations),
        imagery_tree.coords(locations),
        np.array([len(location.views) for location in locations], np.int64),
        np.array(headings, np.float32),
    )


def bytes_a_row(feature_shape: tuple[int, ...]) -> int:
    """Returns the memory of the features of one view."""
    return DTYPE.itemsize * math.prod(feature_shape)
