"""Contenders that read, decode and batch images: ours and other loaders.

All take an image set and give batches of 64 images with their classes; one `run` is one pass over all images.

The same work by PyTorch, Grain, WebDataset and Hugging Face datasets, as their guides say; measured where installed.

All decode with Pillow, as they do by default, unless `decode` says simplejpeg. Labels come with the images.
"""

import io
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from geods.dataset import dataset_reader
from geods.input import loader, pipeline
from tools.benchmarks import checks

_REPORT_CHUNK = 1000


class Ours(checks.Pass):
    """geods from TFRecords."""

    def __init__(self, data_dir: str, height_px: int, width_px: int, decode: loader.Decode) -> None:
        options = pipeline.PipelineOptions(height_px, width_px, batch_size=checks.BATCH, views="single")
        self._batches = loader.view_batches(dataset_reader.open_builder(data_dir, "random"), "train", options, decode)

    def batches(self) -> Iterator[tuple[Any, Any]]:
        """Yields (images, labels)."""
        for batch in self._batches:
            yield batch["image"], batch["cell"]


class OurPipeline(checks.Pass):
    """geods' tf.data.Dataset, the same for trainings and evaluations."""

    def __init__(self, data_dir: str, height_px: int, width_px: int, **how: Any) -> None:  # noqa: ANN401 - of JSON
        size = checks.BATCH if how["views"] == "single" else checks.BATCH // 3
        options = pipeline.PipelineOptions(height_px, width_px, batch_size=size, **how)
        self._rows = pipeline.batches(dataset_reader.open_builder(data_dir, "random"), "train", options)

    def run(self) -> int:
        """Reads everything once and leaves the padding, as a training does."""
        return sum(int(tf.math.count_nonzero(batch.get("view_mask", batch["cell"] >= 0))) for batch in self._rows)

    def batches(self) -> Iterator[tuple[Any, Any]]:
        """Yields (images, labels) without padding."""
        for batch in self._rows:
            mask = batch.get("view_mask", np.ones(len(batch["cell"]), bool))
            counts = np.asarray(mask).reshape(len(mask), -1).sum(axis=1)
            yield batch["image"].numpy()[mask], np.repeat(batch["cell"], counts)


class OursElsewhere(Ours):
    """geods from TFRecords that the workers of a tf.data service read and decode."""

    def __init__(self, data_dir: str, height_px: int, width_px: int, service: str) -> None:
        options = pipeline.PipelineOptions(
            height_px, width_px, batch_size=checks.BATCH, views="single", service=service
        )
        self._batches = pipeline.batches(dataset_reader.open_builder(data_dir, "random"), "train", options)


class TensorFlowFiles(checks.Pass):
    """tf.data over files, as TensorFlow's guide writes it."""

    def __init__(self, paths: Sequence[str], labels: Sequence[int]) -> None:
        rows = tf.data.Dataset.from_tensor_slices((list(paths), list(labels)))
        rows = rows.map(
            lambda path, label: (tf.io.decode_jpeg(tf.io.read_file(path), channels=3), label),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        self._batches = rows.batch(checks.BATCH).prefetch(tf.data.AUTOTUNE)


class PlainTfds(checks.Pass):
    """The dataset as TFDS decodes it, without keeping it in memory."""

    def __init__(self, data_dir: str) -> None:
        import tensorflow_datasets as tfds

        builder = dataset_reader.open_builder(data_dir, "random")
        rows = builder.as_dataset(split="train", read_config=tfds.ReadConfig(try_autocache=False))
        rows = rows.flat_map(
            lambda row: tf.data.Dataset.from_tensor_slices(row["views"]["image"]).map(
                lambda image: (image, row["cell"])
            )
        )
        self._batches = rows.batch(checks.BATCH).prefetch(tf.data.AUTOTUNE)


class KerasDirectory(checks.Pass):
    """keras.utils.image_dataset_from_directory."""

    def __init__(self, folders: str, height_px: int, width_px: int) -> None:
        import keras

        self._batches = keras.utils.image_dataset_from_directory(
            folders, image_size=(height_px, width_px), batch_size=checks.BATCH, shuffle=False, verbose=False
        ).prefetch(tf.data.AUTOTUNE)


class ReportGenerator(checks.Pass):
    """The course report's generator: chunks of 1,000 float32 images.

    Keras' load_img reads them, and the labels are one-hot.
    """

    def __init__(self, paths: Sequence[str], labels: Sequence[int]) -> None:
        self._paths, self._labels = paths, labels

    def batches(self) -> Iterator[tuple[Any, Any]]:
        """Yields (images, labels)."""
        import keras

        classes = max(self._labels) + 1
        for start in range(0, len(self._paths), _REPORT_CHUNK):
            part = slice(start, start + _REPORT_CHUNK)
            images = [keras.utils.img_to_array(keras.utils.load_img(path)) for path in self._paths[part]]
            yield np.array(images), keras.utils.to_categorical(self._labels[part], classes)


class ReportLikeForLike(ReportGenerator):
    """The report's generator in uint8 batches of 64 with one number a label."""

    def batches(self) -> Iterator[tuple[Any, Any]]:
        """Yields (images, labels)."""
        import keras

        for start in range(0, len(self._paths), checks.BATCH):
            part = slice(start, start + checks.BATCH)
            images = [np.asarray(keras.utils.load_img(path)) for path in self._paths[part]]
            yield np.stack(images), np.array(self._labels[part])


# The module each needs.
NEEDS = {"TorchLoader": "torch", "GrainThreads": "grain", "WebDataset": "webdataset", "HuggingFace": "datasets"}
NEEDS |= {"DataSource": "array_record", "TorchSource": "torch", "GrainSource": "grain"}


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


class TorchLoader(checks.Pass):
    """torch.utils.data.DataLoader with worker processes."""

    def __init__(self, paths: Sequence[str], labels: Sequence[int], decode: str, workers: int) -> None:
        import torch.utils.data

        source: Any = Files(paths, labels, decode)
        self._batches = torch.utils.data.DataLoader(source, checks.BATCH, num_workers=workers, persistent_workers=True)


class GrainThreads(checks.Pass):
    """Grain's dataset over files, read and decoded in threads."""

    def __init__(self, paths: Sequence[str], labels: Sequence[int], decode: str, threads: int) -> None:
        import grain

        source: Any = Files(paths, labels, decode)
        reading = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * checks.BATCH)
        self._batches = grain.MapDataset.source(source).to_iter_dataset(reading).batch(checks.BATCH)


class WebDataset(checks.Pass):
    """webdataset from one tar a worker process of PyTorch."""

    def __init__(self, tars: Sequence[str], decode: str) -> None:
        import webdataset

        rows = webdataset.WebDataset(list(tars), shardshuffle=False, empty_check=False)
        rows = (
            rows.to_tuple("jpg", "cls")
            .map_tuple(lambda content: decode_image(content, decode), int)
            .batched(checks.BATCH)
        )
        self._batches = webdataset.WebLoader(rows, batch_size=None, num_workers=len(tars), persistent_workers=True)


class HuggingFace(checks.Pass):
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
        for batch in self._batches.iter(checks.BATCH):
            yield np.stack(list(batch["image"])), batch["label"]
