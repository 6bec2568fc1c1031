"""Datasets that `tfds build geods` has made: their splits, their partition, and what they hold besides images.

builder = datasets.open_builder("data")
datasets.index(builder, "train").coords  # [n, 2]
"""

import dataclasses
import json
import os
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from geods import dataset_files, errors, partition

_SHUFFLE_LOCATIONS = 4096


@dataclasses.dataclass(frozen=True, eq=False)
class Index:
    """What a split holds besides its images, in the order of the dataset.

    Attributes:
        location_ids: `[n]` text.
        coords: `[n, 2]` float64 degrees, (lat, lon).
        cells: `[n]` int32, in the dataset's own partition.
        views: `[n]` int64, how many views each location has.
        headings: `[rows]` float32 degrees, NaN where not known; the views of location 0 first.
        dates: `[rows]` text, "YYYY-MM" or "".
    """

    location_ids: np.ndarray
    coords: np.ndarray
    cells: np.ndarray
    views: np.ndarray
    headings: np.ndarray
    dates: np.ndarray

    def __len__(self) -> int:
        """Returns the number of locations."""
        return len(self.location_ids)


def open_builder(data_dir: str | os.PathLike[str], config: str = "blocked") -> tfds.core.DatasetBuilder:
    """Opens a dataset that `tfds build geods` has made, without our builder's code.

    Raises:
        DatasetError: If it is not there, and the message lists the configs that are; or if a file of it is missing or
            of another size than when it was built.
    """
    return tfds.builder_from_directory(dataset_files.require(data_dir, config))


def partition_of(builder: tfds.core.DatasetBuilder) -> partition.Partition:
    """Returns the partition a dataset was labelled with."""
    return partition.Partition.from_geojson(json.dumps(_metadata(builder)["partition"]))


def fingerprint_of(builder: tfds.core.DatasetBuilder) -> str:
    """Returns a text that changes whenever the dataset's images or their order may have changed."""
    metadata = _metadata(builder)
    return f"{builder.info.full_name} {metadata.get('content_fingerprint') or metadata['source_fingerprint']}"


def require_split(builder: tfds.core.DatasetBuilder, split: str) -> None:
    """Refuses a split that a dataset does not have; parts such as "train[:10%]" are fine.

    Raises:
        DatasetError: If there is no such split.
    """
    dataset_files.refuse_other_split(builder.info.full_name, builder.info.splits, split)


def part_from(builder: tfds.core.DatasetBuilder, split: str, start: int) -> str:
    """Returns the part of a split from its location number `start` on, of which TFDS reads no shard before that."""
    if not start:
        return split
    (whole,) = tfds.core.ReadInstruction.from_spec(split).to_absolute(builder.info.splits)
    return f"{whole.splitname}[{(whole.from_ or 0) + start}:{'' if whole.to is None else whole.to}]"


def index(builder: tfds.core.DatasetBuilder, split: str) -> Index:
    """Reads all of a split but its images.

    Raises:
        DatasetError: If there is no such split.
    """
    # Without the images, which would be kept as long as the list is.
    bare = examples(builder, split, shuffle=False, seed=0).map(_without_images)
    rows = list(bare.as_numpy_iterator())
    views = [row["views"] for row in rows]
    return Index(
        location_ids=np.array([row["location_id"].decode() for row in rows], dtype=np.str_),
        coords=np.array([row["coords"] for row in rows], dtype=np.float64).reshape(-1, 2),
        cells=np.array([row["cell"] for row in rows], dtype=np.int32),
        views=np.array([len(view["heading"]) for view in views], dtype=np.int64),
        headings=np.concatenate([view["heading"] for view in views] or [np.zeros(0, np.float32)]),
        dates=np.array([date.decode() for view in views for date in view["date"]], dtype=np.str_),
    )


def buffer_bytes(builder: tfds.core.DatasetBuilder, split: str, buffer: int) -> float:
    """Returns the memory that the JPEGs of a split take that are shuffled at once."""
    found = builder.info.splits[split]
    return found.num_bytes * min(1.0, buffer / max(1, found.num_examples))


def examples(
    builder: tfds.core.DatasetBuilder,
    split: str,
    shuffle: bool,
    seed: int | tf.Tensor,
    buffer: int = _SHUFFLE_LOCATIONS,
    at_once: int = 0,
) -> tf.data.Dataset:
    """Returns a split's locations with their JPEGs undecoded, shuffled by `seed` or in the order of the shards.

    Args:
        builder: From `open_builder`.
        split: Split, or part of one as TFDS writes it.
        shuffle: Whether to shuffle.
        seed: Of the order.
        buffer: Locations to shuffle at once.
        at_once: Shards to read side by side for one of many readers, who does not see the whole split; 0 for one that
            does.

    Raises:
        DatasetError: If there is no such split.
    """
    require_split(builder, split)
    config = tfds.ReadConfig(
        # A small dataset would be kept decoded in memory and a benchmark would measure that.
        try_autocache=False,
        shuffle_seed=seed,
        # Shards read side by side come in one order only if asked for.
        interleave_cycle_length=at_once or (16 if shuffle else 1),
        assert_cardinality=not at_once,
        add_tfds_id=False,
        skip_prefetch=True,
    )
    decoders = {"views": {"image": tfds.decode.SkipDecoding()}}
    found = builder.as_dataset(split=split, decoders=decoders, shuffle_files=shuffle, read_config=config)
    return found.shuffle(buffer, seed=seed) if shuffle else found


def epochs(
    builder: tfds.core.DatasetBuilder, split: str, seed: int, buffer: int = _SHUFFLE_LOCATIONS
) -> tuple[tf.data.Dataset, tf.Variable]:
    """Returns a split as `examples` shuffles it, whose order follows from the seed and the number of the epoch alone.

    TensorFlow's own order of an epoch follows from how often the dataset was begun before, which a training that goes
    on in another process cannot repeat.

    Args:
        builder: From `open_builder`.
        split: Its split.
        seed: Of the orders.
        buffer: Locations to shuffle at once; their JPEGs wait in memory.

    Returns:
        The dataset, and the number of the epoch that comes when it is next begun, int64 `[]`; it counts itself.
    """
    require_split(builder, split)
    # On the CPU also where there is a GPU: the dataset reads it there.
    with tf.device("/cpu:0"):
        number = tf.Variable(0, dtype=tf.int64, trainable=False)

    @tf.autograph.experimental.do_not_convert
    def shuffled(count: tf.Tensor) -> tf.data.Dataset:
        # Of this function's graph alone. Not 0, with which TensorFlow would compare the tensor below.
        tf.random.set_seed(seed + 1)
        return examples(builder, split, True, count, buffer)

    return tf.data.Dataset.range(1).map(lambda _: number.assign_add(1)).flat_map(shuffled), number


def _without_images(row: dict[str, Any]) -> dict[str, Any]:
    """Returns an example with no JPEGs."""
    return {**row, "views": {name: row["views"][name] for name in ("heading", "date")}}


def _metadata(builder: tfds.core.DatasetBuilder) -> dict[str, Any]:
    """Returns what our builder noted beside the shards.

    Raises:
        DatasetError: If it noted nothing, so that the dataset is not one of ours.
    """
    metadata = builder.info.metadata
    if not metadata or "partition" not in metadata:
        problem = f"{builder.data_path}: has no metadata.json of geods."
        raise errors.DatasetError(problem, "build it again: tfds build geods --overwrite --manual_dir=TREE")
    return dict(metadata)
