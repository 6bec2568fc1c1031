"""Batches of (inputs, truth) from a feature cache, features in memory or images.

Truth is float32 `[b, 3]`: latitude and longitude in degrees, and the cell of the run's partition. Inputs are a dict
with `view_mask` bool `[b, v]` and either `features` `[b, v, ...]` or `image` uint8 `[b, v, h, w, 3]`.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from geods import errors
from geods.dataset import dataset_reader, splits
from geods.geo import partition
from geods.input import pipeline
from geods.remote import urls
from geods.storage import memory as storage_memory
from geods.tree import string_array, table
from trainers.features import cache_format, joined_cache
from trainers.options import train_options
from trainers.training import cached_batches, folds, image_chunks

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
        source: Fingerprint of the data, as text.
        forward: Takes a number of epochs and skips them; None of inputs that do not count their epochs.
        chunks: Takes a number of examples and yields the split in inputs of so many; None where it cannot be divided.
        begin: Takes the number of an epoch, from 0, before it starts; None of inputs that count their epochs or have
            one order.
        encoders: Of a cache, its `CacheKey.encoders_line`.
        is_padded: Whether the last batch is filled up with rows of weight 0 (trainers/training/devices.py).
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
    encoders: str = ""
    is_padded: bool = False


def from_cache(
    data: train_options.DataOptions, split: str, cells: partition.Partition, train: bool, seed: int, steps: int = 0
) -> tuple[Split, joined_cache.Cache]:
    """Returns a split of the cache at --cache_dir.

    Raises:
        CacheError: If the cache is missing, unfinished or damaged.
        DatasetError: If no location of the split lies in the partition.
    """
    cache = joined_cache.open_split(data.cache_dir, split)
    labels = cells.label(cache.rows.coords[:, 0], cache.rows.coords[:, 1])
    rows = np.arange(len(labels))
    if train:
        rows = _fewer(_drawn(data, _usable(split, cells, cache.rows.coords, labels)), labels, data, seed)
    caches = [cache]
    if train:
        caches += [joined_cache.open_split(data.cache_dir, split, n + 1) for n in range(data.variants)]
    batches = _batches(data, caches, labels, rows, train, seed, steps)
    return _split_of(batches, cache.rows, slice(None), labels, caches), cache


def staleness(cache: joined_cache.Cache, data: train_options.DataOptions) -> str:
    """Returns how a cache's dataset differs from that in --data_dir.

    Empty if it does not, or if there is none to compare with.
    """
    try:
        builder = None if urls.is_url(data.data_dir) else dataset_reader.open_builder(data.data_dir, data.config)
    except errors.DatasetError:
        return ""
    if builder is None or cache.key.dataset == (now := dataset_reader.fingerprint_of(builder)):
        return ""
    return f"{cache.folder}: was made of dataset {cache.key.dataset}, but {data.data_dir} holds {now}."


def from_fold(
    data: train_options.DataOptions,
    cache: joined_cache.Cache,
    cells: partition.Partition,
    part: str,
    seed: int,
    steps: int = 0,
) -> Split:
    """Returns the "train" or "validation" part of a fold of a joined cache.

    Raises:
        DatasetError: If no location to train on lies in the partition.
    """
    coords, train = cache.rows.coords, part == splits.TRAIN
    labels = cells.label(coords[:, 0], coords[:, 1])
    rows = folds.parts(data, coords)[part]
    caches = [cache]
    if train:
        rows = _fewer(_drawn(data, rows[_usable(part, cells, coords[rows], labels[rows])]), labels, data, seed)
        caches += [joined_cache.open_all(data.cache_dir, n + 1) for n in range(data.variants)]
    return _split_of(_batches(data, caches, labels, rows, train, seed, steps), cache.rows, rows, labels, caches)


def from_memory(
    data: train_options.DataOptions,
    features: joined_cache.FeatureSource,
    cells: partition.Partition,
    train: bool,
    seed: int,
) -> Split:
    """Returns all locations of features in memory, ordered by id.

    So the order in which they came does not count.
    """
    rows = features.rows
    order = rows.location_ids.order()
    labels = cells.label(rows.coords[:, 0], rows.coords[:, 1])
    return _split_of(_batches(data, [features], labels, order, train, seed), rows, order, labels, [])


def from_image_chunks(
    data: train_options.DataOptions,
    size_px: tuple[int, int],
    cells: partition.Partition,
    seed: int,
    optimizer: train_options.OptimizerOptions,
) -> Split:
    """Returns the training split in chunks of images, one at a time in memory.

    Raises:
        DatasetError: If there is no such dataset or split, or none of its locations lies in the partition.
        MemoryShortError: If a chunk does not fit.
    """
    builder = dataset_reader.open_builder(data.data_dir, data.config)
    index = dataset_reader.index(builder, data.train_split)
    images = image_chunks.ChunkImages(builder, data.train_split, index, size_px, data.exact_pixels)
    labels = cells.label(index.coords[:, 0], index.coords[:, 1])
    rows = _usable(data.train_split, cells, index.coords, labels)
    views = 1 if data.train_views == "single" else int(index.views.max())
    share = min(1.0, optimizer.chunk_examples * views / len(images.rows))
    needed = share * builder.info.splits[data.train_split].num_bytes
    needed += _BATCHES_AHEAD * data.batch_size * views * math.prod(size_px) * 3
    what = f"--chunk_examples={optimizer.chunk_examples} and --batch_size={data.batch_size}"
    storage_memory.check_memory(what, needed, "lower --chunk_examples, or --batch_size")
    batches = _batches(data, [images], labels, rows, True, seed, optimizer.steps_per_epoch)
    split = _split_of(batches, images.rows, slice(None), labels, [])
    return dataclasses.replace(split, source=dataset_reader.fingerprint_of(builder))


def from_images(
    data: train_options.DataOptions,
    size_px: tuple[int, int],
    split: str,
    cells: partition.Partition,
    train: bool,
    run: train_options.RunOptions,
    steps: int = 0,
) -> Split:
    """Returns a split decoded from the dataset's images.

    Args:
        data: The dataset and its batches.
        size_px: Height and width to resize the images to.
        split: Name of the split.
        cells: The run's partition.
        train: Whether it is trained on, in random order; else all views come in order.
        run: The seed, and whether the order repeats to the last bit.
        steps: Batches an epoch, which starts over where there are fewer; 0 for each once.

    Raises:
        DatasetError: If there is no such dataset or split, or none of its locations lies in the partition.
    """
    builder = dataset_reader.open_builder(data.data_dir, data.config)
    index = dataset_reader.index(builder, split)
    labels = cells.label(index.coords[:, 0], index.coords[:, 1])
    single = train and data.train_views == "single"
    # Predictions must come in order.
    service = data.data_service if train else ""
    shuffled, epoch = None, None
    if train:
        _usable(split, cells, index.coords, labels)
        check_image_memory(data, size_px, builder, split, 1 if single else int(index.views.max()))
    if train and not service:
        # A variable holds the number of the epoch, and workers elsewhere do not have it.
        shuffled, epoch = dataset_reader.epochs(builder, split, run.seed, data.shuffle_locations)
    batches = pipeline.batches(
        builder,
        split,
        pipeline.PipelineOptions(
            *size_px,
            batch_size=data.batch_size,
            views="single" if single else "all",
            shuffle=bool(service),
            seed=run.seed,
            deterministic=run.deterministic or not train,
            service=service,
            exact_pixels=data.exact_pixels,
        ),
        then=lambda batch: _with_truth(batch, cells),
        serialized=shuffled,
    )
    examples = int(index.views.sum()) if single else len(index)
    # TensorFlow does not know the number of single views, and Keras warns that they ran out.
    if steps:
        batches = batches.repeat().take(steps)
    elif not service:
        batches = batches.apply(tf.data.experimental.assert_cardinality(-(-examples // data.batch_size)))
    source, begin = dataset_reader.fingerprint_of(builder), epoch.assign if epoch is not None else None
    return Split(batches, index.location_ids, index.coords, labels, examples, source, begin=begin)


def _batches(
    data: train_options.DataOptions,
    caches: Sequence[Any],
    labels: np.ndarray,
    rows: np.ndarray,
    train: bool,
    seed: int,
    steps: int = 0,
) -> cached_batches.CachedBatches:
    """Returns batches of some locations of a cache and its augmented copies."""
    source = joined_cache.AugmentedCache(caches, seed) if len(caches) > 1 else caches[0]
    truth = _truth(source.rows.coords, labels)
    views = data.train_views if train else "all"
    order = {"seed": seed, "steps": steps} if train else {}
    return cached_batches.CachedBatches(
        source, truth, rows, views, data.batch_size, **order, most_views=data.views_per_place
    )


def _split_of(
    batches: cached_batches.CachedBatches,
    rows: cache_format.Rows,
    chosen: np.ndarray | slice,
    labels: np.ndarray,
    caches: Sequence[joined_cache.Cache],
) -> Split:
    """Returns a split of some locations, from caches or else from memory."""
    source = "\n".join(str(cache.key) for cache in caches)
    encoders = caches[0].key.encoders_line if caches else ""
    names, coords, labels = rows.location_ids[chosen], rows.coords[chosen], labels[chosen]
    storage_memory.release_free_memory(batches.examples)
    return Split(
        batches, names, coords, labels, batches.examples, source, batches.forward, batches.chunks, encoders=encoders
    )


def _with_truth(batch: dict[str, tf.Tensor], cells: partition.Partition) -> tuple[Any, ...]:
    """Returns (inputs, truth, weights) of a batch of the pipeline.

    Locations outside every cell weigh nothing.
    """
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


def _usable(split: str, cells: partition.Partition, coords: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the locations that have a cell; prints how many lie outside all.

    Raises:
        DatasetError: If there is none.
    """
    inside = table.narrow(np.flatnonzero(labels >= 0))
    if not inside.size:
        problem = f"none of the {len(labels)} locations of split {split!r} lies in a cell of the partition."
        raise errors.DatasetError(problem, "give the --partition these locations belong to")
    if reach_km := cells.parameters.get("nearest_km", 0):
        outside = int((cells.label(coords[:, 0], coords[:, 1], nearest_km=0) < 0).sum())
        nearest = outside - (len(labels) - inside.size)
        print(
            f"{split}: {nearest} of {len(labels)} locations outside every cell get the nearest within {reach_km:g} km"
        )
    if inside.size < len(labels):
        print(f"{split}: {len(labels) - inside.size} of {len(labels)} locations lie outside every cell; not trained on")
    return inside


