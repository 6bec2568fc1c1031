"""Augmented copies of a cache: repeatable, drawn in training, checked."""

import shutil

import numpy as np
import pytest
import road
import tensorflow as tf

from geods import errors
from geods.cli import flags as cli_flags
from trainers import extract, train
from trainers.features import cache_format, encode_dataset, feature_cache, joined_cache
from trainers.options import extract_options, train_options
from trainers.training import cells as training_cells
from trainers.training import inputs


@pytest.fixture(scope="module")
def settings(data_dir, tmp_path_factory):
    return cli_flags.build(
        extract_options.ExtractOptions,
        **road.ENCODER_FIELDS,
        data_dir=str(data_dir),
        config="random",
        cache_dir=str(tmp_path_factory.mktemp("cache")),
        block_rows=16,
        splits=("train", "validation"),
        variants=2,
        crop=0.3,
        brightness=0.2,
        coarsen=0.3,
        jpeg_quality=50,
    )


@pytest.fixture(scope="module")
def cache_dir(settings):
    extract.main(settings)
    return settings.cache.cache_dir


def of(cache_dir, variant, split="train"):
    return feature_cache.FeatureCache(cache_format.folder_of(cache_dir, split, variant))


def test_each_copy_is_of_the_same_views_changed_otherwise(cache_dir):
    plain, first, second = (of(cache_dir, variant) for variant in range(3))
    rows = np.arange(len(plain))
    told = [cache.take(rows).astype(float) for cache in (plain, first, second)]
    assert [cache.key.variant[:2] for cache in (plain, first, second)] == ["", "1:", "2:"]
    np.testing.assert_array_equal(first.rows.location_ids, plain.rows.location_ids)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert (told[one] != told[other]).any(axis=1).mean() > 0.9
    # The places are still there: a view is more like its own copy than like another view.
    own = np.linalg.norm(told[0] - told[1], axis=1).mean()
    others = np.linalg.norm(told[0] - np.roll(told[1], 31, axis=0), axis=1).mean()
    assert own < others


def test_an_extraction_that_was_cut_off_makes_the_same_copies(settings, cache_dir, tmp_path):
    shutil.copytree(cache_dir, tmp_path / "cache")
    blocks = sorted((tmp_path / "cache" / "train" / "variant1" / "blocks").iterdir())
    before = blocks[3].read_bytes()
    blocks[3].unlink()
    extract.main(cli_flags.replace(settings, cache_dir=str(tmp_path / "cache"), splits=("train",)))
    again, first = of(tmp_path / "cache", 1), of(cache_dir, 1)
    assert blocks[3].read_bytes() == before
    np.testing.assert_array_equal(again.take(np.arange(len(again))), first.take(np.arange(len(first))))


def test_rows_are_drawn_from_all_copies_anew_each_epoch(cache_dir):
    caches = [of(cache_dir, variant) for variant in range(3)]
    drawn = joined_cache.AugmentedCache(caches, seed=0)
    rows = np.arange(60)
    first, same = drawn.take(rows), drawn.take(rows)
    np.testing.assert_array_equal(first, same)
    drawn.draw()
    assert (drawn.take(rows) != first).any()
    choices = np.stack([cache.take(rows) for cache in caches])
    found = (first[None] == choices).all(axis=2)
    assert found.any(axis=0).all()
    assert (found.mean(axis=1) > 0.15).all()
    np.testing.assert_array_equal(joined_cache.AugmentedCache(caches, seed=0).take(rows), first)


def test_only_training_draws(settings, cache_dir):
    data = train_options.DataOptions(settings.data.data_dir, "random", variants=2, cache_dir=cache_dir)
    cells = training_cells.for_run(train_options.CellOptions(), data)
    held, _ = inputs.from_cache(data, "validation", cells, train=False, seed=0)
    given, mask = held.inputs[0][0]["features"], held.inputs[0][0]["view_mask"]
    plain = of(cache_dir, 0, "validation")
    np.testing.assert_array_equal(given[mask], plain.take(np.arange(mask.sum())).astype("float32"))


