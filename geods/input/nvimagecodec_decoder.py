"""JPEGs decoded on the GPU by nvImageCodec; their pixels stay there (DLPack).

    decoder = nvimagecodec_decoder.GpuDecoder(300, 600, otherwise=slow)
    decoder.submit(contents).result()       # uint8 [n, 300, 600, 3] on the GPU, a tensor of Keras' backend

TensorFlow decodes JPEGs on the CPU only. nvImageCodec (extra "gpu") uses nvJPEG, whose pixels differ from
Pillow's by a level or two. What it cannot decode goes through the CPU; what has another size is resized on the GPU.
"""

import concurrent.futures
import functools
import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from geods import errors
from geods.tree import orientation

_INSTALL = 'pip install "geods[gpu]" on a machine with an NVIDIA GPU, or --decode=auto'


@functools.cache
def _find() -> tuple[Any, str]:
    """Returns a decoder of the library and "", or None and why there is none."""
    try:
        library = importlib.import_module("nvidia.nvimgcodec")
    except ImportError as error:
        return None, f"nvidia.nvimgcodec cannot be imported ({error})"
    try:
        return library.Decoder(device_id=0), ""
    # Without a driver or a GPU the constructor raises what CUDA said, as RuntimeError or a class of its own.
    except Exception as error:
        return None, f"there is no GPU that nvImageCodec can use ({error})"


def is_available() -> bool:
    """Returns whether JPEGs can be decoded on a GPU here."""
    return _find()[0] is not None


def load_decoder() -> Callable[[list[bytes]], list[Any]]:
    """Returns the library's decoder of JPEGs to arrays on the GPU.

    It gives None for each image that it cannot decode.

    Raises:
        OptionError: If it or the GPU is missing; the message says which.
    """
    decoder, problem = _find()
    if decoder is None:
        raise errors.OptionError(f"--decode=gpu: {problem}.", _INSTALL)
    # Turned by the library's own rule otherwise; ours is the same for every decoder.
    as_stored = importlib.import_module("nvidia.nvimgcodec").DecodeParams(apply_exif_orientation=False)
    # By list and not by tuple: the library takes a tuple for something else.
    return lambda contents: list(decoder.decode(list(contents), params=as_stored))


class GpuDecoder:
    """Decodes batches on the GPU, one after the other, while the caller goes on.

    Args:
        height_px: Height of the results.
        width_px: Width of the results.
        otherwise: Decodes what the GPU cannot to uint8 `[height_px, width_px, 3]`.
        decode: Whole JPEGs -> for each an array that knows DLPack, uint8 `[h, w, 3]`, or None; the GPU's by default.

    Raises:
        OptionError: If there is no GPU to decode on.
    """

    def __init__(
        self,
        height_px: int,
        width_px: int,
        otherwise: Callable[[bytes], np.ndarray],
        decode: Callable[[list[bytes]], list[Any]] | None = None,
    ) -> None:
        self._shape, self._otherwise = (height_px, width_px, 3), otherwise
        self._decode = decode or load_decoder()
        # One thread: the library spreads a batch over the GPU itself.
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "gpu_jpegs")

    def submit(self, contents: Sequence[bytes]) -> "concurrent.futures.Future[Any]":
        """Starts to decode; returns a future tensor of Keras' backend.

        Uint8 `[n, height_px, width_px, 3]`.

        Args:
            contents: Whole JPEGs, at least one.
        """
        return self._thread.submit(self._batch, list(contents))

    def close(self) -> None:
        """Ends the thread."""
        self._thread.shutdown(cancel_futures=True)

    def _batch(self, contents: list[bytes]) -> Any:  # noqa: ANN401 - a tensor of any backend
        """Decodes a batch."""
        import keras

        found = self._decode(contents)
        images = [self._one(content, image) for content, image in zip(contents, found, strict=True)]
        return keras.ops.stack(images)

    def _one(self, content: bytes, image: Any) -> Any:  # noqa: ANN401 - tensors
        """Returns one image in the right size."""
        import keras

        if image is None:
            return keras.ops.convert_to_tensor(self._otherwise(content))
        pixels = orientation.turned(_adopted(image), orientation.orientation_of(content))
        if tuple(pixels.shape) == self._shape:
            return pixels
        levels = keras.ops.cast(pixels, "float32")
        resized = keras.ops.image.resize(levels, self._shape[:2], antialias=True, data_format="channels_last")
        return keras.ops.cast(keras.ops.clip(keras.ops.round(resized), 0, 255), "uint8")


def _adopted(image: Any) -> Any:  # noqa: ANN401 - tensors
    """Returns an array as a tensor of Keras' backend, on the same memory."""
    import keras

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.experimental.dlpack.from_dlpack(image.__dlpack__())
    # jax.dlpack and torch take the array itself, and ask it for its device and its stream.
    return importlib.import_module({"jax": "jax.dlpack", "torch": "torch"}[backend]).from_dlpack(image)
