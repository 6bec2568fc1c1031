"""Batches with Pillow's pixels, every view once, in a repeatable order."""

import dataclasses
import io
import itertools

import checkout
import drawn_trees
import numpy as np
import pytest
import road
import tensorflow as tf
from PIL import Image

from geods import errors
from geods.dataset import dataset_reader
from geods.input import pipeline, tf_decoder
from geods.tree import imagery_tree

SHARED = checkout.SHARED / "data" / "us_street_view"
SMALL = pipeline.PipelineOptions(height_px=40, width_px=60, batch_size=16)


@pytest.fixture(scope="module")
def builder(data_dir):
    return dataset_reader.open_builder(data_dir, "random")


def pillow(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


@pytest.mark.parametrize(("height_px", "width_px"), [(24, 32), (17, 33), (1, 1), (300, 599)])
def test_pixels_are_those_of_pillow_eager_and_in_a_pipeline(height_px, width_px):
    content = drawn_trees.jpeg(3, height_px, width_px)
    eager = tf_decoder.decode_image(tf.constant(content), height_px, width_px)
    piped = tf.data.Dataset.from_tensors(content).map(lambda jpeg: tf_decoder.decode_image(jpeg, height_px, width_px))
    assert np.array_equal(eager, pillow(content))
    assert np.array_equal(next(iter(piped)), pillow(content))


@pytest.mark.skipif(not SHARED.is_dir(), reason="no real street-level images beside the checkout")
def test_pixels_of_real_photographs_are_those_of_pillow():
    for path in sorted(SHARED.glob("*/*/*.jpg"))[::200]:
        expected = pillow(path.read_bytes())
        assert np.array_equal(tf_decoder.decode_image(path.read_bytes(), *expected.shape[:2]), expected)


def test_grey_jpegs_get_three_channels():
    grey = drawn_trees.encoded(Image.fromarray(np.full((8, 8), 77, np.uint8)), "JPEG")
    assert np.array_equal(tf_decoder.decode_image(grey, 8, 8), np.full((8, 8, 3), 77))


def test_a_smaller_size_averages_what_it_covers():
    # Left half black, right half white: shrunk 8 times, each pixel lies in one half.
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:, 32:] = 255
    content = drawn_trees.encoded(Image.fromarray(pixels), "JPEG")
    shrunk = tf_decoder.decode_image(content, 4, 8).numpy()
    assert shrunk.shape == (4, 8, 3)
    assert shrunk[:, :3].max() < 10
    assert shrunk[:, 5:].min() > 245


def test_every_view_comes_once_with_its_place(builder, tree_dir):
    by_id = {place.location_id: place for place in imagery_tree.read(tree_dir)}
    seen = []
    for batch in pipeline.batches(builder, "train", SMALL):
        for row in range(len(batch["image"])):
            place = by_id[batch["location_id"][row].numpy().decode()]
            seen.append(place.location_id)
            count = int(batch["view_mask"][row].numpy().sum())
            assert count == len(place.views)
            assert batch["heading"][row, :count].numpy().tolist() == [view.heading_deg for view in place.views]
            assert batch["coords"][row].numpy().tolist() == [place.lat_deg, place.lon_deg]
            assert int(batch["cell"][row]) == place.folder_cell
            for number, view in enumerate(place.views):
                assert np.array_equal(batch["image"][row, number], pillow(view.path.read_bytes()))
            assert not batch["image"][row, count:].numpy().any()
    assert sorted(seen) == sorted(dataset_reader.index(builder, "train").location_ids)


def test_single_views_are_the_views_of_all(builder):
    single = dataclasses.replace(SMALL, views="single", batch_size=7)
    images = np.concatenate([batch["image"] for batch in pipeline.batches(builder, "test", single)])
    together = list(pipeline.batches(builder, "test", SMALL))
    expected = np.concatenate([batch["image"].numpy()[batch["view_mask"].numpy()] for batch in together])
    assert np.array_equal(images, expected)
    skipped = dataclasses.replace(single, skip=5)
    assert np.array_equal(next(iter(pipeline.batches(builder, "test", skipped)))["image"], expected[5:12])


def test_a_loop_ends_with_its_last_batch(builder, tree_dir):
    # Where TensorFlow tunes a dataset, the end of a loop sleeps for up to as long as the loop took.
    of_dataset = pipeline.batches(builder, "test", SMALL, then=lambda batch: batch["image"])
    for rows in (of_dataset, pipeline.tree_batches(imagery_tree.read(tree_dir)[:2], SMALL)):
        assert rows.options().autotune.enabled is False


