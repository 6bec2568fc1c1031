"""TFRecord files are read as TensorFlow wrote them, or refused."""

import inspect
import pathlib

import damages
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from geods import errors
from geods.dataset import record_files

RECORDS = [b"", b"first", bytes(range(256)) * 3, b"last"]


def written(folder: pathlib.Path, records: list[bytes]) -> pathlib.Path:
    path = folder / "some.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    return path


@given(st.lists(st.binary(max_size=3000), max_size=8))
def test_what_tensorflow_writes_is_read(tmp_path_factory, records):
    path = written(tmp_path_factory.mktemp("written"), records)
    assert list(record_files.read(path)) == records


def test_a_shard_is_read_as_tensorflow_reads_it(data_dir):
    shard = next(pathlib.Path(data_dir).glob("**/*-train.tfrecord*"))
    theirs = inspect.unwrap(tf.compat.v1.io.tf_record_iterator)(str(shard))
    found = list(record_files.read(shard))
    assert len(found) > 10
    assert found == list(theirs)


def test_no_damaged_byte_is_passed_over(tmp_path):
    path = written(tmp_path, RECORDS)
    content = path.read_bytes()
    for number in range(len(content)):
        damaged = bytearray(content)
        damaged[number] ^= 1 << number % 8
        path.write_bytes(damaged)
        with pytest.raises(errors.DatasetError, match=r"some.tfrecord: the record at byte [\d,]+ is damaged"):
            list(record_files.read(path))


def test_a_file_that_ends_inside_a_record_is_refused(tmp_path):
    path = written(tmp_path, RECORDS)
    content = path.read_bytes()
    starts = damages.record_starts(path)
    for size in range(len(content)):
        path.write_bytes(content[:size])
        if size in starts:
            assert list(record_files.read(path)) == RECORDS[: starts.index(size)]
        else:
            with pytest.raises(errors.DatasetError, match="is damaged"):
                list(record_files.read(path))
