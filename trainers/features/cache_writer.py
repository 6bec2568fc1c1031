"""Writing a feature cache block by block, resumable after the last block."""

import contextlib
import dataclasses
import math
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from geods import errors
from geods.storage import disk_errors, files, locks
from trainers.features import cache_format


class CacheWriter:
    """Writes a cache block by block; finished blocks survive a kill.

    Attributes:
        folder: `<cache_dir>/<split>`.
        key: Dataset and encoder of the features.
        rows: Locations and headings of the rows.

    Args:
        folder: As the attribute.
        key: As the attribute.
        spec: The encoder, as `BackboneSpec.to_dict` gives it; readers of the cache can build it again.
        rows: As the attribute.
        feature_shape: Shape of one row.
        block_rows: Rows a block.

    Raises:
        CacheError: If the folder holds a cache of another key.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        key: cache_format.CacheKey,
        spec: dict[str, Any],
        rows: cache_format.Rows,
        feature_shape: tuple[int, ...],
        block_rows: int,
    ) -> None:
        self.folder = pathlib.Path(folder)
        self.key, self.rows = key, rows
        self._index: dict[str, Any] = {
            "format": cache_format.FORMAT,
            "key": dataclasses.asdict(key),
            "spec": spec,
            "rows": len(rows),
            "feature_shape": list(feature_shape),
            "block_rows": block_rows,
            "sha256": [],
        }
        self._known: list[str] = []
        if (self.folder / cache_format.INDEX).exists():
            self._adopt(key, block_rows)
        arrays = cache_format.to_arrays(rows)
        size_bytes = sum(array.nbytes for array in arrays.values())
        with files.atomic_path(self.folder / cache_format.ARRAYS, size_bytes) as temporary:
            np.savez(temporary, allow_pickle=False, **arrays)
        cache_format.write_index(self.folder, self._index)

    @property
    def blocks(self) -> int:
        """Number of blocks of the whole cache."""
        return math.ceil(self._index["rows"] / self._index["block_rows"])

    def missing(self) -> list[int]:
        """Returns the blocks that are not written yet, in order."""
        return [block for block in range(self.blocks) if not self._is_whole(block)]

    def check_room(self) -> None:
        """Raises DiskFullError if there is less room than the missing blocks take."""
        rows = sum(map(self.rows_of, self.missing()))
        item_bytes = cache_format.numpy_dtype(self._index["key"]["dtype"]).itemsize
        disk_errors.check_room(self.folder, rows * math.prod(self._index["feature_shape"]) * item_bytes)

    def rows_of(self, block: int) -> int:
        """Returns how many rows a block has."""
        size = self._index["block_rows"]
        return min(size, self._index["rows"] - block * size)

    def write(self, block: int, features: np.ndarray) -> int:
        """Writes one block, whole or not at all, and returns its bytes.

        Args:
            block: Its number.
            features: `[rows_of(block), *feature_shape]`, any float type.
        """
        return cache_format.write_block(self.folder, block, features, self.key.dtype)

    def finish(self) -> int:
        """Records the hash of every block and returns the bytes of all."""
        paths = [cache_format.block_path(self.folder, block) for block in range(self.blocks)]
        self._index["sha256"] = [files.sha256_of_file(path) for path in paths]
        self._index["rows_sha256"] = files.sha256_of_file(self.folder / cache_format.ARRAYS)
        cache_format.write_index(self.folder, self._index)
        return sum(path.stat().st_size for path in paths)

    def _adopt(self, key: cache_format.CacheKey, block_rows: int) -> None:
        """Adopts the blocks of an earlier, interrupted run on the same input."""
        found = cache_format.read_index(self.folder)
        cache_format.check_same_key(self.folder, cache_format.CacheKey(**found["key"]), key)
        if found["block_rows"] != block_rows or found["rows"] != len(self.rows):
            problem = f"{self.folder}: its blocks have {found['block_rows']} rows, wanted {block_rows}."
            raise errors.CacheError(
                problem, f"give --block_rows={found['block_rows']}, or start again with --overwrite"
            )

        # Of a finished cache: without them, a block that was damaged since would be taken as written.
        self._known = found["sha256"]

    def _is_whole(self, block: int) -> bool:
        """Returns whether a block's file is as it was written.

        It is never torn, as writes are atomic.
        """
        path = cache_format.block_path(self.folder, block)
        if not path.is_file():
            return False
        try:
            shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
        except (ValueError, OSError):
            return False
        if self._known and files.sha256_of_file(path) != self._known[block]:
            return False
        return shape == (self.rows_of(block), *self._index["feature_shape"])


@contextlib.contextmanager
def lock(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Locks a cache folder, and removes temporary files of killed processes in it.

    Raises:
        CacheError: If another process has locked it.
    """
    with locks.folder(folder, errors.CacheError, "name another --cache_dir"):
        files.sweep(cache_format.block_path(pathlib.Path(folder), 0).parent)
        yield
