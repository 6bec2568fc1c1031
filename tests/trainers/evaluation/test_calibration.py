"""Calibration where the truth is known: temperature and regions are recovered."""

import math

import drawn_runs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geods import errors
from trainers.evaluation import calibration
from trainers.runs import stored_probabilities


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_is_found_again(temperature):
    probabilities, labels = drawn_runs.world(4000, temperature)
    assert calibration.fit_temperature(probabilities, labels) == pytest.approx(temperature, rel=0.06)


@pytest.mark.parametrize(("level", "too_many"), [(0.5, 0.1), (0.8, 0.03), (0.9, 0.03)])
def test_regions_hold_what_they_promise_on_locations_they_have_not_seen(level, too_many):
    probabilities, labels = drawn_runs.world(6000, 2.0)
    fitted = calibration.fit(probabilities[:3000], labels[:3000], drawn_runs.CELLS.areas_km2, level)
    inside = calibration.region(probabilities[3000:], drawn_runs.CELLS.areas_km2, fitted)
    held = inside[np.arange(3000), labels[3000:]].mean()
    # A region of one cell cannot be made smaller, so small levels hold more than they promise.
    assert level - 0.03 < held < level + too_many
    assert inside.mean() < level


def test_a_region_has_the_densest_cells():
    fitted = calibration.Calibration(1.0, 0.9, 0.6)
    inside = calibration.region(np.array([[0.5, 0.3, 0.2]]), np.array([10.0, 1.0, 100.0]), fitted)
    # Densities 0.05, 0.3 and 0.002: the second, then the first would make 0.8.
    np.testing.assert_array_equal(inside, [[False, True, False]])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 999), st.floats(0.0, 1.0), st.floats(0.1, 10))
def test_a_region_is_never_empty_and_grows_with_its_mass(seed, mass, temperature):
    probabilities, _ = drawn_runs.world(20, seed=seed)
    smaller, larger = (
        calibration.region(probabilities, drawn_runs.CELLS.areas_km2, calibration.Calibration(temperature, 0.9, share))
        for share in (mass / 2, mass)
    )
    assert smaller.any(axis=1).all()
    assert (larger >= smaller).all()


def test_truths_outside_every_cell_are_not_held():
    probabilities, labels = drawn_runs.world(200)
    labels[::2] = -1
    fitted = calibration.fit(probabilities, labels, drawn_runs.CELLS.areas_km2, 0.9)
    assert fitted.mass == 1.0
    assert calibration.region(probabilities, drawn_runs.CELLS.areas_km2, fitted).all()


def test_locations_in_no_cell_cannot_calibrate():
    probabilities, _ = drawn_runs.world(5)
    with pytest.raises(errors.RunError, match="no location lies in a cell"):
        calibration.fit(probabilities, np.full(5, -1), drawn_runs.CELLS.areas_km2)


@pytest.mark.parametrize("level", [0.0, 1.0, math.nan])
def test_a_level_is_a_share(level):
    probabilities, labels = drawn_runs.world(5)
    with pytest.raises(errors.OptionError, match=r"such as 0\.9"):
        calibration.fit(probabilities, labels, drawn_runs.CELLS.areas_km2, level)


def test_the_temperature_is_where_the_likelihood_is_highest():
    probabilities, labels = drawn_runs.world(300, 2.0, seed=3)

    def loss(temperature):
        return -np.log(calibration.tempered(probabilities, temperature)[np.arange(300), labels]).mean()

    fitted = calibration.fit_temperature(probabilities, labels)
    tried = fitted * np.exp(np.linspace(-0.3, 0.3, 61))
    assert np.argmin([loss(temperature) for temperature in tried]) == 30


@pytest.mark.parametrize(("right", "bound"), [(True, 0.05), (False, 20.0)])
def test_a_model_that_is_always_right_or_always_wrong_gets_a_bound(right, bound):
    probabilities = np.full((50, 4), 0.1)
    probabilities[:, 1] = 0.7
    labels = np.full(50, 1 if right else 2)
    assert calibration.fit_temperature(probabilities, labels) == pytest.approx(bound, rel=1e-6)


def test_some_at_a_time_is_all_at_once_and_other_rows_do_not_count(monkeypatch):
    probabilities, labels = drawn_runs.world(300, 2.0)
    whole = calibration.fit(probabilities[:200], labels[:200], drawn_runs.CELLS.areas_km2)
    monkeypatch.setattr(stored_probabilities, "_AT_ONCE", 7 * len(drawn_runs.CELLS))
    some = calibration.fit(probabilities, labels, drawn_runs.CELLS.areas_km2, rows=np.arange(200))
    assert some.temperature == pytest.approx(whole.temperature, rel=1e-9)
    assert some.mass == pytest.approx(whole.mass, rel=1e-9)
