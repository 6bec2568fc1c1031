"""JPEG bytes to upright uint8 pixels without TensorFlow, as `geods.input.tf_decoder` gives them."""

import io

import numpy as np
from PIL import Image

from geods.tree import orientation


def decode_image(content: bytes, height_px: int, width_px: int) -> np.ndarray:
    """Decodes a JPEG, turns it upright by its EXIF, resizes it if its size differs.

    Args:
        content: The bytes of a JPEG that `geods.tree.jpeg` has no problem with.
        height_px: Height of the result.
        width_px: Width of the result.

    Returns:
        uint8 `[height_px, width_px, 3]`, RGB; where it was resized, a level in ten thousand may be rounded otherwise.
    """
    with Image.open(io.BytesIO(content), formats=("JPEG",)) as stored:
        pixels = orientation.turned(np.asarray(stored.convert("RGB")), orientation.orientation_of(content))
    if pixels.shape[:2] == (height_px, width_px):
        return np.ascontiguousarray(pixels)
    # Of numbers and not of levels, which Pillow would round between rows and columns.
    bands = [Image.fromarray(pixels[..., band].astype(np.float32)) for band in range(3)]
    resized = [np.asarray(band.resize((width_px, height_px), Image.Resampling.BILINEAR)) for band in bands]
    return np.clip(np.round(np.stack(resized, axis=-1)), 0, 255).astype(np.uint8)
