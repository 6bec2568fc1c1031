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
    ],
)
@pytest.mark.parametrize("orientation", [1, 6])
def test_pixels_are_those_of_tensorflow(size, to, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    levels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    target = io.BytesIO()
    Image.fromarray(levels).save(target, "JPEG", exif=exif)
    pixels = pillow_decoder.decode_image(target.getvalue(), *to)
    np.testing.assert_array_equal(pixels, tf_decoder.decode_image(target.getvalue(), *to))
    assert pixels.flags.c_contiguous
