"""A feature cache of a few rows."""

import numpy as np

from geods.tree import string_array
from trainers.features import cache_format, cache_writer

KEY = cache_format.CacheKey(
    dataset="geods/blocked/1.0.0 abc",
    split="train",
    backbone="resnet50",
    weights_sha256="00",
    height_px=300,
    width_px=600,
    preprocessing="own",
    layer="",
    pooling="avg",
    precision="float32",
    dtype="float32",
)


VIEWS = np.array([3, 1, 2, 3, 1])


ROWS = cache_format.Rows(
    string_array.Texts.of("abcde"), np.arange(10.0).reshape(5, 2), VIEWS, np.arange(10, dtype=np.float32)
)


SHAPE = (2, 3)


VALUES = np.random.default_rng(0).normal(size=(10, *SHAPE)).astype(np.float32)


def write(folder, key=KEY, blocks=None, finish=True, block_rows=4):
    writer = cache_writer.CacheWriter(folder, key, {"name": "resnet50"}, ROWS, SHAPE, block_rows)
    for block in writer.missing() if blocks is None else blocks:
        start = block * block_rows
        writer.write(block, VALUES[start : start + writer.rows_of(block)])
    if finish:
        writer.finish()
    return writer
