"""The dataset as the tfds command and TFDS's own test case build it."""

import collections
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from typing import ClassVar

import drawn_datasets
import drawn_trees
import numpy as np
import pytest
import starts
import tensorflow_datasets as tfds
from absl import logging

from geods import errors, geods_dataset_builder
from geods.dataset import dataset_reader, splits
from geods.geo import partition
from geods.storage import locks, seals
from geods.tree import bad_images, companions, imagery_tree


def examples(builder: tfds.core.DatasetBuilder, split: str) -> list[dict]:
    keep_bytes = {"views": {"image": tfds.decode.SkipDecoding()}}
    return list(tfds.as_numpy(builder.as_dataset(split=split, decoders=keep_bytes)))


class DrawnTreeCase:
    """Points TFDS's test case at a tree drawn for it."""

    DATASET_CLASS = geods_dataset_builder.Builder
    SKIP_CHECKSUMS = True  # nothing is downloaded

    @classmethod
    def setUpClass(cls):
        cls.EXAMPLE_DIR = tempfile.mkdtemp()
        drawn_datasets.make_tree(pathlib.Path(cls.EXAMPLE_DIR))
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.EXAMPLE_DIR)


class BlockedTest(DrawnTreeCase, tfds.testing.DatasetBuilderTestCase):
    BUILDER_CONFIG_NAMES_TO_TEST = ("blocked",)
    SPLITS: ClassVar = {"train": 32, "validation": 4, "test": 4}


class RandomTest(DrawnTreeCase, tfds.testing.DatasetBuilderTestCase):
    BUILDER_CONFIG_NAMES_TO_TEST = ("random",)
    SPLITS: ClassVar = {"train": 32, "validation": 2, "test": 6}


class ReportTest(DrawnTreeCase, tfds.testing.DatasetBuilderTestCase):
    BUILDER_CONFIG_NAMES_TO_TEST = ("report",)
    SPLITS: ClassVar = {"train": 40, "test": 6}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> pathlib.Path:
    return drawn_datasets.make_tree(tmp_path_factory.mktemp("data") / "tree")


@pytest.fixture(scope="module")
def built(root, tmp_path_factory) -> tfds.core.DatasetBuilder:
    return drawn_datasets.build(root, tmp_path_factory.mktemp("ds"))


def test_every_image_is_kept_as_it_was_with_all_that_belongs_to_it(root, built):
    places = {place.location_id: place for place in imagery_tree.read(root)}
    seen = 0
    for split in built.info.splits:
        for example in examples(built, split):
            place = places.pop(example["location_id"].decode())
            # Exactly: as 32-bit floats they would be off by half a metre.
            assert tuple(example["coords"]) == (place.lat_deg, place.lon_deg)
            assert example["coords"].dtype == np.float64
            views = example["views"]
            files = [view.path.read_bytes() for view in place.views]
            assert views["image"].tolist() == files
            assert [digest.decode() for digest in views["sha256"]] == [hashlib.sha256(c).hexdigest() for c in files]
            assert views["heading"].tolist() == [view.heading_deg for view in place.views]
            assert {date.decode() for date in views["date"]} == {drawn_trees.DATE}
            seen += len(files)
    assert seen == 40 * 3
    assert list(places) == [drawn_datasets.OUTSIDE]


def test_cells_come_from_coordinates(built):
    cells = drawn_trees.cells()
    for split in built.info.splits:
        for example in examples(built, split):
            assert example["cell"] == cells.label(*example["coords"])[0]
    assert built.info.features["cell"].names == [str(number) for number in range(15)]


def test_metadata_tells_partition_source_and_counts(root, built):
    again = tfds.builder_from_directory(built.data_dir)
    metadata = again.info.metadata
    kept = partition.Partition.from_geojson(metadata["partition"])
    assert kept.fingerprint == drawn_trees.cells().fingerprint
    lines = [f"{p.relative_to(root)} {hashlib.sha256(p.read_bytes()).hexdigest()}\n" for p in root.rglob("*.jpg")]
    assert metadata["source_fingerprint"] == hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()
    inside = [place for place in imagery_tree.read(root) if place.location_id != drawn_datasets.OUTSIDE]
    wrong = sum(drawn_trees.cells().label(place.lat_deg, place.lon_deg)[0] != 0 for place in inside)
    counts = {key: int(metadata[key]) for key in ("locations", "views", "folder_disagreements", "outside")}
    assert counts == {"locations": 40, "views": 120, "folder_disagreements": wrong, "outside": 1}
    assert again.info.features["cell"].num_classes == 15


