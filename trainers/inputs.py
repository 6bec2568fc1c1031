"""What a training sees: batches of (inputs, truth), from a feature cache, from features in memory or from images.

Truth is float32 `[b, 3]`: latitude and longitude in degrees, and the cell of the run's partition. Inputs are a dict
with `view_mask` bool `[b, v]` and either `features` `[b, v, ...]` or `image` uint8 `[b, v, h, w, 3]`.
"""

import copy
import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, Protocol

import keras
import numpy as np
import tensorflow as tf

from geods import datasets, errors, heap, partition, pipeline, places, splits, texts
from trainers import cache_files, features, folds, image_memory, options, variants


class FeatureRows(Protocol):
    """Features to gather batches from: a FeatureCache, or a FeatureMemory."""

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """Shape of one row."""

    @property
    def rows(self) -> cache_files.Rows:
        """What the rows belong to."""

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Copies rows `[n]` out, `[n, *feature_shape]`."""


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """One split, ready to train on or to predict.

    Attributes:
        inputs: For fit or predict: a keras.utils.PyDataset or a tf.data.Dataset.
        location_ids: `[n]`, in the order of the inputs where they are not shuffled.
        coords: `[n, 2]` float64 degrees, (lat, lon).
        cells: `[n]` int32, -1 outside the run's partition.
        examples: Number of examples an epoch.
        source: What it is made of, as text: another one where other data would be trained on.
        forward: Takes a number of epochs and leaves them out, so that what comes next is what would come after them;
            None of what does not count its epochs.
        begin: Takes the number of an epoch, from 0, before it begins; None of what counts its epochs or has one order.
        chunks: Takes a number of examples and yields the split in inputs of so many; None where it cannot be divided.
    """

    inputs: Any
    location_ids: texts.Texts
    coords: np.ndarray
    cells: np.ndarray
    examples: int
    source: str = ""
    forward: Callable[[int], Any] | None = None
    chunks: Callable[[int], Iterator[Any]] | None = None
    begin: Callable[[int], Any] | None = None


class CachedBatches(keras.utils.PyDataset):
    """Batches of features gathered from the mapped blocks of a cache, or from memory.

    Args:
        cache: The cache; rows may be added to one in memory, they are not seen.
        truth: float32 `[locations, 3]` for all locations of the cache.
        locations: `[n]` int, which of them to use.
        views: "all": an example is a location; "single": an example is one view.
        batch_size: Examples a batch.
        seed: Of the order, another one each epoch; None to keep the cache's order.
    """

    def __init__(
        self,
        cache: FeatureRows,
        truth: np.ndarray,
        locations: np.ndarray,
        views: Literal["single", "all"],
        batch_size: int,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        self._cache, self._truth, self._batch_size = cache, truth, batch_size
        rows = cache.rows
        counts = rows.views[locations]
        self._width = 1 if views == "single" else int(counts.max(initial=1))
        # One line an example: its location, its first row, its number of rows; half of what NumPy's own integers take.
        count = int(counts.sum()) if views == "single" else len(locations)
        self._examples = np.empty((count, 3), np.int32 if len(rows) < 2**31 else np.int64)
        if views == "single":
            self._examples[:, 0] = np.repeat(locations, counts)
            # Rows follow one another within a location, and begin anew with the next.
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

    def chunks(self, size: int) -> Iterator["CachedBatches"]:
        """Yields the examples in their present order, `size` at a time, each chunk shuffled by itself."""
        for start in range(0, len(self._order), size):
            chunk = copy.copy(self)
            chunk._order = self._order[start : start + size].copy()
            yield chunk

    def __len__(self) -> int:
        """Returns the number of batches."""
        return -(-len(self._order) // self._batch_size)

    def __getitem__(self, number: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Returns ({"features", "view_mask"}, truth) of one batch, in the cache's own type; missing views are zeros."""
        chosen = self._examples[self._order[number * self._batch_size : (number + 1) * self._batch_size]]
        mask = np.arange(self._width) < chosen[:, 2:]
        # The network makes float32 of it: here that would take memory and time twice.
        values = found = self._cache.take((chosen[:, 1:2] + np.arange(self._width))[mask])
        if not mask.all():
            values = np.zeros((*mask.shape, *self._cache.feature_shape), dtype=found.dtype)
            values[mask] = found
        looks = values.reshape(*mask.shape, *self._cache.feature_shape)
        return {"features": looks, "view_mask": mask}, self._truth[chosen[:, 0]]

    def on_epoch_end(self) -> None:
        """Shuffles for the next epoch, and draws variants for it."""
        if self._rng is not None:
            self._rng.shuffle(self._order)
        if isinstance(self._cache, variants.DrawnCache):
            self._cache.draw()

    def forward(self, epochs: int) -> None:
        """Leaves out epochs: what comes next is what would come after them."""
        for _ in range(epochs):
            self.on_epoch_end()


