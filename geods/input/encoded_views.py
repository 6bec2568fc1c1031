"""Batches of views as JPEG bytes, for decoders that are not TensorFlow's.

for batch in encoded_views.EncodedViews(builder, "train", options):     # an epoch
batch["image"]      # 64 times bytes
batch["cell"]       # int32 [64], a tensor like all the rest
"""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from geods.dataset import records
from geods.input import pipeline

# location_id, bytes of the coordinates, cell, JPEG, heading in degrees.
_View = tuple[bytes, bytes, int, bytes, float]


class EncodedViews:
    """The batches of `pipeline.batches` with views="single", with bytes for images.

    Epoch after epoch.

    Args:
        builder: From `dataset_reader.open_builder`.
        split: Split, or part of one as TFDS writes it.
        options: How to batch; sizes do not count.

    Raises:
        DatasetError: If there is no such split.
    """

    def __init__(self, builder: tfds.core.DatasetBuilder, split: str, options: pipeline.PipelineOptions) -> None:
        self._builder, self._split, self._options = builder, split, options
        # tf.data shuffles, and its batches come in the order they have with any decoder.
        self._shuffled = pipeline.encoded_batches(builder, split, options) if options.shuffle else None
        # Refuses what cannot be read before the first epoch.
        records.stream(builder, split)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yields the batches of an epoch."""
        if self._shuffled is None:
            yield from self._straight()
        else:
            for batch in self._shuffled:
                yield pipeline.with_int32_cell({**batch, "image": batch["image"].numpy().tolist()})

    def _straight(self) -> Iterator[dict[str, Any]]:
        """Yields batches in the order of the shards."""
        views = self._views()
        size, rest = self._options.batch_size, self._options.drop_remainder
        while len(rows := list(itertools.islice(views, size))) >= (size if rest else 1):
            yield _batch(rows)

    def _views(self) -> Iterator[_View]:
        """Yields the views, once or for ever."""
        for _ in itertools.count() if self._options.repeat else range(1):
            views = itertools.chain.from_iterable(map(_views_of, records.stream(self._builder, self._split)))
            yield from itertools.islice(views, self._options.skip, None)


def _views_of(record: bytes) -> Iterator[_View]:
    """Yields the views of a record."""
    feature = tf.train.Example.FromString(record).features.feature
    (name,), (coords,) = (feature[key].bytes_list.value for key in ("location_id", "coords"))
    (cell,) = feature["cell"].int64_list.value
    images, headings = feature["views/image"].bytes_list.value, feature["views/heading"].float_list.value
    return ((name, coords, cell, image, heading) for image, heading in zip(images, headings, strict=True))


def _batch(rows: list[_View]) -> dict[str, Any]:
    """Returns views as a batch."""
    names, coords, cells, images, headings = zip(*rows, strict=True)
    return {
        "image": list(images),
        "location_id": tf.constant(names),
        "coords": tf.constant(np.frombuffer(b"".join(coords), "<f8").reshape(-1, 2)),
        "cell": tf.constant(cells, tf.int32),
        "heading": tf.constant(headings, tf.float32),
    }
