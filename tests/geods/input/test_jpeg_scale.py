"""Large photographs at 1/2, 1/4 or 1/8: like whole ones, alike by all decoders."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from geods.input import jpeg_scale, tf_decoder, threaded_decoder

HEIGHT_PX, WIDTH_PX = 30, 60


def drawn(height_px: int, width_px: int, mode: str = "RGB", **options) -> bytes:
    """A JPEG with the edges, slopes and noise of a photograph."""
    rng = np.random.default_rng(height_px)
    coarse = Image.fromarray(rng.integers(40, 200, (9, 17, 3), np.uint8)).resize((width_px, height_px), Image.BICUBIC)
    pixels = np.asarray(coarse) + rng.normal(0, 1, (height_px, width_px, 1))
    # A wall in the dark.
    pixels[:, width_px // 3 : width_px // 3 + width_px // 10] = 60
    buffer = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).convert(mode).save(buffer, "JPEG", quality=90, **options)
    return buffer.getvalue()


def turned_by(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def by_threads(content: bytes, library: threaded_decoder.Library, exact_pixels: bool = False) -> np.ndarray:
    decoder = threaded_decoder.ThreadedDecoder(HEIGHT_PX, WIDTH_PX, library, exact_pixels)
    pixels = decoder.decode_one(content)
    decoder.close()
    return pixels


in_graph = tf.function(
    lambda content: tf_decoder.decode_image(content, HEIGHT_PX, WIDTH_PX),
    input_signature=[tf.TensorSpec((), tf.string)],
)


def by_pillow(content: bytes, scale: int) -> np.ndarray:
    """Pillow's draft, resized without the padding of its last row and column."""
    image = Image.open(io.BytesIO(content))
    size = image.size
    _, (_, _, width, height) = image.draft(None, (size[0] // scale, size[1] // scale))
    bands = [band.convert("F") for band in image.convert("RGB").split()]
    box = (0, 0, width, height)
    resized = [np.asarray(band.resize((WIDTH_PX, HEIGHT_PX), Image.BILINEAR, box)) for band in bands]
    return np.stack(resized, axis=-1).round().clip(0, 255)


@pytest.mark.parametrize(
    ("size", "wanted", "number"),
    [
        ((300, 600), (150, 300), 1),
        ((600, 1200), (150, 300), 2),
        ((599, 1200), (150, 300), 1),
        ((3000, 4000), (300, 600), 2),
        ((2830, 5660), (300, 600), 4),
        ((6000, 12000), (300, 600), 8),
        ((8, 8), (1, 1), 1),
    ],
)
def test_the_result_is_at_least_twice_the_size_asked_for(size, wanted, number):
    assert jpeg_scale.denominator(*size, *wanted) == number
    assert 2 ** tf_decoder.halvings(tf.constant(size), tf.constant(wanted)).numpy() == number


@pytest.mark.parametrize("size", [(191, 383), (301, 610), (604, 1207), (191, 1000)])
@pytest.mark.parametrize(
    "kind", [{"subsampling": 0}, {"subsampling": 2}, {"progressive": True}, {"mode": "L"}, {"mode": "CMYK"}]
)
def test_all_decoders_give_the_same_pixels_close_to_those_of_the_whole(size, kind):
    content = drawn(*size, **kind)
    scale = jpeg_scale.denominator(*size, HEIGHT_PX, WIDTH_PX)
    assert scale > 1
    pixels = by_threads(content, "simplejpeg")
    np.testing.assert_array_equal(by_threads(content, "tensorflow"), pixels)
    np.testing.assert_array_equal(in_graph(content), pixels)
    assert np.abs(by_pillow(content, scale) - pixels).max() <= 1
    whole = by_threads(content, "simplejpeg", exact_pixels=True).astype(int)
    assert 0 < np.abs(whole - pixels).mean() <= 0.3


@pytest.mark.parametrize("value", range(2, 9))
def test_turned_photographs_are_the_upright_ones(value):
    size = (367, 733) if value < 5 else (733, 367)
    content = drawn(*size, exif=turned_by(value))
    pixels = by_threads(content, "simplejpeg")
    np.testing.assert_array_equal(in_graph(content), pixels)
    whole = by_threads(content, "simplejpeg", exact_pixels=True).astype(int)
    assert np.abs(whole - pixels).mean() <= 0.3


@pytest.mark.parametrize("size", [(30, 60), (60, 120), (119, 500), (45, 70)])
def test_smaller_photographs_are_decoded_whole(size):
    content = drawn(*size)
    resized = tf.image.resize(np.asarray(Image.open(io.BytesIO(content))), (HEIGHT_PX, WIDTH_PX), antialias=True)
    expected = tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)
    for pixels in (by_threads(content, "simplejpeg"), by_threads(content, "tensorflow"), in_graph(content)):
        np.testing.assert_array_equal(pixels, expected)
