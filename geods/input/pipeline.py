"""From a dataset or an imagery tree to tf.data batches of uint8 images.

Images are decoded in parallel, and batches prefetched.

builder = dataset_reader.open_builder("data")
for batch in pipeline.batches(builder, "train", pipeline.PipelineOptions(height_px=200, width_px=400)):
    batch["image"]  # uint8 [b, v, 200, 400, 3]
"""

import functools
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from geods.dataset import dataset_reader, records
from geods.input import data_service, encoded_batches, pipeline_options, tf_decoder, threaded_decoder
from geods.tree import imagery_tree, jpeg

# Few, so that the images of a last batch are not parsed long before they are decoded.
_RECORDS_AT_ONCE = 16


PipelineOptions = pipeline_options.PipelineOptions


def batches(
    builder: tfds.core.DatasetBuilder,
    split: str,
    options: PipelineOptions,
    then: Callable[[dict[str, tf.Tensor]], Any] | None = None,
    serialized: tf.data.Dataset | None = None,
) -> tf.data.Dataset:
    """Reads a split's shards in parallel, decodes, batches and prefetches.

    Batches go onto the GPU, where there is one, if they hold no text: a GPU holds numbers only. Under a strategy of
    tf.distribute they stay on the CPU, from where it hands each device its share.

    Args:
        builder: From `open_builder`.
        split: Split, or part of one as TFDS writes it.
        options: How to batch.
        then: Applied to each batch before it is prefetched, such as to leave out the text.
        serialized: The split's records in an order of their own, such as `dataset_reader.epochs`; else
            they are shuffled as `options` say.

    Returns:
        A dataset of dicts: with views="all" `image` uint8 `[b, v, h, w, 3]`, `view_mask` bool `[b, v]` and `heading`
        float32 `[b, v]`, where v is the most views a location of the split has; with "single" `image` uint8
        `[b, h, w, 3]` and `heading` `[b]`. Both: `coords` float64 `[b, 2]`, `cell` int32 `[b]`, `location_id` text
        `[b]`.

    Raises:
        DatasetError: If there is no such split.
    """
    if options.service:
        return _prefetched(data_service.distributed(_decoded_in_graph(builder, split, options), options.service), then)
    return _prefetched(_decoded(encoded_batches.read(builder, split, options, serialized), options), then)


def tree_batches(
    locations: Sequence[imagery_tree.Location],
    options: PipelineOptions,
    facts: Iterable[jpeg.ImageFacts] | None = None,
) -> tf.data.Dataset:
    """Reads the images of a tree as `batches` does a dataset's; without `cell`.

    Args:
        locations: Locations of a tree.
        options: How to batch.
        facts: What the check of all their images found; they are checked here if not given.

    Raises:
        TreeError: If there is no location.
        ImageError: If an image is not a whole JPEG; all are checked before the first batch.
    """
    jpeg.check_locations(locations, facts)
    most_views = max(len(location.views) for location in locations)
    rows = tf.data.Dataset.from_generator(
        lambda: (_row_of(place, most_views) for place in locations), output_signature=_columns_of_tree(most_views)
    ).apply(tf.data.experimental.assert_cardinality(len(locations)))
    if options.shuffle:
        rows = rows.shuffle(records.SHUFFLE_LOCATIONS, seed=options.seed)
    rows = rows.skip(options.skip)
    rows = (rows.repeat() if options.repeat else rows).batch(options.batch_size, options.drop_remainder)
    return _prefetched(_decoded(rows, options, threaded_decoder.read_file), None)


def _columns_of_tree(views: int) -> dict[str, tf.TensorSpec]:
    """Returns the types of a location; `image` are paths."""
    return {
        "location_id": tf.TensorSpec((), tf.string),
        "coords": tf.TensorSpec((2,), tf.float64),
        "image": tf.TensorSpec((views,), tf.string),
        "heading": tf.TensorSpec((views,), tf.float32),
        "view_mask": tf.TensorSpec((views,), tf.bool),
    }


def _row_of(place: imagery_tree.Location, most_views: int) -> dict[str, Any]:
    """Returns the columns of a location, one at a time, as a million take 1 GB."""
    missing = most_views - len(place.views)
    headings = [np.nan if view.heading_deg is None else view.heading_deg for view in place.views]
    return {
        "location_id": place.location_id,
        "coords": np.array([place.lat_deg, place.lon_deg]),
        "image": [*(os.fsencode(view.path) for view in place.views), *[b""] * missing],
        "heading": np.array(headings + [0.0] * missing, np.float32),
        "view_mask": np.arange(most_views) < len(place.views),
    }


