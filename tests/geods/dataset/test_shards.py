"""Records and shards equal those of TFDS, but for the order of a map."""

import math

import drawn_datasets
import drawn_trees
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets.core import example_serializer, writer

from geods.dataset import build_plan, examples, shards, splits
from geods.storage import files
from geods.tree import bad_images, companions, imagery_tree


def as_tfds_has_it(place, cell: int, provenance: companions.Provenance) -> dict:
    return {
        "location_id": place.location_id,
        "coords": np.array([place.lat_deg, place.lon_deg]),
        "cell": cell,
        "views": [
            {
                "image": view.path.read_bytes(),
                "heading": math.nan if view.heading_deg is None else view.heading_deg,
                "date": view.date or "",
                "sha256": files.sha256_of_file(view.path),
            }
            for view in place.views
        ],
        "source": provenance.source,
        "licence": provenance.licence_of(place.location_id),
    }


def features_of(cells: int) -> tfds.features.FeaturesDict:
    features = examples.features()
    examples.name_cells(features, cells)
    return features


@pytest.fixture
def plan(tmp_path):
    root = drawn_datasets.make_tree(tmp_path / "tree", 40)
    (root / "0" / "-7.5,179.99").mkdir(parents=True)
    (root / "0" / "-7.5,179.99" / "view0.jpg").write_bytes(drawn_trees.jpeg(5))
    return build_plan.make(companions.TreeFolder(root), splits.Request("random"), bad_images.Policy())


def test_a_record_is_what_tfds_writes(tmp_path, plan):
    features = features_of(plan.cell_count)
    serializer = example_serializer.ExampleSerializer(features.get_serialized_info())
    odd = imagery_tree.read(tmp_path / "tree")
    assert any(view.heading_deg is None for place in odd for view in place.views)
    own = {odd[0].location_id: "etalab-2.0"}
    for provenance in (companions.Provenance(), companions.Provenance("Öffentlich \u2603", "CC-BY-4.0", own)):
        for place in odd:
            theirs = serializer.get_tf_example(features.encode_example(as_tfds_has_it(place, 7, provenance)))
            mine = examples.record_of(place, 7, provenance)
            assert mine == theirs.SerializeToString(deterministic=True)


def test_the_order_is_that_of_tfds(tmp_path, plan):
    config = tfds.download.DownloadConfig(num_shards=3).get_shard_config()
    template = tfds.core.naming.ShardedFileTemplate(
        data_dir=tmp_path / "ours", dataset_name="geods", split="train", filetype_suffix="tfrecord"
    )
    found = shards.shards_of(plan, "train", template, config)
    theirs = writer.Writer(
        example_serializer.ExampleSerializer(features_of(plan.cell_count).get_serialized_info()),
        template.replace(data_dir=tmp_path),
        hash_salt="train",
        disable_shuffling=False,
        example_writer=writer.ExampleWriter(tfds.core.FileFormat.TFRECORD),
        shard_config=config,
    )
    features = features_of(plan.cell_count)
    for place, cell in plan.by_split["train"]:
        theirs.write(place.location_id, features.encode_example(as_tfds_has_it(place, cell, plan.provenance)))
    lengths, _ = theirs.finalize()
    assert [len(shard.locations) for shard in found] == lengths
    for number, shard in enumerate(found):
        path = template.replace(data_dir=tmp_path).sharded_filepath(shard_index=number, num_shards=3)
        records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
        ids = [
            tf.train.Example.FromString(record).features.feature["location_id"].bytes_list.value[0].decode()
            for record in records
        ]
        assert [place.location_id for place, _ in shard.locations] == ids
