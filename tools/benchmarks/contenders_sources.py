"""Contenders that read ArrayRecord files by TFDS' random access.

As docs/own_loop.md does. All take a dataset and give batches of 64 images with their classes. TFDS decodes all views of
a location, so all count.
"""

import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tools.benchmarks import checks


class DataSource(checks.Pass):
    """Rows one after another, as the loop of JAX takes them."""

    def __init__(self, data_dir: str, workers: int = 0) -> None:
        import tensorflow_datasets as tfds

        folder = next(pathlib.Path(data_dir).glob("geods/random/*"))
        self._rows = tfds.builder_from_directory(folder).as_data_source("train", file_format="array_record")
        self._workers = workers

    def batches(self) -> Iterator[tuple[Any, Any]]:
        """Yields (images, labels)."""
        for start in range(0, len(self._rows), checks.BATCH):
            stop = min(start + checks.BATCH, len(self._rows))
            yield views_of(self._rows.__getitems__(list(range(start, stop))))


class TorchSource(DataSource):
    """PyTorch's DataLoader with worker processes."""

    def batches(self) -> Iterator[tuple[Any, Any]]:
        """Yields (images, labels)."""
        import torch

        yield from torch.utils.data.DataLoader(
            self._rows, batch_size=checks.BATCH, num_workers=self._workers, collate_fn=views_of
        )


class GrainSource(DataSource):
    """Grain with worker processes."""

    def batches(self) -> Iterator[tuple[Any, Any]]:
        """Yields (images, labels)."""
        import grain

        # Its worker processes need absl's flags parsed.
        from absl import flags

        if not flags.FLAGS.is_parsed():
            flags.FLAGS(["grain"])
        rows = grain.MapDataset.source(self._rows).to_iter_dataset().batch(checks.BATCH, batch_fn=views_of)
        yield from rows.mp_prefetch(grain.MultiprocessingOptions(num_workers=self._workers))


def views_of(rows: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Returns all views of rows, uint8 `[n, h, w, 3]`, and the cell of each."""
    images = np.stack([image for row in rows for image in row["views"]["image"]])
    return images, np.array([row["cell"] for row in rows for _ in row["views"]["image"]])
