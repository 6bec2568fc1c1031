"""Losses against their formulas in numpy."""

import keras
import numpy as np
import pytest

from geods import errors
from geods.geo import geometry
from model import losses

CENTROIDS = np.array([[40.0, -100.0], [41.0, -98.0], [30.0, -90.0], [47.0, -120.0]])
# Inside cells 0 and 3, and outside every cell.
TRUTH = np.array([[40.2, -100.5, 0], [46.0, -119.0, 3], [20.0, -80.0, -1]], dtype="float32")


def log_probabilities(rows: int = 3, seed: int = 0) -> np.ndarray:
    logits = np.random.default_rng(seed).standard_normal((rows, len(CENTROIDS)))
    return (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype("float32")


def loss_of(kind: str, **options) -> losses.GeolocationLoss:
    return losses.GeolocationLoss(CENTROIDS, kind, reduction=None, **options)


def values(loss, truth=TRUTH, predicted=None) -> np.ndarray:
    return keras.ops.convert_to_numpy(loss(truth, log_probabilities() if predicted is None else predicted))


def test_one_hot_is_minus_the_log_probability_of_the_cell():
    expected = [-log_probabilities()[0, 0], -log_probabilities()[1, 3], 0]
    np.testing.assert_allclose(values(loss_of("one_hot")), expected, rtol=1e-6)


def test_label_smoothing_spreads_its_share_over_all_cells():
    smoothing = 0.2
    predicted = log_probabilities()
    targets = (1 - smoothing) * np.eye(4)[[0, 3]] + smoothing / 4
    expected = [*(-(targets * predicted[:2]).sum(axis=1)), 0]
    np.testing.assert_allclose(values(loss_of("label_smoothing", smoothing=smoothing)), expected, rtol=1e-6)


def test_haversine_targets_fall_with_the_distance_to_the_centroids():
    scale_km = 300.0
    distance_km = geometry.pairwise_km(TRUTH[:, :2].astype(float), CENTROIDS)
    weights = np.exp(-(distance_km - distance_km.min(axis=1, keepdims=True)) / scale_km)
    targets = weights / weights.sum(axis=1, keepdims=True)
    loss = loss_of("haversine", scale_km=scale_km)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(loss.targets(TRUTH)), targets, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(values(loss), -(targets * log_probabilities()).sum(axis=1), rtol=1e-4)


@pytest.mark.parametrize("scale_km", [1e-3, 150.0, 1e6])
def test_haversine_targets_sum_to_1(scale_km):
    rng = np.random.default_rng(1)
    truth = np.stack([rng.uniform(-90, 90, 50), rng.uniform(-180, 180, 50), np.full(50, -1)], axis=1)
    targets = keras.ops.convert_to_numpy(loss_of("haversine", scale_km=scale_km).targets(truth.astype("float32")))
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-5)


def test_targets_of_the_other_kinds_sum_to_1_inside_and_to_0_outside():
    for kind in ("one_hot", "label_smoothing"):
        sums = keras.ops.convert_to_numpy(loss_of(kind).targets(TRUTH)).sum(axis=1)
        np.testing.assert_allclose(sums, [1, 1, 0], rtol=1e-6)


def test_a_cell_ruled_out_costs_nothing_where_it_is_not_meant():
    predicted = np.array([[0.0, -np.inf, -np.inf, -np.inf]], dtype="float32")
    np.testing.assert_array_equal(values(loss_of("one_hot"), TRUTH[:1], predicted), [0])


def test_the_gradient_is_that_of_cross_entropy():
    inputs = keras.Input((1,))
    logits = keras.layers.Dense(4, use_bias=False, kernel_initializer="zeros", name="logits")(inputs)
    model = keras.Model(inputs, keras.layers.Activation("log_softmax")(logits))
    loss = losses.GeolocationLoss(CENTROIDS, "haversine")
    model.compile(optimizer=keras.optimizers.SGD(1.0), loss=loss)
    model.train_on_batch(np.ones((3, 1), dtype="float32"), TRUTH)
    moved = keras.ops.convert_to_numpy(model.get_layer("logits").kernel)[0]
    targets = keras.ops.convert_to_numpy(loss.targets(TRUTH))
    np.testing.assert_allclose(moved, targets.mean(axis=0) - 0.25, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", losses.KINDS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_16_bit_predictions_are_summed_in_float32(kind, dtype):
    predicted = keras.ops.cast(log_probabilities(), dtype)
    result = loss_of(kind)(TRUTH, predicted)
    assert keras.backend.standardize_dtype(result.dtype) == "float32"
    np.testing.assert_allclose(keras.ops.convert_to_numpy(result), values(loss_of(kind)), rtol=0.02, atol=1e-6)


@pytest.mark.parametrize("kind", losses.KINDS)
def test_a_loss_comes_back_from_its_config(kind):
    loss = losses.GeolocationLoss(CENTROIDS, kind, smoothing=0.3, scale_km=70.0)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert again.get_config() == loss.get_config()
    np.testing.assert_array_equal(values(again), values(loss))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "focal"}, "'focal' is not a loss"),
        ({"smoothing": 1.0}, r"smoothing is 1\.0"),
        ({"scale_km": 0.0}, r"scale_km is 0\.0"),
        ({"scale_km": float("nan")}, "scale_km is nan"),
    ],
)
def test_a_value_out_of_range_is_refused(options, message):
    with pytest.raises(errors.OptionError, match=message):
        losses.GeolocationLoss(CENTROIDS, **options)


def test_swapped_centroids_are_refused():
    with pytest.raises(errors.CoordinateError, match="centroids"):
        losses.GeolocationLoss(CENTROIDS[:, ::-1])
