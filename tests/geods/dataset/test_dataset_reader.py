"""Built datasets: found, described without decoding, refused if not ours."""

import shutil

import numpy as np
import pytest

from geods import errors
from geods.dataset import dataset_folder, dataset_reader, records
from geods.geo import partition
from geods.tree import imagery_tree


@pytest.fixture(scope="module")
def builder(data_dir):
    return dataset_reader.open_builder(data_dir, "random")


def test_the_index_is_the_tree_without_images(builder, tree_dir):
    by_id = {place.location_id: place for place in imagery_tree.read(tree_dir)}
    indexes = [dataset_reader.index(builder, split) for split in ("train", "validation", "test")]
    assert sorted(name for index in indexes for name in index.location_ids) == sorted(by_id)
    for index in indexes:
        places = [by_id[name] for name in index.location_ids]
        assert len(index) == len(places)
        assert np.array_equal(index.coords, imagery_tree.coords(places))
        assert index.cells.tolist() == [place.folder_cell for place in places]
        assert index.views.tolist() == [len(place.views) for place in places]
        views = [view for place in places for view in place.views]
        assert index.headings.tolist() == [view.heading_deg for view in views]
        assert index.dates.tolist() == [view.date for view in views]


def test_partition_and_fingerprint_come_with_the_dataset(builder, tree_dir):
    assert (
        dataset_reader.partition_of(builder).to_geojson() == partition.read(tree_dir / "partition.geojson").to_geojson()
    )
    assert dataset_reader.fingerprint_of(builder).startswith("geods/random/1.0.0 ")


def test_missing_datasets_configs_and_splits_are_named(data_dir, builder, tmp_path):
    with pytest.raises(errors.DatasetError, match=r"nothing.*configs built: none(.|\n)*tfds build"):
        dataset_reader.open_builder(tmp_path / "nothing")
    with pytest.raises(errors.DatasetError, match=r"configs built: random"):
        dataset_reader.open_builder(data_dir, "blocked")
    with pytest.raises(errors.DatasetError, match=r"one of blocked, random, report"):
        dataset_reader.open_builder(data_dir, "spatial")
    with pytest.raises(errors.DatasetError, match=r"no split 'dev'; it has"):
        dataset_reader.index(builder, "dev")


def test_a_dataset_of_someone_else_is_refused(data_dir, tmp_path):
    copy = tmp_path / "geods" / "random" / "1.0.0"
    shutil.copytree(data_dir / "geods" / "random" / "1.0.0", copy)
    (copy / "metadata.json").write_text("{}")
    (copy / "seal.json").unlink()
    with pytest.raises(errors.DatasetError, match=r"no metadata\.json of geods"):
        dataset_reader.partition_of(dataset_reader.open_builder(tmp_path, "random"))


def test_the_configs_named_are_those_of_the_builder():
    from geods import geods_dataset_builder

    assert tuple(config.name for config in geods_dataset_builder.Builder.BUILDER_CONFIGS) == dataset_folder.CONFIGS


def test_an_order_of_an_epoch_follows_from_its_number(data_dir):
    builder = dataset_reader.open_builder(data_dir, "random")

    def ids(dataset):
        return [row["location_id"] for row in dataset.map(records.parse_one).as_numpy_iterator()]

    orders, number = dataset_reader.epochs(builder, "train", seed=0)
    first, same = ids(orders), ids(orders)
    assert first == same
    number.assign(1)
    second = ids(orders)
    assert first != second
    assert sorted(first) == sorted(second)
    again, number = dataset_reader.epochs(builder, "train", seed=0)
    number.assign(1)
    assert ids(again) == second
    assert ids(dataset_reader.epochs(builder, "train", seed=1)[0]) != first


@pytest.mark.parametrize("split", ["train", "train[10:40]", "train[:50%]"])
def test_a_part_begins_at_a_location(data_dir, split):
    builder = dataset_reader.open_builder(data_dir, "random")
    whole = dataset_reader.index(builder, split).location_ids.tolist()
    for start in (0, 1, 17):
        assert (
            dataset_reader.index(builder, dataset_reader.part_from(builder, split, start)).location_ids.tolist()
            == whole[start:]
        )
