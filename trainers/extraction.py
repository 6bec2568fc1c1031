"""Extraction of features: from a dataset through a frozen encoder to the blocks of a cache.

What is extracted stays, and only blocks that are missing are computed.
"""

import dataclasses
import itertools
import shutil
import time
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tqdm

from geods import datasets, loader
from model import backbones, cuts
from trainers import beam_extract, cache_files, cache_writer, image_features, options, quantization, runtimes


def extract(settings: options.ExtractOptions) -> None:
    """Extracts every split, and prints a line on each."""
    builder = datasets.open_builder(settings.data_dir, settings.config)
    settings = dataclasses.replace(settings, decode=loader.choose(settings.decode))
    features, backbone = prepare(settings, builder, calibrates=True)
    for split, variant in itertools.product(settings.splits, range(settings.variants + 1)):
        _extract_split(features, backbone, split, variant)


def prepare(
    settings: options.ExtractOptions,
    builder: Any,  # noqa: ANN401 - TFDS' own
    calibrates: bool,
) -> tuple[image_features.ImageFeatures, Any]:
    """Builds the encoder and makes it ready.

    Args:
        settings: What to extract, with `decode` as chosen.
        builder: The dataset, from `datasets.open_builder`.
        calibrates: Whether to make what --precision=int8 computes with, if it is not there.

    Returns:
        What gives the features of a dataset, and the encoder.
    """
    keras.mixed_precision.set_dtype_policy(runtimes.policy_of(settings.runtime, settings.precision))
    backbone = backbones.build(spec_of(settings))
    quantized_path = None
    if settings.precision == runtimes.INT8:
        quantized_path = quantization.path_of(settings.cache_dir)
        if calibrates:
            quantization.calibrate(settings, spec_of(settings), builder, backbone)
    forward = runtimes.compiled(backbone, settings.batch_size, settings.runtime, settings.precision, quantized_path)
    return image_features.ImageFeatures(builder, forward, settings), backbone


def spec_of(settings: options.EncoderOptions) -> backbones.BackboneSpec:
    """Returns the encoder that the flags describe: up to the blocks to train if there are any."""
    spec = backbones.BackboneSpec(
        name=settings.backbone,
        weights=settings.backbone_weights,
        layer=settings.layer,
        pooling=settings.pooling,
        height_px=settings.height_px,
        width_px=settings.width_px,
        more_heights_px=settings.more_heights_px,
        preprocessing=settings.preprocessing,
        seed=settings.seed,
    )
    if settings.unfreeze and not spec.layer:
        return dataclasses.replace(spec, layer=cuts.layer_before(spec, settings.unfreeze))
    return spec


def _extract_split(
    features: image_features.ImageFeatures,
    backbone: Any,  # noqa: ANN401 - a Keras model
    split: str,
    variant: int,
) -> None:
    """Extracts one split, or a changed copy of it, into its folder; blocks that are there stay."""
    settings, started = features.settings, time.monotonic()
    index = datasets.index(features.builder, split)
    rows = cache_files.Rows(index.location_ids, index.coords, index.views, index.headings)
    spec = spec_of(settings)
    key = cache_files.CacheKey.of(
        spec,
        dataset=datasets.fingerprint_of(features.builder),
        split=split,
        weights_sha256=backbones.weights_sha256(backbone),
        precision=settings.precision,
        dtype=settings.cache_dtype,
        variant=_name_of(variant, settings) if variant else "",
        runtime=settings.runtime,
        # The other decoders agree to the last bit.
        decode="gpu" if settings.decode == "gpu" else "cpu",
        quantized_sha256=quantization.sha256_of(settings.cache_dir) if settings.precision == runtimes.INT8 else "",
    )
    shape = tuple(backbone.output_shape[1:])
    folder = cache_files.folder_of(settings.cache_dir, split, variant)
    with cache_writer.lock(folder):
        if settings.overwrite:
            shutil.rmtree(folder / "blocks", ignore_errors=True)
            (folder / cache_files.INDEX).unlink(missing_ok=True)
        writer = cache_writer.CacheWriter(folder, key, spec.to_dict(), rows, shape, settings.block_rows)
        writer.require_room()
        missing = writer.missing()
        if len(missing) < writer.blocks:
            print(f"{split}: {writer.blocks - len(missing)} of {writer.blocks} blocks are there already")
        if settings.beam_pipeline_options:
            beam_extract.write_blocks(writer, missing, settings, variant)
        else:
            _write_blocks(writer, missing, features, variant)
        size_bytes = writer.finish()
    name = f"{split}, variant {variant}" if variant else split
    print(
        f"{name}: {len(rows):,} views of {len(index):,} locations, {shape} {settings.cache_dtype}, "
        f"{size_bytes / 1e6:,.1f} MB, {time.monotonic() - started:,.0f} s, {folder}"
    )


def _write_blocks(
    writer: cache_writer.CacheWriter, missing: list[int], features: image_features.ImageFeatures, variant: int
) -> None:
    """Computes and writes blocks."""
    split, rows = writer.key.split, writer.rows
    written = 0
    with tqdm.tqdm(total=sum(map(writer.rows_of, missing)), desc=split, unit=" views", smoothing=0.1) as bar:
        for run in _consecutive(missing):
            row, place, skip = start_of(run[0], rows, features.settings)
            batches = features.of(split, variant, row, place)
            blocks = regroup(_counted(batches, bar), [skip, *map(writer.rows_of, run)])
            next(blocks)
            for block, found in zip(run, blocks, strict=True):
                written += writer.write(block, found)
                bar.set_postfix_str(f"{written / 1e6:,.1f} MB")


def start_of(block: int, rows: cache_files.Rows, settings: options.ExtractOptions) -> tuple[int, tuple[int, int], int]:
    """Returns where to begin to read for a block: at the batch that an extraction in one go would have there.

    Every image then is in the same place of the same batch whoever encodes it, and has the same features to the last
    bit.

    Args:
        block: Its number.
        rows: Of the split.
        settings: Sizes of blocks and batches.

    Returns:
        The first row to encode, its place for `image_features.ImageFeatures.of`, and how many rows from it on belong to
        an earlier block.
    """
    first = block * settings.block_rows
    skip = first % settings.batch_size
    return first - skip, rows.place_of(first - skip), skip


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


def regroup(batches: Iterator[np.ndarray], sizes: list[int]) -> Iterator[np.ndarray]:
    """Yields the rows of `batches` in arrays of the given sizes; what comes after the last is not read."""
    rest = next(batches)
    for size in sizes:
        parts = [rest]
        while sum(map(len, parts)) < size:
            parts.append(next(batches))
        joined = np.concatenate(parts)
        yield joined[:size]
        rest = joined[size:]


def _name_of(variant: int, settings: options.ExtractOptions) -> str:
    """Returns what tells a changed copy from another."""
    changes = f"brightness {settings.brightness:g}, contrast {settings.contrast:g}, crop {settings.crop:g}"
    return f"{variant}: {changes}, seed {settings.seed}"
