"""Every kind of damage to a dataset, a cache and a run is found and named."""

import pathlib
import random
import shutil

import damages
import drawn_caches
import drawn_datasets
import drawn_runs
import drawn_trees
import pytest
import road
import tensorflow_datasets as tfds

from geods import errors, geods_dataset_builder
from geods.dataset import dataset_reader
from geods.storage import seals
from tools import verify
from trainers import evaluate
from trainers.evaluation import keras_predictor
from trainers.features import cache_format, feature_cache
from trainers.options import evaluate_options
from trainers.runs import run_folder

PLACES = 3


def named(folder: pathlib.Path, kind: verify.Kind) -> set[str]:
    return {damage.path.relative_to(folder).as_posix() for damage in verify.verify(folder, kind).damage}


@pytest.fixture(scope="module")
def sharded(tmp_path_factory) -> pathlib.Path:
    """A dataset whose training split has four shards."""
    root = drawn_datasets.make_tree(tmp_path_factory.mktemp("sharded") / "tree")
    builder = geods_dataset_builder.Builder(data_dir=root.parent / "data", config="blocked")
    config = tfds.download.DownloadConfig(manual_dir=root, num_shards=4)
    builder.download_and_prepare(download_config=config)
    return pathlib.Path(builder.data_dir)


@pytest.fixture
def dataset(sharded, tmp_path) -> pathlib.Path:
    return pathlib.Path(shutil.copytree(sharded, tmp_path / "data" / "geods" / "blocked" / "1.0.0"))


@pytest.fixture
def cache(tmp_path) -> pathlib.Path:
    drawn_caches.write(tmp_path / "cache" / "train")
    return tmp_path / "cache" / "train"


SHARDS = [f"geods-train.tfrecord-0000{number}-of-00004" for number in range(4)]
BLOCKS = ["blocks/00000.npy", "blocks/00001.npy"]
DATASET_KINDS = [*damages.ON_ONE_FILE, *damages.ON_RECORDS, *damages.ON_TWO_FILES]


@pytest.mark.parametrize("kind", DATASET_KINDS)
def test_damaged_shards_are_named(sharded, dataset, kind):
    assert named(dataset, "dataset") == set()
    rng = random.Random(kind)
    for _ in range(PLACES):
        damaged = damages.damage(dataset, SHARDS, kind, rng)
        assert named(dataset, "dataset") == damaged
        for name in damaged:
            shutil.copy(sharded / name, dataset / name)


@pytest.mark.parametrize("name", ["features.json", "dataset_info.json", "metadata.json", "images.sha256", "seal.json"])
@pytest.mark.parametrize("kind", ["a flipped bit", "missing", "cut inside"])
def test_damaged_descriptions_are_named(dataset, name, kind):
    damages.damage(dataset, [name], kind, random.Random(1))
    assert named(dataset, "dataset") == {name}
    (found,) = verify.find(dataset.parents[2])
    assert found == (dataset, "dataset")


def test_what_changes_a_size_is_refused_when_a_dataset_is_opened(sharded, dataset):
    data_dir = dataset.parents[2]
    dataset_reader.open_builder(data_dir)
    for kind in ("cut between two records", "emptied", "missing", "bytes behind the end"):
        (name,) = damages.damage(dataset, SHARDS, kind, random.Random(2))
        with pytest.raises(errors.DatasetError, match=rf"is damaged(.|\n)*{name}: (.|\n)*tfds build geods"):
            dataset_reader.open_builder(data_dir)
        shutil.copy(sharded / name, dataset / name)
    (dataset / "features.json").unlink()
    with pytest.raises(errors.DatasetError, match=r"features\.json: is missing"):
        dataset_reader.open_builder(data_dir)
    with pytest.raises(errors.DatasetError, match=r"features\.json: is missing"):
        geods_dataset_builder.Builder(data_dir=data_dir, config="blocked").download_and_prepare()


def test_what_a_killed_build_left_is_no_dataset(dataset):
    shutil.copytree(dataset, dataset.with_name("incomplete.ABC123_1.0.0"))
    assert [found for found, _ in verify.find(dataset.parents[2])] == [dataset]


def test_a_dataset_without_its_seal_and_one_of_before_are_told_apart(dataset):
    (dataset / seals.NAME).unlink()
    with pytest.raises(errors.DatasetError, match=r"seal\.json: is missing"):
        dataset_reader.open_builder(dataset.parents[2])
    (dataset / "metadata.json").write_text('{"partition": {}}')
    dataset_reader.open_builder(dataset.parents[2])
    assert "before datasets were sealed" in verify.verify(dataset, "dataset").note


@pytest.mark.parametrize("kind", [*damages.ON_ONE_FILE, *damages.ON_TWO_FILES])
def test_damaged_blocks_are_named(cache, kind):
    assert named(cache, "cache") == set()
    rng = random.Random(kind)
    kept = {name: (cache / name).read_bytes() for name in BLOCKS}
    for _ in range(PLACES):
        damaged = damages.damage(cache, BLOCKS, kind, rng)
        assert named(cache, "cache") == damaged
        for name, content in kept.items():
            (cache / name).write_bytes(content)


