"""Readers of built datasets: splits, partition, and facts besides images.

builder = dataset_reader.open_builder("data")
datasets.index(builder, "train").coords  # [n, 2]
"""

import dataclasses
import itertools
import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from geods import errors
from geods.dataset import dataset_folder, records
from geods.geo import partition
from geods.storage import memory
from geods.tree import string_array

# Of three images of 30 kB each, 11 MB; with 256 it was no faster.
_RECORDS_AT_ONCE = 128


@dataclasses.dataclass(frozen=True, eq=False)
class Index:
    """Facts of a split besides its images, in the order of the dataset.

    Attributes:
        location_ids: `[n]`.
        coords: `[n, 2]` float64 degrees, (lat, lon).
        cells: `[n]` int32, in the dataset's own partition.
        views: `[n]` int64, how many views each location has.
        headings: `[rows]` float32 degrees, NaN where not known; the views of location 0 first.
        dates: `[rows]`, "YYYY-MM" or "".
    """

    location_ids: string_array.Texts
    coords: np.ndarray
    cells: np.ndarray
    views: np.ndarray
    headings: np.ndarray
    dates: string_array.Texts

    def __len__(self) -> int:
        """Returns the number of locations."""
        return len(self.location_ids)


def open_builder(data_dir: str | os.PathLike[str], config: str = "blocked") -> tfds.core.DatasetBuilder:
    """Opens a dataset that `tfds build geods` has made, without our builder's code.

    Raises:
        DatasetError: If it is not there, and the message lists the configs that are; or if a file of it is missing or
            of another size than when it was built.
    """
    return tfds.builder_from_directory(dataset_folder.check_built(data_dir, config))


def partition_of(builder: tfds.core.DatasetBuilder) -> partition.Partition:
    """Returns the partition a dataset was labelled with."""
    found = _metadata(builder)["partition"]
    # Datasets built before hold it as an object.
    return partition.Partition.from_geojson(found if isinstance(found, str) else json.dumps(found))


def fingerprint_of(builder: tfds.core.DatasetBuilder) -> str:
    """Returns a text that changes with a dataset's images or their order.

    It may also change without.
    """
    metadata = _metadata(builder)
    return f"{builder.info.full_name} {metadata.get('content_fingerprint') or metadata['source_fingerprint']}"


def part_from(builder: tfds.core.DatasetBuilder, split: str, start: int) -> str:
    """Returns the part of a split from its location number `start` on.

    TFDS reads no shard before that.
    """
    if not start:
        return split
    (whole,) = tfds.core.ReadInstruction.from_spec(split).to_absolute(builder.info.splits)
    return f"{whole.splitname}[{(whole.from_ or 0) + start}:{'' if whole.to is None else whole.to}]"


def index(builder: tfds.core.DatasetBuilder, split: str) -> Index:
    """Reads all of a split but its images.

    Raises:
        DatasetError: If there is no such split, or a shard is damaged.
    """
    # As NumPy's, part by part: TensorFlow takes 24 bytes more for a text.
    found = [_part(batch) for batch in _parsed(builder, split, ("heading", "date"))] or [_no_part()]
    of = {field.name: [getattr(part, field.name) for part in found] for field in dataclasses.fields(Index)}
    del found
    ids, dates = string_array.Texts.joined(of.pop("location_ids")), string_array.Texts.joined(of.pop("dates"))
    whole = Index(location_ids=ids, dates=dates, **{name: np.concatenate(of.pop(name)) for name in list(of)})
    memory.release_free_memory(len(whole))
    return whole


def _part(batch: dict[str, Any]) -> Index:
    """Returns a batch of `records.parse` as an index."""
    views = batch["views"]
    return Index(
        location_ids=_texts(batch["location_id"]),
        coords=batch["coords"].numpy(),
        cells=batch["cell"].numpy().astype(np.int32),
        views=views["heading"].row_lengths().numpy(),
        headings=views["heading"].values.numpy(),
        dates=_texts(views["date"].values),
    )


def _no_part() -> Index:
    """Returns the index of no location."""
    none = np.zeros(0)
    return Index(
        string_array.Texts.of([]),
        np.zeros((0, 2)),
        none.astype(np.int32),
        none.astype(np.int64),
        none.astype(np.float32),
        string_array.Texts.of([]),
    )


