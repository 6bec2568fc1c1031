"""Runs a frozen encoder once over all images of a dataset and keeps what it says; heads then train in seconds.

    python -m trainers.extract --data_dir=data --cache_dir=cache --backbone=resnet50 --pooling=avg

Costs, on 2 cores: about 12 images/s for ResNet50 at 300x600, 35 for MobileNetV2 at 200x400; 4 kB an image pooled in
float16 for ResNet50, 780 kB unpooled (--pooling=none). Shows a bar with rate, time left and bytes. Stop it at any time:
the same command goes on where it ended. Prints, for each split, rows, shape, bytes, seconds and folder.
"""

import dataclasses
import itertools
import shutil
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import tqdm

from geods import cli
from trainers import options

if TYPE_CHECKING:
    from model import backbones
    from trainers import cache_writer


def main(settings: options.ExtractOptions) -> None:
    """Extracts every split."""
    cli.import_quietly("tensorflow")
    import keras

    from geods import datasets
    from model import backbones

    keras.mixed_precision.set_dtype_policy(settings.precision)
    builder = datasets.open_builder(settings.data_dir, settings.config)
    for split in settings.splits:
        datasets.require_split(builder, split)
    spec = spec_of(settings)
    backbone = backbones.build(spec)
    for split, variant in itertools.product(settings.splits, range(settings.variants + 1)):
        _extract_split(builder, split, variant, backbone, spec, settings)
    print(
        f"next: python -m trainers.train --flagfile=trainers/recipes/mlp.cfg --data_dir={settings.data_dir} "
        f"--config={settings.config} --cache_dir={settings.cache_dir} --run_dir=runs/mlp"
    )


def spec_of(settings: options.EncoderOptions) -> "backbones.BackboneSpec":
    """Returns the encoder that the flags describe: up to the blocks to train if there are any."""
    from model import backbones, cuts

    spec = backbones.BackboneSpec(
        name=settings.backbone,
        weights=settings.backbone_weights,
        layer=settings.layer,
        pooling=settings.pooling,
        height_px=settings.height_px,
        width_px=settings.width_px,
        preprocessing=settings.preprocessing,
        seed=settings.seed,
    )
    if settings.unfreeze and not spec.layer:
        return dataclasses.replace(spec, layer=cuts.layer_before(spec, settings.unfreeze))
    return spec


def _extract_split(
    builder: Any,  # noqa: ANN401 - a TFDS builder
    split: str,
    variant: int,
    backbone: Any,  # noqa: ANN401 - a Keras model
    spec: "backbones.BackboneSpec",
    settings: options.ExtractOptions,
) -> None:
    """Extracts one split, or a changed copy of it, into its folder; blocks that are there stay."""
    from geods import datasets
    from model import backbones
    from trainers import cache_files, cache_writer

    started = time.monotonic()
    index = datasets.index(builder, split)
    rows = cache_files.Rows(index.location_ids, index.coords, index.views, index.headings)
    key = cache_files.CacheKey.of(
        spec,
        dataset=datasets.fingerprint_of(builder),
        split=split,
        weights_sha256=backbones.weights_sha256(backbone),
        precision=settings.precision,
        dtype=settings.cache_dtype,
        variant=_name_of(variant, settings) if variant else "",
    )
    shape = tuple(backbone.output_shape[1:])
    folder = cache_files.folder_of(settings.cache_dir, split, variant)
    with cache_writer.lock(folder):
        if settings.overwrite:
            shutil.rmtree(folder / "blocks", ignore_errors=True)
            (folder / cache_files.INDEX).unlink(missing_ok=True)
        writer = cache_writer.CacheWriter(folder, key, spec.to_dict(), rows, shape, settings.block_rows)
        _write_missing(writer, builder, split, variant, backbone, settings)
        size_bytes = writer.finish()
    name = f"{split}, variant {variant}" if variant else split
    print(
        f"{name}: {len(rows):,} views of {len(index):,} locations, {shape} {settings.cache_dtype}, "
        f"{size_bytes / 1e6:,.1f} MB, {time.monotonic() - started:,.0f} s, {folder}"
    )


