"""Blocks of a feature cache, computed by the workers of a Beam runner.

A task is a block. A worker process builds the encoder once, reads only the shards that its block lies in, and writes
the block whole or not at all; so a block may be computed twice, and a lost worker costs one block.
"""

import contextlib
import functools
import json
import pathlib
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from geods import errors
from geods.beam import jobs, worker
from geods.cli import flags
from trainers.features import cache_format
from trainers.options import extract_options

if TYPE_CHECKING:
    from trainers.features import cache_writer, encode_dataset


_ENCODER = threading.Lock()


def write_blocks(
    writer: "cache_writer.CacheWriter", missing: Sequence[int], variant: int, settings: dict[str, Any]
) -> None:
    """Computes and writes blocks.

    Args:
        writer: Of the cache, which is locked.
        missing: Numbers of the blocks.
        variant: Number of the augmented copy of the images, 0 for the images as they are.
        settings: Flags of `ExtractOptions` by name; every worker sees its folders under these paths.

    Raises:
        BeamError: If the runner fails, or a worker's encoder has other weights.
    """
    from trainers.features import cache_blocks

    sizes = (settings["block_rows"], settings["batch_size"])
    tasks = [(block, *cache_blocks.start_of(block, writer.rows, *sizes), writer.rows_of(block)) for block in missing]
    absolute = {name: str(pathlib.Path(settings[name]).absolute()) for name in ("data_dir", "cache_dir")}
    arguments = {
        "settings": json.dumps(settings | absolute),
        "folder": str(writer.folder.absolute()),
        "split": writer.key.split,
        "variant": variant,
        "weights_sha256": writer.key.weights_sha256,
    }
    with jobs.workers(jobs.flags_of(settings["beam_pipeline_options"]), settings["cache_dir"]) as workers:
        list(workers.map("trainers.features.beam_extraction:write_block", tasks, arguments, writer.key.split))


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

    block, row, position, skip, count = task
    # One at a time: an encoder takes all threads of its worker, and OpenVINO's has one request.
    with _ENCODER:
        features, dtype = _features(settings, weights_sha256)
        _, rows = cache_blocks.regroup(features.of(split, variant, row, position), [skip, count])
        return cache_format.write_block(pathlib.Path(folder), block, rows, dtype)


@functools.lru_cache(maxsize=1)
def _features(settings: str, weights_sha256: str) -> tuple["encode_dataset.ImageFeatures", str]:
    """Builds the encoder, once a process; returns it with the type of the cache.

    Raises:
        BeamError: If its weights are not those of the program that started the job.
    """
    import tensorflow as tf

    from geods.dataset import dataset_reader
    from model.encoders import backbones
    from trainers.features import encode_dataset, feature_encoder

    # TensorFlow takes all cores else; it refuses the number once it has run, which is then that of an earlier job.
    if threads := worker.threads():
        with contextlib.suppress(RuntimeError):
            tf.config.threading.set_intra_op_parallelism_threads(threads)
    # JSON has no tuples.
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in json.loads(settings).items()}
    own = flags.build(extract_options.ExtractOptions, **values)
    spec = feature_encoder.spec_of(own.encoder, own.cache.seed)
    builder = dataset_reader.open_builder(own.data.data_dir, own.data.config)
    compiled, backbone = feature_encoder.prepare(spec, own.runtime, own.cache, builder, calibrates=False)
    if backbones.weights_sha256(backbone) != weights_sha256:
        problem = f"a worker's {spec.name} with --backbone_weights={spec.weights} has other weights."
        raise errors.BeamError(problem, "give a file of weights that all workers see under one path")
    how = (own.encoder, own.jitter, own.runtime, own.cache.seed, own.data.exact_pixels, threads)
    features = encode_dataset.ImageFeatures(builder, compiled(threads=threads), *how)
    return features, own.cache.cache_dtype
