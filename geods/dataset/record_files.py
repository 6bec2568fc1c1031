"""Records of a TFRecord or ArrayRecord file, read without TensorFlow.

    for record in record_files.read("geods-train.tfrecord-00000-of-00016"):    # bytes

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
