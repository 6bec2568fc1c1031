"""Kernel regression of distances: its closed forms against doing it the long way."""

import keras
import numpy as np
import pytest

from geods import errors
from geods.geo import geometry
from model import geolocator
from model.encoders import second_order_pooling
from model.fusion import views
from model.heads import kernel_regression

RNG = np.random.default_rng(0)
CENTROIDS = np.array([[lat, lon] for lat in np.arange(30, 46, 2.0) for lon in np.arange(-110, -84, 2.0)])
COORDS = RNG.uniform([30, -110], [45, -85], (60, 2))
GROUPS = np.repeat(np.arange(20), 3)


def looks_of(coords):
    """Features that encode a location, with some noise."""
    waves = np.concatenate([np.sin(coords / scale) for scale in (3, 5, 9, 17)], axis=1)
    return (waves + 0.05 * np.random.default_rng(1).standard_normal(waves.shape)).astype("float32")


LOOKS = looks_of(COORDS)


def regression(found, places=60):
    layer = kernel_regression.KernelRegression(places, len(CENTROIDS))
    layer.build(LOOKS.shape, (None, 1))
    layer.remember(found)
    return layer


def solve(looks, coords, found, nearness_km=0.0, chosen_on=60):
    """The coefficients by a plain solve, for the choice that `fit` made."""
    apart = ((looks[:, None].astype(np.float64) - looks[None]) ** 2).sum(axis=2)
    kernel = np.exp(-found.rate * apart)
    target = kernel_regression.cost_km(geometry.pairwise_km(coords, CENTROIDS), nearness_km) - found.offset
    return np.linalg.solve(kernel + chosen_on * found.ridge * np.eye(len(looks)), target)


@pytest.mark.parametrize("nearness_km", [0.0, 500.0])
def test_the_solution_solves_the_regression(nearness_km):
    found = kernel_regression.fit(LOOKS, COORDS, GROUPS, CENTROIDS, nearness_km)
    np.testing.assert_allclose(found.coefficients, solve(LOOKS, COORDS, found, nearness_km), rtol=1e-5, atol=1e-3)


def test_the_cost_is_the_distance_and_its_nearness_as_much_as_the_mean():
    distance_km = np.array([[0.0, 300.0, 3000.0]])
    expected = distance_km + 1100 * (1 - np.exp(-distance_km / 500))
    np.testing.assert_allclose(kernel_regression.cost_km(distance_km, 500.0), expected)
    np.testing.assert_array_equal(kernel_regression.cost_km(distance_km, 0.0), distance_km)


def test_what_it_says_of_groups_left_out_is_what_leaving_them_out_gives():
    found = kernel_regression.fit(LOOKS, COORDS, GROUPS, CENTROIDS)
    truth = geometry.pairwise_km(COORDS, CENTROIDS)
    missed = []
    for group in range(20):
        out = group == GROUPS
        coefficients = solve(LOOKS[~out], COORDS[~out], found)
        apart = ((LOOKS[out][:, None].astype(np.float64) - LOOKS[~out][None]) ** 2).sum(axis=2)
        expected_km = found.offset + np.exp(-found.rate * apart) @ coefficients
        missed += list(truth[out][np.arange(out.sum()), expected_km.argmin(axis=1)])
    assert found.held_out_km == pytest.approx(np.mean(missed), rel=1e-6)


def test_of_many_places_all_are_remembered_and_some_are_chosen_on():
    found = kernel_regression.fit(LOOKS, COORDS, GROUPS, CENTROIDS, 500.0, chosen_on=45)
    of_some = kernel_regression.fit(LOOKS[:45], COORDS[:45], GROUPS[:45], CENTROIDS, 500.0)
    for name in ("rate", "spread_km", "width", "ridge", "held_out_km"):
        assert getattr(found, name) == pytest.approx(getattr(of_some, name), rel=0.1 if name == "held_out_km" else 1e-9)
    np.testing.assert_allclose(found.coefficients, solve(LOOKS, COORDS, found, 500.0, 45), rtol=1e-5, atol=1e-3)
    with pytest.raises(errors.TrainingError, match="3 locations in 1 groups"):
        kernel_regression.fit(LOOKS, COORDS, GROUPS, CENTROIDS, chosen_on=3)


