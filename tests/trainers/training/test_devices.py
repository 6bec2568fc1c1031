"""Several devices learn the same as one; runs are the same on either backend."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import road
from tensorboard.backend.event_processing import event_file_loader
from tensorboard.util import tensor_util

from geods import errors
from geods.cli import flags as cli_flags
from geods.geo import partition
from model import geolocator, losses
from trainers.features import feature_cache
from trainers.options import train_options
from trainers.runs import run_folder
from trainers.training import devices, inputs

LAST_ROWS = 5
TWO_PARTS = "--xla_force_host_platform_device_count=2"
needs_two_cores = pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="two CPU devices need two cores")
needs_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason='pip install "geods[jax]"')

# Trains with the flags before each "--", and writes what the runs of the folders behind the last predict.
ON_JAX = """
import os, sys, numpy as np
from trainers import train
from trainers.options import train_options
from model import geolocator
from geods.cli import flags as cli_flags
*trainings, folders = " ".join(sys.argv[1:]).split(" -- ")
for flags in trainings:
    path = f"{os.environ['FOLDER']}/flags.cfg"
    open(path, "w").write(flags.replace(" ", chr(10)))
    train.main(cli_flags.from_flagfile(train_options.TrainOptions, path))
batch = dict(np.load(f"{os.environ['FOLDER']}/batch.npz"))
for folder in folders.split():
    found = geolocator.load(f"{folder}/model.keras").predict_on_batch(batch)
    np.save(f"{folder}/jax.npy", found["log_probabilities"])
