"""Images of a split as rows to gather batches from, chunk by chunk.

For --schedule=chunked without a cache. Only the rows of one chunk are in memory, as JPEGs; batches are decoded as they
are taken.
"""

import copy
import itertools

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from geods.dataset import dataset_reader, records
from geods.input import threaded_decoder
from trainers.features import cache_format

_RECORDS_AT_ONCE = 128


class ChunkImages:
    """Images of a dataset's split, a `joined_cache.FeatureSource`.

    Attributes:
        feature_shape: (height, width, 3).
        rows: Locations and headings of the rows.

    Args:
        builder: From `dataset_reader.open_builder`.
        split: Its split.
        index: Of that split.
        size_px: Height and width to resize the images to.
        exact_pixels: Whether large photographs are decoded whole.
    """

    def __init__(
        self,
        builder: tfds.core.DatasetBuilder,
        split: str,
        index: dataset_reader.Index,
        size_px: tuple[int, int],
        exact_pixels: bool = False,
    ) -> None:
        self._builder, self._split = builder, split
        self.feature_shape = (*size_px, 3)
        self.rows = cache_format.Rows(index.location_ids, index.coords, index.views, index.headings)
        self._chunk = np.zeros(0, int)
        self._jpegs: dict[int, bytes] = {}
        self._decoder = threaded_decoder.ThreadedDecoder(*size_px, exact_pixels=exact_pixels)

    def only(self, rows: np.ndarray) -> "ChunkImages":
        """Returns a source of some rows `[n]`, which it reads when the first is taken."""
        chunk = copy.copy(self)
        chunk._chunk, chunk._jpegs = rows, {}
        return chunk

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Decodes rows `[n]` of the chunk, uint8 `[n, height, width, 3]`."""
        if not self._jpegs:
            self._read()
        return self._decoder.submit([self._jpegs[row] for row in rows.tolist()]).result()

    def _read(self) -> None:
        """Reads the JPEGs of the chunk in one pass over the split."""
        is_wanted = np.zeros(len(self.rows), bool)
        is_wanted[self._chunk] = True
        found, start = records.stream(self._builder, self._split), 0
        while some := list(itertools.islice(found, _RECORDS_AT_ONCE)):
            images = records.parse(tf.constant(some), ("image",))["views"]["image"].values
            here = np.flatnonzero(is_wanted[start : start + len(images)])
            self._jpegs.update(zip((start + here).tolist(), tf.gather(images, here).numpy().tolist(), strict=True))
            start += len(images)
