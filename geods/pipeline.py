"""From a built dataset or an imagery tree to tf.data batches of uint8 images, decoded in parallel and prefetched.

builder = pipeline.open_builder("data")
for batch in pipeline.batches(builder, "train", pipeline.PipelineOptions(height_px=200, width_px=400)):
    batch["image"]  # uint8 [b, v, 200, 400, 3]
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from geods import decoding, errors, images, partition, tree

_NAME = "geods"
_SHUFFLE_LOCATIONS = 4096


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


@dataclasses.dataclass(frozen=True, eq=False)
class Index:
    """What a split holds besides its images, in the order of the dataset.

    Attributes:
        location_ids: `[n]` text.
        coords: `[n, 2]` float64 degrees, (lat, lon).
        cells: `[n]` int32, in the dataset's own partition.
        views: `[n]` int64, how many views each location has.
        headings: `[rows]` float32 degrees, NaN where not known; the views of location 0 first.
        dates: `[rows]` text, "YYYY-MM" or "".
    """

    location_ids: np.ndarray
    coords: np.ndarray
    cells: np.ndarray
    views: np.ndarray
    headings: np.ndarray
    dates: np.ndarray

    def __len__(self) -> int:
        """Returns the number of locations."""
        return len(self.location_ids)


def open_builder(data_dir: str | os.PathLike[str], config: str = "blocked") -> tfds.core.DatasetBuilder:
    """Opens a dataset that `tfds build geods` has made, without our builder's code.

    Raises:
        DatasetError: If it is not there; the message lists the configs that are.
    """
    root = pathlib.Path(data_dir, _NAME)
    versions = sorted((root / config).glob("*/dataset_info.json"))
    if not versions:
        there = sorted({path.parent.parent.name for path in root.glob("*/*/dataset_info.json")})
        problem = f"{root / config}: no dataset there; configs built: {', '.join(there) or 'none'}."
        raise errors.DatasetError(
            problem, f"tfds build geods --config={config} --manual_dir=TREE --data_dir={data_dir}"
        )
    return tfds.builder_from_directory(versions[-1].parent)


def partition_of(builder: tfds.core.DatasetBuilder) -> partition.Partition:
    """Returns the partition a dataset was labelled with."""
    return partition.Partition.from_geojson(json.dumps(_metadata(builder)["partition"]))


def fingerprint_of(builder: tfds.core.DatasetBuilder) -> str:
    """Returns a text that changes whenever the dataset's images or their order may have changed."""
    return f"{builder.info.full_name} {_metadata(builder)['source_fingerprint']}"


def require_split(builder: tfds.core.DatasetBuilder, split: str) -> None:
    """Refuses a split that a dataset does not have; parts such as "train[:10%]" are fine.

    Raises:
        DatasetError: If there is no such split.
    """
    if split.split("[")[0] not in builder.info.splits:
        problem = f"{builder.info.full_name}: has no split {split!r}; it has {', '.join(builder.info.splits)}."
        raise errors.DatasetError(problem, "choose one of those")


def index(builder: tfds.core.DatasetBuilder, split: str) -> Index:
    """Reads all of a split but its images.

    Raises:
        DatasetError: If there is no such split.
    """
    rows = list(_examples(builder, split, shuffle=False, seed=0).as_numpy_iterator())
    views = [row["views"] for row in rows]
    return Index(
        location_ids=np.array([row["location_id"].decode() for row in rows], dtype=np.str_),
        coords=np.array([row["coords"] for row in rows], dtype=np.float64).reshape(-1, 2),
        cells=np.array([row["cell"] for row in rows], dtype=np.int32),
        views=np.array([len(view["heading"]) for view in views], dtype=np.int64),
        headings=np.concatenate([view["heading"] for view in views] or [np.zeros(0, np.float32)]),
        dates=np.array([date.decode() for view in views for date in view["date"]], dtype=np.str_),
    )


def batches(builder: tfds.core.DatasetBuilder, split: str, options: PipelineOptions) -> tf.data.Dataset:
    """Reads a split's shards in parallel, decodes, and batches.

    Returns:
        A dataset of dicts: with views="all" `image` uint8 `[b, v, h, w, 3]`, `view_mask` bool `[b, v]` and `heading`
        float32 `[b, v]`, where v is the most views a location of the split has; with "single" `image` uint8
        `[b, h, w, 3]` and `heading` `[b]`. Both: `coords` float64 `[b, 2]`, `cell` int32 `[b]`, `location_id` text
        `[b]`.

    Raises:
        DatasetError: If there is no such split.
    """
    examples = _examples(builder, split, options.shuffle, options.seed)
    most_views = _most_views(builder, split) if options.views == "all" else 1
    return _batched(examples, most_views, options)


