"""JPEG bytes to upright uint8 pixels inside tf.data, identical to Pillow's.

Pillow's pixels are those after ImageOps.exif_transpose.
"""

import functools

import tensorflow as tf

from geods.input import jpeg_scale
from geods.tree import orientation

# No tensor: one made here would start TensorFlow before trainers/training/devices.py can divide the CPU.
_EXIF = tuple(b"Exif\0\0")
_ENTRY_BYTES = 12


def decode_stored(content: tf.Tensor, scale: int = 1) -> tf.Tensor:
    """Decodes a JPEG as it is stored, made smaller by 1, 2, 4 or 8.

    INTEGER_ACCURATE gives Pillow's pixels exactly; TensorFlow's default is a faster transform that is off by up to 8
    levels (tensorflow/tensorflow#11623).
    """
    return tf.io.decode_jpeg(content, channels=3, ratio=scale, dct_method="INTEGER_ACCURATE")


def decode_image(content: tf.Tensor, height_px: int, width_px: int, exact_pixels: bool = False) -> tf.Tensor:
    """Decodes a JPEG, turns it upright by its EXIF, resizes it if its size differs.

    Args:
        content: Scalar string, the bytes of a JPEG.
        height_px: Height of the result.
        width_px: Width of the result.
        exact_pixels: Whether photographs of at least four times the size are decoded whole (geods/input/jpeg_scale.py).

    Returns:
        uint8 `[height_px, width_px, 3]`, RGB.
    """
    value = orientation_of(content)

    def whole() -> tf.Tensor:
        stored = decode_stored(content)
        pixels = tf.cond(value > orientation.UPRIGHT, lambda: _turned(stored, value), lambda: stored)
        shape = tf.shape(pixels)
        same = tf.logical_and(tf.equal(shape[0], height_px), tf.equal(shape[1], width_px))
        return tf.cond(same, lambda: pixels, lambda: resize(pixels, height_px, width_px, shape[0], shape[1]))

    if exact_pixels:
        return tf.ensure_shape(whole(), (height_px, width_px, 3))
    size = (height_px, width_px)
    wanted = tf.where(tf.reduce_any(value == orientation.TRANSPOSED), size[::-1], size)
    stored = tf.io.extract_jpeg_shape(content)[:2]
    times = halvings(stored, wanted)
    pixels = tf.cond(times > 0, lambda: _turned(_reduced(content, stored, wanted, times), value), whole)
    return tf.ensure_shape(pixels, (height_px, width_px, 3))


