"""Features of a dataset's images by a frozen encoder, in order, from any row on."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from geods.dataset import dataset_reader
from geods.input import loader, pipeline
from model import augmentation
from trainers.features import runtimes
from trainers.options import extract_options, stages


@dataclasses.dataclass(frozen=True, eq=False)
class ImageFeatures:
    """Features of a dataset's views, computed as they are asked for.

    Attributes:
        builder: The dataset, from `dataset_reader.open_builder`.
        forward: The encoder, from `runtimes.compiled` for runtime.batch_size.
        encoder: The size of the images.
        jitter: The changes of augmented copies.
        runtime: The batches, with `decode` as chosen.
        seed: Of those changes.
        exact_pixels: Whether large photographs are decoded whole.
        threads: That decode; 0 for one more than there are cores.
    """

    builder: Any
    forward: runtimes.Forward
    encoder: stages.EncoderOptions
    jitter: extract_options.CopyOptions
    runtime: extract_options.RuntimeOptions
    seed: int
    exact_pixels: bool
    threads: int = 0

    def of(self, split: str, variant: int, row: int, position: tuple[int, int]) -> Iterator[np.ndarray]:
        """Yields the features of a split's views in order, batch by batch.

        Float32 `[n, *feature_shape]`.

        Args:
            split: The split.
            variant: Number of the changed copy of its images, 0 for the images as they are.
            row: The first row.
            position: Its location, and how many rows of that come before it.
        """
        size = self.runtime.batch_size
        rows = pipeline.PipelineOptions(
            self.encoder.height_px,
            self.encoder.width_px,
            batch_size=size,
            views="single",
            skip=position[1],
            exact_pixels=self.exact_pixels,
            threads=self.threads,
        )
        part = dataset_reader.part_from(self.builder, split, position[0])
        for batch in loader.view_batches(self.builder, part, rows, self.runtime.decode):
            count = len(batch["image"])
            images = _padded(batch["image"], size)
            if variant:
                images = self._changed(images, draws(self.seed, variant, row, size))
            yield self.forward(images)[:count]
            row += size

    @functools.cached_property
    def _changed(self) -> Callable[[Any, np.ndarray], Any]:
        """Changes a batch of images by their random numbers."""
        jitter = self.jitter

        def changed(images: tf.Tensor, lots: tf.Tensor) -> tf.Tensor:
            images = augmentation.jittered(images, lots, jitter.brightness, jitter.contrast, jitter.crop)
            if not jitter.changes_detail:
                return images
            return tf.map_fn(
                lambda one: _compressed(one[0], one[1], jitter.coarsen, jitter.jpeg_quality),
                (images, lots[:, augmentation.DRAWS :]),
                fn_output_signature=tf.uint8,
            )

        return tf.function(changed, autograph=False)


def _compressed(image: tf.Tensor, lots: tf.Tensor, coarsen: float, jpeg_quality: int) -> tf.Tensor:
    """Returns an image `[h, w, 3]` as a smaller JPEG of it, enlarged again, would be."""
    size_px = tf.shape(image)[:2]
    small_px = tf.cast(tf.round(tf.cast(size_px, tf.float32) * (1 - coarsen * lots[0])), tf.int32)
    quality = tf.cast(extract_options.BEST_QUALITY - (extract_options.BEST_QUALITY - jpeg_quality) * lots[1], tf.int32)
    image = _resized(image, small_px)
    if jpeg_quality < extract_options.BEST_QUALITY:
        image = tf.image.adjust_jpeg_quality(image, quality)
    return _resized(image, size_px)


def _resized(image: tf.Tensor, size_px: tf.Tensor) -> tf.Tensor:
    """Returns an image in another size, uint8."""
    return tf.saturate_cast(tf.round(tf.image.resize(image, size_px, antialias=True)), tf.uint8)


def draws(seed: int, variant: int, first: int, count: int) -> np.ndarray:
    """Returns the random numbers of rows, float32 `[count, DRAWS + 2]`.

    Those of `jittered`, of the resolution and of the quality. Each row's depend on its number alone.
    """
    rows = [np.random.default_rng([seed, variant, row]) for row in range(first, first + count)]
    return np.array([row.random(augmentation.DRAWS + 2) for row in rows], dtype=np.float32)


def _padded(images: tf.Tensor, size: int) -> tf.Tensor:
    """Returns a batch with black images at its end.

    Compiling for another size costs more than computing a full one.
    """
    missing = size - len(images)
    return tf.pad(images, [[0, missing], [0, 0], [0, 0], [0, 0]]) if missing else images