def from_cache(
    settings: options.TrainOptions, split: str, cells: partition.Partition, train: bool
) -> tuple[Split, features.FeatureCache]:
    """Returns a split of the cache at --cache_dir.

    Raises:
        CacheError: If the cache is missing, unfinished or damaged.
        DatasetError: If no location of the split lies in the partition.
    """
    cache = features.FeatureCache(pathlib.Path(settings.cache_dir, split))
    coords = cache.rows.coords
    labels = cells.label(coords[:, 0], coords[:, 1])
    chosen = _usable(split, labels) if train else np.arange(len(labels))
    truth = _truth(coords, labels)
    views = settings.train_views if train else "all"
    caches = [cache]
    if train and settings.variants:
        folders = (cache_files.folder_of(settings.cache_dir, split, n + 1) for n in range(settings.variants))
        caches += map(features.FeatureCache, folders)
    source = variants.DrawnCache(caches, settings.seed) if len(caches) > 1 else cache
    batches = CachedBatches(source, truth, chosen, views, settings.batch_size, settings.seed if train else None)
    return _split_of(batches, cache.rows.location_ids, coords, labels, caches), cache


def from_fold(settings: options.TrainOptions, cache: folds.JoinedCache, cells: partition.Partition, part: str) -> Split:
    """Returns the "train" or "validation" part of a fold of a joined cache.

    Raises:
        DatasetError: If no location to train on lies in the partition.
    """
    coords, train = cache.rows.coords, part == splits.TRAIN
    labels = cells.label(coords[:, 0], coords[:, 1])
    chosen = folds.parts(settings, coords)[part]
    if train:
        chosen = chosen[_usable(part, labels[chosen])]
    truth = _truth(coords, labels)
    views = settings.train_views if train else "all"
    caches = [cache]
    if train and settings.variants:
        caches += [folds.open_all(settings.cache_dir, n + 1) for n in range(settings.variants)]
    source = variants.DrawnCache(caches, settings.seed) if len(caches) > 1 else cache
    batches = CachedBatches(source, truth, chosen, views, settings.batch_size, settings.seed if train else None)
    names = cache.rows.location_ids[chosen]
    return _split_of(batches, names, coords[chosen], labels[chosen], caches)


def from_memory(settings: options.TrainOptions, memory: FeatureRows, cells: partition.Partition, train: bool) -> Split:
    """Returns all locations of features in memory, by id, so that the order in which they came does not count."""
    rows = memory.rows
    order = rows.location_ids.order()
    labels = cells.label(rows.coords[:, 0], rows.coords[:, 1])
    truth = _truth(rows.coords, labels)
    views = settings.train_views if train else "all"
    batches = CachedBatches(memory, truth, order, views, settings.batch_size, settings.seed if train else None)
    names, coords = rows.location_ids[order], rows.coords[order]
    return _split_of(batches, names, coords, labels[order], [])


