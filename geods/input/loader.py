"""Batches of single views by the fastest decoder here, which may be a GPU.

    for batch in loader.view_batches(builder, "train", options):    # an epoch; again for the next
        batch["image"]          # uint8 [b, h, w, 3]

With `gpu` the bytes are decoded on the GPU and never come back: its pixels differ by a level or two. All other decoders
are those of `pipeline.batches`, with the same pixels to the last bit.
"""

import dataclasses
import functools
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import tensorflow as tf
import tensorflow_datasets as tfds

from geods import errors
from geods.dataset import records
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
    options = dataclasses.replace(options, decode=chosen)
    return pipeline.batches(builder, split, options) if options.shuffle else _ThreadBatches(builder, split, options)


class _ThreadBatches:
    """Batches in the order of the shards without tf.data.

    It takes 40 ms of the processor to start an epoch, and 60 microseconds an image.
    """

    def __init__(self, builder: tfds.core.DatasetBuilder, split: str, options: pipeline.PipelineOptions) -> None:
        # Refuses what cannot be read before the first epoch.
        records.stream(builder, split)
        self._rows = functools.partial(encoded_batches.in_order, builder, split, options, None)
        self._decoder = threaded_decoder.ThreadedDecoder(
            options.height_px, options.width_px, options.decode, options.exact_pixels, threads=options.threads
        )

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yields the batches of an epoch."""
        for row in self._decoder.ahead(self._rows()):
            image = threaded_decoder.as_tensor(row.pop("image"))
            yield {name: tf.constant(value) for name, value in row.items()} | {"image": image}


class _GpuBatches:
    """Batches decoded on the GPU, while earlier ones are used."""

    def __init__(self, builder: tfds.core.DatasetBuilder, split: str, options: pipeline.PipelineOptions) -> None:
        self._rows = encoded_batches.read(builder, split, options).prefetch(2)
        slow = threaded_decoder.ThreadedDecoder(
            options.height_px, options.width_px, exact_pixels=options.exact_pixels, threads=1
        )
        self._decoder = nvimagecodec_decoder.GpuDecoder(options.height_px, options.width_px, slow.decode_one)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yields the batches of an epoch."""
        submit = self._decoder.submit
        for row, image in threaded_decoder.submitted_ahead(
            self._rows, lambda row: submit(row["image"].numpy().tolist())
        ):
            yield {**row, "image": image.result()}
