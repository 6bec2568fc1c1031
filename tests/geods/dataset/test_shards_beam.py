"""A dataset that is built on Beam is the one that is built without, file by file."""

import functools

import drawn_datasets
import drawn_trees
import pytest
import tensorflow_datasets as tfds
from apache_beam.options import pipeline_options

from geods import errors, geods_dataset_builder
from geods.dataset import build_plan, shards, splits
from geods.tree import bad_images, companions


def build(root, data_dir, **more):
    builder = geods_dataset_builder.Builder(data_dir=data_dir, config="random")
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=root, **more))
    return drawn_datasets.hashes(data_dir)


on_beam = functools.partial(build, beam_options=pipeline_options.PipelineOptions(["--runner=DirectRunner"]))


def test_every_file_is_the_same_on_beam_with_bad_images_left_out(tmp_path, monkeypatch):
    root = drawn_datasets.make_tree(tmp_path / "tree")
    drawn_datasets.spoil(root)
    monkeypatch.setenv(bad_images.ACTION_VARIABLE, "skip")
    monkeypatch.setenv(bad_images.FRACTION_VARIABLE, "0.1")
    here = build(root, tmp_path / "here", num_shards=2)
    assert on_beam(root, tmp_path / "beam", num_shards=2) == here
    assert len([name for name in here if ".tfrecord-" in name]) == 6


def test_an_image_that_changes_after_its_check_is_told(tmp_path):
    root = drawn_datasets.make_tree(tmp_path / "tree", 1)
    plan = build_plan.make(companions.TreeFolder(root), splits.Request("random"), bad_images.Policy())
    (place, cell), *_ = plan.by_split["train"]
    hashes = [plan.facts.sha256(view.row) for view in place.views]
    (tmp_path / "rows").write_text(shards._to_line((place, cell, hashes)))
    task = {"path": str(tmp_path / "shard"), "rows": str(tmp_path / "rows")}
    others = {"provenance": {}, "file_format": "tfrecord"}
    size_bytes = shards.write_shard(task, **others)
    assert size_bytes == (tmp_path / "shard").stat().st_size - 16
    assert size_bytes == pytest.approx(shards._size_bytes(plan, plan.by_split["train"][:1]), abs=100)
    (tmp_path / "shard").unlink()
    place.views[1].path.write_bytes(drawn_trees.jpeg(99))
    with pytest.raises(errors.DatasetError, match=r"90_2012-05\.jpg: has changed since it was checked"):
        shards.write_shard(task, **others)
    assert not (tmp_path / "shard").exists()


def test_a_runner_object_is_refused(tmp_path):
    root = drawn_datasets.make_tree(tmp_path / "tree", 3)
    with pytest.raises(errors.OptionError, match="workers are started by options alone"):
        build(root, tmp_path / "ds", beam_runner="DirectRunner")