def test_blocks_stay_whole(built):
    split_of = collections.defaultdict(set)
    for split in built.info.splits:
        for example in examples(built, split):
            split_of[tuple(splits.blocks_of(example["coords"])[0])].add(split)
    assert all(len(found) == 1 for found in split_of.values())


def test_report_config_goes_by_the_lists_of_the_tree(root, tmp_path):
    shutil.copytree(root, tmp_path / "tree")
    first, second = drawn_trees.location_ids(2)
    np.save(tmp_path / "tree" / "trainFiles.npy", np.array([f"0+{first}", f"0+{second}+0_{drawn_trees.DATE}.jpg"]))
    np.save(tmp_path / "tree" / "testFiles.npy", np.array([f"0+{second}+90_{drawn_trees.DATE}.jpg"]))
    builder = drawn_datasets.build(tmp_path / "tree", tmp_path / "ds", "report")
    (test,) = examples(builder, "test")
    assert (test["location_id"].decode(), test["views"]["heading"].tolist()) == (second, [90])
    train = {
        example["location_id"].decode(): example["views"]["heading"].tolist() for example in examples(builder, "train")
    }
    assert train == {first: [0, 90, 180], second: [0]}


def test_unknown_heading_and_date_and_given_provenance(tmp_path):
    place = drawn_trees.location_ids(1)[0]
    imagery_tree.write_view(tmp_path / "tree", 0, place, None, None, drawn_trees.jpeg(1))
    imagery_tree.write_view(tmp_path / "tree", 0, place, 90.0, "2012-05", drawn_trees.jpeg(2))
    (tmp_path / "tree" / "provenance.json").write_text('{"source": "drawn", "licence": "CC0-1.0"}')
    partition.write(drawn_trees.cells(), tmp_path / "tree" / "partition.geojson")
    (example,) = examples(drawn_datasets.build(tmp_path / "tree", tmp_path / "ds", "random"), "train")
    assert example["views"]["heading"][0] == 90
    assert np.isnan(example["views"]["heading"][1])
    assert [date.decode() for date in example["views"]["date"]] == ["2012-05", ""]
    assert (example["source"].decode(), example["licence"].decode()) == ("drawn", "CC0-1.0")


def test_a_builder_made_before_another_process_finished_takes_what_that_one_built(root, tmp_path):
    early = geods_dataset_builder.Builder(data_dir=tmp_path, config="random")
    built = drawn_datasets.build(root, tmp_path, "random")
    early.download_and_prepare(download_config=drawn_datasets.config_for(root))
    assert early.info.metadata == built.info.metadata
    assert len(examples(early, "test")) == len(examples(built, "test")) > 0


def test_dataset_of_a_changed_tree_or_partition_is_not_reused(root, tmp_path):
    shutil.copytree(root, tmp_path / "tree")
    drawn_datasets.build(tmp_path / "tree", tmp_path / "ds")
    drawn_datasets.build(tmp_path / "tree", tmp_path / "ds")
    geods_dataset_builder.Builder(data_dir=tmp_path / "ds").download_and_prepare()
    other = partition.Partition(drawn_trees.cells().shapes[:14])
    partition.write(other, tmp_path / "tree" / "partition.geojson")
    with pytest.raises(errors.DatasetError, match=r"was built with other partition than .*tree has now"):
        drawn_datasets.build(tmp_path / "tree", tmp_path / "ds")
    partition.write(drawn_trees.cells(), tmp_path / "tree" / "partition.geojson")
    image = next((tmp_path / "tree").rglob("*.jpg"))
    image.write_bytes(drawn_trees.jpeg(99))
    with pytest.raises(errors.DatasetError) as caught:
        drawn_datasets.build(tmp_path / "tree", tmp_path / "ds")
    lines = str(caught.value).splitlines()
    assert lines[0].endswith(f"was built with other images than {tmp_path / 'tree'} has now:")
    assert lines[1] == f"  images changed: 1 ({image.relative_to(tmp_path / 'tree')})"
    assert lines[2].startswith("Next: tfds build geods --overwrite --config=blocked --manual_dir=")


def test_configs_check_themselves():
    with pytest.raises(errors.OptionError, match="policy='best': is not blocked, random or report"):
        geods_dataset_builder.GeodsConfig(name="mine", policy="best")
    with pytest.raises(errors.DatasetError, match="config 'nope': is not one of blocked, random, report"):
        geods_dataset_builder.Builder(config="nope")


