"""Records that are the same bytes whenever the same example is written.

A tf.train.Example holds its features in a map, and protobuf writes maps in an order that differs from process to
process: https://protobuf.dev/programming-guides/serialization-not-canonical/. TFDS 4.9.10 serializes with that order
(tensorflow_datasets/core/example_serializer.py), so two builds of one tree gave shards of which no record was equal,
with any PYTHONHASHSEED. This is the one place that changes it; tests/test_geods_reproducible.py fails once TFDS does so
itself, and says that this module can go.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from tensorflow_datasets.core import example_serializer


def serialized(serializer: example_serializer.ExampleSerializer, example: Any) -> bytes:  # noqa: ANN401 - TFDS' own
    """Returns the record of an encoded example, its map sorted by key."""
    return bytes(serializer.get_tf_example(example).SerializeToString(deterministic=True))


@contextlib.contextmanager
def deterministic() -> Iterator[None]:
    """Lets TFDS write maps sorted by key while the block runs."""
    stock = example_serializer.ExampleSerializer.serialize_example
    example_serializer.ExampleSerializer.serialize_example = serialized
    try:
        yield
    finally:
        example_serializer.ExampleSerializer.serialize_example = stock
