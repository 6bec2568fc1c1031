"""Ways to read, decode and batch images with their labels: ours, and those of TensorFlow, TFDS, Keras and the report.

All take an image set and give batches of 64 images with their classes; one `run` is one pass over all images.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from geods import datasets, loader, pipeline
from trainers.benchmarks import passes

_REPORT_CHUNK = 1000


class Ours(passes.Pass):
    """geods from TFRecords."""

    def __init__(self, data_dir: str, height_px: int, width_px: int, decode: loader.Decode) -> None:
        options = pipeline.PipelineOptions(height_px, width_px, batch_size=passes.BATCH, views="single")
        self._batches = loader.ViewBatches(datasets.open_builder(data_dir, "random"), "train", options, decode)

    def batches(self) -> Iterator[tuple[Any, Any]]:
        """Yields (images, labels)."""
        for batch in self._batches:
            yield batch["image"], batch["cell"]


class OursElsewhere(Ours):
    """geods from TFRecords that the workers of a tf.data service read and decode."""

    def __init__(self, data_dir: str, height_px: int, width_px: int, service: str) -> None:
        options = pipeline.PipelineOptions(
            height_px, width_px, batch_size=passes.BATCH, views="single", service=service
        )
        self._batches = pipeline.batches(datasets.open_builder(data_dir, "random"), "train", options)


class TensorFlowFiles(passes.Pass):
    """tf.data over files, as TensorFlow's guide writes it."""

    def __init__(self, paths: Sequence[str], labels: Sequence[int]) -> None:
        rows = tf.data.Dataset.from_tensor_slices((list(paths), list(labels)))
        rows = rows.map(
            lambda path, label: (tf.io.decode_jpeg(tf.io.read_file(path), channels=3), label),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        self._batches = rows.batch(passes.BATCH).prefetch(tf.data.AUTOTUNE)


class PlainTfds(passes.Pass):
    """The dataset as TFDS decodes it, without keeping it in memory."""

    def __init__(self, data_dir: str) -> None:
        import tensorflow_datasets as tfds

        builder = datasets.open_builder(data_dir, "random")
        rows = builder.as_dataset(split="train", read_config=tfds.ReadConfig(try_autocache=False))
        rows = rows.flat_map(
            lambda row: tf.data.Dataset.from_tensor_slices(row["views"]["image"]).map(
                lambda image: (image, row["cell"])
            )
        )
        self._batches = rows.batch(passes.BATCH).prefetch(tf.data.AUTOTUNE)


class KerasDirectory(passes.Pass):
    """keras.utils.image_dataset_from_directory."""

    def __init__(self, folders: str, height_px: int, width_px: int) -> None:
        import keras

        self._batches = keras.utils.image_dataset_from_directory(
            folders, image_size=(height_px, width_px), batch_size=passes.BATCH, shuffle=False, verbose=False
        ).prefetch(tf.data.AUTOTUNE)


class ReportGenerator(passes.Pass):
    """The course report's generator: chunks of 1,000 float32 images with one-hot labels, through Keras' load_img."""

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
    """The same with what is asked of the others: uint8, batches of 64, one number a label."""

    def batches(self) -> Iterator[tuple[Any, Any]]:
        """Yields (images, labels)."""
        import keras

        for start in range(0, len(self._paths), passes.BATCH):
            part = slice(start, start + passes.BATCH)
            images = [np.asarray(keras.utils.load_img(path)) for path in self._paths[part]]
            yield np.stack(images), np.array(self._labels[part])
