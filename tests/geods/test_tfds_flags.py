"""Flags of `tfds build` and `tfds convert_format`, as docs/dataset.md lists them."""

import dataclasses
import os
import pathlib
import shlex
import shutil

import drawn_datasets
import drawn_trees
import numpy as np
import pytest
import road
import starts
import tensorflow_datasets as tfds
from apache_beam.options import pipeline_options
from tensorflow_datasets.core.utils import shard_utils
from tensorflow_datasets.scripts.cli import convert_format_utils

from geods import errors, geods_dataset_builder
from geods.beam import jobs
from geods.cli import flags as cli_flags
from geods.dataset import dataset_folder, dataset_reader, record_files, records, shards
from tools import verify
from trainers import extract, train
from trainers.evaluation import evaluation
from trainers.options import evaluate_options, extract_options, train_options

ARRAY = {"file_format": "array_record"}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> pathlib.Path:
    return drawn_datasets.make_tree(tmp_path_factory.mktemp("data") / "tree")


def build(root, data_dir, config="random", file_format=None, **more) -> pathlib.Path:
    builder = geods_dataset_builder.Builder(data_dir=data_dir, config=config, file_format=file_format)
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=root, **more))
    return pathlib.Path(builder.data_path)


@pytest.fixture(scope="module")
def whole(root, tmp_path_factory) -> pathlib.Path:
    return build(root, tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def arrays(root, tmp_path_factory) -> pathlib.Path:
    return build(root, tmp_path_factory.mktemp("arrays"), **ARRAY)


def test_a_cap_is_part_of_the_dataset_and_another_one_is_refused(root, whole, tmp_path, capsys):
    capped = build(root, tmp_path, max_examples_per_split=3)
    assert "cut to the first 3 locations of each split" in capsys.readouterr().out
    of = dataset_folder.metadata_in(capped)
    assert (of["locations"], of["views"], of["sources"]["at_most"]) == ("8", "24", 3)
    assert of["content_fingerprint"] != dataset_folder.metadata_in(whole)["content_fingerprint"]
    assert "at_most" not in dataset_folder.metadata_in(whole)["sources"]
    builder = dataset_reader.open_builder(tmp_path, "random")
    assert sorted(len(dataset_reader.index(builder, name)) for name in builder.info.splits) == [2, 3, 3]
    build(root, tmp_path, max_examples_per_split=3)
    for other, shown in (({}, "3 then, 'none' now"), ({"max_examples_per_split": 5}, "3 then, 5 now")):
        with pytest.raises(errors.DatasetError, match=rf"another cap:\n  cap: --max_examples_per_split {shown}"):
            build(root, tmp_path, **other)


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        ({"max_examples_per_split": 0}, "--max_examples_per_split=0: a split of nothing"),
        ({"max_shard_size": -5 << 20}, "--max_shard_size_mb=-5: a shard of nothing"),
        ({"num_shards": 9}, r"--num_shards=9: split \w+ has \d locations"),
        ({"download_mode": tfds.download.GenerateMode.UPDATE_DATASET_INFO}, "no dataset whose description"),
        ({"file_format": "parquet"}, "--file_format=parquet: geods writes and reads tfrecord and array_record"),
        ({"file_format": "riegeli"}, "--file_format=riegeli: geods writes"),
    ],
)
def test_flags_that_cannot_work_end_in_two_lines_and_leave_nothing(root, tmp_path, flags, problem):
    with pytest.raises(errors.GeodsError, match=problem) as caught:
        build(root, tmp_path, **flags)
    assert len(str(caught.value).splitlines()) == 2
    assert list(tmp_path.iterdir()) == []


def test_another_format_over_a_built_dataset_is_refused(root, whole):
    with pytest.raises(errors.DatasetError, match=r"is built of tfrecord, not array_record files\.") as caught:
        build(root, whole.parents[2], **ARRAY)
    assert "--overwrite --file_format=array_record" in caught.value.next_step