def _write_missing(
    writer: "cache_writer.CacheWriter",
    builder: Any,  # noqa: ANN401 - a TFDS builder
    split: str,
    variant: int,
    backbone: Any,  # noqa: ANN401 - a Keras model
    settings: options.ExtractOptions,
) -> None:
    """Computes and writes the blocks that are not there."""
    missing = writer.missing()
    if len(missing) < writer.blocks:
        print(f"{split}: {writer.blocks - len(missing)} of {writer.blocks} blocks are there already")
    written = 0
    with tqdm.tqdm(total=sum(map(writer.rows_of, missing)), desc=split, unit=" views", smoothing=0.1) as bar:
        for run in _consecutive(missing):
            features = _features(builder, split, variant, backbone, run[0] * settings.block_rows, settings)
            blocks = _regroup(_counted(features, bar), [writer.rows_of(block) for block in run])
            for block, rows in zip(run, blocks, strict=True):
                written += writer.write(block, rows)
                bar.set_postfix_str(f"{written / 1e6:,.1f} MB")


def _consecutive(blocks: list[int]) -> list[list[int]]:
    """Returns the runs of consecutive numbers in a sorted list."""
    runs: list[list[int]] = []
    for block in blocks:
        if runs and runs[-1][-1] == block - 1:
            runs[-1].append(block)
        else:
            runs.append([block])
    return runs


def _counted(batches: Iterable[np.ndarray], bar: tqdm.tqdm) -> Iterator[np.ndarray]:
    """Yields the batches and moves the bar."""
    for batch in batches:
        yield batch
        bar.update(len(batch))


def _regroup(batches: Iterator[np.ndarray], sizes: list[int]) -> Iterator[np.ndarray]:
    """Yields the rows of `batches` in arrays of the given sizes; what comes after the last is not read."""
    rest = next(batches)
    for size in sizes:
        parts = [rest]
        while sum(map(len, parts)) < size:
            parts.append(next(batches))
        joined = np.concatenate(parts)
        yield joined[:size]
        rest = joined[size:]


def _features(
    builder: Any,  # noqa: ANN401 - a TFDS builder
    split: str,
    variant: int,
    backbone: Any,  # noqa: ANN401 - a Keras model
    skip: int,
    settings: options.ExtractOptions,
) -> Iterator[np.ndarray]:
    """Yields the features of a split's views in order, `[n, *feature_shape]` a batch, from row `skip` on."""
    import tensorflow as tf

    from geods import pipeline
    from model import augmentation

    size, changes = settings.batch_size, (settings.brightness, settings.contrast, settings.crop)
    signature = [
        tf.TensorSpec((size, *backbone.input_shape[1:]), tf.uint8),
        tf.TensorSpec((size, augmentation.DRAWS), tf.float32),
    ]

    def encode(images: Any, draws: Any) -> Any:  # noqa: ANN401 - tensors
        seen = augmentation.jittered(images, draws, *changes) if variant else images
        return backbone(seen, training=False)

    forward = tf.function(encode, input_signature=signature, autograph=False)
    rows = pipeline.PipelineOptions(settings.height_px, settings.width_px, batch_size=size, views="single", skip=skip)
    for images in pipeline.batches(builder, split, rows, then=lambda batch: batch["image"]):
        # A last batch of another size would be traced anew, which costs more than computing a full one.
        padded = tf.pad(images, [[0, size - len(images)], [0, 0], [0, 0], [0, 0]])
        draws = _draws(settings.seed, variant, skip, size)
        yield tf.cast(forward(padded, draws), tf.float32).numpy()[: len(images)]
        skip += size


def _draws(seed: int, variant: int, first: int, count: int) -> np.ndarray:
    """Returns the random numbers of rows, float32 `[count, DRAWS]`: their own each, so a resumed run has them too."""
    from model import augmentation

    rows = [np.random.default_rng([seed, variant, row]) for row in range(first, first + count)]
    return np.array([row.random(augmentation.DRAWS) for row in rows], dtype=np.float32)


def _name_of(variant: int, settings: options.ExtractOptions) -> str:
    """Returns what tells a changed copy from another."""
    changes = f"brightness {settings.brightness:g}, contrast {settings.contrast:g}, crop {settings.crop:g}"
    return f"{variant}: {changes}, seed {settings.seed}"


if __name__ == "__main__":
    cli.run(options.ExtractOptions, main)
