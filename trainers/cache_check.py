"""What is wrong with a feature cache, all of it, whatever is wrong with its first file."""

import math
import pathlib
from typing import Any

from geods import errors, seals
from trainers import cache_files


def damaged(folder: pathlib.Path) -> list[seals.Damage]:
    """Reads every file of a finished cache and returns those that are not as they were written.

    Raises:
        CacheError: If its index is missing or damaged, so that nothing is known of the others, or it is not finished.
    """
    index = cache_files.read_index(folder)
    if len(index["sha256"]) != math.ceil(index["rows"] / index["block_rows"]):
        raise errors.CacheError(f"{folder}: extraction is not finished.", cache_files.resume(folder))
    return seals.compare(folder, _entries(folder, index))


def _entries(folder: pathlib.Path, index: dict[str, Any]) -> seals.Entries:
    """Returns what an index says of the files."""
    entries: dict[str, tuple[int | None, str]] = {}
    for block, sha256 in enumerate(index["sha256"]):
        entries[cache_files.block_path(folder, block).relative_to(folder).as_posix()] = (None, sha256)
    # Caches of before have no hash of it.
    if index.get("rows_sha256"):
        entries[cache_files.ARRAYS] = (None, index["rows_sha256"])
    return entries