def test_the_number_of_shards_follows_the_largest_size(root):
    of, size_bytes = shard_utils.ShardConfig, 100 << 20
    assert shards._count(of(), size_bytes, 5000) == of().get_number_shards(size_bytes, 5000) == 1
    assert size_bytes / shards._count(of(max_shard_size=8 << 20), size_bytes, 5000) <= 8 << 20


@pytest.mark.parametrize("split", ["train", "test[1:]+validation", "train[3:20]"])
def test_array_records_hold_what_tfrecords_hold(whole, arrays, split):
    mine, theirs = (dataset_reader.open_builder(folder.parents[2], "random") for folder in (arrays, whole))
    assert list(records.stream(mine, split)) == list(records.stream(theirs, split))
    for shuffle in (False, True):
        found = [list(records.read(one, split, shuffle, 5).as_numpy_iterator()) for one in (mine, theirs)]
        assert found[0] == found[1]
    assert np.array_equal(dataset_reader.index(mine, split).coords, dataset_reader.index(theirs, split).coords)
    (name,) = dataset_reader.index(theirs, split).location_ids[1:2].tolist()
    by_id = (record_files.LocationRecords(folder.parents[2], "random").find(name) for folder in (arrays, whole))
    assert next(by_id) == next(by_id)


def test_array_records_are_the_same_bytes_again_and_their_damage_is_named(root, arrays, tmp_path):
    again = build(root, tmp_path, **ARRAY)
    assert drawn_datasets.hashes(again) == drawn_datasets.hashes(arrays)
    (shard,) = again.glob("*-train.array_record-*")
    assert not verify.verify(again, "dataset").damage
    content = bytearray(shard.read_bytes())
    content[300] ^= 1
    shard.write_bytes(content)
    assert [damage.path for damage in verify.verify(again, "dataset").damage] == [shard]
    with pytest.raises(errors.DatasetError, match=rf"{shard.name}: is damaged(.|\n)*rm -r .*tfds build"):
        list(record_files.read(shard))
    with pytest.raises(errors.OptionError, match="its shards are array_record"):
        records.read(dataset_reader.open_builder(tmp_path, "random"), "train", at_once=2)


def test_a_dataset_that_tfds_converted_in_place_is_whole(whole, tmp_path):
    folder = tmp_path / "geods" / "random" / "1.0.0"
    shutil.copytree(whole, folder)
    given = {"dataset_dir": None, "root_data_dir": None, "dataset_version_dir": [folder], "out_dir": None}
    convert_format_utils.convert_dataset(
        **given, out_file_format="array_record", overwrite=False, use_beam=False, num_workers=1, fail_on_error=True
    )
    verdict = verify.verify(folder, "dataset")
    assert (verdict.damage, verdict.note) == ((), "array_record of tfds convert_format hold the same records")
    builder = dataset_reader.open_builder(tmp_path, "random")
    source = builder.as_data_source("test", file_format="array_record")
    assert len(source) == builder.info.splits["test"].num_examples
    copy = next(folder.glob("*-test.array_record-*"))
    shutil.copy(next(folder.glob("*-train.array_record-*")), copy)
    assert [damage.path for damage in verify.verify(folder, "dataset").damage] == [copy]
    info = folder / dataset_folder.INFO
    info.write_text(info.read_text().replace("1.0.0", "1.0.10"))
    with pytest.raises(errors.DatasetError, match=r"dataset_info\.json"):
        dataset_reader.open_builder(tmp_path, "random")


def test_a_config_of_ones_own_is_built_read_and_named_in_commands(root, tmp_path, monkeypatch):
    own = geods_dataset_builder.GeodsConfig(name="mine", policy="random", seed=7)
    folder = build(root, tmp_path, own)
    build(root, tmp_path, own)
    assert dataset_folder.metadata_in(folder)["sources"]["seed"] == 7
    assert len(dataset_reader.index(dataset_reader.open_builder(tmp_path, "mine"), "train")) > 20
    monkeypatch.chdir(tmp_path)
    words = shlex.split(dataset_folder.damaged(folder, "x").next_step)
    assert '--config={"name": "mine", "policy": "random", "seed": 7}' in words
    assert words[words.index("geods") + 1] == "--imports=geods.geods_dataset_builder"
    for fields, problem in (
        ({"name": "a/b"}, "is no name of a folder"),
        ({"name": "mine", "seed": "7"}, "seed='7': is not a whole number"),
    ):
        with pytest.raises(errors.OptionError, match=problem):
            geods_dataset_builder.GeodsConfig(policy="random", **fields)
    with pytest.raises(errors.DatasetError, match="config 'blocked': is one of geods' own"):
        build(root, tmp_path, dataclasses.replace(own, name="blocked"))


