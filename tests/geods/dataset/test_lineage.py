"""Changes in the sources of a dataset or cache are named, with the next command."""

import dataclasses
import json
import pathlib
import re
import shutil

import changed_trees
import drawn_caches
import drawn_trees
import pytest

from geods import errors
from geods.dataset import build_plan, lineage, splits
from geods.geo import partition
from geods.tree import bad_images, companions, jpeg, layouts, table
from trainers.features import cache_format, feature_cache


def sources_of(root: pathlib.Path, policy: str = "report", seed: int = 0, action: str = "skip") -> lineage.Lineage:
    return build_plan.sources_now(
        companions.TreeFolder(root), splits.Rule(policy, seed), bad_images.Policy(action, 1.0)
    )


@pytest.fixture(scope="module")
def untouched(tmp_path_factory) -> pathlib.Path:
    return changed_trees.write_tree(tmp_path_factory.mktemp("untouched") / "tree")


@pytest.fixture(scope="module")
def before(untouched) -> lineage.Lineage:
    return sources_of(untouched)


@pytest.mark.parametrize("kind", changed_trees.CHANGES)
def test_a_change_of_the_tree_is_noticed_and_said(untouched, before, tmp_path, kind):
    change, said = changed_trees.CHANGES[kind]
    root = tmp_path / "elsewhere"
    shutil.copytree(untouched, root)
    assert before.changes(sources_of(root)) == []
    change(root)
    now = sources_of(root)
    assert any(said in line for line in before.changes(now)), before.changes(now)
    assert now.changes(before), "the way back is a change too"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"policy": "blocked"}, "split: policy 'report' then, 'blocked' now"),
        ({"policy": "random"}, "split: policy 'report' then, 'random' now"),
        ({"seed": 1}, "split: seed 0 then, 1 now"),
    ],
)
def test_another_config_is_noticed(untouched, before, options, said):
    assert any(said in line for line in before.changes(sources_of(untouched, **options)))


def test_bad_images_that_are_left_out_now_are_noticed(untouched, tmp_path):
    root = tmp_path / "tree"
    shutil.copytree(untouched, root)
    changed_trees.view(root).write_bytes(b"<html>")
    skipped = sources_of(root)
    assert skipped.left_out.keys() == {changed_trees.FIRST}
    assert skipped.changes(sources_of(root, action="raise")) == ["images left out as bad: 1 then, 0 now"]


def test_what_is_written_down_is_read_back(before):
    text = json.dumps(before.to_metadata())
    assert lineage.Lineage.from_metadata(json.loads(text), dict(before.images)).changes(before) == []


OTHER_KEYS = {
    "dataset": "geods/random/1.0.0 abc",
    "split": "test",
    "backbone": "vgg16",
    "weights_sha256": "11",
    "height_px": 301,
    "width_px": 599,
    "more_heights_px": "150",
    "preprocessing": "raw",
    "layer": "conv1",
    "pooling": "max",
    "precision": "mixed_bfloat16",
    "dtype": "float16",
    "variant": "1: brightness 0.1",
    "runtime": "openvino",
    "decode": "gpu",
    "quantized_sha256": "22",
}


def test_every_field_of_a_cache_has_a_change():
    assert set(OTHER_KEYS) == {field.name for field in dataclasses.fields(cache_format.CacheKey)}


@pytest.mark.parametrize("field", OTHER_KEYS)
def test_a_cache_of_something_else_is_refused_with_the_field_and_the_command(tmp_path, field):
    drawn_caches.write(tmp_path / "train")
    wanted = dataclasses.replace(drawn_caches.KEY, **{field: OTHER_KEYS[field]})
    said = f"{field} is {getattr(drawn_caches.KEY, field)!r}, wanted {OTHER_KEYS[field]!r}"
    with pytest.raises(errors.CacheError, match=rf"{re.escape(said)}.*\nNext: repeat .* with --overwrite"):
        feature_cache.FeatureCache(tmp_path / "train", wanted)


def test_there_are_fifty_kinds():
    assert len(changed_trees.CHANGES) + len(OTHER_KEYS) + 3 >= 50


def content_fingerprint(root: pathlib.Path, policy: str) -> str:
    return build_plan.make(companions.TreeFolder(root), splits.Request(policy), bad_images.Policy()).metadata[
        "content_fingerprint"
    ]


def test_features_are_kept_for_another_partition_and_not_for_another_split_or_image(untouched, tmp_path):
    root = tmp_path / "tree"
    shutil.copytree(untouched, root)
    kept = content_fingerprint(root, "report")
    partition.write(partition.Partition(changed_trees.CELLS.shapes[::-1]), root / "partition.geojson")
    assert content_fingerprint(root, "report") == kept
    assert content_fingerprint(root, "random") != kept
    changed_trees.save_lists(root, changed_trees.IDS[:5], changed_trees.IDS[5:])
    assert content_fingerprint(root, "report") != kept
    changed_trees.save_lists(root, changed_trees.IDS[:6], changed_trees.IDS[6:])
    changed_trees.view(root).write_bytes(drawn_trees.jpeg(901))
    assert content_fingerprint(root, "report") != kept


def test_fingerprints_of_a_tree_do_not_hang_on_its_listing(untouched):
    locations = layouts.read(untouched)
    facts = table.ImageTable(jpeg.checked(locations.paths), locations)
    tree, cells, forth = companions.TreeFolder(untouched), drawn_trees.cells(), lineage.ImageHashes(untouched, facts)
    made = [
        lineage.from_tree(tree, hashes, [], cells, splits.Rule("random"), None)
        for hashes in (forth, dict(list(forth.items())[::-1]))
    ]
    assert made[0].changes(made[1]) == []
