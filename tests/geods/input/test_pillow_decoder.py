"""Pixels without TensorFlow are those of TensorFlow."""

import io

import numpy as np
import pytest
from PIL import Image

from geods.input import pillow_decoder, tf_decoder


@pytest.mark.parametrize(
    ("size", "to"),
    [
        ((32, 48), (32, 48)),
        ((40, 60), (32, 48)),
        ((301, 517), (200, 400)),
        ((20, 30), (32, 48)),
        ((87, 31), (32, 48)),
        ((300, 400), (3, 600)),
        ((5, 7), (3, 3)),
        ((203, 301), (20, 30)),
        ((130, 259), (7, 11)),
    ],
)
@pytest.mark.parametrize("orientation", [1, 6])
def test_pixels_are_those_of_tensorflow(size, to, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    levels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    target = io.BytesIO()
    Image.fromarray(levels).save(target, "JPEG", exif=exif)
    for exact_pixels in (False, True):
        pixels = pillow_decoder.decode_image(target.getvalue(), *to, exact_pixels)
        np.testing.assert_array_equal(pixels, tf_decoder.decode_image(target.getvalue(), *to, exact_pixels))
    assert pixels.flags.c_contiguous
