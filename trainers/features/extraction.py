"""Extraction of features by a frozen encoder into the blocks of a cache.

Only missing blocks are computed.
"""

import dataclasses
import functools
import itertools
import shutil
import time
from collections.abc import Callable
from typing import Any

import tqdm

from geods.cli import flags
from geods.dataset import dataset_reader
from geods.input import loader
from model.encoders import backbones
from trainers.features import (
    auto_runtime,
    beam_extraction,
    cache_blocks,
    cache_format,
    cache_writer,
    encode_dataset,
    feature_encoder,
    quantization,
    runtimes,
)
from trainers.options import extract_options

_WriteBlocks = Callable[[cache_writer.CacheWriter, list[int], int], None]


def extract(settings: extract_options.ExtractOptions) -> None:
    """Extracts every split, and prints a line on each."""
    cache, seed = settings.cache, settings.cache.seed
    runtime = dataclasses.replace(settings.runtime, decode=loader.choose(settings.runtime.decode))
    builder = dataset_reader.open_builder(settings.data.data_dir, settings.data.config)
    spec = feature_encoder.spec_of(settings.encoder, seed)
    size_px = (spec.height_px, spec.width_px)
    images = functools.partial(
        quantization.first_images, size_px, runtime.decode, builder, cache.splits[0], runtime.batch_size
    )
    runtime = auto_runtime.resolve(runtime, cache, spec, images)
    compiled, backbone = feature_encoder.prepare(spec, runtime, cache, builder, calibrates=True)
    key = _key_of(spec, runtime, cache, builder, backbones.weights_sha256(backbone), settings.data.exact_pixels)
    write_blocks: _WriteBlocks
    if cache.beam_pipeline_options:
        values = flags.values_of(dataclasses.replace(settings, runtime=runtime))
        write_blocks = functools.partial(beam_extraction.write_blocks, settings=values)
    else:
        features = encode_dataset.ImageFeatures(
            builder, compiled(), settings.encoder, settings.jitter, runtime, seed, settings.data.exact_pixels
        )
        write_blocks = functools.partial(_write_blocks, features, cache.block_rows)
    for split, variant in itertools.product(cache.splits, range(settings.data.variants + 1)):
        changes = _name_of(variant, settings.jitter, seed) if variant else ""
        own = dataclasses.replace(key, split=split, variant=changes)
        shape = tuple(backbone.output_shape[1:])
        _extract_split(cache, dataset_reader.index(builder, split), own, spec, shape, variant, write_blocks)


def _key_of(
    spec: backbones.BackboneSpec,
    runtime: extract_options.RuntimeOptions,
    cache: extract_options.CacheOptions,
    builder: Any,  # noqa: ANN401 - TFDS' own
    weights_sha256: str,
    exact_pixels: bool,
) -> cache_format.CacheKey:
    """Returns the cache key of a dataset's features, without split and variant."""
    return cache_format.CacheKey.of(
        spec,
        dataset=dataset_reader.fingerprint_of(builder),
        split="",
        weights_sha256=weights_sha256,
        precision=runtime.precision,
        dtype=cache.cache_dtype,
        runtime=runtimes.name_of(runtime.runtime, spec.name),
        # The other decoders agree to the last bit.
        decode="gpu" if runtime.decode == "gpu" else cache_format.EXACT_PIXELS if exact_pixels else "cpu",
        quantized_sha256=quantization.sha256_of(cache.cache_dir) if runtime.precision == runtimes.INT8 else "",
    )


def _extract_split(
    cache: extract_options.CacheOptions,
    index: dataset_reader.Index,
    key: cache_format.CacheKey,
    spec: backbones.BackboneSpec,
    shape: tuple[int, ...],
    variant: int,
    write_blocks: _WriteBlocks,
) -> None:
    """Extracts one split, or an augmented copy of it, into its folder.

    Finished blocks stay.
    """
    started, split = time.monotonic(), key.split
    rows = cache_format.Rows(index.location_ids, index.coords, index.views, index.headings)
    folder = cache_format.folder_of(cache.cache_dir, split, variant)
    with cache_writer.lock(folder):
        if cache.overwrite:
            shutil.rmtree(folder / "blocks", ignore_errors=True)
            (folder / cache_format.INDEX).unlink(missing_ok=True)
        writer = cache_writer.CacheWriter(folder, key, spec.to_dict(), rows, shape, cache.block_rows)
        writer.check_room()
        missing = writer.missing()
        if len(missing) < writer.blocks:
            print(f"{split}: {writer.blocks - len(missing)} of {writer.blocks} blocks are there already")
        write_blocks(writer, missing, variant)
        size_bytes = writer.finish()
    name = f"{split}, variant {variant}" if variant else split
    print(
        f"{name}: {len(rows):,} views of {len(index):,} locations, {shape} {cache.cache_dtype}, "
        f"{size_bytes / 1e6:,.1f} MB, {time.monotonic() - started:,.0f} s, {folder}"
    )


def _write_blocks(
    features: encode_dataset.ImageFeatures,
    block_rows: int,
    writer: cache_writer.CacheWriter,
    missing: list[int],
    variant: int,
) -> None:
    """Computes and writes blocks in this process."""
    split, rows = writer.key.split, writer.rows
    written = 0
    with tqdm.tqdm(total=sum(map(writer.rows_of, missing)), desc=split, unit=" views", smoothing=0.1) as bar:
        for run in cache_blocks.consecutive_runs(missing):
            row, position, skip = cache_blocks.start_of(run[0], rows, block_rows, features.runtime.batch_size)
            batches = features.of(split, variant, row, position)
            blocks = cache_blocks.regroup(cache_blocks.with_progress(batches, bar), [skip, *map(writer.rows_of, run)])
            next(blocks)
            for block, block_features in zip(run, blocks, strict=True):
                written += writer.write(block, block_features)
                bar.set_postfix_str(f"{written / 1e6:,.1f} MB")


def _name_of(variant: int, jitter: extract_options.CopyOptions, seed: int) -> str:
    """Returns the text of an augmented copy in a cache key."""
    changes = f"brightness {jitter.brightness:g}, contrast {jitter.contrast:g}, crop {jitter.crop:g}"
    # Left out where they change nothing: caches of older versions have none.
    if jitter.changes_detail:
        changes += f", coarsen {jitter.coarsen:g}, JPEG quality {jitter.jpeg_quality}"
    return f"{variant}: {changes}, seed {seed}"
