"""Records of a TFRecord or ArrayRecord file, read without TensorFlow.

    for record in record_files.read("geods-train.tfrecord-00000-of-00016"):    # bytes
        record_files.parse(record)["views/image"]                              # list of bytes

Each record is compared with its checksums. Of a TFRecord file an image of 30 kB takes 4 microseconds of the processor;
TensorFlow's reader outside tf.data takes 14 and tf.data 130 (2 cores, AVX-512). Formats:
https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details, https://github.com/google/array_record
"""

import contextlib
import functools
import itertools
import os
import pathlib
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

import google_crc32c
from etils import epath

from geods import errors
from geods.dataset import dataset_folder
from geods.storage import seals

ARRAY_RECORD = "array_record"
FORMATS = ("tfrecord", ARRAY_RECORD)
_AT_ONCE = 16


def format_of(file_format: Any) -> str:  # noqa: ANN401 - a name or TFDS' enumeration
    """Returns the name of a format of shards, "" if none is given.

    Raises:
        OptionError: If geods does not read it.
    """
    name = str(getattr(file_format, "value", file_format or ""))
    if name and name not in FORMATS:
        problem = f"--file_format={name}: geods writes and reads {' and '.join(FORMATS)}."
        raise errors.OptionError(problem, f"write --file_format={ARRAY_RECORD}, or leave it out")
    return name


def is_array_record(path: str | os.PathLike[str]) -> bool:
    """Returns whether a shard is an ArrayRecord file, by its name."""
    return f".{ARRAY_RECORD}" in pathlib.PurePath(path).name


def read(path: str | os.PathLike[str], start: int = 0, stop: int | None = None) -> Iterator[bytes]:
    """Yields the records of a shard in their order.

    Args:
        path: An uncompressed TFRecord file, or an ArrayRecord file.
        start: Number of the first record.
        stop: Number of the record after the last; None for all. An ArrayRecord file is read from `start` on, a TFRecord
            file from its first byte.

    Raises:
        DatasetError: If a record is not what was written, or the file ends inside one.
    """
    if not is_array_record(path):
        return itertools.islice(_read_tfrecord(path), start, stop)
    stop = array_length(path) if stop is None else stop
    parts = (read_array(path, first, min(first + _AT_ONCE, stop)) for first in range(start, stop, _AT_ONCE))
    return itertools.chain.from_iterable(parts)


def parse(record: bytes) -> dict[str, list[Any]]:
    """Returns the values of a record, a tf.train.Example, by the name of the feature.

    Raises:
        ValueError: If it is none.
    """
    example = _example_class()()
    try:
        example.ParseFromString(record)
    except Exception as error:
        raise ValueError(errors.in_short(error)) from error
    kinds = ("bytes_list", "float_list", "int64_list")
    return {
        entry.key: [value for kind in kinds for value in getattr(entry.value, kind).value]
        for entry in example.features.feature
    }


# https://github.com/tensorflow/tensorflow/tree/master/tensorflow/core/example; a map is a list of keys and values.
_SCHEMA = """
name: "geods_example.proto" package: "geods.example"
message_type { name: "Bytes" field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_BYTES } }
message_type { name: "Floats"
field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_FLOAT options { packed: true } } }
message_type { name: "Integers"
field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_INT64 options { packed: true } } }
message_type { name: "Feature"
field { name: "bytes_list" number: 1 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: "Bytes" }
field { name: "float_list" number: 2 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: "Floats" }
field { name: "int64_list" number: 3 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: "Integers" } }
message_type { name: "Entry"
field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
field { name: "value" number: 2 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: "Feature" } }
message_type { name: "Features"
field { name: "feature" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: "Entry" } }
message_type { name: "Example"
field { name: "features" number: 1 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: "Features" } }
"""


@functools.cache
def _example_class() -> Any:  # noqa: ANN401 - a class made at run time
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

    pool = descriptor_pool.DescriptorPool()
    pool.Add(text_format.Parse(_SCHEMA, descriptor_pb2.FileDescriptorProto()))
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("geods.example.Example"))