def test_a_run_draws_them(settings, cache_dir, tmp_path, capsys):
    flags = {
        "data_dir": settings.data.data_dir,
        "config": "random",
        "cache_dir": cache_dir,
        "head": "linear",
        "epochs": 2,
    }
    train.main(cli_flags.build(train_options.TrainOptions, **flags, variants=2, run_dir=str(tmp_path / "a")))
    train.main(cli_flags.build(train_options.TrainOptions, **flags, variants=0, run_dir=str(tmp_path / "b")))
    lines = [
        line.split(" s,")[0].split("loss ")[1][:6] for line in capsys.readouterr().out.splitlines() if "loss" in line
    ]
    assert lines[:2] != lines[2:]


def test_more_copies_than_there_are_name_the_program_that_makes_them(settings, cache_dir, tmp_path):
    flags = {"data_dir": settings.data.data_dir, "config": "random", "cache_dir": cache_dir, "run_dir": str(tmp_path)}
    with pytest.raises(errors.CacheError, match=r"variant3: no feature cache there(.|\n)*trainers\.extract"):
        train.main(cli_flags.build(train_options.TrainOptions, **flags, variants=3))


def test_a_split_of_something_else_is_refused(settings, cache_dir, tmp_path):
    other = road.cache_of_others(cache_dir, tmp_path / "cache", '"pooling": "avg"', '"pooling": "max"')
    (other / "validation").rename(other / "test")
    with pytest.raises(errors.CacheError, match=r"test: .*split is 'validation', wanted 'test'"):
        joined_cache.open_split([other], "test")
    (other / "test").rename(other / "validation")
    shutil.rmtree(other / "train")
    shutil.copytree(f"{cache_dir}/train", other / "train")
    flags = {"data_dir": settings.data.data_dir, "config": "random", "cache_dir": str(other), "run_dir": str(tmp_path)}
    with pytest.raises(errors.CacheError, match=r"validation: .*pooling is 'max', wanted 'avg'"):
        train.main(cli_flags.build(train_options.TrainOptions, **flags))


def test_a_copy_of_something_else_is_refused(cache_dir):
    with pytest.raises(errors.CacheError, match=r"variant 1:.*split is 'validation', wanted 'train'"):
        joined_cache.AugmentedCache([of(cache_dir, 0), of(cache_dir, 1, "validation")], seed=0)


@pytest.mark.parametrize("changed", [{"variants": 2}, {"crop": 0.2}])
def test_copies_need_a_change_and_a_change_needs_copies(changed):
    with pytest.raises(errors.OptionError, match="--variants=3 --crop"):
        cli_flags.build(extract_options.ExtractOptions, **changed)


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"coarsen": 1.0}, "--coarsen=1.0: must be"), ({"jpeg_quality": 0}, "--jpeg_quality=0: must")],
)
def test_changes_outside_their_range_are_refused(changed, message):
    with pytest.raises(errors.OptionError, match=message):
        cli_flags.build(extract_options.ExtractOptions, variants=1, **changed)


def test_a_coarser_jpeg_has_fewer_details_and_the_same_size():
    image = tf.constant(np.random.default_rng(0).integers(0, 256, (32, 48, 3)).astype(np.uint8))
    same = encode_dataset._compressed(image, tf.constant([0.0, 0.0]), 0.5, 100)
    np.testing.assert_array_equal(same, image)
    for lots, coarsen, quality in (([1.0, 0.0], 0.5, 100), ([0.0, 1.0], 0.0, 5)):
        changed = encode_dataset._compressed(image, tf.constant(lots), coarsen, quality)
        assert changed.shape == image.shape
        assert (
            np.diff(changed.numpy().astype(int), axis=1).std() < 0.8 * np.diff(image.numpy().astype(int), axis=1).std()
        )


def test_copies_without_a_cache_are_refused():
    with pytest.raises(errors.OptionError, match="--variants=2 without --cache_dir"):
        cli_flags.build(train_options.TrainOptions, variants=2)
