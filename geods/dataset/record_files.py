"""Records of TFRecord and ArrayRecord files, read without TensorFlow.

    for record in record_files.read("geods-train.tfrecord-00000-of-00016"):    # bytes
        record_files.parse(record)["views/image"]                              # list of bytes
    record_files.LocationRecords("data", "blocked").find("39.7392,-104.9903")      # its values by feature

Each record is compared with its checksums. Of a TFRecord file an image of 30 kB takes 4 microseconds of the processor;
TensorFlow's reader outside tf.data takes 14 and tf.data 130 (2 cores, AVX-512). Formats:
https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details, https://github.com/google/array_record
"""

import bisect
import contextlib
import functools
import itertools
import os
import pathlib
import struct
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import google_crc32c
from etils import epath

from geods import errors
from geods.dataset import dataset_folder
from geods.storage import files, seals

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


class LocationRecords:
    """Records of a dataset by location.

    Args:
        data_dir: Folder given to tfds build.
        config: Config of the dataset.
        first: Splits whose rows are numbered, and which are looked through before the others.

    Raises:
        DatasetError: If there is no such dataset, or it is damaged.
    """

    def __init__(self, data_dir: str | os.PathLike[str], config: str, first: Sequence[str] = ()) -> None:
        folder = dataset_folder.check_built(data_dir, config)
        try:
            self._shards = _shards(folder, first)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise dataset_folder.damaged(folder, f"{folder / dataset_folder.INFO}: is damaged ({error}).") from error
        self._ends = list(itertools.accumulate(count for _, count in self._shards))
        self._unread, self._places = iter(self._shards), dict[str, tuple[pathlib.Path, int]]()

    def find(self, location_id: str, row: int = -1) -> dict[str, list[Any]]:
        """Returns the values of a location's record by feature.

        Args:
            location_id: Its id.
            row: Its row in the first splits, if it is known; elsewhere shards are read until it is found.

        Raises:
            KeyError: If the dataset does not hold it.
            DatasetError: If a shard is damaged.
        """
        if 0 <= row < sum(count for _, count in self._shards):
            shard = bisect.bisect_right(self._ends, row)
            path, count = self._shards[shard]
            found = self._read(path, row - self._ends[shard] + count)
            if _id_of(found) == location_id:
                return found
        while location_id not in self._places:
            unread = next(self._unread, None)
            if unread is None:
                raise KeyError(location_id)
            ids = (_id_of(parse(record)) for record in read(unread[0]))
            self._places |= {name: (unread[0], number) for number, name in enumerate(ids)}
        return self._read(*self._places[location_id])

    def first(self) -> dict[str, list[Any]]:
        """Returns the values of the first record by feature; none if there is no record."""
        path = next((path for path, count in self._shards if count), None)
        return self._read(path, 0) if path else {}

    def _read(self, path: pathlib.Path, number: int) -> dict[str, list[Any]]:
        return parse(next(iter(read(path, number, number + 1))))


def _id_of(record: dict[str, list[Any]]) -> str:
    return str(record["location_id"][0].decode())


def _shards(folder: pathlib.Path, first: Sequence[str]) -> list[tuple[pathlib.Path, int]]:
    """Returns shards with their numbers of records, the first splits before others."""
    info = files.parse_json((folder / dataset_folder.INFO).read_bytes())
    kind = format_of(info.get("fileFormat", "")) or FORMATS[0]
    found = []
    for split in sorted(info["splits"], key=lambda split: split["name"] not in first):
        counts = [int(count) for count in split.get("shardLengths", ())]
        stem = f"{dataset_folder.NAME}-{split['name']}.{kind}"
        found += [(folder / f"{stem}-{at:05}-of-{len(counts):05}", count) for at, count in enumerate(counts)]
    return found


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