@pytest.fixture(scope="module")
def tfds_build(tmp_path_factory):
    """Runs the real command; returns its result and the folder it built into."""
    environment = dict(os.environ)
    environment.pop(companions.PARTITION_VARIABLE, None)

    def start(*arguments) -> tuple[subprocess.CompletedProcess, pathlib.Path]:
        data_dir = tmp_path_factory.mktemp("ds")
        words = ["tensorflow_datasets.scripts.cli.main", "build", "geods", f"--data_dir={data_dir}", *arguments]
        return starts.ended(starts.HEAVY, words, environment), data_dir

    return start


def test_tfds_command_builds_all_configs_and_prints_the_counts(root, tfds_build):
    done, data_dir = tfds_build(f"--manual_dir={root}")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (data_dir / "geods").iterdir()) == [".config", "blocked", "random", "report"]
    assert "41 locations, 123 views, in 14 of 15 cells" in done.stdout
    assert "locations whose folder number is not the cell of their coordinates: " in done.stdout
    assert f"locations outside every cell: 1 (first: {drawn_datasets.OUTSIDE})" in done.stdout


def test_tfds_command_ends_with_one_error_and_leaves_nothing(root, tfds_build, tmp_path):
    bad = tmp_path / "tree"
    shutil.copytree(root, bad)
    drawn_datasets.spoil(bad)
    done, data_dir = tfds_build(f"--manual_dir={bad}")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert list(data_dir.iterdir()) == []
    message = done.stderr[done.stderr.rindex(f"{bad}: 4 of 123 images cannot be used:") :]
    assert {line.split(": ")[1] for line in message.splitlines()[1:5]} == {
        "is empty (0 bytes)",
        "is a web page (HTML or XML), perhaps the answer to a refused request, not a JPEG",
        "is a PNG, not a JPEG",
        "is truncated",
    }
    assert len(message.splitlines()) == 6


def test_bad_images_are_left_out_where_the_environment_says_so(root, tmp_path, monkeypatch):
    shutil.copytree(root, tmp_path / "tree")
    drawn_datasets.spoil(tmp_path / "tree")
    monkeypatch.setenv(bad_images.ACTION_VARIABLE, "skip")
    monkeypatch.setenv(bad_images.FRACTION_VARIABLE, "0.1")
    built = drawn_datasets.build(tmp_path / "tree", tmp_path / "ds")
    assert built.info.metadata["views"] == str(120 - 4)
    assert len(built.info.metadata["sources"]["left_out"]) == 4
    drawn_datasets.build(tmp_path / "tree", tmp_path / "ds")
    monkeypatch.setenv(bad_images.FRACTION_VARIABLE, "0.01")
    with pytest.raises(errors.ImageError, match="4 of 123 images cannot be used"):
        drawn_datasets.build(tmp_path / "tree", tmp_path / "other")


@pytest.mark.parametrize(("verbosity", "hidden"), [(logging.INFO, True), (logging.DEBUG, False)])
def test_traceback_of_a_mistake_is_shown_to_who_asks_for_it(monkeypatch, verbosity, hidden):
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    before = logging.get_verbosity()
    logging.set_verbosity(verbosity)  # as --verbosity=1 --logtostderr does
    try:
        with pytest.raises(errors.DatasetError, match="is not one of"):
            geods_dataset_builder.Builder(config="nope")
    finally:
        logging.set_verbosity(before)
    assert (sys.excepthook is not sys.__excepthook__) == hidden


