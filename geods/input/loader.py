"""Batches of single views by the fastest decoder here, which may be a GPU.

    for batch in loader.view_batches(builder, "train", options):    # an epoch; again for the next
        batch["image"]          # uint8 [b, h, w, 3]

With `gpu` the bytes are decoded on the GPU and never come back: its pixels differ by a level or two. All other decoders
are those of `pipeline.batches`, with the same pixels to the last bit.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from geods import errors
from geods.input import encoded_batches, nvimagecodec_decoder, pipeline, threaded_decoder

Decode = Literal["auto", "tensorflow", "simplejpeg", "gpu"]


def choose(decode: Decode) -> Decode:
    """Returns the decoder for "auto": gpu, simplejpeg or tensorflow.

    The first that can be used on this machine.

    Raises:
        OptionError: If what is asked for is not there.
    """
    if decode == "gpu":
        nvimagecodec_decoder.load_decoder()
    if decode != "auto":
        return decode
    if nvimagecodec_decoder.is_available():
        return "gpu"
    return "simplejpeg" if threaded_decoder.is_installed() else "tensorflow"


def view_batches(
    builder: tfds.core.DatasetBuilder, split: str, options: pipeline.PipelineOptions, decode: Decode = "auto"
) -> Iterable[dict[str, Any]]:
    """Returns the batches of single views, decoded ahead, epoch after epoch.

    Those of `pipeline.batches`, or with other pixels from a GPU.

    Args:
        builder: From `open_builder`.
        split: Split, or part of one as TFDS writes it.
        options: How to batch.
        decode: The decoder.

    Raises:
        DatasetError: If there is no such split.
        OptionError: If the decoder is not there, or options.views is not "single".
    """
    if options.views != "single":
        raise errors.OptionError(f"views={options.views!r}: the loader gives single views.", "use pipeline.batches")
    chosen = choose(decode)
    if chosen == "gpu":
        return _GpuBatches(builder, split, options)
    return _ThreadBatches(builder, split, dataclasses.replace(options, decode=chosen))


class _Batches:
    """Batches without tf.data, which takes milliseconds to start an epoch."""

    def __init__(self, builder: tfds.core.DatasetBuilder, split: str, options: pipeline.PipelineOptions) -> None:
        self._encoded, self._epochs = encoded_batches.of_dataset(builder, split, options), itertools.count()

    def _rows(self) -> Iterator[dict[str, np.ndarray]]:
        """Yields the batches of the next epoch before they are decoded."""
        return self._encoded.epoch(next(self._epochs))


class _ThreadBatches(_Batches):
    """Batches decoded by the processor."""

    def __init__(self, builder: tfds.core.DatasetBuilder, split: str, options: pipeline.PipelineOptions) -> None:
        super().__init__(builder, split, options)
        self._decoder = options.decoder()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yields the batches of an epoch."""
        for row in self._decoder.ahead(self._rows()):
            yield _tensors(row, threaded_decoder.as_tensor(row["image"]))


class _GpuBatches(_Batches):
    """Batches decoded on the GPU, while earlier ones are used."""

    def __init__(self, builder: tfds.core.DatasetBuilder, split: str, options: pipeline.PipelineOptions) -> None:
        super().__init__(builder, split, options)
        slow = threaded_decoder.ThreadedDecoder(
            options.height_px, options.width_px, exact_pixels=options.exact_pixels, threads=1
        )
        self._decoder = nvimagecodec_decoder.GpuDecoder(options.height_px, options.width_px, slow.decode_one)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yields the batches of an epoch."""
        submit = self._decoder.submit
        for row, image in threaded_decoder.submitted_ahead(self._rows(), lambda row: submit(row["image"].tolist())):
            yield _tensors(row, image.result())


def _tensors(row: dict[str, np.ndarray], image: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns a batch as tensors, with its decoded images."""
    return {name: image if name == "image" else tf.constant(value) for name, value in row.items()}