def hashes(builder: tfds.core.DatasetBuilder, split: str) -> list[list[str]]:
    """Reads the SHA-256 of the views of each location of a split, in dataset order.

    Raises:
        DatasetError: If there is no such split, or a shard is damaged.
    """
    rows = (batch["views"]["sha256"].to_list() for batch in _parsed(builder, split, ("sha256",)))
    return [[text.decode() for text in row] for batch in rows for row in batch]


def image_pixels(builder: tfds.core.DatasetBuilder, split: str) -> np.ndarray:
    """Reads the pixels of the first image of each location of a split, int64 `[n]`.

    Raises:
        DatasetError: If there is no such split, or a shard is damaged.
    """
    batches = (batch["views"]["image"].to_list() for batch in _parsed(builder, split, ("image",)))
    shapes = [tf.image.extract_jpeg_shape(images[0]).numpy()[:2] for batch in batches for images in batch]
    return np.array(shapes, np.int64).reshape(-1, 2).prod(axis=1)


def most_views(builder: tfds.core.DatasetBuilder, split: str) -> int:
    """Returns the most views a location of a split has, 0 if there is none.

    Raises:
        DatasetError: If there is no such split, or a shard is damaged.
    """
    parsed = _parsed(builder, split, ("heading",))
    return max((int(batch["views"]["heading"].bounding_shape(axis=1)) for batch in parsed), default=0)


def buffer_bytes(builder: tfds.core.DatasetBuilder, split: str, buffer: int) -> float:
    """Returns the memory that the JPEGs of a split take that are shuffled at once."""
    found = builder.info.splits[split]
    return found.num_bytes * min(1.0, buffer / max(1, found.num_examples))


def epochs(
    builder: tfds.core.DatasetBuilder, split: str, seed: int, buffer: int = records.SHUFFLE_LOCATIONS
) -> tuple[tf.data.Dataset, tf.Variable]:
    """Returns a split as `records.read` shuffles it, by seed and epoch.

    The order follows from these alone.

    TensorFlow's own order of an epoch follows from how often the dataset was begun before, which a training that goes
    on in another process cannot repeat; and with several devices Keras begins it more often than once an epoch.

    Args:
        builder: From `open_builder`.
        split: Its split.
        seed: Of the orders.
        buffer: Locations to shuffle at once; their JPEGs wait in memory.

    Returns:
        The records, and the number of the epoch that comes when it is next begun, int64 `[]`, 0 until it is assigned.
    """
    # On the CPU also where there is a GPU: the dataset reads it there.
    with tf.device("/cpu:0"):
        number = tf.Variable(0, dtype=tf.int64, trainable=False)

    @tf.autograph.experimental.do_not_convert
    def shuffled(count: tf.Tensor) -> tf.data.Dataset:
        # Of this function's graph alone. Not 0, with which TensorFlow would compare the tensor below.
        tf.random.set_seed(seed + 1)
        return records.read(builder, split, True, count, buffer)

    return tf.data.Dataset.range(1).map(lambda _: number + 1).flat_map(shuffled), number


def _parsed(builder: tfds.core.DatasetBuilder, split: str, of_view: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yields a split's records in the order of the dataset, parsed many at once."""
    found = records.stream(builder, split)
    while len(some := tf.constant(list(itertools.islice(found, _RECORDS_AT_ONCE)), tf.string)):
        yield records.parse(some, of_view)


def _texts(encoded: tf.Tensor) -> string_array.Texts:
    """Returns texts `[n]` of TensorFlow."""
    return string_array.Texts(encoded.numpy().astype(np.bytes_))


def _metadata(builder: tfds.core.DatasetBuilder) -> dict[str, Any]:
    """Returns the content of metadata.json.

    Raises:
        DatasetError: If it noted nothing, so that the dataset is not one of ours.
    """
    metadata = builder.info.metadata
    if not metadata or "partition" not in metadata:
        problem = f"{builder.data_path}: has no metadata.json of geods."
        raise errors.DatasetError(problem, "build it again: tfds build geods --overwrite --manual_dir=TREE")
    return dict(metadata)
