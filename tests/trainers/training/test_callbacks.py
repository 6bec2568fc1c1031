"""Between steps and epochs: a loss that is no number stops, the best epoch stays."""

import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

from geods import errors
from geods.dataset import dataset_reader
from model import decode, geolocator, losses, metrics
from model.heads import classifiers
from trainers.features import feature_cache
from trainers.options import train_options
from trainers.runs import run_folder
from trainers.training import board, callbacks, fit, inputs


@pytest.fixture
def parts(cache_dir, data_dir, tmp_path):
    data = train_options.DataOptions(data_dir=str(data_dir), config="random", cache_dir=str(cache_dir))
    cells = dataset_reader.partition_of(dataset_reader.open_builder(data_dir, "random"))
    train, cache = inputs.from_cache(data, "train", cells, train=True, seed=0)
    validation, _ = inputs.from_cache(data, "validation", cells, train=False, seed=0)
    network = geolocator.build_classifier(
        classifiers.build("linear", cache.feature_shape, len(cells)), cache.feature_shape
    )
    network.compile(
        keras.optimizers.Adam(0.05), losses.GeolocationLoss(cells.centroids), weighted_metrics=[metrics.CellAccuracy()]
    )
    decoder = decode.Decoder("least_distance", cells.centroids)
    return network, train, validation, cells, decoder


def test_nan_is_named_with_epoch_and_step():
    watcher = callbacks.StopOnNaN()
    watcher.on_epoch_begin(2)
    watcher.on_train_batch_end(6, {"loss": 1.0})
    for loss in (float("nan"), float("inf")):
        with pytest.raises(errors.TrainingError, match=r"in epoch 3, step 8(.|\n)*--learning_rate"):
            watcher.on_train_batch_end(7, {"loss": loss})


def test_nan_ends_a_real_training(parts):
    network, train, *_ = parts
    kernel = network.get_layer("head").layer.get_layer("logits").kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    with pytest.raises(errors.TrainingError, match="the loss became nan in epoch 1, step 1"):
        network.fit(train.inputs, epochs=1, verbose=0, callbacks=[callbacks.StopOnNaN()], shuffle=False)


def test_a_training_that_fails_leaves_nothing_that_would_end_its_process(parts, tmp_path):
    network, train, _, cells, _ = parts
    kernel = network.get_layer("head").layer.get_layer("logits").kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    before = set(threading.enumerate())
    options = train_options.DataOptions(data_service="localhost:1"), train_options.HeadOptions(head="linear")
    with pytest.raises(errors.TrainingError, match="the loss became nan"):
        fit.fit(
            fit.Parts(network, network, None, train, None), cells, *options, train_options.OptimizerOptions(), tmp_path
        )
    for thread in set(threading.enumerate()) - before:
        thread.join(0.5)
        assert not thread.is_alive() or thread.name != callbacks.StallDetection.__name__


def test_the_best_epoch_is_measured_kept_and_put_back(parts, tmp_path):
    network, train, validation, cells, decoder = parts
    watcher = callbacks.Validation(network, validation, cells, decoder, patience=3, folder=tmp_path)
    history = network.fit(train.inputs, epochs=12, verbose=0, callbacks=[watcher], shuffle=False).history
    miles = history["val_mean_miles"]
    assert watcher.best_miles == min(miles)
    assert watcher.best_epoch == int(np.argmin(miles))
    assert len(miles) == min(12, watcher.best_epoch + 4), "patience"
    again = callbacks.Validation(network, validation, cells, decoder, patience=3, folder=tmp_path / "again")
    logs: dict[str, float] = {}
    again.on_epoch_end(0, logs)
    assert logs["val_mean_miles"] == pytest.approx(min(miles))
    saved = geolocator.load(tmp_path / run_folder.CHECKPOINT)
    for mine, kept in zip(saved.get_weights(), network.get_weights(), strict=True):
        assert np.array_equal(mine, kept)


def test_tensorboard_gets_every_figure_and_the_map(parts, tmp_path):
    network, train, validation, cells, decoder = parts
    watcher = callbacks.Validation(network, validation, cells, decoder, patience=9, folder=tmp_path)
    watching = board.Board(tmp_path, cells, watcher, train.examples)
    network.fit(train.inputs, epochs=2, verbose=0, callbacks=[watcher, watching], shuffle=False)
    tags: dict[str, int] = {}
    for path in tmp_path.glob(run_folder.EVENTS):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                tags[value.tag] = tags.get(value.tag, 0) + 1
                if value.tag == "validation/errors":
                    assert tf.io.decode_png(value.tensor.string_val[2]).shape[2] == 3
    assert tags["train/loss"] == tags["learning_rate"] == tags["gradient_norm"] == tags["speed/examples_a_second"] == 2
    assert 1 <= tags["best/mean_miles"] <= 2
    assert tags["validation/errors"] == 1, "within ten seconds, that of the best epoch"
    assert {"train/cell_accuracy", "validation/mean_miles", "validation/errors"} <= set(tags)
    assert {f"validation/within_{limit}_km" for limit in (1, 25, 200, 750, 2500)} <= set(tags)


def test_progress_is_one_line_an_epoch(parts, capsys, tmp_path):
    network, train, validation, cells, decoder = parts
    watcher = callbacks.Validation(network, validation, cells, decoder, patience=9, folder=tmp_path)
    network.fit(train.inputs, epochs=2, verbose=0, callbacks=[watcher, callbacks.Progress(2, watcher)], shuffle=False)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("epoch 1/2: loss ")
    assert "validation" in lines[1]
    assert "s left" in lines[1]


def test_caches_are_what_the_fixture_says(cache_dir):
    assert len(feature_cache.FeatureCache(cache_dir / "train")) > 200
