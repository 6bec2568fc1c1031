"""External sort of rows of text: sorted parts on disk, merged in little memory.

list(external_sort.in_order([("b", "2"), ("a", "1")]))    # [("a", "1"), ("b", "2")]
"""

import contextlib
import heapq
import itertools
import json
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO

Row = tuple[str, ...]

# 2 MB of rows of 100 characters; a million rows are then 100 open files.
_AT_ONCE = 10_000


def in_order(rows: Iterable[Row], at_once: int = _AT_ONCE) -> Iterator[Row]:
    """Yields rows in the order of `sorted`.

    Args:
        rows: The rows.
        at_once: How many are in memory.
    """
    source = iter(rows)
    first = sorted(itertools.islice(source, at_once))
    with contextlib.ExitStack() as parts:
        on_disk = []
        while part := sorted(itertools.islice(source, at_once)):
            file = parts.enter_context(tempfile.TemporaryFile("w+", encoding="ascii"))
            # As JSON, as a name may hold any character.
            file.writelines(json.dumps(row) + "\n" for row in part)
            file.seek(0)
            on_disk.append(_read(file))
        yield from heapq.merge(first, *on_disk)


def _read(file: IO[str]) -> Iterator[Row]:
    """Yields the rows of a part."""
    return (tuple(json.loads(line)) for line in file)
