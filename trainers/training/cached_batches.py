"""Batches of cached features or of images as a keras.utils.PyDataset."""

import copy
from collections.abc import Iterator
from typing import Literal

import keras
import numpy as np

from trainers.features import joined_cache
from trainers.training import image_chunks


class CachedBatches(keras.utils.PyDataset):
    """Batches gathered from a cache, from memory or from a dataset's images.

    Args:
        cache: The features or images; rows that are added to them later are not seen.
        truth: float32 `[locations, 3]` for all locations of the cache.
        locations: `[n]` int, which of them to use.
        views: "all": an example is a location; "single": an example is one view.
        batch_size: Examples a batch.
        seed: Of the order, another one each epoch; None to keep the cache's order.
        steps: Batches an epoch, which starts over where there are fewer; 0 for each once.
        most_views: Views taken of each location, the first ones; 0 for all.
    """

    def __init__(
        self,
        cache: joined_cache.FeatureSource,
        truth: np.ndarray,
        locations: np.ndarray,
        views: Literal["single", "all"],
        batch_size: int,
        seed: int | None = None,
        steps: int = 0,
        most_views: int = 0,
    ) -> None:
        super().__init__()
        self._cache, self._truth, self._batch_size, self._steps = cache, truth, batch_size, steps
        self._name = "image" if isinstance(cache, image_chunks.ChunkImages) else "features"
        rows = cache.rows
        counts = np.minimum(rows.views[locations], most_views) if most_views else rows.views[locations]
        self._width = 1 if views == "single" else int(counts.max(initial=1))
        # One line an example: its location, its first row, its number of rows; half of what NumPy's own integers take.
        count = int(counts.sum()) if views == "single" else len(locations)
        self._examples = np.empty((count, 3), np.int32 if len(rows) < 2**31 else np.int64)
        if views == "single":
            self._examples[:, 0] = np.repeat(locations, counts)
            # Rows follow one another within a location, and start again with the next.
            self._examples[:, 1] = np.repeat(rows.starts[locations] - (np.cumsum(counts) - counts), counts)
            self._examples[:, 1] += np.arange(count, dtype=self._examples.dtype)
            self._examples[:, 2] = 1
        else:
            self._examples.T[:] = locations, rows.starts[locations], counts
        self._order = np.arange(len(self._examples), dtype=self._examples.dtype)
        self._rng = None if seed is None else np.random.default_rng(seed)
        self.on_epoch_end()

    @property
    def examples(self) -> int:
        """Number of examples an epoch."""
        return len(self._order)

    @property
    def holds_images(self) -> bool:
        """Whether its rows are images, which can be taken chunk by chunk only."""
        return self._name == "image"

    def chunks(self, size: int) -> Iterator["CachedBatches"]:
        """Yields the examples in their order, `size` at a time, shuffled inside."""
        for start in range(0, len(self._order), size):
            chunk = copy.copy(self)
            chunk._order = self._order[start : start + size].copy()
            if isinstance(self._cache, image_chunks.ChunkImages):
                chunk._cache = self._cache.only(self._rows_of(self._examples[chunk._order])[0])
            yield chunk

    def __len__(self) -> int:
        """Returns the number of batches of an epoch."""
        return self._steps or self._batches

    @property
    def _batches(self) -> int:
        """How many batches hold all examples."""
        return -(-len(self._order) // self._batch_size)

    def _rows_of(self, examples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the rows of examples `[n, 3]` in a line, and their mask `[n, v]`."""
        mask = np.arange(self._width) < examples[:, 2:]
        return (examples[:, 1:2] + np.arange(self._width))[mask], mask

    def __getitem__(self, number: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Returns ({"features" or "image", "view_mask"}, truth) of one batch.

        Features keep the cache's own type; missing views are zeros.
        """
        start = number % self._batches * self._batch_size
        examples = self._examples[self._order[start : start + self._batch_size]]
        chosen, mask = self._rows_of(examples)
        # The network casts to float32: here that would take memory and time twice.
        features = rows = self._cache.take(chosen)
        if not mask.all():
            features = np.zeros((*mask.shape, *self._cache.feature_shape), dtype=rows.dtype)
            features[mask] = rows
        features = features.reshape(*mask.shape, *self._cache.feature_shape)
        return {self._name: features, "view_mask": mask}, self._truth[examples[:, 0]]

    def on_epoch_end(self) -> None:
        """Shuffles for the next epoch, and draws variants for it."""
        if self._rng is not None:
            self._rng.shuffle(self._order)
        if isinstance(self._cache, joined_cache.AugmentedCache):
            self._cache.draw()

    def forward(self, epochs: int) -> None:
        """Skips epochs, so that the next batches are those after them."""
        for _ in range(epochs):
            self.on_epoch_end()