def test_mistakes_name_the_file_and_leave_nothing(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(companions.PARTITION_VARIABLE, raising=False)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    (tmp_path / "holiday" / "beach").mkdir(parents=True)
    shutil.copytree(root, tmp_path / "bare")
    (tmp_path / "bare" / "partition.geojson").unlink()
    for name, error, rule in (
        ("holiday", errors.TreeError, "holiday: is not an imagery tree"),
        ("bare", errors.MissingFileError, "no partition: there is no .*bare/partition.geojson"),
        ("nowhere", errors.MissingFileError, "nowhere does not exist or is empty"),
    ):
        with pytest.raises(error, match=rule):
            drawn_datasets.build(tmp_path / name, tmp_path / "ds")
        assert list((tmp_path / "ds").iterdir()) == []


def test_a_town_gets_all_parts_and_growing_moves_no_place(tmp_path, monkeypatch, capsys):
    drawn = np.random.default_rng(0).normal((32.5, -114.5), 0.02, (90, 2)).round(6)
    ids = [f"{lat},{lon}" for lat, lon in drawn.tolist()]
    partition.write(
        drawn_trees.cells(), drawn_trees.write(tmp_path / "tree", ids[:60], headings=[0]) / "partition.geojson"
    )

    def built(data_dir: str) -> tuple[dict[str, str], dict]:
        builder = drawn_datasets.build(tmp_path / "tree", tmp_path / data_dir)
        parts = {name: dataset_reader.index(builder, name).location_ids for name in builder.info.splits}
        return {place: name for name, places in parts.items() for place in places}, builder.info.metadata["sources"]

    first, sources = built("ds")
    assert [list(first.values()).count(name) / 60 for name in splits.NAMES] == pytest.approx([0.8, 0.1, 0.1], abs=0.03)
    said = capsys.readouterr().out
    assert f"GEODS_BLOCK_DEG={sources['block_deg']!r} GEODS_SPLIT_SEED={sources['seed']}" in said
    assert re.search(r"test: only \d locations, too few to measure with; add locations, or build with GEODS_", said)
    assert built("ds")[0] == first
    drawn_trees.write(tmp_path / "tree", ids[60:], headings=[0])
    with pytest.raises(errors.DatasetError, match=r"with other images than(.|\n)*added: 30(.|\n)*--overwrite"):
        built("ds")
    # As tfds build --overwrite does.
    geods_dataset_builder.Builder(data_dir=tmp_path / "ds").data_path.rmtree()
    image = next((tmp_path / "tree").glob("*/*/*.jpg"))
    content = image.read_bytes()
    image.write_bytes(b"")
    with pytest.raises(errors.ImageError):
        built("ds")
    image.write_bytes(content)
    # As in another process, after the build that failed.
    monkeypatch.setattr(geods_dataset_builder, "_rules", {})
    grown, now = built("ds")
    assert not list((tmp_path / "ds").glob(".*split*"))
    assert (now["block_deg"], now["seed"]) == (sources["block_deg"], sources["seed"])
    assert {place: grown[place] for place in first} == first
    assert len(grown) == 90
    monkeypatch.setenv(splits.SEED_VARIABLE, "77")
    assert built("elsewhere")[1]["seed"] == 77


def test_a_dataset_of_blocks_of_one_degree_is_still_read(root, tmp_path, monkeypatch):
    monkeypatch.setenv(splits.SEED_VARIABLE, "0")
    monkeypatch.setenv(splits.BLOCK_VARIABLE, "1")
    folder = pathlib.Path(drawn_datasets.build(root, tmp_path).data_path)
    metadata = json.loads((folder / "metadata.json").read_text())
    del metadata["sources"]["block_deg"]
    (folder / "metadata.json").write_text(json.dumps(metadata))
    seals.renew(folder, ["metadata.json"])
    monkeypatch.delenv(splits.SEED_VARIABLE)
    monkeypatch.delenv(splits.BLOCK_VARIABLE)
    drawn_datasets.build(root, tmp_path)
    monkeypatch.setenv(splits.BLOCK_VARIABLE, "0.5")
    with pytest.raises(errors.DatasetError, match=r"split: block size in degrees 1\.0 then, 0\.5 now"):
        drawn_datasets.build(root, tmp_path)


def test_what_killed_builds_left_is_removed_but_not_what_others_write(tmp_path):
    root, data = drawn_datasets.make_tree(tmp_path / "tree", 10), tmp_path / "data"
    config = data / "geods" / ".config"
    config.mkdir(parents=True)
    torn = (data / "geods" / "random" / "incomplete.ABC_1.0.0", config / "incomplete.0123.metadata.json")
    torn[0].mkdir(parents=True)
    torn[1].touch()
    with locks.folder(data / "geods" / "blocked", errors.DatasetError, "", data / ".geods-blocked.lock"):
        drawn_datasets.build(root, data, "random")
    assert [path.exists() for path in torn] == [False, True]
    drawn_datasets.build(root, data, "report")
    assert not torn[1].exists()


def test_nothing_is_left_in_the_folder_for_temporary_files(tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    drawn_datasets.build(drawn_datasets.make_tree(tmp_path / "tree", 10), tmp_path / "data", "random")
    assert not list((tmp_path / "temporary").iterdir())
