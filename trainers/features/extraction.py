"""Extraction of features: from a dataset through a frozen encoder to the blocks of a cache.

What is extracted stays, and only blocks that are missing are computed.
"""

import dataclasses
import itertools
import shutil
import time
from typing import Any

import tqdm

from geods.dataset import dataset_reader
from geods.input import loader
from model.encoders import backbones
from trainers.features import (
    beam_extraction,
    cache_blocks,
    cache_format,
    cache_writer,
    encode_dataset,
    feature_encoder,
    quantization,
    runtimes,
)
from trainers.options import encoder_options


def extract(settings: encoder_options.ExtractOptions) -> None:
    """Extracts every split, and prints a line on each."""
    builder = dataset_reader.open_builder(settings.data_dir, settings.config)
    settings = dataclasses.replace(settings, decode=loader.choose(settings.decode))
    features, backbone = feature_encoder.prepare(settings, builder, calibrates=True)
    for split, variant in itertools.product(settings.splits, range(settings.variants + 1)):
        _extract_split(features, backbone, split, variant)


def _extract_split(
    features: encode_dataset.ImageFeatures,
    backbone: Any,  # noqa: ANN401 - a Keras model
    split: str,
    variant: int,
) -> None:
    """Extracts one split, or a changed copy of it, into its folder; blocks that are there stay."""
    settings, started = features.settings, time.monotonic()
    index = dataset_reader.index(features.builder, split)
    rows = cache_format.Rows(index.location_ids, index.coords, index.views, index.headings)
    spec = feature_encoder.spec_of(settings)
    key = cache_format.CacheKey.of(
        spec,
        dataset=dataset_reader.fingerprint_of(features.builder),
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
    folder = cache_format.folder_of(settings.cache_dir, split, variant)
    with cache_writer.lock(folder):
        if settings.overwrite:
            shutil.rmtree(folder / "blocks", ignore_errors=True)
            (folder / cache_format.INDEX).unlink(missing_ok=True)
        writer = cache_writer.CacheWriter(folder, key, spec.to_dict(), rows, shape, settings.block_rows)
        writer.require_room()
        missing = writer.missing()
        if len(missing) < writer.blocks:
            print(f"{split}: {writer.blocks - len(missing)} of {writer.blocks} blocks are there already")
        if settings.beam_pipeline_options:
            beam_extraction.write_blocks(writer, missing, settings, variant)
        else:
            _write_blocks(writer, missing, features, variant)
        size_bytes = writer.finish()
    name = f"{split}, variant {variant}" if variant else split
    print(
        f"{name}: {len(rows):,} views of {len(index):,} locations, {shape} {settings.cache_dtype}, "
        f"{size_bytes / 1e6:,.1f} MB, {time.monotonic() - started:,.0f} s, {folder}"
    )


def _write_blocks(
    writer: cache_writer.CacheWriter, missing: list[int], features: encode_dataset.ImageFeatures, variant: int
) -> None:
    """Computes and writes blocks."""
    split, rows = writer.key.split, writer.rows
    written = 0
    with tqdm.tqdm(total=sum(map(writer.rows_of, missing)), desc=split, unit=" views", smoothing=0.1) as bar:
        for run in cache_blocks.consecutive_runs(missing):
            row, place, skip = cache_blocks.start_of(run[0], rows, features.settings)
            batches = features.of(split, variant, row, place)
            blocks = cache_blocks.regroup(cache_blocks.with_progress(batches, bar), [skip, *map(writer.rows_of, run)])
            next(blocks)
            for block, found in zip(run, blocks, strict=True):
                written += writer.write(block, found)
                bar.set_postfix_str(f"{written / 1e6:,.1f} MB")


def _name_of(variant: int, settings: encoder_options.ExtractOptions) -> str:
    """Returns what tells a changed copy from another."""
    changes = f"brightness {settings.brightness:g}, contrast {settings.contrast:g}, crop {settings.crop:g}"
    return f"{variant}: {changes}, seed {settings.seed}"
