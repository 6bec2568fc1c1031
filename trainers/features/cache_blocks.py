"""Blocks of a feature cache: where the batches of each begin, and rows regrouped into them."""

from collections.abc import Iterable, Iterator

import numpy as np
import tqdm

from trainers.features import cache_format
from trainers.options import encoder_options


def start_of(
    block: int, rows: cache_format.Rows, settings: encoder_options.ExtractOptions
) -> tuple[int, tuple[int, int], int]:
    """Returns where to begin to read for a block: at the batch that an extraction in one go would have there.

    Every image then is in the same place of the same batch whoever encodes it, and has the same features to the last
    bit.

    Args:
        block: Its number.
        rows: Of the split.
        settings: Sizes of blocks and batches.

    Returns:
        The first row to encode, its place for `encode_dataset.ImageFeatures.of`, and how many rows from it on belong to
        an earlier block.
    """
    first = block * settings.block_rows
    skip = first % settings.batch_size
    return first - skip, rows.place_of(first - skip), skip


def consecutive_runs(blocks: list[int]) -> list[list[int]]:
    """Returns the runs of consecutive numbers in a sorted list."""
    runs: list[list[int]] = []
    for block in blocks:
        if runs and runs[-1][-1] == block - 1:
            runs[-1].append(block)
        else:
            runs.append([block])
    return runs


def with_progress(batches: Iterable[np.ndarray], bar: tqdm.tqdm) -> Iterator[np.ndarray]:
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
