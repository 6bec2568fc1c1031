"""Training inputs: every example once an epoch, with its own truth."""

import dataclasses

import numpy as np
import pytest
import shapely

from geods import errors
from geods.dataset import dataset_reader
from geods.geo import partition
from trainers.features import feature_cache
from trainers.options import train_options
from trainers.training import cells as training_cells
from trainers.training import inputs


@pytest.fixture(scope="module")
def settings(data_dir, cache_dir):
    return train_options.DataOptions(data_dir=str(data_dir), config="random", cache_dir=str(cache_dir), batch_size=16)


@pytest.fixture(scope="module")
def cells(data_dir):
    return dataset_reader.partition_of(dataset_reader.open_builder(data_dir, "random"))


def from_cache(settings, split, cells, train):
    return inputs.from_cache(settings, split, cells, train, seed=0)


def from_images(settings, split, cells, train):
    return inputs.from_images(settings, (32, 48), split, cells, train, train_options.RunOptions())


def test_validation_comes_in_order_with_all_views(settings, cells, cache_dir):
    split, cache = from_cache(settings, "train", cells, train=False)
    batches = [split.inputs[number] for number in range(len(split.inputs))]
    truth = np.concatenate([truth for _, truth in batches])
    assert np.array_equal(truth[:, :2], cache.rows.coords.astype(np.float32))
    assert np.array_equal(truth[:, 2], split.cells)
    masks = np.concatenate([batch["view_mask"] for batch, _ in batches])
    assert np.array_equal(masks.sum(axis=1), cache.rows.views)
    values = np.concatenate([batch["features"] for batch, _ in batches])
    assert np.array_equal(values[masks], cache.take(np.arange(len(cache))).astype(np.float32))
    assert not values[~masks].any()


def test_fewer_locations_a_cell_and_views_a_location_are_taken(settings, cells):
    fewer = dataclasses.replace(settings, places_per_cell=3, views_per_place=2)
    split, cache = from_cache(fewer, "train", cells, train=True)
    truth = np.concatenate([split.inputs[number][1] for number in range(len(split.inputs))])
    there = np.bincount(split.cells, minlength=len(cells))
    assert np.array_equal(np.bincount(truth[:, 2].astype(int), minlength=len(cells)), np.minimum(there, 3))
    assert split.inputs[0][0]["view_mask"].shape[1] == 2 < cache.rows.views.max()
    with pytest.raises(errors.OptionError, match="--places_per_cell without --cache_dir"):
        dataclasses.replace(fewer, cache_dir="")


@pytest.mark.parametrize("views", ["single", "all"])
def test_training_sees_every_example_once_and_shuffles_anew(settings, cells, views):
    split, cache = from_cache(dataclasses.replace(settings, train_views=views), "train", cells, train=True)

    def epoch() -> np.ndarray:
        return np.concatenate([split.inputs[number][1] for number in range(len(split.inputs))])

    first = epoch()
    split.inputs.on_epoch_end()
    second = epoch()
    assert len(first) == split.examples == (len(cache) if views == "single" else len(cache.rows.coords))
    assert not np.array_equal(first, second)
    assert np.array_equal(np.sort(first, axis=0), np.sort(second, axis=0))


def test_features_keep_their_truth_when_shuffled(settings, cells):
    split, cache = from_cache(dataclasses.replace(settings, train_views="single"), "train", cells, train=True)
    of_place = np.repeat(cache.rows.coords, cache.rows.views, axis=0).astype(np.float32)
    rows = {row.tobytes(): place for row, place in zip(cache.take(np.arange(len(cache))), of_place, strict=True)}
    batch, truth = split.inputs[0]
    for values, place in zip(batch["features"][:, 0], truth, strict=True):
        assert np.array_equal(rows[values.astype(np.float16).tobytes()], place[:2])


def test_places_outside_the_partition_are_left_out_of_training_and_counted(settings, capsys):
    west = partition.Partition((shapely.box(-120, 30, -107, 48), shapely.box(-107, 30, -95, 48)))
    split, cache = from_cache(settings, "train", west, train=True)
    inside = (cache.rows.coords[:, 1] <= -95).sum()
    assert split.examples == inside < len(cache.rows.coords)
    assert (
        f"{len(cache.rows.coords) - inside} of {len(cache.rows.coords)} locations lie outside"
        in capsys.readouterr().out
    )
    kept, _ = from_cache(settings, "validation", west, train=False)
    assert kept.examples == len(kept.coords)
    near = training_cells.finer(train_options.CellOptions(nearest_km=400), west)
    reached, _ = from_cache(settings, "train", near, train=True)
    assert inside < reached.examples < len(cache.rows.coords)
    said = f"{reached.examples - inside} of {len(cache.rows.coords)} locations outside every cell get the nearest"
    assert f"train: {said} within 400 km" in capsys.readouterr().out


def test_a_partition_of_elsewhere_is_refused(settings):
    fiji = partition.Partition((shapely.box(177, -19, 179, -16),))
    for settings_ in (settings, dataclasses.replace(settings, cache_dir="")):
        read = from_cache if settings_.cache_dir else from_images
        with pytest.raises(errors.DatasetError, match=r"none of the \d+ locations of split 'train'"):
            read(settings_, "train", fiji, train=True)


@pytest.mark.parametrize("views", ["single", "all"])
def test_images_come_with_truth_and_weights(settings, data_dir, views):
    east = partition.Partition((shapely.box(-95, 30, -70, 48),))
    split = from_images(dataclasses.replace(settings, train_views=views), "train", east, train=True)
    counted = 0
    for batch, truth, weight in split.inputs:
        count = len(truth)
        counted += count
        width = 1 if views == "single" else 3
        assert batch["image"].shape == (count, width, 32, 48, 3)
        assert batch["view_mask"].shape == (count, width)
        truth = truth.numpy()
        assert np.array_equal(truth[:, 2], east.label(truth[:, 0].astype(float), truth[:, 1].astype(float)))
        assert np.array_equal(weight.numpy(), truth[:, 2] >= 0)
    assert counted == split.examples


def test_a_missing_cache_is_named(settings, cells, tmp_path):
    with pytest.raises(errors.CacheError, match="no feature cache there"):
        from_cache(dataclasses.replace(settings, cache_dir=str(tmp_path)), "train", cells, train=True)
    assert isinstance(from_cache(settings, "test", cells, train=False)[1], feature_cache.FeatureCache)