def converted_damage(folder: pathlib.Path, kind: str) -> list[seals.Damage]:
    """Returns the shards of `tfds convert_format` that differ from the sealed ones.

    Args:
        folder: Of a sealed dataset.
        kind: Their format, one of FORMATS.
    """
    (own,) = set(FORMATS) - {kind}
    shards = [folder / name for name in seals.names_in(folder) if f".{own}-" in name]
    copies = {shard: shard.with_name(shard.name.replace(f".{own}-", f".{kind}-")) for shard in shards}
    return [
        seals.Damage(copy, "does not hold the records it was converted from")
        for shard, copy in copies.items()
        if not _holds_same(shard, copy)
    ]


def _holds_same(shard: pathlib.Path, copy: pathlib.Path) -> bool:
    try:
        return all(one == other for one, other in itertools.zip_longest(read(shard), read(copy)))
    except (OSError, errors.DatasetError):
        return False


def array_length(path: str | os.PathLike[str]) -> int:
    """Returns the number of records of an ArrayRecord file.

    Raises:
        DatasetError: If the file is damaged.
    """
    with _damage(path):
        return int(_array_reader(os.fspath(path), pathlib.Path(path).stat().st_mtime_ns).num_records())


def read_array(path: str | os.PathLike[str], start: int, stop: int) -> list[bytes]:
    """Returns some records of an ArrayRecord file by random access.

    Args:
        path: The file.
        start: Number of the first record.
        stop: Number of the record after the last.

    Raises:
        DatasetError: If a record is not what was written.
    """
    with _damage(path):
        reader = _array_reader(os.fspath(path), pathlib.Path(path).stat().st_mtime_ns)
        return list(reader.read(list(range(start, stop))))


@functools.lru_cache(maxsize=64)
def _array_reader(path: str, _changed_ns: int) -> Any:  # noqa: ANN401 - of a library without types
    """Opens a file as it was at a time; several threads may use the reader."""
    from array_record.python import array_record_module

    return array_record_module.ArrayRecordReader(path)


@contextlib.contextmanager
def _damage(path: str | os.PathLike[str]) -> Iterator[None]:
    """Raises what array_record says of a damaged file as DatasetError."""
    try:
        yield
    except (RuntimeError, ValueError, IndexError) as error:
        problem = f"{path}: is damaged ({errors.in_short(error)})."
        raise dataset_folder.damaged(pathlib.Path(path).parent, problem) from error


_HEAD = struct.Struct("<QI")
_CRC = struct.Struct("<I")
_LENGTH_BYTES = 8
_MASK_DELTA = 0xA282EAD8


def _read_tfrecord(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """Yields the records of an uncompressed TFRecord file."""
    file_path = epath.Path(path)
    with file_path.open("rb") as file:
        start = 0
        while head := file.read(_HEAD.size):
            record = _body(file, head)
            if record is None:
                problem = f"{path}: the record at byte {start:,} is damaged: it does not have its checksum."
                raise dataset_folder.damaged(pathlib.Path(file_path.parent), problem)
            yield record
            start += len(head) + len(record) + _CRC.size


def _body(file: BinaryIO, head: bytes) -> bytes | None:
    """Reads the record after a head; None if either is damaged or cut short."""
    if len(head) < _HEAD.size:
        return None
    length, crc_of_length = _HEAD.unpack(head)
    # First of all, or a damaged length would ask for all memory.
    if _masked_crc(head[:_LENGTH_BYTES]) != crc_of_length:
        return None
    content = file.read(length)
    tail = file.read(_CRC.size)
    whole = len(content) == length and len(tail) == _CRC.size
    return content if whole and _CRC.unpack(tail) == (_masked_crc(content),) else None


def _masked_crc(content: bytes) -> int:
    """Returns a TFRecord checksum: CRC-32C, rotated by 15 bits, plus a constant."""
    crc = google_crc32c.value(content)
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF
