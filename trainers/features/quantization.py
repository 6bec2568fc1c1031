"""An encoder that computes in whole numbers of 8 bits: calibrated on images of the dataset, once for all of a cache.

    quantization.calibrate(settings, spec, builder, backbone)     # what --precision=int8 does first
    <cache_dir>/int8/encoder.xml, encoder.bin                     OpenVINO's own format
    <cache_dir>/int8/made_of.json, seal.json                      what they were made of; size and SHA-256 of all

How large the values of each layer become is seen on images, and decides what a step of 1/255 of them is worth. So
other images give other features: the encoder is kept, and every split and every later run computes with the same.
"""

import contextlib
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
from trainers.options import encoder_options

# With 128 the features came no nearer to those in float32; 32 take 3 s of MobileNetV2, 20 s of ResNet50 at 300x600.
_IMAGES = 32
_FOLDER = "int8"
*_PARTS, _MADE_OF = cache_format.ENCODER_FILES


def path_of(cache_dir: str | os.PathLike[str]) -> pathlib.Path:
    """Returns where the encoder of a cache lies."""
    return pathlib.Path(cache_dir, _FOLDER, _PARTS[0])


def sha256_of(cache_dir: str | os.PathLike[str]) -> str:
    """Returns what tells the encoder of a cache from others."""
    return files.sha256_of_file(path_of(cache_dir).with_name(_PARTS[1]))


def save(folder: pathlib.Path, parts: Sequence[bytes]) -> pathlib.Path:
    """Writes what `runtimes.quantized` gave into a folder; returns what `runtimes.compiled` takes."""
    for name, content in zip(_PARTS, parts, strict=True):
        files.write_bytes(folder / name, content)
    return folder / _PARTS[0]


def calibrate(
    settings: encoder_options.ExtractOptions,
    spec: backbones.BackboneSpec,
    builder: Any,  # noqa: ANN401 - TFDS' own
    backbone: Any,  # noqa: ANN401 - a Keras model
) -> None:
    """Makes the encoder of a cache ready, unless it is there.

    Args:
        settings: What to extract, with `decode` as chosen.
        spec: The encoder.
        builder: The dataset, from `dataset_reader.open_builder`.
        backbone: The encoder in float32.

    Raises:
        CacheError: If what is there was made of something else or is damaged, and --overwrite is not given.
    """
    folder = path_of(settings.cache_dir).parent
    split = splits.TRAIN if splits.TRAIN in builder.info.splits else settings.splits[0]
    made_of = cache_format.CacheKey.of(
        spec,
        dataset=dataset_reader.fingerprint_of(builder),
        split=split,
        weights_sha256=backbones.weights_sha256(backbone),
        precision=settings.precision,
        dtype="uint8",
        runtime=settings.runtime,
    )
    with locks.folder(folder, errors.CacheError, "name another --cache_dir"):
        files.sweep(folder)
        if not settings.overwrite and _is_there(folder, made_of):
            return
        images = _images(settings, builder, split)
        print(f"calibrating on {len(images)} images of split {split!r}", flush=True)
        # One at a time: the values of all layers are kept of a batch, 3.0 GB of two images for ResNet50 at 300x600.
        _write(folder, runtimes.quantized(backbone, np.split(images, len(images))), made_of)


def _images(settings: encoder_options.ExtractOptions, builder: Any, split: str) -> np.ndarray:  # noqa: ANN401 - TFDS' own
    """Returns the first images of a split, uint8 `[n, h, w, 3]`.

    The records of a split lie in no order of places, so the first are from everywhere.
    """
    views = pipeline.PipelineOptions(settings.height_px, settings.width_px, batch_size=_IMAGES, views="single")
    with contextlib.closing(loader.ViewBatches(builder, split, views, settings.decode)) as batches:
        return np.array(next(iter(batches))["image"])


def _is_there(folder: pathlib.Path, made_of: cache_format.CacheKey) -> bool:
    """Says whether the encoder is there, whole, and made of what it should be.

    Raises:
        CacheError: If it is there, but damaged or made of something else.
    """
    if not seals.is_sealed(folder):
        return False
    if damage := seals.verify(folder):
        raise errors.CacheError(str(damage[0]), cache_format.anew(folder))
    path = folder / _MADE_OF
    try:
        key = cache_format.CacheKey(**files.parse_json(path.read_bytes()))
    except (ValueError, TypeError) as error:
        raise errors.CacheError(f"{path}: is damaged ({error}).", cache_format.anew(folder)) from error
    cache_format.check_same_key(folder, key, made_of)
    return True


def _write(folder: pathlib.Path, parts: Sequence[bytes], made_of: cache_format.CacheKey) -> None:
    """Writes an encoder; the seal comes last, so that one without it was never finished."""
    (folder / seals.NAME).unlink(missing_ok=True)
    save(folder, parts)
    files.write_json(folder / _MADE_OF, dataclasses.asdict(made_of))
    seals.write(folder, cache_format.ENCODER_FILES)
