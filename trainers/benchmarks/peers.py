"""The same work by PyTorch, Grain, WebDataset and Hugging Face datasets, as their guides say; measured where installed.

All decode with Pillow, as they do by default, unless `decode` says simplejpeg. Labels come with the images.
"""

import io
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from PIL import Image

from trainers.benchmarks import passes

# The module each needs.
NEEDS = {"TorchLoader": "torch", "GrainThreads": "grain", "WebDataset": "webdataset", "HuggingFace": "datasets"}


def decode_image(content: bytes, decode: str) -> np.ndarray:
    """Decodes one JPEG with "pillow" or "simplejpeg", uint8 `[h, w, 3]`."""
    if decode == "simplejpeg":
        import simplejpeg

        return np.asarray(simplejpeg.decode_jpeg(content))
    return np.asarray(Image.open(io.BytesIO(content)))


class Files:
    """Random access to files, as PyTorch and Grain want it."""

    def __init__(self, paths: Sequence[str], labels: Sequence[int], decode: str) -> None:
        self._paths, self._labels, self._decode = paths, labels, decode

    def __len__(self) -> int:
        """Returns the number of images."""
        return len(self._paths)

    def __getitem__(self, number: int) -> tuple[np.ndarray, int]:
        """Returns an image and its label."""
        return decode_image(pathlib.Path(self._paths[number]).read_bytes(), self._decode), self._labels[number]


class TorchLoader(passes.Pass):
    """torch.utils.data.DataLoader with worker processes."""

    def __init__(self, paths: Sequence[str], labels: Sequence[int], decode: str, workers: int) -> None:
        import torch.utils.data

        source: Any = Files(paths, labels, decode)
        self._batches = torch.utils.data.DataLoader(source, passes.BATCH, num_workers=workers, persistent_workers=True)


class GrainThreads(passes.Pass):
    """Grain's dataset over files, read and decoded in threads."""

    def __init__(self, paths: Sequence[str], labels: Sequence[int], decode: str, threads: int) -> None:
        import grain

        source: Any = Files(paths, labels, decode)
        reading = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * passes.BATCH)
        self._batches = grain.MapDataset.source(source).to_iter_dataset(reading).batch(passes.BATCH)


class WebDataset(passes.Pass):
    """webdataset from one tar a worker process of PyTorch."""

    def __init__(self, tars: Sequence[str], decode: str) -> None:
        import webdataset

        rows = webdataset.WebDataset(list(tars), shardshuffle=False, empty_check=False)
        rows = (
            rows.to_tuple("jpg", "cls")
            .map_tuple(lambda content: decode_image(content, decode), int)
            .batched(passes.BATCH)
        )
        self._batches = webdataset.WebLoader(rows, batch_size=None, num_workers=len(tars), persistent_workers=True)


class HuggingFace(passes.Pass):
    """datasets' table of encoded images, decoded by the library."""

    def __init__(self, paths: Sequence[str], labels: Sequence[int]) -> None:
        import datasets

        features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
        encoded = [{"bytes": pathlib.Path(path).read_bytes(), "path": None} for path in paths]
        schema = features.arrow_schema
        table = datasets.table.InMemoryTable.from_pydict({"image": encoded, "label": list(labels)}, schema=schema)
        info = datasets.DatasetInfo(features=features)
        # With a fingerprint given, nothing is pickled to find one.
        rows = datasets.Dataset(table, info=info, fingerprint="benchmark")
        self._batches = rows.with_format("numpy")

    def batches(self) -> Iterator[tuple[Any, Any]]:
        """Yields (images, labels)."""
        for batch in self._batches.iter(passes.BATCH):
            yield np.stack(list(batch["image"])), batch["label"]
