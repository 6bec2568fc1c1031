"""Records come in TFDS' order with TFDS' content, however they are parsed."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from geods import errors
from geods.dataset import dataset_reader, record_files, records


@pytest.fixture(scope="module")
def builder(data_dir):
    return dataset_reader.open_builder(data_dir, "random")


def as_tfds_reads(builder, split, shuffle, seed):
    config = tfds.ReadConfig(
        try_autocache=False, shuffle_seed=seed, interleave_cycle_length=16 if shuffle else 1, add_tfds_id=False
    )
    decoders = {"views": {"image": tfds.decode.SkipDecoding()}}
    found = builder.as_dataset(split=split, decoders=decoders, shuffle_files=shuffle, read_config=config)
    return (found.shuffle(30, seed=seed) if shuffle else found).as_numpy_iterator()


@pytest.mark.parametrize("split", ["train", "test", "train[3:50]", "train[20%:]", "test+validation"])
@pytest.mark.parametrize("shuffle", [False, True])
def test_records_are_read_as_tfds_does(builder, split, shuffle):
    found = records.read(builder, split, shuffle, seed=5, buffer=30)
    assert len(found) > 10
    for mine, theirs in zip(
        found.map(records.parse_one).as_numpy_iterator(), as_tfds_reads(builder, split, shuffle, 5), strict=True
    ):
        for name in ("location_id", "coords", "cell"):
            assert np.array_equal(mine[name], theirs[name]), name
        for name in ("image", "heading"):
            assert np.array_equal(mine["views"][name], theirs["views"][name]), name


def test_many_at_once_are_those_one_by_one(builder):
    found = records.read(builder, "train+test")
    singles = list(found.map(records.parse_one).as_numpy_iterator())
    assert {len(row["views"]["image"]) for row in singles} >= {1, 3}
    views = [dict(row) for row in found.batch(7).map(records.parse_views).unbatch().as_numpy_iterator()]
    expected = [
        (row["location_id"], row["cell"], row["coords"].tolist(), image, heading)
        for row in singles
        for image, heading in zip(row["views"]["image"], row["views"]["heading"], strict=True)
    ]
    assert [
        (row["location_id"], row["cell"], row["coords"].tolist(), row["image"], row["heading"]) for row in views
    ] == expected


def test_only_what_is_asked_for_of_views_is_read(builder):
    parsed = next(iter(records.read(builder, "test").batch(4).map(lambda rows: records.parse(rows, ("sha256",)))))
    assert set(parsed["views"]) == {"sha256"}
    assert {len(text) for text in parsed["views"]["sha256"].values.numpy()} == {64}


def test_locations_are_found_by_id_with_and_without_their_row(builder, data_dir):
    found = record_files.LocationRecords(data_dir, "random", ["validation"])
    for split in ("validation", "train"):
        rows = list(records.read(builder, split).map(records.parse_one).take(12).as_numpy_iterator())
        for number in (11, 0, 5):
            name = rows[number]["location_id"].decode()
            # Of the first splits the row is the right one, of others it is another location's.
            for record in (found.find(name, number), found.find(name)):
                assert record["views/image"] == rows[number]["views"]["image"].tolist()
                assert np.frombuffer(record["coords"][0], "<f8").tolist() == rows[number]["coords"].tolist()
                np.testing.assert_array_equal(record["views/heading"], rows[number]["views"]["heading"])
    with pytest.raises(KeyError):
        found.find("0.0,0.0", 3)


def test_splits_that_are_not_there_and_shards_of_another_kind_are_refused(builder, data_dir):
    with pytest.raises(errors.DatasetError, match=r"no split 'dev'; it has"):
        records.read(builder, "dev")
    other = dataset_reader.open_builder(data_dir, "random")
    other.info.set_file_format("riegeli", override=True, override_if_initialized=True)
    with pytest.raises(
        errors.DatasetError, match=r"riegeli; geods reads tfrecord and array_record(.|\n)*tfds build geods"
    ):
        records.read(other, "train")