def test_beam_options_reach_the_runner_in_the_words_that_were_given():
    words = [
        "--runner=DaskRunner",
        "--experiments=a",
        "--experiments=b",
        "--dask_client_address=tcp://h:1",
        "--no_auth",
    ]
    config = tfds.download.DownloadConfig(beam_options=pipeline_options.PipelineOptions(words))
    assert list(jobs.flags_of_config(config)) == words
    assert jobs.flags_of_config(tfds.download.DownloadConfig()) == ()


def test_the_command_is_brief_and_checks_what_is_published(root, tmp_path):
    def tfds_build(*words) -> tuple[int, list[str], list[str]]:
        command = ["tensorflow_datasets.scripts.cli.main", "build", "geods", "--imports=geods.geods_dataset_builder"]
        done = starts.ended(starts.HEAVY, [*command, f"--data_dir={tmp_path / 'ds'}", *words], dict(os.environ))
        return done.returncode, done.stdout.strip().splitlines(), done.stderr.strip().splitlines()

    publish = ("--config=random", f"--publish_dir={tmp_path / 'all'}", *(f"--{name}={v}" for name, v in ARRAY.items()))
    code, lines, faults = tfds_build(*publish, f"--manual_dir={root}")
    assert code == 0, faults
    assert lines[-1].startswith("next: python -m trainers.extract --recipe=features/textures --data_dir=")
    assert "train: 32 locations, 96 views" in "\n".join(lines)
    assert len(lines) < 15
    assert not [line for line in faults if "INFO[" in line or "WARNING[" in line]
    code, lines, _ = tfds_build(*publish, "--skip_if_published", f"--manual_dir={root}")
    assert (code, len(lines)) == (0, 1)
    assert lines[0].startswith("geods/random/1.0.0: is published already, built of the same, in ")
    shutil.copytree(root, tmp_path / "tree")
    next((tmp_path / "tree").rglob("*.jpg")).write_bytes(drawn_trees.jpeg(99))
    code, _, faults = tfds_build(*publish, "--skip_if_published", f"--manual_dir={tmp_path / 'tree'}")
    assert code == 1
    assert f"{tmp_path / 'all'}/geods/random/1.0.0: was built with other images than" in faults[-3]
    code, _, faults = tfds_build("--config_idx=9", f"--manual_dir={root}")
    assert (code, faults[-2]) == (
        1,
        "error: --config or --config_idx: --config_idx 9 greater than number of configs 3 for geods.",
    )


def test_array_records_are_extracted_trained_on_and_evaluated(whole, arrays, tmp_path):
    blocks = []
    for name, folder in (("arrays", arrays), ("whole", whole)):
        given = {"data_dir": str(folder.parents[2]), "config": "random", "cache_dir": str(tmp_path / name)}
        given["splits"] = ("train", "validation")
        extract.main(cli_flags.build(extract_options.ExtractOptions, **given, **road.ENCODER_FIELDS))
        blocks.append([path.read_bytes() for path in sorted((tmp_path / name).glob("*/blocks/*"))])
    assert blocks[0] == blocks[1]
    assert len(blocks[0]) == 2
    given = {"data_dir": str(arrays.parents[2]), "config": "random", "cache_dir": str(tmp_path / "arrays")}
    run = tmp_path / "run"
    train.main(cli_flags.build(train_options.TrainOptions, **given, run_dir=str(run), head="neighbours"))
    # There is no cache of the test split: its images are decoded.
    metrics = evaluation.evaluate(cli_flags.build(evaluate_options.EvaluateOptions, run_dir=str(run)), run)
    assert metrics["locations"] == 6
