"""Batches of locations or their views as JPEG bytes, before they are decoded.

    encoded = encoded_batches.of_dataset(builder, "train", pipeline.PipelineOptions(batch_size=64, views="single"))
    next(encoded.epoch(0))["image"]       # bytes [64]

Records are read, shuffled and parsed by Python, at 10 to 20 microseconds of the processor an image of 30 kB; tf.data
takes 90 (2 cores, AVX-512).
"""

import dataclasses
import itertools
import os
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from geods.dataset import dataset_reader, records
from geods.input import pipeline_options
from geods.tree import imagery_tree


class _Row(NamedTuple):
    """A location or one view of it, with JPEGs (or their paths)."""

    location_id: bytes
    coords: bytes
    cell: int
    images: Sequence[bytes]
    headings: Sequence[float]


@dataclasses.dataclass(frozen=True, eq=False)
class EncodedBatches:
    """Batches of `pipeline.batches` before they are decoded.

    Attributes:
        rows: Returns the rows of an epoch, by its number and how often the dataset started over within it.
        options: How to batch; sizes do not count.
        views: Views a location is padded to; None for single views.
        count: Number of batches; None if that is not known.
        has_cells: Whether there is a column `cell`.
    """

    rows: Callable[[int, int], Iterator[_Row]]
    options: pipeline_options.PipelineOptions
    views: int | None
    count: int | None
    has_cells: bool = True

    @property
    def columns(self) -> dict[str, tf.TensorSpec]:
        """Types of the columns that `epoch` yields."""
        found = columns(self.options.batch_size if self.options.drop_remainder else None, self.views)
        return found if self.has_cells else {name: spec for name, spec in found.items() if name != "cell"}

    def epoch(self, number: int, first: int = 0) -> Iterator[dict[str, np.ndarray]]:
        """Yields the batches of an epoch, forever if they repeat.

        Args:
            number: Of the epoch; it decides the order where rows are shuffled.
            first: Batches to leave out.

        Yields:
            Arrays: `image` of bytes `[b]`, or `[b, v]` with b"" where a location has no more views; the others as
            `pipeline.batches` has them.
        """
        options, size = self.options, self.options.batch_size
        passes = itertools.count() if options.repeat else range(1)
        parts = (itertools.islice(self.rows(number, again), options.skip, None) for again in passes)
        rows = itertools.islice(itertools.chain.from_iterable(parts), first * size, None)
        while len(some := list(itertools.islice(rows, size))) >= (size if options.drop_remainder else 1):
            yield _batch(some, self.views, self.has_cells)


def of_dataset(
    builder: tfds.core.DatasetBuilder, split: str, options: pipeline_options.PipelineOptions
) -> EncodedBatches:
    """Returns the batches of a split.

    Raises:
        DatasetError: If there is no such split.
    """
    is_single = options.views == "single"
    # Refuses what cannot be read before the first epoch.
    records.stream(builder, split)

    def rows(*order: int) -> Iterator[_Row]:
        key = (options.seed, *order) if options.shuffle else None
        locations = map(_parsed, records.stream(builder, split, key))
        return itertools.chain.from_iterable(map(_views, locations)) if is_single else locations

    if is_single:
        return EncodedBatches(rows, options, None, int(tf.data.INFINITE_CARDINALITY) if options.repeat else None)
    count = _count(builder.info.splits[split].num_examples, options)
    return EncodedBatches(rows, options, dataset_reader.most_views(builder, split), count)


def of_tree(locations: Sequence[imagery_tree.Location], options: pipeline_options.PipelineOptions) -> EncodedBatches:
    """Returns the batches of locations of a tree, at least one; `image` are paths."""

    def rows(*order: int) -> Iterator[_Row]:
        if not options.shuffle:
            return map(_row_of, locations)
        numbers = list(range(len(locations)))
        random.Random(str((options.seed, *order))).shuffle(numbers)
        return (_row_of(locations[number]) for number in numbers)

    most_views = max(len(location.views) for location in locations)
    return EncodedBatches(rows, options, most_views, _count(len(locations), options), has_cells=False)


def columns(size: int | None, views: int | None) -> dict[str, tf.TensorSpec]:
    """Returns the types of a batch of single views, or of so many a location."""
    shape = (size,) if views is None else (size, views)
    found = {
        "location_id": tf.TensorSpec((size,), tf.string),
        "coords": tf.TensorSpec((size, 2), tf.float64),
        "cell": tf.TensorSpec((size,), tf.int32),
        "image": tf.TensorSpec(shape, tf.string),
        "heading": tf.TensorSpec(shape, tf.float32),
    }
    return found if views is None else {**found, "view_mask": tf.TensorSpec(shape, tf.bool)}


def parse(serialized: Iterable[bytes], views: int | None) -> dict[str, np.ndarray]:
    """Parses records to a batch of single views, or of locations with padded views."""
    locations = map(_parsed, serialized)
    return _batch(list(itertools.chain.from_iterable(map(_views, locations)) if views is None else locations), views)


def _count(rows: int, options: pipeline_options.PipelineOptions) -> int:
    """Returns the number of batches of so many locations."""
    if options.repeat:
        return int(tf.data.INFINITE_CARDINALITY)
    rows = max(0, rows - options.skip)
    return rows // options.batch_size if options.drop_remainder else -(-rows // options.batch_size)


def _parsed(record: bytes) -> _Row:
    """Parses a record; tf.io.parse_example takes 25 times as long for an image."""
    feature = tf.train.Example.FromString(record).features.feature
    (name,), (coords,) = feature["location_id"].bytes_list.value, feature["coords"].bytes_list.value
    (cell,) = feature["cell"].int64_list.value
    return _Row(name, coords, cell, feature["views/image"].bytes_list.value, feature["views/heading"].float_list.value)


def _row_of(place: imagery_tree.Location) -> _Row:
    """Returns a location of a tree, one at a time, as a million take 1 GB."""
    headings = [np.nan if view.heading_deg is None else view.heading_deg for view in place.views]
    coords = np.array([place.lat_deg, place.lon_deg], "<f8").tobytes()
    return _Row(place.location_id.encode(), coords, 0, [os.fsencode(view.path) for view in place.views], headings)


def _views(row: _Row) -> Iterator[_Row]:
    """Yields the views of a location as rows."""
    name, coords, cell, images, headings = row
    for image, heading in zip(images, headings, strict=True):
        yield _Row(name, coords, cell, (image,), (heading,))


def _batch(rows: Sequence[_Row], views: int | None, has_cells: bool = True) -> dict[str, np.ndarray]:
    """Returns a batch of single views, or of locations padded to some views."""
    names, coords, cells, images, headings = zip(*rows, strict=True)
    batch = {
        "location_id": np.array(names, np.object_),
        "coords": np.frombuffer(b"".join(coords), "<f8").reshape(-1, 2),
    }
    if has_cells:
        batch["cell"] = np.array(cells, np.int32)
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