def test_then_is_applied_before_the_batches_are_prefetched(builder):
    images = pipeline.batches(builder, "test", SMALL, then=lambda batch: batch["image"])
    assert images.element_spec.dtype == tf.uint8
    expected = pipeline.batches(builder, "test", SMALL)
    assert all(np.array_equal(mine, theirs["image"]) for mine, theirs in zip(images, expected, strict=True))


def ids_of(batches) -> list[bytes]:
    return [name for batch in batches for name in batch["location_id"].numpy().tolist()]


def test_order_is_kept_shuffled_by_seed_or_repeated(builder):
    plain = ids_of(pipeline.batches(builder, "train", SMALL))
    assert plain == ids_of(pipeline.batches(builder, "train", SMALL))
    assert [name.decode() for name in plain] == dataset_reader.index(builder, "train").location_ids.tolist()
    shuffled = dataclasses.replace(SMALL, shuffle=True, seed=3)
    once = ids_of(pipeline.batches(builder, "train", shuffled))
    assert once == ids_of(pipeline.batches(builder, "train", shuffled))
    assert once != plain
    assert sorted(once) == sorted(plain)
    assert once != ids_of(pipeline.batches(builder, "train", dataclasses.replace(shuffled, seed=4)))
    forever = dataclasses.replace(SMALL, repeat=True, drop_remainder=True)
    taken = list(pipeline.batches(builder, "test", forever).take(5))
    assert [len(batch["cell"]) for batch in taken] == [16] * 5


def test_each_epoch_shuffles_anew(builder):
    batches = pipeline.batches(builder, "train", dataclasses.replace(SMALL, shuffle=True))
    assert ids_of(batches) != ids_of(batches)


@pytest.mark.parametrize("views", ["single", "all"])
def test_loops_over_one_dataset_do_not_disturb_each_other(builder, views):
    options = dataclasses.replace(SMALL, shuffle=True, batch_size=5, views=views)
    batches = pipeline.batches(builder, "train", options)
    whole, again = ids_of(batches), ids_of(batches)
    batches = pipeline.batches(builder, "train", options)
    # More at once than are kept, each at another batch; the first two give the epochs above.
    loops = [iter(batches) for _ in range(5)]
    found = [ids_of(list(itertools.islice(loop, 1 + number))) for number, loop in enumerate(loops)]
    found = [start + ids_of(loop) for start, loop in zip(found, loops, strict=True)]
    assert whole in found
    assert again in found
    assert len({tuple(names) for names in found}) == len(loops)
    assert all(sorted(names) == sorted(whole) for names in found)


def test_a_tree_gives_the_same_batches_as_its_dataset(builder, tree_dir):
    index = dataset_reader.index(builder, "test")
    by_id = {place.location_id: place for place in imagery_tree.read(tree_dir)}
    places = [by_id[name] for name in index.location_ids]
    for of_tree, of_dataset in zip(
        pipeline.tree_batches(places, SMALL), pipeline.batches(builder, "test", SMALL), strict=True
    ):
        assert set(of_tree) == set(of_dataset) - {"cell"}
        for name, value in of_tree.items():
            assert np.array_equal(value, of_dataset[name]), name


def test_bad_images_of_a_tree_are_named(tmp_path):
    root = drawn_trees.write(tmp_path / "tree", drawn_trees.location_ids(2))
    places = imagery_tree.read(root)
    places[1].views[2].path.write_bytes(drawn_trees.jpeg(1)[:200])
    with pytest.raises(errors.ImageError, match=places[1].views[2].path.name):
        pipeline.tree_batches(places, SMALL)
    with pytest.raises(errors.TreeError, match="no location"):
        pipeline.tree_batches([], SMALL)


@pytest.mark.parametrize("wrong", [{"height_px": 0}, {"batch_size": 0}, {"views": "both"}])
def test_impossible_options_are_refused(wrong):
    with pytest.raises(errors.OptionError, match=next(iter(wrong))):
        pipeline.PipelineOptions(**wrong)


def test_the_road_has_missing_views(tree_dir):
    assert {len(place.views) for place in imagery_tree.read(tree_dir)} == {1, 2, 3}
    assert len(imagery_tree.read(tree_dir)) == road.LOCATIONS