def test_all_places_enter_the_regression_that_remembers_some_and_means_of_neighbours():
    coords = np.random.default_rng(3).uniform([30, -110], [45, -85], (900, 2))
    looks = looks_of(coords)
    first, further = slice(0, 500), [(looks[500:700], coords[500:700]), (looks[700:], coords[700:])]
    groups = np.arange(900) // 5
    found = kernel_regression.fit(
        looks[first], coords[first], groups[first], CENTROIDS, 500.0, landmarks=300, further=further
    )
    np.testing.assert_array_equal(found.descriptors[:225], looks[:225])
    # Leaves of 6 or 7 neighbours, which together are the 500.
    assert found.descriptors[225:].shape == (75, looks.shape[1])
    np.testing.assert_allclose(found.descriptors[225:].mean(axis=0), looks[first].mean(axis=0), atol=0.02)
    cost = kernel_regression.cost_km(
        geometry.pairwise_km(coords, CENTROIDS), 500.0, geometry.pairwise_km(coords[first], CENTROIDS).mean()
    )
    kernel, own = (
        np.exp(-found.rate * ((each[:, None].astype(np.float64) - found.descriptors[None]) ** 2).sum(axis=2))
        for each in (looks, found.descriptors)
    )
    inner = kernel.T @ kernel + 500 * found.ridge * own
    expected = kernel @ np.linalg.lstsq(inner, kernel.T @ (cost - cost.mean(axis=0)), rcond=1e-14)[0]
    np.testing.assert_allclose(kernel @ found.coefficients, expected, rtol=1e-2, atol=1.0)
    np.testing.assert_allclose(found.offset, cost.mean(axis=0), rtol=1e-9)
    whole = kernel_regression.fit(looks, coords, groups, CENTROIDS, 500.0)
    new = np.random.default_rng(2).uniform([31, -109], [44, -86], (200, 2))
    missed = []
    for solution, places in ((found, 300), (whole, 900)):
        layer = kernel_regression.KernelRegression(places, len(CENTROIDS))
        layer.build(looks.shape, (None, 1))
        layer.remember(solution)
        told = keras.ops.convert_to_numpy(layer(looks_of(new), np.ones((200, 1), bool)))
        missed.append(geometry.pairwise_km(new, CENTROIDS)[np.arange(200), told.argmax(axis=1)].mean())
    assert missed[0] == pytest.approx(missed[1], rel=0.01)


def test_it_finds_new_places_far_better_than_a_constant():
    found = kernel_regression.fit(LOOKS, COORDS, GROUPS, CENTROIDS)
    new = np.random.default_rng(2).uniform([31, -109], [44, -86], (40, 2))
    told = keras.ops.convert_to_numpy(regression(found)(looks_of(new), np.ones((40, 1), bool)))
    np.testing.assert_allclose(np.exp(told).sum(axis=1), 1, rtol=1e-4)
    distance_km = geometry.pairwise_km(new, CENTROIDS)
    missed_km = distance_km[np.arange(40), told.argmax(axis=1)].mean()
    assert missed_km < 0.6 * distance_km.mean(axis=0).min()


def test_without_a_view_it_knows_nothing():
    found = kernel_regression.fit(LOOKS, COORDS, GROUPS, CENTROIDS)
    told = keras.ops.convert_to_numpy(regression(found)(LOOKS[:1], np.zeros((1, 2), bool)))
    np.testing.assert_allclose(told, np.full((1, len(CENTROIDS)), -np.log(len(CENTROIDS))), rtol=1e-5)


def test_what_it_remembers_is_saved_with_it(tmp_path):
    maps = RNG.standard_normal((12, 2, 4, 4, 3)).astype("float32")
    mask = np.ones((12, 2), bool)
    layer = kernel_regression.KernelRegression(12, len(CENTROIDS), name="kernel_regression")
    classifier = kernel_regression.build_classifier(layer, (4, 4, 3))
    look = keras.Model(classifier.input, classifier.get_layer("moment_roots").output)
    looks = keras.ops.convert_to_numpy(look({"features": maps, "view_mask": mask}))
    layer.remember(kernel_regression.fit(looks, COORDS[:12], GROUPS[:12], CENTROIDS))
    geolocator.save(classifier, tmp_path / "c.keras")
    inputs = {"features": maps[:3], "view_mask": mask[:3]}
    again = geolocator.load(tmp_path / "c.keras")(inputs)
    np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (again, classifier(inputs))))


def test_pooled_moments_of_two_sizes_give_what_their_maps_give():
    maps = [RNG.standard_normal((12, 2, height, 6, 3)).astype("float32") for height in (4, 6)]
    pooled = [views.PerView(second_order_pooling.SecondOrderPooling())(each) for each in maps]
    mask = np.ones((12, 2), bool)
    layer = kernel_regression.KernelRegression(12, len(CENTROIDS), name="kernel_regression")
    classifier = kernel_regression.build_classifier(layer, (24,), [(24, 2)])
    look = keras.Model(classifier.input, classifier.get_layer("moment_roots").output)
    features = keras.ops.convert_to_numpy(keras.ops.concatenate(pooled, axis=-1))
    found = look({"features": features, "view_mask": mask})
    expected = [second_order_pooling.MatrixSquareRoot(3)(each, mask) for each in pooled]
    np.testing.assert_allclose(found, np.concatenate(expected, axis=1), atol=1e-6)


def test_places_that_all_look_the_same_are_refused():
    with pytest.raises(errors.TrainingError, match="with different images"):
        kernel_regression.fit(np.ones((6, 3)), COORDS[:6], GROUPS[:6], CENTROIDS)


def test_a_single_group_is_refused():
    with pytest.raises(errors.TrainingError, match="two blocks"):
        kernel_regression.fit(LOOKS, COORDS, np.zeros(60, int), CENTROIDS)


@pytest.mark.parametrize(("places", "cells"), [(0, 3), (3, 0)])
def test_no_places_and_no_cells_are_refused(places, cells):
    with pytest.raises(errors.OptionError, match="at least 1"):
        kernel_regression.KernelRegression(places, cells)
