"""Quantization of an encoder to 8-bit integers, once for a whole cache.

    quantization.calibrate(runtime, cache, spec, builder, backbone)     # the first step of --precision=int8
    <cache_dir>/int8/encoder.xml, encoder.bin                           OpenVINO's own format
    <cache_dir>/int8/made_of.json, seal.json                            their cache key; size and SHA-256 of all

The range of each layer's values is measured on images, and sets its step of 1/255. So other images give other features:
the encoder is kept, and every split and every later run computes with the same.
"""

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from geods import errors
from geods.dataset import dataset_reader, splits
from geods.input import loader, pipeline
from geods.storage import files, locks, seals
from model.encoders import backbones
from trainers.features import cache_format, runtimes
from trainers.options import extract_options

# With 128 the features came no nearer to those in float32; 32 take 3 s of MobileNetV2, 20 s of ResNet50 at 300x600.
_IMAGES = 32
_FOLDER = "int8"
*_PARTS, _MADE_OF = cache_format.ENCODER_FILES


def path_of(cache_dir: str | os.PathLike[str]) -> pathlib.Path:
    """Returns the path of a cache's quantized encoder."""
    return pathlib.Path(cache_dir, _FOLDER, _PARTS[0])


def sha256_of(cache_dir: str | os.PathLike[str]) -> str:
    """Returns the SHA-256 of a cache's quantized encoder."""
    return files.sha256_of_file(path_of(cache_dir).with_name(_PARTS[1]))


def save(folder: pathlib.Path, parts: Sequence[bytes]) -> pathlib.Path:
    """Writes the result of `runtimes.quantized` into a folder.

    Returns the path that `runtimes.compiled` takes.
    """
    for name, content in zip(_PARTS, parts, strict=True):
        files.write_bytes(folder / name, content)
    return folder / _PARTS[0]


def calibrate(
    runtime: extract_options.RuntimeOptions,
    cache: extract_options.CacheOptions,
    spec: backbones.BackboneSpec,
    builder: Any,  # noqa: ANN401 - TFDS' own
    backbone: Any,  # noqa: ANN401 - a Keras model
) -> None:
    """Calibrates the encoder of a cache, unless it exists.

    Args:
        runtime: How the encoder is run, with `decode` as chosen.
        cache: The cache.
        spec: The encoder.
        builder: The dataset, from `dataset_reader.open_builder`.
        backbone: The encoder in float32.

    Raises:
        CacheError: If what is there was made of something else or is damaged, and --overwrite is not given.
    """
    folder = path_of(cache.cache_dir).parent
    split = splits.TRAIN if splits.TRAIN in builder.info.splits else cache.splits[0]
    made_of = cache_format.CacheKey.of(
        spec,
        dataset=dataset_reader.fingerprint_of(builder),
        split=split,
        weights_sha256=backbones.weights_sha256(backbone),
        precision=runtime.precision,
        dtype="uint8",
        runtime=runtime.runtime,
    )
    with locks.folder(folder, errors.CacheError, "name another --cache_dir"):
        files.sweep(folder)
        if not cache.overwrite and _is_made(folder, made_of):
            return
        images = first_images((spec.height_px, spec.width_px), runtime.decode, builder, split, _IMAGES)
        print(f"calibrating on {len(images)} images of split {split!r}", flush=True)
        # One at a time: the values of all layers are kept of a batch, 3.0 GB of two images for ResNet50 at 300x600.
        _write(folder, runtimes.quantized(backbone, np.split(images, len(images))), made_of)


def first_images(
    size_px: tuple[int, int],
    decode: Any,  # noqa: ANN401 - as loader.view_batches takes it
    builder: Any,  # noqa: ANN401 - TFDS' own
    split: str,
    count: int,
) -> np.ndarray:
    """Returns the first images of a split, uint8 `[1 to count, h, w, 3]`.

    Records are shuffled, so they are from everywhere.
    """
    views = pipeline.PipelineOptions(*size_px, batch_size=count, views="single")
    return np.array(next(iter(loader.view_batches(builder, split, views, decode)))["image"])


def _is_made(folder: pathlib.Path, made_of: cache_format.CacheKey) -> bool:
    """Returns whether the encoder exists, whole and of the right key.

    Raises:
        CacheError: If it exists, but is damaged or of another key.
    """
    if not seals.is_sealed(folder):
        return False
    if damage := seals.verify(folder):
        raise errors.CacheError(str(damage[0]), cache_format.extract_again(folder))
    path = folder / _MADE_OF
    try:
        key = cache_format.CacheKey(**files.parse_json(path.read_bytes()))
    except (ValueError, TypeError) as error:
        raise errors.CacheError(f"{path}: is damaged ({error}).", cache_format.extract_again(folder)) from error
    cache_format.check_same_key(folder, key, made_of)
    return True


def _write(folder: pathlib.Path, parts: Sequence[bytes], made_of: cache_format.CacheKey) -> None:
    """Writes an encoder.

    The seal comes last, so that one without it was never finished.
    """
    (folder / seals.NAME).unlink(missing_ok=True)
    save(folder, parts)
    files.write_json(folder / _MADE_OF, dataclasses.asdict(made_of))
    seals.write(folder, cache_format.ENCODER_FILES)
