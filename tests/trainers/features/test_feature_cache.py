"""A cache returns the features written into it, or says that it cannot."""

import dataclasses
import fcntl
import json
import pathlib
import re

import drawn_caches
import ml_dtypes
import numpy as np
import pytest

from geods import errors
from geods.tree import string_array
from trainers.features import cache_format, cache_writer, feature_cache


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 0), ("float16", 2e-3), ("bfloat16", 2e-2)])
def test_what_is_taken_is_what_was_written(tmp_path, dtype, tolerance):
    key = dataclasses.replace(drawn_caches.KEY, dtype=dtype)
    drawn_caches.write(tmp_path / "train", key)
    cache = feature_cache.FeatureCache(tmp_path / "train", key)
    rows = np.array([9, 0, 4, 4, 3])
    taken = cache.take(rows)
    assert taken.dtype == (ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    assert np.allclose(taken.astype(np.float32), drawn_caches.VALUES[rows], rtol=tolerance, atol=tolerance)
    assert len(cache) == 10
    assert cache.feature_shape == drawn_caches.SHAPE
    assert cache.spec == {"name": "resnet50"}
    assert not feature_cache.damaged(tmp_path / "train")


def test_rows_of_a_location_follow_each_other(tmp_path):
    drawn_caches.write(tmp_path)
    cache = feature_cache.FeatureCache(tmp_path)
    assert cache.rows.starts.tolist() == [0, 3, 4, 6, 9, 10]
    assert cache.rows.location_ids.tolist() == ["a", "b", "c", "d", "e"]
    assert np.array_equal(cache.rows.coords, drawn_caches.ROWS.coords)


def test_blocks_are_mapped_and_not_loaded(tmp_path):
    drawn_caches.write(tmp_path)
    assert all(isinstance(block, np.memmap) for block in feature_cache.FeatureCache(tmp_path)._blocks)


def test_an_interrupted_cache_goes_on_with_what_is_missing(tmp_path):
    drawn_caches.write(tmp_path, blocks=[0, 2], finish=False)
    with pytest.raises(errors.CacheError, match=r"not finished(.|\n)*resumes where it ended"):
        feature_cache.FeatureCache(tmp_path)
    kept = (tmp_path / "blocks" / "00000.npy").stat().st_mtime_ns
    writer = cache_writer.CacheWriter(tmp_path, drawn_caches.KEY, {}, drawn_caches.ROWS, drawn_caches.SHAPE, 4)
    assert writer.missing() == [1]
    drawn_caches.write(tmp_path)
    assert (tmp_path / "blocks" / "00000.npy").stat().st_mtime_ns == kept
    assert np.array_equal(feature_cache.FeatureCache(tmp_path).take(np.arange(10)), drawn_caches.VALUES)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dataset", "geods/blocked/1.0.0 other"),
        ("backbone", "vgg16"),
        ("weights_sha256", "11"),
        ("height_px", 200),
        ("preprocessing", "raw"),
        ("layer", "conv1"),
        ("pooling", "max"),
        ("precision", "mixed_bfloat16"),
        ("dtype", "float16"),
    ],
)
def test_a_stale_cache_is_refused_by_reader_and_writer_with_the_field(tmp_path, field, value):
    drawn_caches.write(tmp_path)
    other = dataclasses.replace(drawn_caches.KEY, **{field: value})
    pattern = rf"{field} is {getattr(drawn_caches.KEY, field)!r}, wanted {value!r}(.|\n)*--overwrite"
    with pytest.raises(errors.CacheError, match=pattern):
        feature_cache.FeatureCache(tmp_path, other)
    with pytest.raises(errors.CacheError, match=pattern):
        drawn_caches.write(tmp_path, other)


def test_another_block_size_is_refused(tmp_path):
    drawn_caches.write(tmp_path)
    with pytest.raises(errors.CacheError, match="--block_rows=4"):
        drawn_caches.write(tmp_path, block_rows=5)


def test_damage_is_named(tmp_path):
    drawn_caches.write(tmp_path)
    block = tmp_path / "blocks" / "00001.npy"
    whole = block.read_bytes()
    block.write_bytes(whole[:-8])
    with pytest.raises(errors.CacheError, match=r"00001\.npy: is missing or damaged(.|\n)*delete"):
        feature_cache.FeatureCache(tmp_path)
    block.unlink()
    with pytest.raises(errors.CacheError, match=r"00001\.npy: is missing or damaged"):
        feature_cache.FeatureCache(tmp_path)
    np.save(block, drawn_caches.VALUES[:3])
    with pytest.raises(errors.CacheError, match=r"00001\.npy: has shape"):
        feature_cache.FeatureCache(tmp_path)
    flipped = bytearray(whole)
    flipped[-1] ^= 1
    block.write_bytes(bytes(flipped))
    assert [damage.path for damage in feature_cache.damaged(tmp_path)] == [block]


def test_missing_and_broken_indexes_are_named(tmp_path):
    with pytest.raises(errors.CacheError, match=r"no feature cache there(.|\n)*trainers\.extract"):
        feature_cache.FeatureCache(tmp_path / "nothing")
    drawn_caches.write(tmp_path)
    index = tmp_path / "index.json"
    text = index.read_text()
    index.write_text(json.dumps({**json.loads(text), "format": 99}))
    with pytest.raises(errors.CacheError, match="has format 99"):
        feature_cache.FeatureCache(tmp_path)
    index.write_text(text[:50])
    with pytest.raises(errors.CacheError, match=r"index\.json: is damaged"):
        feature_cache.FeatureCache(tmp_path)
    index.write_text(text)
    (tmp_path / "index.npz").write_bytes(b"not an archive")
    with pytest.raises(errors.CacheError, match=r"index\.npz: is missing or damaged"):
        feature_cache.FeatureCache(tmp_path)


def test_an_index_with_pickled_objects_is_not_unpickled(tmp_path):
    drawn_caches.write(tmp_path)
    np.savez(tmp_path / "index.npz", location_ids=np.array([{}], dtype=object))
    with pytest.raises(errors.CacheError, match=r"index\.npz"):
        feature_cache.FeatureCache(tmp_path)


def test_one_writer_at_a_time(tmp_path):
    with (tmp_path / ".lock").open("w") as holder:
        holder.write("4321\n")
        holder.flush()
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(errors.CacheError, match="process 4321 is writing there"), cache_writer.lock(tmp_path):
            pytest.fail("the lock was given twice")
    with cache_writer.lock(tmp_path):
        pass


def test_what_was_read_does_not_stay_mapped(tmp_path):
    rows = 100_000
    of = cache_format.Rows(
        string_array.Texts(np.zeros(rows, "S1")), np.zeros((rows, 2)), np.ones(rows, int), np.zeros(rows)
    )
    writer = cache_writer.CacheWriter(tmp_path / "c", drawn_caches.KEY, {}, of, (128,), rows // 4)
    for block in writer.missing():
        writer.write(block, np.full((rows // 4, 128), block, np.float32))
    writer.finish()
    cache = feature_cache.FeatureCache(tmp_path / "c")

    def mapped_mb() -> float:
        status = pathlib.Path("/proc/self/status").read_text()
        return int(re.search(r"RssFile:\s+(\d+)", status)[1]) / 1024

    before_mb, most_mb = mapped_mb(), 0.0
    for start in range(0, rows, 10_000):
        taken = cache.take(np.arange(start, start + 10_000))
        assert (taken[:, 0] == np.arange(start, start + 10_000) // (rows // 4)).all()
        most_mb = max(most_mb, mapped_mb())
    # Of 51 MB.
    assert most_mb < before_mb + 15