@pytest.mark.parametrize("name", [cache_format.INDEX, cache_format.ARRAYS])
@pytest.mark.parametrize("kind", ["a flipped bit", "missing", "cut inside"])
def test_damaged_indexes_are_named(cache, name, kind):
    damages.damage(cache, [name], kind, random.Random(0))
    assert named(cache, "cache") == {name}
    assert [found for found, _ in verify.find(cache.parent)] == [cache]


def test_bytes_behind_a_block_are_refused_when_a_cache_is_opened(cache):
    damages.damage(cache, BLOCKS, "bytes behind the end", random.Random(0))
    with pytest.raises(errors.CacheError, match="has bytes behind its last row"):
        feature_cache.FeatureCache(cache)


def test_a_damaged_block_of_a_finished_cache_is_extracted_again_and_not_sealed_anew(cache):
    damages.damage(cache, BLOCKS[1:], "a flipped bit", random.Random(3))
    drawn_caches.write(cache)
    assert named(cache, "cache") == set()
    assert (feature_cache.FeatureCache(cache).take(drawn_caches.np.arange(10)) == drawn_caches.VALUES).all()


@pytest.fixture
def run(tmp_path) -> pathlib.Path:
    """A run with a model, sealed as training seals it."""
    folder = drawn_runs.write(tmp_path / "run", drawn_trees.cells(), drawn_runs.predict(drawn_trees.cells(), 5))
    (folder / run_folder.FLAGS).write_text("--epochs=1\n")
    (folder / run_folder.MODEL).write_bytes(random.Random(0).randbytes(5000))
    run_folder.finish(folder)
    return folder


@pytest.mark.parametrize("name", [run_folder.MODEL, run_folder.PARTITION, run_folder.FLAGS])
@pytest.mark.parametrize("kind", damages.ON_ONE_FILE)
def test_damaged_runs_are_named(run, name, kind):
    assert named(run, "run") == set()
    damages.damage(run, [name], kind, random.Random(kind))
    assert named(run, "run") == {name}
    assert [found for found, _ in verify.find(run.parent)] == [run]


def test_what_an_evaluation_writes_is_sealed_and_what_it_left_half_done_is_told(run):
    assert "predictions.csv, probabilities.npy: not sealed" in verify.verify(run, "run").note
    with run_folder.resealing(run, run_folder.PREDICTIONS, run_folder.PROBABILITIES):
        (run / run_folder.PREDICTIONS).write_text("new")
        assert named(run, "run") == set(), "a kill here must leave no false alarm"
    assert verify.verify(run, "run").note == ""
    (run / run_folder.PREDICTIONS).write_text("else")
    assert named(run, "run") == {run_folder.PREDICTIONS}


def test_another_partition_with_as_many_cells_is_refused_with_the_model(run_dir, tmp_path):
    folder = pathlib.Path(shutil.copytree(run_dir, tmp_path / "run"))
    assert named(folder, "run") == set()
    text = (folder / run_folder.PARTITION).read_text()
    (folder / run_folder.PARTITION).write_text(text.replace("-120.0", "-119.5"))
    with pytest.raises(errors.RunError, match=r"partition\.geojson: (.|\n)*put back the run's own"):
        keras_predictor.KerasPredictor(folder)


def test_the_program_reads_all_kinds_and_ends_with_2_where_something_is_damaged(data_dir, cache_dir, run_dir, tmp_path):
    done = road.program("tools.verify", data_dir, cache_dir, run_dir)
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["whole"] * 5
    copy = shutil.copytree(data_dir, tmp_path / "data")
    shard = next(copy.rglob("*train.tfrecord*"))
    damages.flip_bit(shard, random.Random(0))
    done = road.program("tools.verify", copy, expect=2)
    assert f"damaged  {shard}: its bytes have changed since it was written." in done.stdout
    assert f"Next: rm -r {shard.parent} && tfds build geods --config=random" in done.stdout
    assert done.stderr.splitlines()[0] == "error: 1 file is damaged."


def test_mistakes(tmp_path):
    with pytest.raises(errors.OptionError, match="no path given"):
        verify.Options()
    with pytest.raises(errors.OptionError, match="--kinds: shard is not dataset, cache, encoder, run"):
        verify.Options(paths=("x",), kinds=("cache", "shard"))
    with pytest.raises(errors.MissingFileError, match="there is no dataset or cache or encoder or run in it"):
        verify.main(verify.Options(paths=(str(tmp_path),)))


def test_only_the_kinds_asked_for_are_read(run, cache, capsys):
    verify.main(verify.Options(paths=(str(cache.parents[1]),), kinds=("run",)))
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == [f"{run}:"]


def test_a_seal_that_leads_elsewhere_is_not_followed(run):
    text = (run / seals.NAME).read_text()
    (run / seals.NAME).write_text(text.replace("model.keras", "../secret.keras"))
    assert named(run, "run") == {seals.NAME}
    seals.write(run, ["../run/model.keras"])
    assert named(run, "run") == {seals.NAME}


def test_an_evaluation_of_a_sealed_run_stays_whole(run_dir, tmp_path):
    folder = pathlib.Path(shutil.copytree(run_dir, tmp_path / "run"))
    evaluate.main(evaluate_options.EvaluateOptions(run_dir=str(folder)))
    assert named(folder, "run") == set()
    assert run_folder.METRICS in seals.names_in(folder)
