"""Blocks of a feature cache, computed by the workers of a Beam runner.

A task is a block. A worker process builds the encoder once, reads only the shards that its block lies in, and writes
the block whole or not at all; so a block may be computed twice, and a lost worker costs the one it was at.
"""

import dataclasses
import functools
import json
import pathlib
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from geods import errors
from geods.beam import jobs
from trainers.features import cache_format
from trainers.options import encoder_options

if TYPE_CHECKING:
    from trainers.features import cache_writer, encode_dataset


_ENCODER = threading.Lock()


def write_blocks(
    writer: "cache_writer.CacheWriter", missing: Sequence[int], settings: encoder_options.ExtractOptions, variant: int
) -> None:
    """Computes and writes blocks.

    Args:
        writer: Of the cache; whoever calls holds its lock.
        missing: Numbers of the blocks.
        settings: What to extract; every worker sees its folders under these paths.
        variant: Number of the changed copy of the images, 0 for the images as they are.

    Raises:
        BeamError: If the runner fails, or a worker's encoder has other weights.
    """
    from trainers.features import cache_blocks

    tasks = [(block, *cache_blocks.start_of(block, writer.rows, settings), writer.rows_of(block)) for block in missing]
    seen = dataclasses.replace(
        settings,
        data_dir=str(pathlib.Path(settings.data_dir).absolute()),
        cache_dir=str(pathlib.Path(settings.cache_dir).absolute()),
    )
    arguments = {
        "settings": json.dumps(dataclasses.asdict(seen)),
        "folder": str(writer.folder.absolute()),
        "split": writer.key.split,
        "variant": variant,
        "weights_sha256": writer.key.weights_sha256,
    }
    with jobs.workers(jobs.flags_of(settings.beam_pipeline_options), settings.cache_dir) as crew:
        list(crew.map("trainers.features.beam_extraction:write_block", tasks, arguments, writer.key.split))


def write_block(
    task: tuple[int, int, tuple[int, int], int, int],
    settings: str,
    folder: str,
    split: str,
    variant: int,
    weights_sha256: str,
) -> int:
    """Computes and writes one block on a worker; returns its bytes."""
    from trainers.features import cache_blocks

    block, row, place, skip, count = task
    # One at a time: an encoder takes all cores, and OpenVINO's has one request.
    with _ENCODER:
        features = _features(settings, weights_sha256)
        _, found = cache_blocks.regroup(features.of(split, variant, row, place), [skip, count])
        return cache_format.write_block(pathlib.Path(folder), block, found, features.settings.cache_dtype)


@functools.lru_cache(maxsize=1)
def _features(settings: str, weights_sha256: str) -> "encode_dataset.ImageFeatures":
    """Builds the encoder, once a process.

    Raises:
        BeamError: If its weights are not those of the program that started the job.
    """
    from geods.dataset import dataset_reader
    from model.encoders import backbones
    from trainers.features import feature_encoder

    values: dict[str, Any] = json.loads(settings)
    chosen = encoder_options.ExtractOptions(**values | {"splits": tuple(values["splits"])})
    features, backbone = feature_encoder.prepare(
        chosen, dataset_reader.open_builder(chosen.data_dir, chosen.config), calibrates=False
    )
    if backbones.weights_sha256(backbone) != weights_sha256:
        problem = f"a worker's {chosen.backbone} with --backbone_weights={chosen.backbone_weights} has other weights."
        raise errors.BeamError(problem, "give a file of weights that all workers see under one path")
    return features
