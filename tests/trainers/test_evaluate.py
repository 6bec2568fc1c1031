"""Evaluation by the real program: cache, images, tree; the model does learn."""

import csv
import json
import re
import shutil
import time
import urllib.parse
import urllib.request

import drawn_trees
import numpy as np
import pytest
import road
from tensorboard import program

from geods import errors
from geods.cli import flags as cli_flags
from geods.dataset import dataset_reader
from geods.geo import partition
from geods.tree import layouts
from trainers.evaluation import evaluation, keras_predictor
from trainers.features import joined_cache
from trainers.options import evaluate_options
from trainers.runs import distance_metrics, human_guesses, predictions, run_folder

HPARAMS = {
    "experimentName": "",
    "allowedStatuses": ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"],
    "startIndex": 0,
    "sliceSize": 9,
}


@pytest.fixture(scope="module")
def run(run_dir, tmp_path_factory):
    return shutil.copytree(run_dir, tmp_path_factory.mktemp("evaluated") / "run")


@pytest.fixture(scope="module")
def evaluated(run):
    done = road.program("trainers.evaluate", f"--run_dir={run}")
    return done, json.loads((run / run_folder.METRICS).read_text())


def test_the_model_beats_the_constant_guess_by_far(evaluated):
    _, metrics = evaluated
    assert "seen" not in metrics
    assert metrics["mean_miles"] < 0.5 * metrics["constant_guess"]["mean_miles"]
    assert metrics["constant_guess"]["mean_miles"] < metrics["random_guess"]["mean_miles"]
    assert metrics["intervals"]["mean_miles_minus_constant_guess"][1] < 0


def test_the_table_is_printed_with_what_was_written(evaluated, run):
    done, metrics = evaluated
    assert f"{metrics['locations']} locations" in done.stdout
    assert "95 % intervals" in done.stdout
    assert f"next: python -m tools.render --run_dir={run}" in done.stdout


def test_predictions_are_one_line_a_location_and_agree_with_the_probabilities(evaluated, run):
    _, metrics = evaluated
    with (run / run_folder.PREDICTIONS).open(newline="") as source:
        rows = list(csv.DictReader(source))
    probabilities = np.load(run / run_folder.PROBABILITIES)
    assert len(rows) == len(probabilities) == metrics["locations"]
    assert np.allclose(probabilities.astype(float).sum(axis=1), 1, atol=1e-6)
    labels = np.array([int(row["cell"]) for row in rows])
    assert (probabilities.argmax(axis=1) == labels).mean() == metrics["top1_cell"]
    for row, shares in zip(rows, probabilities, strict=True):
        assert float(row["top1_probability"]) == pytest.approx(float(shares.max()), abs=1e-6)
        assert [row["lat_deg"], row["lon_deg"]] == [repr(float(part)) for part in row["location_id"].split(",")]
    mean_km = np.mean([float(row["distance_km"]) for row in rows])
    assert mean_km == pytest.approx(metrics["mean_km"], abs=1e-3)
    assert len(predictions.read(run, 15)) == len(rows)


def test_images_and_cache_give_the_same_figures_and_people_stand_beside_them(evaluated, run, run_dir, tmp_path):
    one = predictions.read(run, 15)[2]
    guess = human_guesses.Guess("a", 1, one.location_id, *one.truth, 9.0, 3, 0.0)
    human_guesses.append(tmp_path / human_guesses.NAME, guess)
    humans = f"--humans={tmp_path / human_guesses.NAME}"
    done = road.program("trainers.evaluate", f"--run_dir={run_dir}", "--from_images", f"--out={tmp_path}", humans)
    metrics = json.loads((tmp_path / run_folder.METRICS).read_text())
    assert metrics["humans"]["players"]["mean_miles"] == 0
    assert metrics["humans"]["model"]["mean_km"] == pytest.approx(one.distance_km, rel=0.1)
    assert "1 played " in done.stdout
    # The cache rounds features to float16.
    assert metrics["mean_miles"] == pytest.approx(evaluated[1]["mean_miles"], rel=0.02)


