"""From a dataset or an imagery tree to tf.data batches of uint8 images.

Images are decoded in parallel, and batches prefetched.

builder = dataset_reader.open_builder("data")
for batch in pipeline.batches(builder, "train", pipeline.PipelineOptions(height_px=200, width_px=400)):
    batch["image"]  # uint8 [b, v, 200, 400, 3]
"""

import dataclasses
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from geods import errors
from geods.dataset import dataset_reader, records
from geods.input import data_service, tf_decoder
from geods.tree import imagery_tree, jpeg

# Few, so that the images of a last batch are not parsed long before they are decoded.
_RECORDS_AT_ONCE = 16


@dataclasses.dataclass(frozen=True)
class PipelineOptions:
    """How images are batched.

    Attributes:
        height_px: Height the images are resized to.
        width_px: Width the images are resized to.
        batch_size: Locations (or views) a batch.
        views: "all": one row a location with all its views; "single": one row a view.
        shuffle: Whether to shuffle before decoding; the bytes wait in the buffer, not the pixels.
        seed: Repeats the order.
        deterministic: Whether batches come in the same order every time; without it, the fastest comes first.
        repeat: Whether to start again at the end, for ever.
        drop_remainder: Whether to leave out a last batch that is not full.
        skip: Rows (views or locations) to leave out at the start; they are not decoded.
        service: host:port of a tf.data service whose workers decode, "" to decode here; batches that are not full come
            where a worker is done, and the order is another every time.
    """

    height_px: int = 300
    width_px: int = 600
    batch_size: int = 64
    views: Literal["single", "all"] = "all"
    shuffle: bool = False
    seed: int = 0
    deterministic: bool = True
    repeat: bool = False
    drop_remainder: bool = False
    skip: int = 0
    service: str = ""

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If a number is below 1, or `views` is neither "single" nor "all".
        """
        for name in ("height_px", "width_px", "batch_size"):
            if getattr(self, name) < 1:
                raise errors.OptionError(f"{name}={getattr(self, name)}: must be at least 1.", "give a larger number")
        if self.views not in ("single", "all"):
            raise errors.OptionError(f"views={self.views!r}: is not single or all.", "choose one of the two")


_ROW_OF_TREE = {
    "location_id": tf.TensorSpec((), tf.string),
    "coords": tf.TensorSpec((2,), tf.float64),
    "path": tf.TensorSpec((None,), tf.string),
    "heading": tf.TensorSpec((None,), tf.float32),
}


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
    if serialized is None:
        at_once = data_service.READ_AT_ONCE if options.service else 0
        serialized = records.read(builder, split, options.shuffle, options.seed, at_once=at_once)
    if options.views == "single":
        rows = _single_views(serialized, options)
    else:
        examples = _repeated(serialized.skip(options.skip), options)
        parsed = examples.map(records.parse_one, num_parallel_calls=tf.data.AUTOTUNE)
        rows = _all_views(parsed, dataset_reader.most_views(builder, split), options)
    if options.service:
        rows = data_service.distributed(rows, options.service)
    return _prefetched(rows, then)


def encoded_batches(builder: tfds.core.DatasetBuilder, split: str, options: PipelineOptions) -> tf.data.Dataset:
    """Reads a split as `batches` does with views="single", without decoding.

    `image` is the bytes of JPEGs, strings `[b]`.

    Args:
        builder: From `open_builder`.
        split: Split, or part of one as TFDS writes it.
        options: How to batch; sizes and `views` do not count.

    Raises:
        DatasetError: If there is no such split.
    """
    rows = _views(records.read(builder, split, options.shuffle, options.seed), options)
    return rows.batch(options.batch_size, drop_remainder=options.drop_remainder).prefetch(2)


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
    if not locations:
        raise errors.TreeError("there is no location to read.", "name a folder that holds an imagery tree")
    counts = [len(location.views) for location in locations]
    if facts is None:
        facts = jpeg.checked((view.path for location in locations for view in location.views), count=sum(counts))
    bad, turned, panoramas = [], 0, 0
    for fact in facts:
        turned += fact.is_turned
        panoramas += fact.is_panorama
        if fact.problem:
            bad.append(fact)
    jpeg.check_none_bad(bad, sum(counts), locations[0].views[0].path.parent, "replace or delete them")
    for line in jpeg.turned_line(turned) + jpeg.panorama_line(panoramas):
        print(line, file=sys.stderr)
    examples = tf.data.Dataset.from_generator(lambda: map(_row_of, locations), output_signature=_ROW_OF_TREE)
    examples = examples.apply(tf.data.experimental.assert_cardinality(len(locations)))
    if options.shuffle:
        examples = examples.shuffle(records.SHUFFLE_LOCATIONS, seed=options.seed)
    examples = examples.map(_read_files, num_parallel_calls=tf.data.AUTOTUNE)
    rows = _repeated(examples.skip(options.skip), options)
    return _prefetched(_all_views(rows, max(counts), options), None)


def _row_of(place: imagery_tree.Location) -> dict[str, Any]:
    """Returns the columns of a location, one at a time, as a million take 1 GB."""
    headings = [np.nan if view.heading_deg is None else view.heading_deg for view in place.views]
    return {
        "location_id": place.location_id,
        "coords": np.array([place.lat_deg, place.lon_deg]),
        "path": [str(view.path) for view in place.views],
        "heading": np.array(headings, np.float32),
    }


def _read_files(row: dict[str, Any]) -> dict[str, Any]:
    """Reads a location's images into the form of a dataset's example."""
    content = tf.map_fn(tf.io.read_file, row["path"])
    views = {"image": content, "heading": row["heading"]}
    return {"location_id": row["location_id"], "coords": row["coords"], "views": views}


def _single_views(serialized: tf.data.Dataset, options: PipelineOptions) -> tf.data.Dataset:
    """Parses records, decodes and batches their views."""
    rows = _views(serialized, options)
    rows = rows.map(lambda row: _decode_single(row, options), num_parallel_calls=tf.data.AUTOTUNE)
    return _batched(rows, options)


def _all_views(examples: tf.data.Dataset, most_views: int, options: PipelineOptions) -> tf.data.Dataset:
    """Decodes and batches locations."""
    rows = examples.map(lambda row: _decode_all(row, most_views, options), num_parallel_calls=tf.data.AUTOTUNE)
    return _batched(rows, options)


def _batched(rows: tf.data.Dataset, options: PipelineOptions) -> tf.data.Dataset:
    """Batches rows, in their order if that is asked for."""
    settings = tf.data.Options()
    settings.deterministic = options.deterministic
    return rows.batch(options.batch_size, drop_remainder=options.drop_remainder).with_options(settings)


def _prefetched(rows: tf.data.Dataset, then: Callable[[dict[str, tf.Tensor]], Any] | None) -> tf.data.Dataset:
    """Applies `then` to the batches and prefetches them, onto a GPU if there is one."""
    if then is not None:
        rows = rows.map(then, num_parallel_calls=tf.data.AUTOTUNE)
    holds_text = any(spec.dtype == tf.string for spec in tf.nest.flatten(rows.element_spec))
    if tf.config.get_visible_devices("GPU") and not holds_text and not tf.distribute.has_strategy():
        return rows.apply(tf.data.experimental.prefetch_to_device("/gpu:0"))
    return rows.prefetch(2)


def _views(serialized: tf.data.Dataset, options: PipelineOptions) -> tf.data.Dataset:
    """Returns a row for each view, with the columns of its location."""
    examples = serialized.batch(_RECORDS_AT_ONCE)
    rows = examples.map(records.parse_views, num_parallel_calls=tf.data.AUTOTUNE).unbatch()
    return _repeated(rows.skip(options.skip), options)


def _repeated(rows: tf.data.Dataset, options: PipelineOptions) -> tf.data.Dataset:
    """Begins again at the end, if that is wanted."""
    return rows.repeat() if options.repeat else rows


def _decode_single(row: dict[str, Any], options: PipelineOptions) -> dict[str, Any]:
    """Decodes the image of one view."""
    image = tf_decoder.decode_image(row["image"], options.height_px, options.width_px)
    return with_int32_cell({**row, "image": image})


def _decode_all(row: dict[str, Any], most_views: int, options: PipelineOptions) -> dict[str, Any]:
    """Decodes and pads the views of one location."""
    image, mask = tf_decoder.decode_views(row["views"]["image"], most_views, options.height_px, options.width_px)
    heading = row["views"]["heading"]
    padded = tf.ensure_shape(tf.pad(heading, [[0, most_views - tf.shape(heading)[0]]]), (most_views,))
    rest = {key: row[key] for key in row if key in ("location_id", "coords", "cell")}
    return with_int32_cell({**rest, "image": image, "view_mask": mask, "heading": padded})


def with_int32_cell(row: dict[str, Any]) -> dict[str, Any]:
    """Returns a row with its label as int32; TFDS keeps int64."""
    return {**row, "cell": tf.cast(row["cell"], tf.int32)} if "cell" in row else row
