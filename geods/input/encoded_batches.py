"""Batches of a split's views as JPEG bytes, to be decoded a batch at once.

    rows = encoded_batches.read(builder, "train", pipeline.PipelineOptions(batch_size=64, views="single"))
    next(iter(rows))["image"]       # strings [64]

Records in the order of the shards are read and parsed by Python, at 9 microseconds of the processor an image of 30 kB;
tf.data takes 90 (2 cores, AVX-512). Shuffled ones are read by tf.data and parsed by Python, at 55.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from geods.dataset import dataset_reader, records
from geods.input import pipeline_options

# Few, so that the images of a last batch are not parsed long before they are decoded.
_RECORDS_AT_ONCE = 16
_PARSED_AT_ONCE = 2


class _Row(NamedTuple):
    """A location or one view of it, with JPEGs and headings in degrees."""

    location_id: bytes
    coords: bytes
    cell: int
    images: Sequence[bytes]
    headings: Sequence[float]


def read(
    builder: tfds.core.DatasetBuilder,
    split: str,
    options: pipeline_options.PipelineOptions,
    serialized: tf.data.Dataset | None = None,
) -> tf.data.Dataset:
    """Returns the batches of `pipeline.batches` before they are decoded.

    Args:
        builder: From `dataset_reader.open_builder`.
        split: Split, or part of one as TFDS writes it.
        options: How to batch; sizes do not count.
        serialized: The split's records in an order of their own.

    Returns:
        A dataset of dicts: `image` strings `[b]`, or `[b, v]` with "" where a location has no more views; the others as
        `pipeline.batches` has them.

    Raises:
        DatasetError: If there is no such split.
    """
    is_single = options.views == "single"
    views = None if is_single else dataset_reader.most_views(builder, split)
    # Refuses what cannot be read before the first epoch.
    records.stream(builder, split)
    columns = _columns(options.batch_size if options.drop_remainder else None, views)
    if serialized is None and not options.shuffle:
        rows = tf.data.Dataset.from_generator(
            lambda: in_order(builder, split, options, views), output_signature=columns
        )
        return (
            rows if is_single else rows.apply(tf.data.experimental.assert_cardinality(_count(builder, split, options)))
        )
    if serialized is None:
        serialized = records.read(builder, split, True, options.seed)
    if views is None:
        rows = serialized.batch(_RECORDS_AT_ONCE).map(_parser(_columns(None, None), None), _PARSED_AT_ONCE)
        if options.skip:
            rows = rows.unbatch().skip(options.skip).batch(_RECORDS_AT_ONCE)
        return _repeated(rows, options).rebatch(options.batch_size, drop_remainder=options.drop_remainder)
    rows = _repeated(serialized.skip(options.skip), options)
    return rows.batch(options.batch_size, options.drop_remainder).map(_parser(columns, views), _PARSED_AT_ONCE)


def _columns(size: int | None, views: int | None) -> dict[str, tf.TensorSpec]:
    """Returns the types of a batch of single views, or of so many a location."""
    shape = (size,) if views is None else (size, views)
    columns = {
        "location_id": tf.TensorSpec((size,), tf.string),
        "coords": tf.TensorSpec((size, 2), tf.float64),
        "cell": tf.TensorSpec((size,), tf.int32),
        "image": tf.TensorSpec(shape, tf.string),
        "heading": tf.TensorSpec(shape, tf.float32),
    }
    return columns if views is None else {**columns, "view_mask": tf.TensorSpec(shape, tf.bool)}


def _count(builder: tfds.core.DatasetBuilder, split: str, options: pipeline_options.PipelineOptions) -> int:
    """Returns the number of batches of locations."""
    if options.repeat:
        return int(tf.data.INFINITE_CARDINALITY)
    rows = max(0, builder.info.splits[split].num_examples - options.skip)
    return rows // options.batch_size if options.drop_remainder else -(-rows // options.batch_size)


def in_order(
    builder: tfds.core.DatasetBuilder, split: str, options: pipeline_options.PipelineOptions, views: int | None
) -> Iterator[dict[str, np.ndarray]]:
    """Yields batches in the order of the shards, for one epoch or for ever.

    Args:
        builder: From `dataset_reader.open_builder`.
        split: Split, or part of one as TFDS writes it.
        options: How to batch.
        views: Views a location is padded to; None for single views.

    Yields:
        Arrays of the columns that `read` has.
    """
    rows = _rows(lambda: records.stream(builder, split), options, views is None)
    size, least = options.batch_size, options.batch_size if options.drop_remainder else 1
    while len(some := list(itertools.islice(rows, size))) >= least:
        yield _batch(some, views)


def _rows(
    stream: Callable[[], Iterable[bytes]], options: pipeline_options.PipelineOptions, is_single: bool
) -> Iterator[_Row]:
    for _ in itertools.count() if options.repeat else range(1):
        locations = map(_parsed, stream())
        rows = itertools.chain.from_iterable(map(_views, locations)) if is_single else locations
        yield from itertools.islice(rows, options.skip, None)


def _repeated(rows: tf.data.Dataset, options: pipeline_options.PipelineOptions) -> tf.data.Dataset:
    return rows.repeat() if options.repeat else rows


def _parser(columns: dict[str, tf.TensorSpec], views: int | None) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Returns the function from records, strings `[n]`, to the columns of a batch."""

    def parse(serialized: np.ndarray) -> list[np.ndarray]:
        locations = map(_parsed, serialized.tolist())
        batch = _batch(
            list(itertools.chain.from_iterable(map(_views, locations)) if views is None else locations), views
        )
        return [batch[name] for name in columns]

    def parse_in_graph(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        values = tf.numpy_function(parse, [serialized], [spec.dtype for spec in columns.values()])
        return {name: tf.ensure_shape(value, columns[name].shape) for name, value in zip(columns, values, strict=True)}

    return parse_in_graph


def _parsed(record: bytes) -> _Row:
    """Parses a record; tf.io.parse_example takes 25 times as long for an image."""
    feature = tf.train.Example.FromString(record).features.feature
    (name,), (coords,) = (feature[key].bytes_list.value for key in ("location_id", "coords"))
    (cell,) = feature["cell"].int64_list.value
    return _Row(name, coords, cell, feature["views/image"].bytes_list.value, feature["views/heading"].float_list.value)


def _views(row: _Row) -> Iterator[_Row]:
    """Yields the views of a location as rows."""
    for image, heading in zip(row.images, row.headings, strict=True):
        yield row._replace(images=(image,), headings=(heading,))


def _batch(rows: Sequence[_Row], views: int | None) -> dict[str, np.ndarray]:
    """Returns a batch of single views, or of locations padded to some views."""
    names, coords, cells, images, headings = zip(*rows, strict=True)
    batch = {
        "location_id": np.array(names, np.object_),
        "coords": np.frombuffer(b"".join(coords), "<f8").reshape(-1, 2),
        "cell": np.array(cells, np.int32),
    }
    if views is None:
        return {
            **batch,
            "image": np.array([image for (image,) in images], np.object_),
            "heading": np.array([heading for (heading,) in headings], np.float32),
        }
    counts = np.array([len(some) for some in images])
    mask = np.arange(views) < counts[:, None]
    padded, degrees = np.full(mask.shape, b"", np.object_), np.zeros(mask.shape, np.float32)
    padded[mask] = np.fromiter(itertools.chain.from_iterable(images), np.object_, counts.sum())
    degrees[mask] = np.fromiter(itertools.chain.from_iterable(headings), np.float32, counts.sum())
    return {**batch, "image": padded, "heading": degrees, "view_mask": mask}