"""


def curves(run_dir) -> dict[str, list[float]]:
    """Returns the figures of all epochs, as TensorBoard shows them."""
    found: dict[str, list[float]] = {}
    for path in sorted(run_dir.glob(f"{run_folder.EVENTS}.training")):
        for event in event_file_loader.EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                if value.tag.startswith(("train/", "validation/")) and value.tag != "validation/errors":
                    found.setdefault(value.tag, []).append(float(tensor_util.make_ndarray(value.tensor)))
    return found


def assert_same_curves(one, two, epochs: int) -> None:
    found, wanted = curves(two), curves(one)
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        assert len(found[name]) == len(values) == epochs
        # Sums in another order: 2e-6 of the loss was seen, and a figure of one place in a hundred would show.
        assert np.allclose(found[name], values, rtol=1e-5, atol=1e-6), (name, found[name], values)
    assert wanted["train/loss"][-1] < wanted["train/loss"][0]


@pytest.fixture(scope="module")
def flags(train_flags, cache_dir) -> list[str]:
    """Flags of a training without chance, whose last batch has an odd number of rows."""
    examples = len(feature_cache.FeatureCache(cache_dir / "train").rows.coords)
    batch_size = next(size for size in range(8, 64, 2) if examples % size == LAST_ROWS)
    return [
        *train_flags,
        f"--batch_size={batch_size}",
        "--head=linear",
        "--loss=label_smoothing",
        "--dropout=0",
        "--epochs=3",
    ]


@pytest.fixture(scope="module")
def on_tensorflow(flags, tmp_path_factory) -> tuple[pathlib.Path, pathlib.Path]:
    """Runs trained on one device and on two."""
    folder = tmp_path_factory.mktemp("tensorflow")
    road.program("trainers.train", *flags, f"--run_dir={folder / 'one'}")
    road.program("trainers.train", *flags, "--devices=2", f"--run_dir={folder / 'two'}")
    return folder / "one", folder / "two"


@pytest.fixture(scope="module")
def on_jax(flags, on_tensorflow, tmp_path_factory) -> tuple[pathlib.Path, pathlib.Path]:
    """The same on JAX, with the predictions of all four runs for a batch."""
    folder = tmp_path_factory.mktemp("jax")
    np.savez(folder / "batch.npz", **batch())
    words = [*flags, f"--run_dir={folder / 'one'}", "--", *flags, "--devices=2", f"--run_dir={folder / 'two'}", "--"]
    environment = {
        **os.environ,
        "FOLDER": str(folder),
        "KERAS_BACKEND": "jax",
        "XLA_FLAGS": TWO_PARTS,
    }
    command = [sys.executable, "-c", ON_JAX, *words, *map(str, (*on_tensorflow, folder / "one", folder / "two"))]
    done = subprocess.run(command, cwd=road.REPO, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "one", folder / "two"


def batch() -> dict[str, np.ndarray]:
    """Images of five places, one of which has a single view."""
    mask = np.ones((LAST_ROWS, 3), bool)
    mask[1, 1:] = False
    image = np.random.default_rng(0).integers(0, 256, (LAST_ROWS, 3, 32, 48, 3), np.uint8)
    return {"image": image, "view_mask": mask}


@needs_two_cores
def test_two_devices_learn_what_one_learns(on_tensorflow):
    assert_same_curves(*on_tensorflow, epochs=3)


@needs_two_cores
def test_also_from_images(data_dir, tmp_path):
    flags = [f"--data_dir={data_dir}", "--config=random", *road.ENCODER, "--train_split=test", "--head=linear"]
    flags += ["--batch_size=4", "--epochs=2", "--dropout=0", "--deterministic", "--validation_split="]
    for name, count in (("one", 1), ("two", 2)):
        road.program("trainers.train", *flags, f"--devices={count}", f"--run_dir={tmp_path / name}")
    assert_same_curves(tmp_path / "one", tmp_path / "two", epochs=2)


@needs_jax
def test_two_devices_learn_on_jax_what_one_learns(on_jax):
    assert_same_curves(*on_jax, epochs=3)


@needs_jax
def test_a_run_of_one_backend_predicts_the_same_on_the_other(on_tensorflow, on_jax):
    for folder in (*on_tensorflow, *on_jax):
        here = geolocator.load(folder / run_folder.MODEL).predict_on_batch(batch())["log_probabilities"]
        assert np.abs(here - np.load(folder / "jax.npy")).max() <= 1e-4


def test_more_devices_than_there_are_is_refused(flags, tmp_path):
    done = road.program(
        "trainers.train", *flags, "--devices=4096", "--batch_size=4096", f"--run_dir={tmp_path}", expect=2
    )
    assert done.stderr.splitlines() == [
        f"error: --devices=4096: TensorFlow sees no GPU, and there are {os.cpu_count()} CPU cores.",
        f"Next: give --devices={os.cpu_count()} at most",
    ]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"no {name} here"))
        for name in ("jax", "torch")
    ],
)
def test_programs_evaluate_and_predict_under_another_backend(name, run_dir, tree_dir, tmp_path):
    """Runs them as a user does; the run is one of TensorFlow."""
    environment = {**os.environ, "KERAS_BACKEND": name}

    def ran(*words):
        command = [sys.executable, "-m", *map(str, words)]
        done = subprocess.run(command, cwd=road.REPO, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    ran("trainers.evaluate", f"--run_dir={run_dir}", f"--out={tmp_path / 'cache'}")
    ran("trainers.evaluate", f"--run_dir={run_dir}", "--from_images", f"--out={tmp_path / 'images'}")
    cached, seen = (np.load(tmp_path / part / run_folder.PROBABILITIES) for part in ("cache", "images"))
    # The cache rounds features to float16.
    assert np.abs(cached - seen).max() < 0.02
    [view] = sorted(tree_dir.glob("0/*"))[:1]
    line = json.loads(ran("tools.predict", f"--run_dir={run_dir}", view).splitlines()[0])
    assert sum(cell["probability"] for cell in line["top_cells"]) + line["elsewhere"] == pytest.approx(1, abs=1e-5)


def test_a_program_refuses_a_backend_that_does_not_train(flags, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "numpy")
    words = ["trainers.train", *flags, f"--run_dir={tmp_path / 'run'}"]
    status, said = road.without_tensorflow(words, tmp_path / "said.txt")
    assert (status, said.splitlines()[0]) == (
        2,
        "error: KERAS_BACKEND=numpy: the networks run on tensorflow, jax, torch.",
    )
    assert not (tmp_path / "run").exists()


@needs_jax
def test_more_devices_than_jax_has_is_refused():
    done = shared_weights(KERAS_BACKEND="jax", XLA_FLAGS="")
    assert "--devices=2: JAX has 1 (cpu:0).\nNext: export XLA_FLAGS=--xla_force_host" in done.stderr


@needs_jax
def test_a_weight_lies_on_both_devices_of_jax():
    done = shared_weights(KERAS_BACKEND="jax", XLA_FLAGS=TWO_PARTS)
    assert done.stdout.split() == ["cpu:0", "cpu:1"]


def shared_weights(**environment: str) -> subprocess.CompletedProcess:
    """Runs tests/support/shared_weights.py in a process that has imported nothing."""
    command = [sys.executable, "-m", "tests.support.shared_weights"]
    environment = os.environ | environment
    return subprocess.run(command, cwd=road.REPO, env=environment, capture_output=True, text=True, check=False)


@needs_two_cores
def test_a_weight_lies_on_both_devices_of_tensorflow():
    assert [name[-5:] for name in road.program("tests.support.shared_weights").stdout.split()] == ["CPU:0", "CPU:1"]


def test_a_backend_that_cannot_share_is_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(errors.OptionError, match="--devices=2: with KERAS_BACKEND=torch one device trains"):
        devices.sharing(2)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"devices": -1}, "--devices=-1: must be at least 0"),
        ({"batch_size": 33}, "--devices=2 with --batch_size=33"),
        ({"head": "kernel", "cache_dir": "c"}, "--devices=2 with --head=kernel"),
        ({"imagery": "t"}, "--devices=2 with --imagery=t"),
        ({"schedule": "chunked"}, "--devices=2 with --schedule=chunked"),
        ({"data_service": "localhost:1"}, "--devices=2 with --data_service=localhost:1"),
    ],
)
def test_what_devices_cannot_share_is_refused(wrong, message):
    with pytest.raises(errors.OptionError, match=message):
        cli_flags.build(train_options.TrainOptions, **{"devices": 2, **wrong})


def test_rows_that_fill_up_a_batch_change_nothing(tree_dir, data_dir, cache_dir):
    data = train_options.DataOptions(data_dir=str(data_dir), config="random", cache_dir=str(cache_dir), batch_size=64)
    cells = partition.read(tree_dir / "partition.geojson")
    split, _ = inputs.from_cache(data, "train", cells, train=False, seed=0)
    full = devices.padded(split, data.batch_size)
    loss = losses.GeolocationLoss(cells.centroids)
    epoch, total = devices.EpochLoss(loss), 0.0
    assert len(full.inputs) == len(split.inputs)
    for number in range(len(full.inputs)):
        (values, truth), (filled, truth_and_scale, weights) = split.inputs[number], full.inputs[number]
        guess = np.random.default_rng(number).normal(size=(64, len(cells))).astype(np.float32)
        count = len(truth)
        assert filled["features"].shape[0] == len(truth_and_scale) == 64
        assert np.array_equal(filled["features"][:count], values["features"])
        assert weights.sum() == count
        wanted = float(loss(truth, guess[:count]))
        assert float(devices.MaskedLoss(loss)(truth_and_scale, guess, weights)) == pytest.approx(wanted, rel=1e-6)
        epoch.update_state(truth_and_scale, guess, weights)
        total += wanted * count
    assert count < 64
    assert float(epoch.result()) == pytest.approx(total / split.examples, rel=1e-6)