def tree_batches(locations: Sequence[tree.Location], options: PipelineOptions) -> tf.data.Dataset:
    """Reads the images of an imagery tree as `batches` does those of a dataset; there is no `cell`.

    Raises:
        TreeError: If there is no location.
        ImageError: If an image is not a whole JPEG; all are checked before the first batch.
    """
    if not locations:
        raise errors.TreeError("there is no location to read.", "name a folder that holds an imagery tree")
    paths = [view.path for place in locations for view in place.views]
    facts = images.check_files(paths)
    images.refuse_bad(facts, paths[0].parent, "replace or delete them")
    rows = {
        "location_id": [place.location_id for place in locations],
        "coords": tree.coords(locations),
        "path": tf.ragged.constant([[str(view.path) for view in place.views] for place in locations], dtype=tf.string),
        "heading": tf.ragged.constant(
            [[np.nan if v.heading_deg is None else v.heading_deg for v in place.views] for place in locations],
            dtype=tf.float32,
        ),
    }
    examples = tf.data.Dataset.from_tensor_slices(rows)
    if options.shuffle:
        examples = examples.shuffle(_SHUFFLE_LOCATIONS, seed=options.seed)
    most_views = max(len(place.views) for place in locations)
    return _batched(examples.map(_read_files, num_parallel_calls=tf.data.AUTOTUNE), most_views, options)


def _read_files(row: dict[str, Any]) -> dict[str, Any]:
    """Turns a location's paths into what a dataset's example holds."""
    content = tf.map_fn(tf.io.read_file, row["path"])
    views = {"image": content, "heading": row["heading"]}
    return {"location_id": row["location_id"], "coords": row["coords"], "views": views}


def _examples(builder: tfds.core.DatasetBuilder, split: str, shuffle: bool, seed: int) -> tf.data.Dataset:
    """Returns a split's locations with their JPEGs undecoded."""
    require_split(builder, split)
    config = tfds.ReadConfig(
        # A small dataset would be kept decoded in memory and a benchmark would measure that.
        try_autocache=False,
        shuffle_seed=seed,
        # Shards read side by side come in one order only if asked for.
        interleave_cycle_length=1 if not shuffle else 16,
        add_tfds_id=False,
        skip_prefetch=True,
    )
    decoders = {"views": {"image": tfds.decode.SkipDecoding()}}
    examples = builder.as_dataset(split=split, decoders=decoders, shuffle_files=shuffle, read_config=config)
    return examples.shuffle(_SHUFFLE_LOCATIONS, seed=seed) if shuffle else examples


def _most_views(builder: tfds.core.DatasetBuilder, split: str) -> int:
    """Returns the most views a location of the split has."""
    counts = _examples(builder, split, shuffle=False, seed=0).map(lambda row: tf.shape(row["views"]["heading"])[0])
    return int(counts.reduce(0, tf.maximum).numpy())


def _batched(examples: tf.data.Dataset, most_views: int, options: PipelineOptions) -> tf.data.Dataset:
    """Decodes, batches and prefetches examples."""
    if options.views == "single":
        rows = examples.flat_map(_one_row_a_view).skip(options.skip)
        rows = rows.map(lambda row: _decode_single(row, options), num_parallel_calls=tf.data.AUTOTUNE)
    else:
        rows = examples.skip(options.skip)
        rows = rows.map(lambda row: _decode_all(row, most_views, options), num_parallel_calls=tf.data.AUTOTUNE)
    if options.repeat:
        rows = rows.repeat()
    rows = rows.batch(options.batch_size, drop_remainder=options.drop_remainder)
    settings = tf.data.Options()
    settings.deterministic = options.deterministic
    rows = rows.with_options(settings)
    if tf.config.list_physical_devices("GPU"):
        return rows.apply(tf.data.experimental.prefetch_to_device("/gpu:0"))
    return rows.prefetch(2)


def _one_row_a_view(row: dict[str, Any]) -> tf.data.Dataset:
    """Returns a dataset of the views of one location, each with what belongs to the location."""
    views = tf.data.Dataset.from_tensor_slices({key: row["views"][key] for key in ("image", "heading")})
    rest = {key: row[key] for key in row if key in ("location_id", "coords", "cell")}
    return views.map(lambda view: {**rest, **view})


def _decode_single(row: dict[str, Any], options: PipelineOptions) -> dict[str, Any]:
    """Decodes the image of one view."""
    image = decoding.decode_image(row["image"], options.height_px, options.width_px)
    return _with_int32_cell({**row, "image": image})


def _decode_all(row: dict[str, Any], most_views: int, options: PipelineOptions) -> dict[str, Any]:
    """Decodes and pads the views of one location."""
    image, mask = decoding.decode_views(row["views"]["image"], most_views, options.height_px, options.width_px)
    heading = row["views"]["heading"]
    padded = tf.ensure_shape(tf.pad(heading, [[0, most_views - tf.shape(heading)[0]]]), (most_views,))
    rest = {key: row[key] for key in row if key in ("location_id", "coords", "cell")}
    return _with_int32_cell({**rest, "image": image, "view_mask": mask, "heading": padded})


def _with_int32_cell(row: dict[str, Any]) -> dict[str, Any]:
    """Casts the label, which TFDS keeps as int64."""
    return {**row, "cell": tf.cast(row["cell"], tf.int32)} if "cell" in row else row


def _metadata(builder: tfds.core.DatasetBuilder) -> dict[str, Any]:
    """Returns what our builder noted beside the shards.

    Raises:
        DatasetError: If it noted nothing, so that the dataset is not one of ours.
    """
    metadata = builder.info.metadata
    if not metadata or "partition" not in metadata:
        problem = f"{builder.data_path}: has no metadata.json of geods."
        raise errors.DatasetError(problem, "build it again: tfds build geods --overwrite --manual_dir=TREE")
    return dict(metadata)