def _fewer(rows: np.ndarray, labels: np.ndarray, data: train_options.DataOptions, seed: int) -> np.ndarray:
    """Returns --places_per_cell of the locations `rows` of each cell, drawn."""
    if not data.places_per_cell:
        return rows
    drawn = np.random.default_rng(seed).permutation(rows)
    drawn = drawn[np.argsort(labels[drawn], kind="stable")]
    _, starts, counts = np.unique(labels[drawn], return_index=True, return_counts=True)
    rank = np.arange(len(drawn)) - np.repeat(starts, counts)
    return np.sort(drawn[rank < data.places_per_cell])


def _drawn(data: train_options.DataOptions, rows: np.ndarray) -> np.ndarray:
    """Returns --train_share of the locations, in their order."""
    if data.train_share == 1:
        return rows
    count = max(2, round(data.train_share * len(rows)))
    return rows[np.sort(np.random.default_rng([len(rows), data.train_draw]).permutation(len(rows))[:count])]


# One in the network, two prefetched, one being put together.
_BATCHES_AHEAD = 4


def needed_bytes(
    data: train_options.DataOptions, size_px: tuple[int, int], builder: "DatasetBuilder", split: str, views: int
) -> float:
    """Returns the memory of a split's images at most.

    `tests/soak/soak_memory.py` compares it with what is used.

    Args:
        data: The batch, and how many locations are shuffled at once.
        size_px: Height and width of the decoded images.
        builder: The dataset.
        split: Its split.
        views: Images an example.
    """
    waiting_bytes = dataset_reader.buffer_bytes(builder, split, data.shuffle_locations)
    return waiting_bytes + _BATCHES_AHEAD * data.batch_size * views * math.prod(size_px) * 3


def check_image_memory(
    data: train_options.DataOptions, size_px: tuple[int, int], builder: "DatasetBuilder", split: str, views: int
) -> None:
    """Raises MemoryShortError if the shuffled and batched images do not fit.

    Takes what `needed_bytes` does.
    """
    what = f"--shuffle_locations={data.shuffle_locations} and --batch_size={data.batch_size} images of "
    what += f"{size_px[0]} x {size_px[1]} pixels, {views} a location,"
    needed = needed_bytes(data, size_px, builder, split, views)
    storage_memory.check_memory(what, needed, "lower --shuffle_locations, or --batch_size")
