"""Batches of views for custom loops, decoded by the fastest decoder here.

    batches = loader.ViewBatches(builder, "train", options)
    for batch in batches:       # an epoch; again for the next
        batch["image"]          # uint8 [b, h, w, 3]

`simplejpeg` gives the pixels of `tensorflow` to the last bit, from threads that write straight into the batch. With
`gpu` the bytes are decoded on the GPU and never come back: its pixels differ by a level or two.
"""

import collections
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from geods import errors
from geods.input import encoded_views, nvimagecodec_decoder, pipeline, simplejpeg_decoder, tf_decoder

Decode = Literal["auto", "tensorflow", "simplejpeg", "gpu"]
_AHEAD = 2


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
    return "simplejpeg" if simplejpeg_decoder.is_installed() else "tensorflow"


class ViewBatches:
    """The batches of `pipeline.batches` with views="single", decoded ahead.

    Epoch after epoch.

    The pipeline, the threads and the memory of the batches are made once: anew they cost 0.15 s an epoch.

    Args:
        builder: From `open_builder`.
        split: Split, or part of one as TFDS writes it.
        options: How to batch.
        decode: The decoder.

    Raises:
        DatasetError: If there is no such split.
        OptionError: If the decoder is not there, or options.views is not "single".
    """

    def __init__(
        self,
        builder: tfds.core.DatasetBuilder,
        split: str,
        options: pipeline.PipelineOptions,
        decode: Decode = "auto",
    ) -> None:
        if options.views != "single":
            raise errors.OptionError(f"views={options.views!r}: the loader gives single views.", "use pipeline.batches")
        chosen = choose(decode)
        self._decoder = None if chosen == "tensorflow" else _decoder(chosen, options)
        read = encoded_views.EncodedViews if self._decoder else pipeline.batches
        self._rows: Iterable[dict[str, Any]] = read(builder, split, options)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yields the batches of an epoch."""
        if self._decoder is None:
            yield from self._rows
        else:
            yield from _through(self._rows, self._decoder.submit)

    def close(self) -> None:
        """Ends the threads; without it they end when nobody holds this any more."""
        if self._decoder is not None:
            self._decoder.close()


def _decoder(
    chosen: Decode, options: pipeline.PipelineOptions
) -> "nvimagecodec_decoder.GpuDecoder | simplejpeg_decoder.ThreadedDecoder":
    """Returns the decoder of a name, with TensorFlow's own for the rest."""
    slow = functools.partial(_decode_by_tensorflow, options)
    kind = nvimagecodec_decoder.GpuDecoder if chosen == "gpu" else simplejpeg_decoder.ThreadedDecoder
    return kind(options.height_px, options.width_px, slow)


def _through(rows: Iterable[dict[str, Any]], submit: Callable[[list[bytes]], Any]) -> Iterator[dict[str, Any]]:
    """Yields rows with their images decoded, and keeps some batches in the decoder."""
    waiting: collections.deque[tuple[dict[str, Any], Any]] = collections.deque()
    for row in rows:
        waiting.append((row, submit(row["image"])))
        if len(waiting) > _AHEAD:
            yield _finished(*waiting.popleft())
    while waiting:
        yield _finished(*waiting.popleft())


def _finished(row: dict[str, Any], image: Any) -> dict[str, Any]:  # noqa: ANN401 - a future
    """Returns a row with its image as a tensor."""
    pixels = image.result()
    if isinstance(pixels, np.ndarray):
        # On the same memory; tf.convert_to_tensor would copy, which cost a quarter of the images a second.
        pixels = tf.experimental.dlpack.from_dlpack(pixels.__dlpack__())
    return {**row, "image": pixels}


def _decode_by_tensorflow(options: pipeline.PipelineOptions, content: bytes) -> np.ndarray:
    """Decodes one image as `pipeline.batches` does."""
    return tf_decoder.decode_image(content, options.height_px, options.width_px).numpy()