def test_single_images_are_rows_of_their_own(run_dir, tmp_path):
    tree = drawn_trees.write(tmp_path / "tree", drawn_trees.location_ids(2))
    ways = {"cache": {}, "images": {"from_images": True}, "tree": {"imagery": str(tree), "include_seen": True}}
    rows, metrics = {}, {}
    for name, fields in ways.items():
        fields |= {"run_dir": str(run_dir), "views": "single", "out": str(tmp_path / name)}
        metrics[name] = evaluation.evaluate(
            cli_flags.build(evaluate_options.EvaluateOptions, **fields), tmp_path / name
        )
        with (tmp_path / name / run_folder.PREDICTIONS).open(newline="") as source:
            rows[name] = [row["location_id"] for row in csv.DictReader(source)]
        assert metrics[name]["locations"] == len(rows[name]) == len(set(rows[name]))
        assert metrics[name]["views"] == "single"
    assert rows["cache"] == rows["images"]
    assert metrics["images"]["mean_miles"] == pytest.approx(metrics["cache"]["mean_miles"], rel=0.02)
    assert rows["tree"] == [f"{name}+{heading}" for name in layouts.read(tree).ids for heading in (0, 90, 180)]
    assert distance_metrics.table(metrics["tree"]).startswith("6 images ")


def test_what_the_run_has_seen_of_a_tree_is_left_out(run_dir, tree_dir, data_dir, tmp_path):
    train = dataset_reader.index(dataset_reader.open_builder(data_dir, "random"), "train")
    tree = tmp_path / "tree"
    rng = np.random.default_rng(99)
    coords = rng.uniform((30, -120), (48, -70), (20, 2)).round(4).tolist()
    for lat_deg, lon_deg in coords:
        folder = tree / "0" / f"{lat_deg},{lon_deg}"
        folder.mkdir(parents=True)
        for heading in (0, 180):
            road.draw(lat_deg, lon_deg, heading).save(folder / f"{heading}_2020-01.jpg")
    for name in train.location_ids[:3]:
        shutil.copytree(next(tree_dir.glob(f"*/{name}")), tree / "0" / name)
    # The images of a training location elsewhere, and other images 0.1 degrees from one, 11 km.
    shutil.copytree(next(tree_dir.glob(f"*/{train.location_ids[3]}")), tree / "0" / "31.0,-77.0")
    lat_deg, lon_deg = train.coords[4]
    shutil.copytree(tree / "0" / f"{coords[0][0]},{coords[0][1]}", tree / "0" / f"{lat_deg + 0.1:.4f},{lon_deg}")
    done = road.program("trainers.evaluate", f"--run_dir={run_dir}", f"--imagery={tree}", f"--out={tmp_path / 'out'}")
    assert done.stdout.startswith("4 of 25 locations are ones the run was trained or validated on: left out")
    metrics = json.loads((tmp_path / "out" / run_folder.METRICS).read_text())
    assert metrics["locations"] == 21
    assert metrics["seen"]["trained_on"] == 4
    assert metrics["seen"]["near_within_km"]["10"] < metrics["seen"]["near_within_km"]["50"]
    assert not metrics["seen"]["not_compared"]
    assert metrics["on"] == str(tree)
    assert metrics["mean_miles"] < 0.7 * metrics["constant_guess"]["mean_miles"]
    assert f"--predictions={tmp_path / 'out'}" in done.stdout


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--imagery=nowhere", "--out={tmp}/out"], "nowhere"),
        (["--imagery={tmp}/tree"], "--imagery without --out"),
        (["--imagery={tmp}/tree", "--out={tmp}/out"], "was trained on all of its 1 locations"),
        (["--imagery={tmp}/tree", "--out={tmp}/out", "--include_seen"], "does not decode|cut short|truncated|not a"),
    ],
)
def test_mistakes_end_in_one_short_error_and_write_nothing(run_dir, tmp_path, flags, message):
    drawn_trees.write(tmp_path / "tree", drawn_trees.location_ids(1))
    image = next((tmp_path / "tree").rglob("*.jpg"))
    image.write_bytes(image.read_bytes()[:100])
    given = [flag.format(tmp=tmp_path) for flag in flags]
    done = road.program("trainers.evaluate", f"--run_dir={run_dir}", *given, expect=2)
    assert re.search(message, done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if "images/s" not in line]) <= 12
    assert not (tmp_path / "out").exists()


def test_features_of_another_kind_are_refused_though_they_fit_and_old_ones_noted(run_dir, cache_dir, tmp_path, capsys):
    other = road.cache_of_others(cache_dir, tmp_path / "cache", '"pooling": "avg"', '"pooling": "max"')
    cache = joined_cache.open_split([other], "test")
    with pytest.raises(errors.CacheError, match=r"not those of .*pooling is 'max', wanted 'avg'(.|\n)*--from_images"):
        next(keras_predictor.KerasPredictor(run_dir).feature_pieces(cache, 16))
    old = road.cache_of_others(cache_dir, tmp_path / "old", '"geods/random/1.0.0 ', '"geods/random/1.0.0 0')
    evaluation._on_split(keras_predictor.KerasPredictor(run_dir), evaluate_options.LocationOptions(cache_dir=str(old)))
    assert f"note: {old / 'test'}: was made of dataset geods/random/1.0.0 0" in capsys.readouterr().out