def halvings(stored: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
    """Returns the logarithm to base 2 of `jpeg_scale.denominator`, of sizes `[2]`."""
    least = [[jpeg_scale.SPARE * number] for number in jpeg_scale.DENOMINATORS] * wanted
    fits = tf.reduce_all(stored >= tf.maximum(least, jpeg_scale.LEAST_PX), axis=1)
    return tf.reduce_sum(tf.cast(fits, tf.int32))


def _reduced(content: tf.Tensor, stored: tf.Tensor, wanted: tf.Tensor, times: tf.Tensor) -> tf.Tensor:
    """Decodes a JPEG made smaller, and resizes it; sizes `[2]` are as it is stored."""
    scales = sorted(jpeg_scale.DENOMINATORS)
    pixels = tf.switch_case(times - 1, [functools.partial(decode_stored, content, scale) for scale in scales])
    extent = tf.cast(stored, tf.float32) / tf.cast(2**times, tf.float32)
    return resize(pixels, wanted[0], wanted[1], extent[0], extent[1])


def decode_views(
    contents: tf.Tensor, views: int, height_px: int, width_px: int, exact_pixels: bool = False
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes the views of one location and pads them with black ones.

    Args:
        contents: String `[v]`, JPEGs; v is at most `views`.
        views: Number of views of the result.
        height_px: Height of the result.
        width_px: Width of the result.
        exact_pixels: As `decode_image` takes it.

    Returns:
        uint8 `[views, height_px, width_px, 3]` and bool `[views]`, true where there is a view.
    """
    pixels = tf.map_fn(
        lambda content: decode_image(content, height_px, width_px, exact_pixels),
        contents,
        fn_output_signature=tf.TensorSpec((height_px, width_px, 3), tf.uint8),
    )
    missing = views - tf.shape(contents)[0]
    padded = tf.pad(pixels, [[0, missing], [0, 0], [0, 0], [0, 0]])
    mask = tf.sequence_mask(tf.shape(contents)[0], views)
    return tf.ensure_shape(padded, (views, height_px, width_px, 3)), mask


def orientation_of(content: tf.Tensor) -> tf.Tensor:
    """Returns the EXIF orientation, int32, as a graph without Python.

    It gives what `geods.tree.orientation.orientation_of` gives.

    Args:
        content: Scalar string, the bytes of a JPEG.
    """
    size = tf.strings.length(content)

    def is_left(at: tf.Tensor, tiff: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
        """Returns whether another segment is to be looked at."""
        del tiff, end
        return tf.logical_and(at > 0, at + orientation.SEGMENT_HEAD_BYTES <= size)

    def step(at: tf.Tensor, tiff: tf.Tensor, end: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Looks at one segment; position 0 ends the walk."""
        head = tf.io.decode_raw(tf.strings.substr(content, at, orientation.SEGMENT_HEAD_BYTES), tf.uint8)
        values = tf.cast(head[:4], tf.int32)
        marker, after = values[1], at + 2 + values[2] * 256 + values[3]
        is_fill = marker == 0xFF
        goes_on = (values[0] == 0xFF) & (is_fill | ((marker >= 0xE0) & (marker <= 0xEF)) | (marker == 0xFE))
        is_exif = goes_on & (marker == 0xE1) & tf.reduce_all(head[4:] == _EXIF)
        following = tf.where(goes_on & ~is_exif, tf.where(is_fill, at + 1, after), 0)
        return following, tf.where(is_exif, at + orientation.SEGMENT_HEAD_BYTES, tiff), tf.where(is_exif, after, end)

    _, tiff, end = tf.while_loop(is_left, step, [tf.constant(2), tf.constant(0), tf.constant(0)])
    return tf.cond(
        tiff > 0,
        lambda: _of_tiff(tf.io.decode_raw(tf.strings.substr(content, tiff, tf.maximum(end - tiff, 0)), tf.uint8)),
        lambda: orientation.UPRIGHT,
    )


def _of_tiff(tiff: tf.Tensor) -> tf.Tensor:
    """Returns the orientation in the first directory of a TIFF, uint8 `[n]`."""
    padded = tf.pad(tiff, [[0, 8]])
    is_little = padded[0] == ord("I")
    known = (padded[0] == padded[1]) & (is_little | (padded[0] == ord("M"))) & (tf.size(tiff) >= 8)

    def number(parts: tf.Tensor) -> tf.Tensor:
        """Returns unsigned numbers `[...]` of bytes `[..., 2 or 4]`."""
        wide = tf.cast(parts, tf.int64)
        ordered = tf.cond(is_little, lambda: tf.reverse(wide, [-1]), lambda: wide)
        return tf.reduce_sum(ordered * [256**power for power in reversed(range(parts.shape[-1]))], axis=-1)

    start = number(tf.ensure_shape(padded[4:8], (4,)))
    known &= start + 2 <= tf.size(tiff, tf.int64)
    start = tf.where(known, start, 0)
    count = tf.minimum(
        number(tf.ensure_shape(padded[start : start + 2], (2,))),
        tf.maximum(tf.size(tiff, tf.int64) - start - 2, 0) // _ENTRY_BYTES,
    )
    entries = tf.reshape(padded[start + 2 : start + 2 + count * _ENTRY_BYTES], (-1, _ENTRY_BYTES))
    kinds = number(entries[:, 2:4])
    chosen = (number(entries[:, :2]) == orientation.TAG) & ((kinds == 1) | (kinds == 3) | (kinds == 4))
    values = tf.where(kinds == 1, tf.cast(entries[:, 8], tf.int64), number(entries[:, 8:10]))
    values = tf.where(kinds == 4, number(entries[:, 8:12]), values)
    value = tf.concat([tf.boolean_mask(values, chosen), [orientation.UPRIGHT]], axis=0)[0]
    is_turn = known & (value > orientation.UPRIGHT) & (value <= 8)
    return tf.where(is_turn, tf.cast(value, tf.int32), orientation.UPRIGHT)


def _turned(stored: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    """Turns `[h, w, 3]` pixels as `orientation.turned` does."""
    is_transposed = tf.reduce_any(value == orientation.TRANSPOSED)
    pixels = tf.cond(is_transposed, lambda: tf.transpose(stored, (1, 0, 2)), lambda: stored)
    reversed_ = [tf.reduce_any(value == some) for some in (orientation.ROWS_REVERSED, orientation.COLUMNS_REVERSED)]
    return tf.raw_ops.Reverse(tensor=pixels, dims=tf.stack([*reversed_, tf.constant(False)]))


def resize(
    pixels: tf.Tensor,
    height_px: int | tf.Tensor,
    width_px: int | tf.Tensor,
    rows: float | tf.Tensor,
    columns: float | tf.Tensor,
) -> tf.Tensor:
    """Resizes uint8 `[h, w, 3]` by a triangle filter that averages as it shrinks.

    Where nothing shrinks, the filter without averaging is the same one and takes a third of the time.

    Args:
        pixels: The image.
        height_px: Height of the result.
        width_px: Width of the result.
        rows: How many of its rows are image; the last row of an image made smaller by libjpeg may be so in part.
        columns: How many of its columns.
    """
    size = tf.stack([height_px, width_px])
    extent = tf.cast(tf.stack([rows, columns]), tf.float32)
    shape = tf.shape(pixels)
    shrinks = tf.reduce_any(shape[:2] > size)
    # What tf.image.resize does, but for the extent.
    resized = tf.cond(
        shrinks,
        lambda: tf.raw_ops.ScaleAndTranslate(
            images=pixels[tf.newaxis],
            size=size,
            scale=tf.cast(size, tf.float32) / extent,
            translation=tf.zeros(2),
            kernel_type="triangle",
            antialias=True,
        )[0],
        lambda: tf.image.resize(pixels, size, method="bilinear"),
    )
    return tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)
