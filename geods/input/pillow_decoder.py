"""JPEG bytes to upright uint8 pixels without TensorFlow.

The pixels are those of `geods.input.tf_decoder` to the last bit.
"""

import functools
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from geods.input import jpeg_scale
from geods.tree import orientation

# Values that are resized at once. They stay in the cache of a core: enlarging an image of 200x400 to 300x600 takes 2 ms
# instead of 6, and a photograph of 12 million pixels 51 instead of 74.
_CACHED_VALUES = 1 << 16


def decode_image(content: bytes, height_px: int, width_px: int, exact_pixels: bool = False) -> np.ndarray:
    """Decodes a JPEG, turns it upright by its EXIF, resizes it if its size differs.

    Args:
        content: The bytes of a JPEG that `geods.tree.jpeg` has no problem with.
        height_px: Height of the result.
        width_px: Width of the result.
        exact_pixels: Whether photographs of at least four times the size are decoded whole (geods/input/jpeg_scale.py).

    Returns:
        uint8 `[height_px, width_px, 3]`, RGB.
    """
    turn, size = orientation.orientation_of(content), (height_px, width_px)
    wanted = size[::-1] if turn in orientation.TRANSPOSED else size
    with Image.open(io.BytesIO(content), formats=("JPEG",)) as stored:
        scale = 1 if exact_pixels else jpeg_scale.denominator(stored.height, stored.width, *wanted)
        extent = (stored.height / scale, stored.width / scale)
        if scale > 1:
            stored.draft(stored.mode, (stored.width // scale, stored.height // scale))
        pixels = np.asarray(stored.convert("RGB"))
    if scale > 1:
        pixels = orientation.turned(_rounded(_averaged(pixels, *wanted, extent)), turn)
    else:
        pixels = orientation.turned(pixels, turn)
        if pixels.shape[0] > height_px or pixels.shape[1] > width_px:
            pixels = _rounded(_averaged(pixels, *size, pixels.shape))
        elif pixels.shape[:2] != size:
            pixels = _rounded(_interpolated(pixels, *size))
    return np.ascontiguousarray(pixels)


def _rounded(levels: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(levels, out=levels), 0, 255, out=levels).astype(np.uint8)


def _transposed(pixels: np.ndarray) -> np.ndarray:
    """Returns a transposed copy, `[h, w, 3]` -> `[w, h, 3]`.

    It is copied a pixel at a time, which NumPy would do a value at a time.
    """
    whole = np.ascontiguousarray(pixels).view(f"V{3 * pixels.itemsize}")[..., 0]
    return np.ascontiguousarray(whole.T)[..., None].view(pixels.dtype)


def _averaged(pixels: np.ndarray, height_px: int, width_px: int, extent: Sequence[float]) -> np.ndarray:
    """Resizes by a triangle filter, as TensorFlow's ScaleAndTranslate.

    In the order of its sums: as many end in exactly a half, Pillow's filter rounds some pixels otherwise, which moved
    log-probabilities of a small network by 3e-3.
    """
    rows = _summed(pixels, *_taps(pixels.shape[0], height_px, extent[0]))
    return _transposed(_summed(_transposed(rows), *_taps(pixels.shape[1], width_px, extent[1])))


def _summed(rows: np.ndarray, starts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns weighted sums `[to, ...]` of rows `[size, ...]`, float32."""
    flat, taps = rows.reshape(len(rows), -1), weights.shape[1]
    total = np.zeros((len(starts), flat.shape[1]), np.float32)
    at_once = max(1, _CACHED_VALUES // flat.shape[1])
    buffer = np.empty((at_once, flat.shape[1]), np.float32)
    for first in range(0, len(starts), at_once):
        part = slice(first, first + at_once)
        places = starts[part] - starts[first]
        levels = flat[starts[first] : starts[part][-1] + taps].astype(np.float32, copy=False)
        for number, weight in enumerate(weights[part].T):
            tapped = buffer[: len(places)]
            np.take(levels, np.minimum(places + number, len(levels) - 1), axis=0, out=tapped, mode="clip")
            tapped *= weight[:, None]
            total[part] += tapped
    return total.reshape(-1, *rows.shape[1:])


@functools.lru_cache(maxsize=64)
def _taps(size: int, to: int, extent: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns the first row and the weights `[to, taps]` of each result row.

    As ComputeSpans of TensorFlow; of the `size` rows, `extent` are image.
    """
    one, half = np.float32(1), np.float32(0.5)
    inverse = one / (np.float32(to) / np.float32(extent))
    radius = max(inverse, one)
    sample = (np.arange(to, dtype=np.float32) + half) * inverse
    first = np.clip(np.ceil(sample - radius - half).astype(int), 0, size - 1)
    last = np.clip(np.floor(sample + radius - half).astype(int), 0, size - 1)
    source = first[:, None] + np.arange((last - first).max() + 1)
    weights = one - np.abs((source.astype(np.float32) + half - sample[:, None]) * (one / radius))
    weights = np.where((weights > 0) & (source <= last[:, None]), weights, np.float32(0))
    total = np.zeros(to, np.float32)
    for weight in weights.T:
        total += weight
    return first, weights * (one / total)[:, None]


def _interpolated(pixels: np.ndarray, height_px: int, width_px: int) -> np.ndarray:
    """Resizes by interpolation, in the order of sums of ResizeBilinear."""
    columns = _between(_transposed(pixels), width_px)
    return _between(_transposed(columns), height_px)


def _between(rows: np.ndarray, to: int) -> np.ndarray:
    """Interpolates rows `[size, ...]` to `[to, ...]`, float32."""
    before, after, way = _neighbours(len(rows), to)
    flat = rows.reshape(len(rows), -1).astype(np.float32, copy=False)
    found = np.empty((to, flat.shape[1]), np.float32)
    at_once = max(1, _CACHED_VALUES // flat.shape[1])
    for first in range(0, to, at_once):
        part = slice(first, first + at_once)
        least = flat[before[part]]
        steps = np.subtract(flat[after[part]], least, out=found[part])
        steps *= way[part, None]
        steps += least
    return found.reshape(to, *rows.shape[1:])


def _neighbours(size: int, to: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the rows before and after each result row, and its way between."""
    at = (np.arange(to, dtype=np.float32) + np.float32(0.5)) * (np.float32(size) / np.float32(to)) - np.float32(0.5)
    below = np.floor(at)
    return np.maximum(below, 0).astype(int), np.minimum(np.ceil(at), size - 1).astype(int), at - below
