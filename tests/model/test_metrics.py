"""Distances in keras.ops against geods.geo.geometry, and metrics of them."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geods import errors
from geods.geo import geometry
from model import metrics

CENTROIDS = np.array([[40.0, -100.0], [41.0, -98.0], [30.0, -90.0]])
TRUTH = np.array([[40.0, -100.0, 0], [40.0, -100.0, 0], [30.0, -90.0, 2], [20.0, -80.0, -1]], dtype="float32")
PREDICTED = np.log(np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.8, 0.1, 0.1]], dtype="float32"))
# To the centroid of the most probable cell.
ERRORS_KM = geometry.haversine_km(TRUTH[:, :2].astype(float), CENTROIDS[[0, 1, 2, 0]])

latitudes = st.floats(-90, 90, width=32)
longitudes = st.floats(-180, 180, width=32)


def distance_km(a, b, dtype="float32") -> np.ndarray:
    a, b = keras.ops.convert_to_tensor(a, dtype), keras.ops.convert_to_tensor(b, dtype)
    return keras.ops.convert_to_numpy(metrics.haversine_km(a, b))


@settings(max_examples=100, deadline=None)
@given(lat_a=latitudes, lon_a=longitudes, lat_b=latitudes, lon_b=longitudes)
def test_float32_agrees_with_geometry_anywhere(lat_a, lon_a, lat_b, lon_b):
    a, b = np.array([lat_a, lon_a]), np.array([lat_b, lon_b])
    # 1 m, where the cosine of a pole is not quite 0, and up to 5 m of what is large.
    expected = geometry.haversine_km(a, b)
    assert distance_km(a, b) == pytest.approx(expected, abs=min(0.005, 1e-4 * expected + 0.001))


@pytest.mark.parametrize(
    ("place", "tolerance"),
    [
        ((39.5, -98.35), 1e-5),
        ((0.0, 0.0), 1e-5),
        ((64.0, -149.5), 1e-5),
        ((-33.0, 179.99999), 1e-5),
        ((-33.0, -179.99), 1e-5),
        ((89.9, 10.0), 1e-4),
    ],
)
@pytest.mark.parametrize("step_km", [0.001, 0.01, 0.1, 1.0, 25.0])
def test_float32_keeps_small_distances(place, tolerance, step_km):
    a = np.array(place, dtype="float32").astype(float)
    headings = np.arange(0, 360, 15.0)
    b = geometry.destination(np.broadcast_to(a, (len(headings), 2)), headings, step_km).astype("float32").astype(float)
    np.testing.assert_allclose(distance_km(a, b), geometry.haversine_km(a, b), rtol=tolerance, atol=1e-7)


def test_float64_agrees_to_a_millimetre():
    rng = np.random.default_rng(0)
    a, b = (np.stack([rng.uniform(-90, 90, 500), rng.uniform(-180, 180, 500)], axis=1) for _ in range(2))
    result = distance_km(a, b, "float64")
    if result.dtype != np.float64:
        pytest.skip("this backend computes in float32 unless told otherwise (JAX)")
    np.testing.assert_allclose(result, geometry.haversine_km(a, b), atol=1e-6)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((10.0, 20.0), (10.0, 20.0), 0.0),
        ((90.0, 0.0), (-90.0, 0.0), np.pi * geometry.EARTH_RADIUS_KM),
        ((12.0, 34.0), (-12.0, -146.0), np.pi * geometry.EARTH_RADIUS_KM),
        ((0.0, 180.0), (0.0, -180.0), 0.0),
        ((90.0, 0.0), (90.0, 123.0), 0.0),
        ((0.0, 0.0), (0.0, 90.0), np.pi / 2 * geometry.EARTH_RADIUS_KM),
    ],
)
def test_poles_antipodes_and_the_antimeridian(a, b, expected):
    assert distance_km(np.array(a), np.array(b)) == pytest.approx(expected, rel=1e-6, abs=1e-3)


def test_arguments_broadcast():
    pairs = distance_km(CENTROIDS[:, None], CENTROIDS[None])
    np.testing.assert_allclose(pairs, geometry.pairwise_km(CENTROIDS, CENTROIDS), rtol=1e-5, atol=1e-3)


def test_cell_accuracy_leaves_out_what_lies_in_no_cell():
    metric = metrics.CellAccuracy()
    metric.update_state(TRUTH, PREDICTED)
    assert float(metric.result()) == pytest.approx(2 / 3)


def test_cell_accuracy_takes_sample_weights():
    metric = metrics.CellAccuracy()
    metric.update_state(TRUTH, PREDICTED, sample_weight=np.array([1.0, 2.0, 1.0, 5.0]))
    assert float(metric.result()) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (metrics.MeanKm(CENTROIDS), ERRORS_KM.mean()),
        (metrics.MeanMiles(CENTROIDS), ERRORS_KM.mean() / geometry.KM_PER_MILE),
        (metrics.WithinKm(CENTROIDS, 25.0), 0.5),
        (metrics.WithinKm(CENTROIDS, 750.0), 0.75),
    ],
)
def test_distance_metrics_are_means_over_all_batches(metric, expected):
    metric.update_state(TRUTH[:3], PREDICTED[:3])
    metric.update_state(TRUTH[3:], PREDICTED[3:])
    assert float(metric.result()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "metric",
    [
        metrics.CellAccuracy(),
        metrics.MeanKm(CENTROIDS),
        metrics.MeanMiles(CENTROIDS, name="miles"),
        metrics.WithinKm(CENTROIDS, 200.0),
    ],
)
def test_a_metric_comes_back_from_its_config_and_counts_in_float32(metric):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert again.get_config() == metric.get_config()
    again.update_state(TRUTH, keras.ops.cast(PREDICTED, "float16"))
    metric.update_state(TRUTH, PREDICTED)
    assert again.result() == metric.result()
    assert again.dtype == "float32"


def test_names_say_the_limit():
    assert metrics.WithinKm(CENTROIDS, 25.0).name == "within_25_km"


def test_a_negative_limit_is_refused():
    with pytest.raises(errors.OptionError, match=r"limit_km is -1\.0"):
        metrics.WithinKm(CENTROIDS, -1.0)
