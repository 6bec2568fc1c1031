"""What a training sees: batches of (inputs, truth), from a feature cache, from features in memory or from images.

Truth is float32 `[b, 3]`: latitude and longitude in degrees, and the cell of the run's partition. Inputs are a dict
with `view_mask` bool `[b, v]` and either `features` `[b, v, ...]` or `image` uint8 `[b, v, h, w, 3]`.

The memory that images take on their way into a training: JPEGs that wait to be shuffled, and decoded batches.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from geods import errors
from geods.dataset import dataset_reader, splits
from geods.geo import partition
from geods.input import pipeline
from geods.storage import memory as storage_memory
from geods.tree import string_array, table
from trainers.features import cache_format, feature_cache, joined_cache
from trainers.options import train_options
from trainers.training import cached_batches, folds

if TYPE_CHECKING:
    from tensorflow_datasets.core import DatasetBuilder


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
    location_ids: string_array.Texts
    coords: np.ndarray
    cells: np.ndarray
    examples: int
    source: str = ""
    forward: Callable[[int], Any] | None = None
    chunks: Callable[[int], Iterator[Any]] | None = None
    begin: Callable[[int], Any] | None = None


def from_cache(
    settings: train_options.TrainOptions, split: str, cells: partition.Partition, train: bool
) -> tuple[Split, feature_cache.FeatureCache]:
    """Returns a split of the cache at --cache_dir.

    Raises:
        CacheError: If the cache is missing, unfinished or damaged.
        DatasetError: If no location of the split lies in the partition.
    """
    cache = feature_cache.FeatureCache(pathlib.Path(settings.cache_dir, split))
    coords = cache.rows.coords
    labels = cells.label(coords[:, 0], coords[:, 1])
    chosen = _usable(split, labels) if train else np.arange(len(labels))
    truth = _truth(coords, labels)
    views = settings.train_views if train else "all"
    caches = [cache]
    if train and settings.variants:
        folders = (cache_format.folder_of(settings.cache_dir, split, n + 1) for n in range(settings.variants))
        caches += map(feature_cache.FeatureCache, folders)
    source = joined_cache.AugmentedCache(caches, settings.seed) if len(caches) > 1 else cache
    batches = cached_batches.CachedBatches(
        source, truth, chosen, views, settings.batch_size, settings.seed if train else None
    )
    return _split_of(batches, cache.rows.location_ids, coords, labels, caches), cache


def from_fold(
    settings: train_options.TrainOptions, cache: joined_cache.JoinedCache, cells: partition.Partition, part: str
) -> Split:
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
        caches += [joined_cache.open_all(settings.cache_dir, n + 1) for n in range(settings.variants)]
    source = joined_cache.AugmentedCache(caches, settings.seed) if len(caches) > 1 else cache
    batches = cached_batches.CachedBatches(
        source, truth, chosen, views, settings.batch_size, settings.seed if train else None
    )
    names = cache.rows.location_ids[chosen]
    return _split_of(batches, names, coords[chosen], labels[chosen], caches)


def from_memory(
    settings: train_options.TrainOptions, memory: cached_batches.FeatureRows, cells: partition.Partition, train: bool
) -> Split:
    """Returns all locations of features in memory, by id, so that the order in which they came does not count."""
    rows = memory.rows
    order = rows.location_ids.order()
    labels = cells.label(rows.coords[:, 0], rows.coords[:, 1])
    truth = _truth(rows.coords, labels)
    views = settings.train_views if train else "all"
    batches = cached_batches.CachedBatches(
        memory, truth, order, views, settings.batch_size, settings.seed if train else None
    )
    names, coords = rows.location_ids[order], rows.coords[order]
    return _split_of(batches, names, coords, labels[order], [])


def from_images(settings: train_options.TrainOptions, split: str, cells: partition.Partition, train: bool) -> Split:
    """Returns a split decoded from the dataset's images.

    Raises:
        DatasetError: If there is no such dataset or split, or none of its locations lies in the partition.
    """
    builder = dataset_reader.open_builder(settings.data_dir, settings.config)
    index = dataset_reader.index(builder, split)
    labels = cells.label(index.coords[:, 0], index.coords[:, 1])
    if train:
        _usable(split, labels)
    single = train and settings.train_views == "single"
    # What is predicted must come in order.
    service = settings.data_service if train else ""
    shuffled, epoch = None, None
    if train:
        check_image_memory(settings, builder, split, 1 if single else int(index.views.max()))
    if train and not service:
        # A variable holds the number of the epoch, and workers elsewhere do not have it.
        shuffled, epoch = dataset_reader.epochs(builder, split, settings.seed, settings.shuffle_locations)
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
    source, begin = dataset_reader.fingerprint_of(builder), epoch.assign if epoch is not None else None
    return Split(batches, index.location_ids, index.coords, labels, examples, source, begin=begin)


def _split_of(
    batches: cached_batches.CachedBatches,
    location_ids: string_array.Texts,
    coords: np.ndarray,
    labels: np.ndarray,
    caches: Sequence[joined_cache.FeatureSource],
) -> Split:
    """Returns a split whose batches come from caches, or from memory if there are none."""
    source = "\n".join(str(cache.key) for cache in caches)
    storage_memory.release_free_memory(batches.examples)
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
    inside = table.narrow(np.flatnonzero(labels >= 0))
    if not inside.size:
        problem = f"none of the {len(labels)} locations of split {split!r} lies in a cell of the partition."
        raise errors.DatasetError(problem, "give the --partition these locations belong to")
    if inside.size < len(labels):
        print(f"{split}: {len(labels) - inside.size} of {len(labels)} locations lie outside every cell; not trained on")
    return inside


# One in the network, two prefetched, one being put together.
_BATCHES_AHEAD = 4


def needed_bytes(settings: train_options.TrainOptions, builder: "DatasetBuilder", split: str, views: int) -> float:
    """Returns what a split's images take at most; `tests/soak/soak_memory.py` holds it against what is used.

    Args:
        settings: Their size, the batch, and how many locations are shuffled at once.
        builder: The dataset.
        split: Its split.
        views: Images an example.
    """
    waiting_bytes = dataset_reader.buffer_bytes(builder, split, settings.shuffle_locations)
    pixels = settings.batch_size * views * settings.height_px * settings.width_px * 3
    return waiting_bytes + _BATCHES_AHEAD * pixels


def check_image_memory(settings: train_options.TrainOptions, builder: "DatasetBuilder", split: str, views: int) -> None:
    """Refuses to shuffle and batch more images than fit into memory; takes what `needed_bytes` does.

    Raises:
        MemoryShortError: If they do not.
    """
    what = f"--shuffle_locations={settings.shuffle_locations} and --batch_size={settings.batch_size} images of "
    what += f"{settings.height_px} x {settings.width_px} pixels, {views} a location,"
    needed = needed_bytes(settings, builder, split, views)
    storage_memory.check_memory(what, needed, "lower --shuffle_locations, or --batch_size")