def copy_of(run_dir, tmp_path):
    return shutil.copytree(run_dir, tmp_path / "run")


def test_a_damaged_model_is_named(run_dir, tmp_path):
    folder = copy_of(run_dir, tmp_path)
    model = folder / run_folder.MODEL
    model.write_bytes(model.read_bytes()[:1000])
    done = road.program("trainers.evaluate", f"--run_dir={folder}", expect=2)
    assert "model.keras: not a .keras model, or cut short" in done.stderr


def test_a_partition_of_another_run_is_refused(run_dir, tmp_path):
    folder = copy_of(run_dir, tmp_path)
    cells = partition.read(folder / run_folder.PARTITION)
    partition.write(partition.Partition(cells.shapes[:5]), folder / run_folder.PARTITION)
    with pytest.raises(errors.RunError, match=r"the model has 15 cells, the partition 5"):
        keras_predictor.KerasPredictor(folder)


def test_a_cache_of_another_encoder_is_refused(run_dir, cache_dir, tmp_path):
    road.cache_of_others(cache_dir, tmp_path / "other", '"weights_sha256": "', '"weights_sha256": "0')
    folder = copy_of(run_dir, tmp_path)
    flags = folder / run_folder.FLAGS
    lines = [line for line in flags.read_text().splitlines() if not line.startswith("--cache_dir")]
    flags.write_text("\n".join([*lines, f"--cache_dir={tmp_path / 'other'}"]))
    done = road.program("trainers.evaluate", f"--run_dir={folder}", expect=2)
    assert "that are not those of" in done.stderr
    assert "--from_images" in done.stderr


# TensorBoard 2.21 imports a part of its own bleach that is deprecated.
@pytest.mark.filterwarnings("ignore:html5lib's sanitizer is deprecated:DeprecationWarning")
@pytest.mark.usefixtures("evaluated")
def test_tensorboard_shows_the_run_by_its_name(run):
    """Asks TensorBoard's own server, as its page does."""
    board = program.TensorBoard()
    board.configure(argv=["", f"--logdir={run.parent}", "--load_fast=false", "--port=0", "--reload_interval=0"])
    url = board.launch()

    def asked(path, **content):
        data = json.dumps(content).encode() if content else None
        request = urllib.request.Request(url + path, data, {"Content-Type": "application/json"})  # noqa: S310
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - of this machine
            return answer.read()

    end = time.monotonic() + 60
    while not json.loads(asked("data/plugin/scalars/tags")).get("run", {}).keys() >= {"test/mean_miles"}:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert json.loads(asked("data/runs")) == ["run"]
    tags = json.loads(asked("data/plugin/scalars/tags"))["run"].keys()
    assert {"best/mean_miles", "validation/mean_miles", "gradient_norm", "speed/examples_a_second"} <= tags
    [group] = json.loads(asked("data/plugin/hparams/session_groups", **HPARAMS))["sessionGroups"]
    assert (group["hparams"]["learning_rate"], group["hparams"]["epochs"]) == (0.003, 20)
    known = json.loads(asked("data/plugin/hparams/experiment", experimentName=""))["hparamInfos"]
    assert {"learning_rate", "epochs", "config"} <= {one["name"] for one in known}
    assert not {"run_dir", "data_dir", "cache_dir"} & {one["name"] for one in known}
    shown = {metric["name"]["tag"]: metric.get("value") for metric in group["metricValues"]}
    metrics = json.loads((run / run_folder.METRICS).read_text())
    assert shown["test/mean_miles"] == pytest.approx(metrics["mean_miles"], rel=1e-6)
    assert group["sessions"][0]["status"] == "STATUS_SUCCESS"
    assert b"--learning_rate=0.003" in asked("data/plugin/text/text?run=run&tag=flags.cfg")
    [points] = json.loads(asked("data/plugin/projector/info?run=run"))["embeddings"]
    named = asked(f"data/plugin/projector/metadata?run=run&name={urllib.parse.quote(points['tensorName'])}")
    assert named.splitlines()[0] == b"location\tcell\tlat_deg\tlon_deg"
    assert len(named.splitlines()) - 1 == points["tensorShape"][0] > 100
