"""Training steps on a cache equal those with the encoder; others are refused."""

import json

import keras
import numpy as np
import pytest

from geods import errors
from geods.cli import flags as cli_flags
from tools import benchmark_head
from tools.benchmarks import contenders_head, harness, report_training
from trainers import extract
from trainers.options import extract_options

# Maps of 4x4 as the whole encoder has of 128x128, with a third of its layers.
ENCODER = {"backbone": "mobilenet", "backbone_weights": "random", "layer": "conv_pw_4_relu"}
ENCODER |= {"height_px": 32, "width_px": 32}
TRAIN = {"head": "report_75k", "train_views": "single", "loss": "one_hot", "batch_size": 4, "weight_decay": 0.0}


@pytest.fixture(scope="module")
def settings(data_dir, tmp_path_factory) -> dict:
    """Options for trainers.train on a small cache of whole maps, of the test split."""
    where = {"data_dir": str(data_dir), "config": "random", **ENCODER}
    folder = str(tmp_path_factory.mktemp("maps"))
    asked = {"cache_dir": folder, "cache_dtype": "float32", "splits": ("test",), "runtime": "tensorflow"}
    extract.main(cli_flags.build(extract_options.ExtractOptions, **where, **asked))
    return {**where, **TRAIN, "train_split": "test", "cache_dir": folder}


@pytest.fixture(autouse=True)
def policy_as_it_was():
    before = keras.mixed_precision.dtype_policy()
    yield
    keras.mixed_precision.set_dtype_policy(before)


def test_losses_are_the_same_on_the_cache_and_in_the_loop(settings):
    cached = contenders_head.Curve(settings, 3).facts()["losses"]
    in_the_loop = contenders_head.Curve(settings | {"cache_dir": ""}, 3).facts()["losses"]
    assert len(cached) == 3
    assert len({round(loss, 4) for loss in cached}) > 1, "each step's own loss"
    assert benchmark_head.check_same_losses(cached, in_the_loop) < 1e-3
    other = contenders_head.Curve(settings | {"seed": 1}, 3).facts()["losses"]
    with pytest.raises(errors.BenchmarkError, match="are not those in the loop"):
        benchmark_head.check_same_losses(other, in_the_loop)


def test_curves_of_different_lengths_or_of_nan_are_refused():
    for other in ([1.0], [1.0, float("nan")]):
        with pytest.raises(errors.BenchmarkError, match="train different things"):
            benchmark_head.check_same_losses([1.0, 2.0], other)


def test_every_way_takes_its_steps(settings, tmp_path):
    assert contenders_head.Cached(settings, 8).run() == 8
    assert contenders_head.Synthetic(settings, 8).run() == 8
    assert contenders_head.InTheLoop(settings | {"cache_dir": ""}, 2).run() == 8
    np.save(tmp_path / "images.npy", np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8))
    assert contenders_head.Report("report_cnn", "random", str(tmp_path / "images.npy"), "report_75k", 15).run() == 2


def test_the_report_trains_its_head_and_never_its_encoder():
    model = report_training.network("report_cnn", "random", "report_75k", (32, 32, 3), 15)
    before = [np.array(weight) for weight in model.weights]
    frozen = {weight.path for weight in model.non_trainable_weights}
    model.fit(np.zeros((2, 32, 32, 3), np.float32), np.eye(15)[:2], batch_size=1, verbose=0)
    for weight, was in zip(model.weights, before, strict=True):
        assert np.array_equal(np.array(weight), was) or weight.path not in frozen
    assert len(model.trainable_weights) == 6
    assert any(not np.array_equal(np.array(w), b) for w, b in zip(model.weights, before, strict=True))


def test_the_table_names_the_floor_and_the_others(tmp_path, capsys):
    def result(name, rate):
        reading = harness.Reading(rate, (100.0, 100.0), 1.0, (1.0, 1.0))
        return harness.Result(harness.Contender(name, "", {}), rate, [reading], 0, [reading], 1.0, [1.0], 500.0, {})

    rates = {"cached float32": 90.0, "synthetic float32": 100.0, "in the loop float32": 9.0, "report's fit": 6.0}
    measured = [result(name, rate) for name, rate in rates.items()]
    benchmark_head._report(measured, 1e-7, benchmark_head.Options(), tmp_path)
    row = capsys.readouterr().out.splitlines()[2]
    assert [cell.strip() for cell in row.split("|")[1:6]] == ["cached float32", "90.0", "10.00", "15.00", "0.90"]
    line = json.loads((tmp_path / "head.jsonl").read_text().splitlines()[0])
    assert line["contender"] == "cached float32"
    assert line["loss_difference"] == 1e-7


def test_numbers_below_one_are_refused():
    with pytest.raises(errors.OptionError, match="--examples=0"):
        benchmark_head.Options(examples=0)
