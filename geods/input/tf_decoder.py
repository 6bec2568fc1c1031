"""JPEG bytes to uint8 pixels inside tf.data, identical to Pillow's."""

import tensorflow as tf


def decode_image(content: tf.Tensor, height_px: int, width_px: int) -> tf.Tensor:
    """Decodes one JPEG and resizes it where its size differs.

    INTEGER_ACCURATE gives Pillow's pixels exactly; TensorFlow's default is a faster transform that is off by up to 8
    levels (tensorflow/tensorflow#11623).

    Args:
        content: Scalar string, the bytes of a JPEG.
        height_px: Height of the result.
        width_px: Width of the result.

    Returns:
        uint8 `[height_px, width_px, 3]`, RGB.
    """
    pixels = tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_ACCURATE")
    shape = tf.shape(pixels)
    same = tf.logical_and(tf.equal(shape[0], height_px), tf.equal(shape[1], width_px))
    resized = tf.cond(same, lambda: pixels, lambda: _resize(pixels, height_px, width_px))
    return tf.ensure_shape(resized, (height_px, width_px, 3))


def decode_views(contents: tf.Tensor, views: int, height_px: int, width_px: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes the views of one location and pads them with black ones.

    Args:
        contents: String `[v]`, JPEGs; v is at most `views`.
        views: Number of views of the result.
        height_px: Height of the result.
        width_px: Width of the result.

    Returns:
        uint8 `[views, height_px, width_px, 3]` and bool `[views]`, true where there is a view.
    """
    pixels = tf.map_fn(
        lambda content: decode_image(content, height_px, width_px),
        contents,
        fn_output_signature=tf.TensorSpec((height_px, width_px, 3), tf.uint8),
    )
    missing = views - tf.shape(contents)[0]
    padded = tf.pad(pixels, [[0, missing], [0, 0], [0, 0], [0, 0]])
    mask = tf.sequence_mask(tf.shape(contents)[0], views)
    return tf.ensure_shape(padded, (views, height_px, width_px, 3)), mask


def _resize(pixels: tf.Tensor, height_px: int, width_px: int) -> tf.Tensor:
    """Resizes uint8 `[h, w, 3]` with a triangle filter that averages when it shrinks.

    Where nothing shrinks, the filter without averaging is the same one and takes a third of the time.
    """
    shape = tf.shape(pixels)
    shrinks = tf.logical_or(shape[0] > height_px, shape[1] > width_px)
    resized = tf.cond(
        shrinks,
        lambda: tf.image.resize(pixels, (height_px, width_px), method="bilinear", antialias=True),
        lambda: tf.image.resize(pixels, (height_px, width_px), method="bilinear"),
    )
    return tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)
