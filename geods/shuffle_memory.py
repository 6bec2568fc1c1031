"""How much of a dataset waits in memory while it is built.

TFDS 4.9.10 keeps the records of a split in memory until there are 1,000 MB of them, and then in 1,000 files beside the
shards (MAX_MEM_BUFFER_SIZE in tensorflow_datasets/core/shuffle.py); what it writes is the same. With a limit that low
the memory of a build no longer grows with the tree. This is the one place that changes it;
tests/test_geods_shuffle_memory.py fails once TFDS keeps as little by itself, and says that this module can go.
"""

import contextlib
from collections.abc import Iterator

from tensorflow_datasets.core import shuffle

MOST_BYTES = 16 << 20


@contextlib.contextmanager
def small(most_bytes: int = MOST_BYTES) -> Iterator[None]:
    """Lets TFDS keep no more than so many bytes of records in memory while the block runs."""
    stock = shuffle.MAX_MEM_BUFFER_SIZE
    shuffle.MAX_MEM_BUFFER_SIZE = min(stock, most_bytes)
    try:
        yield
    finally:
        shuffle.MAX_MEM_BUFFER_SIZE = stock
