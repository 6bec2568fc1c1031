"""Extraction by the real program: right features, whatever kills it."""

import pathlib
import shutil
import signal
import time

import numpy as np
import pytest
import road

from geods.cli import flags as cli_flags
from geods.dataset import dataset_reader
from geods.input import pipeline
from model.encoders import backbones
from trainers.features import cache_blocks, cache_format, feature_cache, feature_encoder, named_features
from trainers.options import extract_options, stages


def spec() -> backbones.BackboneSpec:
    return backbones.BackboneSpec(
        "report_cnn", "random", layer="block1_conv1", pooling="avg", height_px=32, width_px=48
    )


def test_features_are_what_the_encoder_says_of_the_views_in_order(cache_dir, data_dir):
    cache = feature_cache.FeatureCache(cache_dir / "test")
    assert cache.spec == spec().to_dict()
    shape = pipeline.PipelineOptions(32, 48, batch_size=1000, views="single")
    batch = next(iter(pipeline.batches(dataset_reader.open_builder(data_dir, "random"), "test", shape)))
    expected = backbones.build(spec()).predict_on_batch(batch["image"].numpy())
    taken = cache.take(np.arange(len(cache))).astype(np.float32)
    assert taken.shape == expected.shape
    assert np.allclose(taken, expected, rtol=2e-3, atol=2e-3)
    assert np.array_equal(cache.rows.headings, batch["heading"])


def blocks_of(folder: pathlib.Path) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.glob("train/blocks/0*.npy")}


def test_a_killed_extraction_keeps_its_blocks_and_ends_the_same(extract_flags, cache_dir, tmp_path):
    flags = [*extract_flags, f"--cache_dir={tmp_path}", "--splits=train"]
    with road.started("trainers.extract", *flags) as process:
        deadline = time.monotonic() + 120
        while len(blocks_of(tmp_path)) < 2 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it had ended before it could be killed"
    kept = blocks_of(tmp_path)
    assert len(kept) >= 2
    done = road.program("trainers.extract", *flags)
    assert f"{len(kept)} of " in done.stdout
    after = blocks_of(tmp_path)
    assert {name: after[name] for name in kept} == kept
    resumed, whole = feature_cache.FeatureCache(tmp_path / "train"), feature_cache.FeatureCache(cache_dir / "train")
    assert np.array_equal(resumed.take(np.arange(len(resumed))), whole.take(np.arange(len(whole))))


@pytest.mark.parametrize("features", sorted(path.stem for path in named_features.FOLDER.glob("*.cfg")))
def test_features_of_a_name_have_a_folder_of_their_own_and_a_recipe(features):
    settings = cli_flags.from_flagfile(
        extract_options.ExtractOptions, named_features.flagfile(features), "--cache_dir=cache"
    )
    assert named_features.cache_dir_of(settings.cache) == f"cache/{features}"
    there = cli_flags.replace(settings, cache_dir=f"cache/{features}")
    assert named_features.cache_dir_of(there.cache) == f"cache/{features}"
    recipe = road.REPO / f"trainers/recipes/{named_features.RECIPES[features]}.cfg"
    assert features in named_features.of_recipe(recipe).split(",")


def test_a_gap_in_the_middle_is_filled(extract_flags, cache_dir, tmp_path):
    shutil.copytree(cache_dir / "train", tmp_path / "train")
    flags = [*extract_flags, f"--cache_dir={tmp_path}", "--splits=train"]
    (tmp_path / "train" / "blocks" / "00001.npy").unlink()
    road.program("trainers.extract", *flags)
    mended, whole = feature_cache.FeatureCache(tmp_path / "train"), feature_cache.FeatureCache(cache_dir / "train")
    assert np.array_equal(mended.take(np.arange(len(mended))), whole.take(np.arange(len(whole))))


def test_a_stale_cache_is_refused_and_overwritten_on_demand(extract_flags, cache_dir, tmp_path):
    shutil.copytree(cache_dir / "test", tmp_path / "test")
    flags = [*extract_flags, f"--cache_dir={tmp_path}", "--splits=test"]
    refused = road.program("trainers.extract", *flags, "--height_px=40", expect=2)
    assert "height_px is 32, wanted 40" in refused.stderr
    assert len([line for line in refused.stderr.splitlines() if line]) <= 12
    done = road.program("trainers.extract", *flags, "--height_px=40", "--overwrite")
    assert feature_cache.FeatureCache(tmp_path / "test").key.height_px == 40
    # The end says what was written and what comes next.
    assert "test: " in done.stdout
    assert "MB" in done.stdout
    assert "next: python -m trainers.train" in done.stdout
    assert "views/s" in done.stderr


def test_an_unknown_split_is_refused_before_anything_is_computed(extract_flags, tmp_path):
    refused = road.program("trainers.extract", *extract_flags, f"--cache_dir={tmp_path}", "--splits=dev", expect=2)
    assert "no split 'dev'" in refused.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("sizes", [[5], [1, 1, 1], [4, 4, 2], [3, 7], [10]])
def test_rows_are_regrouped(sizes):
    batches = iter([np.arange(0, 4), np.arange(4, 5), np.arange(5, 10)])
    blocks = list(cache_blocks.regroup(batches, sizes))
    assert [len(block) for block in blocks] == sizes
    assert np.array_equal(np.concatenate(blocks), np.arange(sum(sizes)))


def test_runs_of_blocks():
    assert cache_blocks.consecutive_runs([]) == []
    assert cache_blocks.consecutive_runs([0, 1, 3, 5, 6]) == [[0, 1], [3], [5, 6]]


def test_the_key_tells_every_field_of_the_encoder_apart():
    key = cache_format.CacheKey.of(spec(), dataset="d", split="s", weights_sha256="w", precision="p", dtype="float16")
    assert (key.backbone, key.layer, key.pooling, key.height_px, key.width_px, key.preprocessing) == (
        "report_cnn",
        "block1_conv1",
        "avg",
        32,
        48,
        "own",
    )
    assert (
        feature_encoder.spec_of(stages.EncoderOptions(backbone="vgg16", backbone_weights="random"), 0).name == "vgg16"
    )