# Batches that are decoded at once: the threads take up the next one while the last images of one are decoded.
_DECODED_AT_ONCE = 2


def _decoded(
    rows: tf.data.Dataset, options: PipelineOptions, read: Callable[[bytes], bytes] = bytes
) -> tf.data.Dataset:
    """Decodes batches whose `image` is JPEGs, or what `read` makes JPEGs of."""
    decoder = threaded_decoder.ThreadedDecoder(
        options.height_px, options.width_px, options.decode, options.exact_pixels, read
    )

    def decode(row: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        pixels = tf.numpy_function(decoder.decode, [row["image"]], tf.uint8)
        return {**row, "image": tf.ensure_shape(pixels, (*row["image"].shape, options.height_px, options.width_px, 3))}

    return _with_order(rows.map(decode, num_parallel_calls=_DECODED_AT_ONCE), options)


def _with_order(rows: tf.data.Dataset, options: PipelineOptions) -> tf.data.Dataset:
    """Returns batches that come in their order, if that is asked for."""
    settings = tf.data.Options()
    settings.deterministic = options.deterministic
    return rows.with_options(settings)


def _decoded_in_graph(builder: tfds.core.DatasetBuilder, split: str, options: PipelineOptions) -> tf.data.Dataset:
    """Reads and decodes by TensorFlow's operations, which other processes can run."""
    serialized = records.read(builder, split, options.shuffle, options.seed, at_once=data_service.READ_AT_ONCE)
    if options.views == "single":
        examples = serialized.batch(_RECORDS_AT_ONCE)
        rows = examples.map(records.parse_views, num_parallel_calls=tf.data.AUTOTUNE).unbatch()
        decode = functools.partial(_decode_single, options=options)
    else:
        rows = serialized.map(records.parse_one, num_parallel_calls=tf.data.AUTOTUNE)
        decode = functools.partial(_decode_all, most_views=dataset_reader.most_views(builder, split), options=options)
    rows = rows.skip(options.skip)
    rows = (rows.repeat() if options.repeat else rows).map(decode, num_parallel_calls=tf.data.AUTOTUNE)
    return _with_order(rows.batch(options.batch_size, drop_remainder=options.drop_remainder), options)


def _prefetched(rows: tf.data.Dataset, then: Callable[[dict[str, tf.Tensor]], Any] | None) -> tf.data.Dataset:
    """Applies `then` to the batches and prefetches them, onto a GPU if there is one."""
    if then is not None:
        rows = rows.map(then, num_parallel_calls=tf.data.AUTOTUNE)
    holds_text = any(spec.dtype == tf.string for spec in tf.nest.flatten(rows.element_spec))
    if tf.config.get_visible_devices("GPU") and not holds_text and not tf.distribute.has_strategy():
        return rows.apply(tf.data.experimental.prefetch_to_device("/gpu:0"))
    return rows.prefetch(2)


def _decode_single(row: dict[str, Any], options: PipelineOptions) -> dict[str, Any]:
    """Decodes the image of one view."""
    image = tf_decoder.decode_image(row["image"], options.height_px, options.width_px, options.exact_pixels)
    return _with_int32_cell({**row, "image": image})


def _decode_all(row: dict[str, Any], most_views: int, options: PipelineOptions) -> dict[str, Any]:
    """Decodes and pads the views of one location."""
    size_px = (options.height_px, options.width_px)
    image, mask = tf_decoder.decode_views(row["views"]["image"], most_views, *size_px, options.exact_pixels)
    heading = row["views"]["heading"]
    padded = tf.ensure_shape(tf.pad(heading, [[0, most_views - tf.shape(heading)[0]]]), (most_views,))
    rest = {key: row[key] for key in row if key in ("location_id", "coords", "cell")}
    return _with_int32_cell({**rest, "image": image, "view_mask": mask, "heading": padded})


def _with_int32_cell(row: dict[str, Any]) -> dict[str, Any]:
    """Returns a row with its label as int32; TFDS keeps int64."""
    return {**row, "cell": tf.cast(row["cell"], tf.int32)}
