"""A build whose records do not fit into memory at once has the same bytes, and the limit is still needed."""

import test_geods_dataset_builder as building
import test_geods_reproducible as reproducible
from tensorflow_datasets.core import shuffle

from geods import shuffle_memory


def test_records_that_waited_on_disk_are_the_same_bytes(tmp_path, monkeypatch):
    root = building.make_tree(tmp_path / "tree")
    building.build(root, tmp_path / "memory")
    on_disk = []
    add = shuffle._Bucket.add

    def counted(bucket, key, data):
        on_disk.append(key)
        add(bucket, key, data)

    monkeypatch.setattr(shuffle._Bucket, "add", counted)
    monkeypatch.setattr(shuffle, "MAX_MEM_BUFFER_SIZE", 2000)
    building.build(root, tmp_path / "disk")
    assert on_disk
    assert reproducible.hashes(tmp_path / "disk") == reproducible.hashes(tmp_path / "memory")


def test_tfds_keeps_more_than_we_let_it():
    stock = shuffle.MAX_MEM_BUFFER_SIZE
    assert stock > shuffle_memory.MOST_BYTES, "geods/shuffle_memory.py can go"
    with shuffle_memory.small():
        assert shuffle.MAX_MEM_BUFFER_SIZE == shuffle_memory.MOST_BYTES
    assert stock == shuffle.MAX_MEM_BUFFER_SIZE
