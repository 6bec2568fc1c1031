"""Photographs stored turned: the same pixels as upright, from every decoder."""

import io
import struct

import drawn_trees
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from geods.input import nvimagecodec_decoder, tf_decoder, threaded_decoder
from geods.tree import orientation

in_graph = tf.function(tf_decoder.orientation_of, input_signature=[tf.TensorSpec((), tf.string)])


def stored(value: int, **options) -> bytes:
    """A drawn JPEG with an EXIF Orientation."""
    exif = Image.Exif()
    exif[0x0112] = value
    buffer = io.BytesIO()
    Image.open(io.BytesIO(drawn_trees.jpeg(3, 40, 64))).save(buffer, "JPEG", exif=exif, **options)
    return buffer.getvalue()


def by_tensorflow(content: bytes, height_px: int, width_px: int) -> np.ndarray:
    return tf_decoder.decode_image(tf.constant(content), height_px, width_px).numpy()


@pytest.mark.parametrize("value", range(1, 9))
def test_every_decoder_gives_the_pixels_that_a_viewer_shows(value):
    content = stored(value)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
    height_px, width_px = upright.shape[:2]
    as_stored = np.array(Image.open(io.BytesIO(content)))
    np.testing.assert_array_equal(by_tensorflow(content, height_px, width_px), upright)
    np.testing.assert_array_equal(orientation.turned(as_stored, value), upright)
    np.testing.assert_array_equal(orientation.turned(tf.constant(as_stored), value), upright)
    for size in ((height_px, width_px), (width_px, height_px)):
        slow = by_tensorflow(content, *size)
        for library in ("simplejpeg", "tensorflow"):
            threaded = threaded_decoder.ThreadedDecoder(*size, library)
            np.testing.assert_array_equal(threaded.decode_one(content), slow)
            threaded.close()
    gpu = nvimagecodec_decoder.GpuDecoder(
        height_px, width_px, lambda each: None, lambda contents: [tf.constant(as_stored) for _ in contents]
    )
    np.testing.assert_array_equal(np.asarray(gpu.submit([content]).result())[0], upright)
    gpu.close()


@pytest.mark.parametrize("options", [{}, {"comment": b"x" * 300}, {"icc_profile": b"p" * 400}])
def test_exif_is_found_behind_other_segments(options):
    content = stored(6, **options)
    jfif = b"\xff\xe0\x00\x10JFIF\0\1\1\0\0\1\0\1\0\0"
    for each in (content, content[:2] + jfif + content[2:], content[:2] + b"\xff\xff" + content[2:]):
        assert orientation.orientation_of(each) == in_graph(each).numpy() == 6


def tiff(order: str, entries: list[tuple[int, int, int]], count: int | None = None, start: int = 8) -> bytes:
    """A JPEG's head whose EXIF has these (tag, type, value) entries."""
    body = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", start) + bytes(max(0, start - 8))
    body += struct.pack(order + "H", len(entries) if count is None else count)
    for tag, kind, value in entries:
        packed = struct.pack(order + {1: "B", 3: "H"}.get(kind, "I"), value).ljust(4, b"\0")
        body += struct.pack(order + "HHI", tag, kind, 1) + packed
    return b"\xff\xd8\xff\xe1" + struct.pack(">H", len(body) + 8) + b"Exif\0\0" + body + b"\xff\xda" + bytes(30)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(
    ("entries", "options", "expected"),
    [
        ([(0x010F, 2, 0), (0x0112, 3, 8)], {}, 8),
        ([(0x0112, 4, 6)], {"start": 20}, 6),
        ([(0x0112, 1, 3)], {}, 3),
        ([(0x0112, 3, 0)], {}, 1),
        ([(0x0112, 3, 9)], {}, 1),
        ([(0x0112, 4, 65536 + 6)], {}, 1),
        ([(0x0112, 2, 6)], {}, 1),
        ([(0x0112, 3, 6), (0x0112, 3, 8)], {}, 6),
        ([(0x0112, 3, 6)], {"count": 900}, 6),
        ([(0x0112, 3, 6)], {"count": 0}, 1),
        ([], {}, 1),
    ],
)
def test_both_readers_agree_on_what_cameras_write(order, entries, options, expected):
    content = tiff(order, entries, **options)
    assert orientation.orientation_of(content) == in_graph(content).numpy() == expected


@given(st.binary(max_size=60), st.integers(0, 70), st.integers(0, 255), st.sampled_from("<>"))
def test_both_readers_agree_on_damage(noise, at, byte, order):
    content = bytearray(tiff(order, [(0x0112, 3, 6), (0x011A, 3, 1)]))
    content[min(at, len(content) - 1)] = byte
    for each in (bytes(content), bytes(content[:at]), b"\xff\xd8" + noise, bytes(content[:30]) + noise):
        assert orientation.orientation_of(each) == in_graph(each).numpy()
