"""Blocks of a feature cache: where their batches start, rows regrouped into them."""

from collections.abc import Iterable, Iterator

import numpy as np
import tqdm

from trainers.features import cache_format


def start_of(block: int, rows: cache_format.Rows, block_rows: int, batch_size: int) -> tuple[int, tuple[int, int], int]:
    """Returns the start of a block, at a batch of an uninterrupted extraction.

    Every image then is in the same position of the same batch whoever encodes it, and has the same features to the last
    bit.

    Args:
        block: Its number.
        rows: Of the split.
        block_rows: Rows a block.
        batch_size: Rows a batch.

    Returns:
        The first row to encode, its position for `encode_dataset.ImageFeatures.of`, and how many rows from it on belong
        to an earlier block.
    """
    first = block * block_rows
    skip = first % batch_size
    return first - skip, rows.position_of(first - skip), skip


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
    """Yields the batches and advances the bar."""
    for batch in batches:
        bar.update(len(batch))
        yield batch


def regroup(batches: Iterator[np.ndarray], sizes: list[int]) -> Iterator[np.ndarray]:
    """Yields the rows of `batches` in arrays of the given sizes.

    What comes after the last is not read.
    """
    rest = next(batches)
    for size in sizes:
        parts = [rest]
        while sum(map(len, parts)) < size:
            parts.append(next(batches))
        joined = np.concatenate(parts)
        yield joined[:size]
        rest = joined[size:]
