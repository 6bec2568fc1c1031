"""tf.data batches of uint8 images from a dataset or an imagery tree.

builder = dataset_reader.open_builder("data")
for batch in pipeline.batches(builder, "train", pipeline.PipelineOptions(height_px=200, width_px=400)):
    batch["image"]  # uint8 [b, v, 200, 400, 3]
"""

import functools
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
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
    """Reads a split's shards, decodes in parallel, batches and prefetches.

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
    encoded = encoded_batches.of_dataset(builder, split, options)
    rows = _decoded(encoded) if serialized is None else _decoded_in_order(encoded, serialized)
    return _prefetched(rows, then)


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
    encoded = encoded_batches.of_tree(locations, options)
    return _prefetched(_decoded(encoded, threaded_decoder.read_file), None)


# Batches that are decoded at once: the threads take up the next one while the last images of one are decoded.
_DECODED_AT_ONCE = 2


def _decoded(encoded: encoded_batches.EncodedBatches, read: Callable[[bytes], bytes] | None = None) -> tf.data.Dataset:
    """Returns decoded batches, each by one call of Python.

    Such a dataset starts an epoch in 6 ms of the processor, `from_generator` with a `map` in 28: TensorFlow looks
    through its kernels for each input and output of each function, each time. The state of the scan is the epoch.
    """
    columns = _decoded_columns(encoded)
    source = _OpenBatches(encoded, encoded.options.decoder(read))

    def step(epoch: tf.Tensor, number: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        types = [tf.int64, *(spec.dtype for spec in columns.values())]
        following, *values = tf.numpy_function(source.batch, [epoch, number], types)
        following.set_shape(())
        for value, spec in zip(values, columns.values(), strict=True):
            value.set_shape(spec.shape)
        return following, dict(zip(columns, values, strict=True))

    endless = encoded.count in (None, int(tf.data.INFINITE_CARDINALITY))
    rows = tf.data.Dataset.range(tf.int64.max if endless else encoded.count).scan(np.int64(_NEW_EPOCH), step)
    if encoded.count is None:
        return rows.take_while(lambda row: ~tf.math.is_inf(row["heading"][0]))
    return rows.apply(tf.data.experimental.assert_cardinality(encoded.count)) if endless else rows


_NEW_EPOCH = -1
# Each may hold three batches.
_MOST_OPEN = 2


class _OpenBatches:
    """Decoded batches by epoch and number, which need not be asked for in turn.

    Loops over a dataset may be left at any batch, and several may run at once. What they left is kept for the batch
    that follows; where it was dropped for others, the epoch is read again up to there.
    """

    def __init__(self, encoded: encoded_batches.EncodedBatches, decoder: threaded_decoder.ThreadedDecoder) -> None:
        self._encoded, self._decoder, self._epochs = encoded, decoder, itertools.count()
        self._open: dict[tuple[int, int], Iterator[dict[str, np.ndarray]]] = {}
        self._lock = threading.Lock()

    def batch(self, epoch: int, number: int) -> list[Any]:
        """Returns the epoch, a new one for _NEW_EPOCH, and the columns of a batch.

        Behind the last one the heading is infinite.
        """
        epoch = next(self._epochs) if epoch == _NEW_EPOCH else int(epoch)
        with self._lock:
            left = self._open.pop((epoch, number), None)
        batches = self._decoder.ahead(self._encoded.epoch(epoch, number)) if left is None else left
        found = next(batches, None)
        if found is None:
            return [np.int64(epoch), *map(self._behind_last, _decoded_columns(self._encoded).values())]
        if number + 1 != self._encoded.count:
            with self._lock:
                self._open[epoch, number + 1] = batches
                for key in list(self._open)[:-_MOST_OPEN]:
                    del self._open[key]
        return [np.int64(epoch), *found.values()]

    def _behind_last(self, spec: tf.TensorSpec) -> np.ndarray:
        shape = [1 if size is None else size for size in spec.shape]
        if spec.dtype == tf.uint8:
            return self._decoder.undefined(shape)
        value = b"" if spec.dtype == tf.string else np.inf if spec.dtype.is_floating else -1
        return np.full(shape, value, spec.dtype.as_numpy_dtype)


def _decoded_in_order(encoded: encoded_batches.EncodedBatches, serialized: tf.data.Dataset) -> tf.data.Dataset:
    """Returns decoded batches of records that come in an order of their own.

    TensorFlow batches them, because a strategy of tf.distribute looks for that.
    """
    options, views = encoded.options, encoded.views
    decoder = options.decoder()
    parsed = encoded_batches.columns(None, views)

    def parse(serialized: np.ndarray) -> list[np.ndarray]:
        return list(encoded_batches.parse(serialized.tolist(), views).values())

    def parse_and_decode(serialized: np.ndarray) -> list[np.ndarray]:
        batch = encoded_batches.parse(serialized.tolist(), views)
        return list({**batch, "image": decoder.decode(batch["image"])}.values())

    if views is not None:
        rows = _repeated(serialized.skip(options.skip), options).batch(options.batch_size, options.drop_remainder)
        return _with_order(rows.map(_called(parse_and_decode, _decoded_columns(encoded)), _DECODED_AT_ONCE), options)
    rows = serialized.batch(_RECORDS_AT_ONCE).map(_called(parse, parsed), _DECODED_AT_ONCE)
    if options.skip:
        rows = rows.unbatch().skip(options.skip).batch(_RECORDS_AT_ONCE)
    rows = _repeated(rows, options).rebatch(options.batch_size, drop_remainder=options.drop_remainder)
    pixels = _decoded_columns(encoded)["image"]

    def decode(row: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        image = tf.numpy_function(decoder.decode, [row["image"]], tf.uint8)
        return {**row, "image": tf.ensure_shape(image, pixels.shape)}

    return _with_order(rows.map(decode, _DECODED_AT_ONCE), options)


def _decoded_columns(encoded: encoded_batches.EncodedBatches) -> dict[str, tf.TensorSpec]:
    """Returns the types of batches once their images are decoded."""
    pixels = (encoded.options.height_px, encoded.options.width_px, 3)
    shape = (*encoded.columns["image"].shape, *pixels)
    return {**encoded.columns, "image": tf.TensorSpec(shape, tf.uint8)}


def _called(
    function: Callable[[np.ndarray], list[np.ndarray]], columns: dict[str, tf.TensorSpec]
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Returns a graph's call of a function from records to columns."""

    def call(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        values = tf.numpy_function(function, [serialized], [spec.dtype for spec in columns.values()])
        return {name: tf.ensure_shape(value, columns[name].shape) for name, value in zip(columns, values, strict=True)}

    return call


def _with_order(rows: tf.data.Dataset, options: PipelineOptions) -> tf.data.Dataset:
    """Returns batches that come in their order, if that is asked for."""
    settings = tf.data.Options()
    settings.deterministic = options.deterministic
    return rows.with_options(settings)


def _repeated(rows: tf.data.Dataset, options: PipelineOptions) -> tf.data.Dataset:
    return rows.repeat() if options.repeat else rows


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
    rows = _repeated(rows, options).map(decode, num_parallel_calls=tf.data.AUTOTUNE)
    return _with_order(rows.batch(options.batch_size, drop_remainder=options.drop_remainder), options)


def _prefetched(rows: tf.data.Dataset, then: Callable[[dict[str, tf.Tensor]], Any] | None) -> tf.data.Dataset:
    """Applies `then` to the batches and prefetches them, onto a GPU if there is one."""
    if then is not None:
        rows = rows.map(then, num_parallel_calls=tf.data.AUTOTUNE)
    rows = without_tuning(rows)
    holds_text = any(spec.dtype == tf.string for spec in tf.nest.flatten(rows.element_spec))
    if tf.config.get_visible_devices("GPU") and not holds_text and not tf.distribute.has_strategy():
        return rows.apply(tf.data.experimental.prefetch_to_device("/gpu:0"))
    return rows.prefetch(2)


def without_tuning(rows: tf.data.Dataset) -> tf.data.Dataset:
    """Returns batches whose loops end with the last one.

    With TensorFlow's autotuning, a loop ends when the thread that tunes wakes up, which sleeps twice as long each time:
    a pass of 0.7 s took 1.3 s, one of 6 s took 10 s (findings/tfdata_loop_ends_at_tuners_wake.sh).
    """
    settings = tf.data.Options()
    settings.autotune.enabled = False
    return rows.with_options(settings)


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
