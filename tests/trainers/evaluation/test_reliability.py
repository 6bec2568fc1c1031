"""Reliability where the truth is known, on held-out rows, some at a time."""

import numpy as np
import pytest
from drawn_runs import CELLS, world

from geods.tree import string_array
from trainers.evaluation import calibration, reliability
from trainers.runs import predictions, stored_probabilities


def error(probabilities, labels):
    return reliability.expected_calibration_error(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels)


def test_tempering_mends_the_calibration_error():
    probabilities, labels = world(4000, 3.0)
    after = calibration.tempered(probabilities, calibration.fit_temperature(probabilities, labels))
    assert error(probabilities, labels) > 0.15
    assert error(after, labels) < 0.03


def test_the_most_confident_come_first():
    expected_km = np.arange(100.0)
    risk = reliability.risk_by_coverage(expected_km, expected_km * 1.609344)
    assert risk[0] == (0.1, pytest.approx(4.5))
    assert risk[-1] == (1.0, pytest.approx(49.5))


def found_at(probabilities, truth):
    names = string_array.Texts.of(f"{lat},{lon}" for lat, lon in truth.tolist())
    return predictions.Predictions(names, truth, CELLS.centroids[probabilities.argmax(axis=1)], probabilities)


def test_nothing_is_measured_on_what_it_was_fitted_on():
    rng = np.random.default_rng(0)
    probabilities, labels = world(600)
    truth = np.array([CELLS.sample(label, 1, rng)[0] for label in labels])
    measured = reliability.cross_fitted(found_at(probabilities, truth), labels, CELLS, 0.9, 5)
    assert measured.covered.mean() == pytest.approx(0.9, abs=0.04)
    # Another truth at one place changes nothing there but elsewhere.
    block = (np.floor(truth) == np.floor(truth[0])).all(axis=1)
    moved = np.where(block, (labels + 7) % len(CELLS), labels)
    again = reliability.cross_fitted(found_at(probabilities, truth), moved, CELLS, 0.9, 5)
    np.testing.assert_array_equal(again.tempered[block], measured.tempered[block])
    np.testing.assert_array_equal(again.area_km2[block], measured.area_km2[block])
    assert (again.tempered != measured.tempered).any()


def test_some_at_a_time_is_all_at_once(monkeypatch, tmp_path):
    rng = np.random.default_rng(1)
    probabilities, labels = world(400, 2.0)
    truth = np.array([CELLS.sample(label, 1, rng)[0] for label in labels])
    whole = reliability.measure(found_at(probabilities, truth), CELLS, 0.9, 5)
    monkeypatch.setattr(stored_probabilities, "_AT_ONCE", 11 * len(CELLS))
    np.save(tmp_path / "probabilities.npy", probabilities)
    mapped = np.load(tmp_path / "probabilities.npy", mmap_mode="r")
    some = reliability.measure(found_at(mapped, truth), CELLS, 0.9, 5)
    assert some.keys() == whole.keys()
    for name, value in whole.items():
        assert np.allclose(some[name], value, rtol=1e-9), name