def from_images(settings: options.TrainOptions, split: str, cells: partition.Partition, train: bool) -> Split:
    """Returns a split decoded from the dataset's images.

    Raises:
        DatasetError: If there is no such dataset or split, or none of its locations lies in the partition.
    """
    builder = datasets.open_builder(settings.data_dir, settings.config)
    index = datasets.index(builder, split)
    labels = cells.label(index.coords[:, 0], index.coords[:, 1])
    if train:
        _usable(split, labels)
    single = train and settings.train_views == "single"
    # What is predicted must come in order.
    service = settings.data_service if train else ""
    shuffled, epoch = None, None
    if train:
        image_memory.require(settings, builder, split, 1 if single else int(index.views.max()))
    if train and not service:
        # A variable holds the number of the epoch, and workers elsewhere do not have it.
        shuffled, epoch = datasets.epochs(builder, split, settings.seed, settings.shuffle_locations)
    batches = pipeline.batches(
        builder,
        split,
        pipeline.PipelineOptions(
            settings.height_px,
            settings.width_px,
            batch_size=settings.batch_size,
            views="single" if single else "all",
            shuffle=bool(service),
            seed=settings.seed,
            deterministic=settings.deterministic or not train,
            service=service,
        ),
        then=lambda batch: _with_truth(batch, cells),
        serialized=shuffled,
    )
    examples = int(index.views.sum()) if single else len(index)
    # Of single views TensorFlow does not know how many there are, and Keras warns that they ran out.
    if not service:
        batches = batches.apply(tf.data.experimental.assert_cardinality(-(-examples // settings.batch_size)))
    source, begin = datasets.fingerprint_of(builder), epoch.assign if epoch is not None else None
    return Split(batches, index.location_ids, index.coords, labels, examples, source, begin=begin)


def _split_of(
    batches: CachedBatches,
    location_ids: texts.Texts,
    coords: np.ndarray,
    labels: np.ndarray,
    caches: Sequence[variants.Cache],
) -> Split:
    """Returns a split whose batches come from caches, or from memory if there are none."""
    source = "\n".join(str(cache.key) for cache in caches)
    heap.give_back(batches.examples)
    return Split(batches, location_ids, coords, labels, batches.examples, source, batches.forward, batches.chunks)


def _with_truth(batch: dict[str, tf.Tensor], cells: partition.Partition) -> tuple[Any, ...]:
    """Returns (inputs, truth, weights) of a batch of the pipeline; locations outside every cell weigh nothing."""
    coords = batch["coords"]
    labels = tf.numpy_function(lambda points: cells.label(points[:, 0], points[:, 1]), [coords], tf.int32)
    labels = tf.ensure_shape(labels, coords.shape[:1])
    truth = tf.concat([tf.cast(coords, tf.float32), tf.cast(labels, tf.float32)[:, None]], axis=1)
    image, mask = batch["image"], batch.get("view_mask")
    if mask is None:
        image, mask = image[:, None], tf.ones((tf.shape(image)[0], 1), tf.bool)
    return {"image": image, "view_mask": mask}, truth, tf.cast(labels >= 0, tf.float32)


def _truth(coords: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns coords `[n, 2]` and cells `[n]` as float32 `[n, 3]`."""
    truth = np.empty((len(labels), 3), np.float32)
    truth[:, :2], truth[:, 2] = coords, labels
    return truth


def _usable(split: str, labels: np.ndarray) -> np.ndarray:
    """Returns the locations inside the partition, and prints how many are not.

    Raises:
        DatasetError: If there is none.
    """
    inside = places.narrow(np.flatnonzero(labels >= 0))
    if not inside.size:
        problem = f"none of the {len(labels)} locations of split {split!r} lies in a cell of the partition."
        raise errors.DatasetError(problem, "give the --partition these locations belong to")
    if inside.size < len(labels):
        print(f"{split}: {len(labels) - inside.size} of {len(labels)} locations lie outside every cell; not trained on")
    return inside
