"""Runs side by side: paired differences against brute force, and the table."""

import json

import numpy as np
import pytest

from geods import errors
from trainers.evaluation import comparison

GUESS = {"within_km": {"25": 0.0, "200": 0.1, "750": 0.2}, "score_map": 700.0, "score_world": 2000.0}


def standing(name, miles, parameters=1234):
    metrics = {
        **GUESS,
        "mean_miles": float(np.mean(miles)),
        "median_miles": float(np.median(miles)),
        "constant_guess": {**GUESS, "mean_miles": 800.0, "median_miles": 780.0},
        "people": {"mean_miles": 587.0, "median_miles": 439.0},
        "random_guess": {**GUESS, "mean_miles": 1100.0, "median_miles": 1000.0},
        "intervals": {"mean_miles": [90.0, 110.0], "mean_miles_minus_constant_guess": [-710.0, -690.0]},
    }
    return comparison.RunSummary(name, metrics, {str(n): float(one) for n, one in enumerate(miles)}, parameters, 61.4)


MILES = np.random.default_rng(0).uniform(10, 1000, 300)


def test_paired_differences_are_sharper_than_the_runs_themselves():
    noise = np.random.default_rng(1).normal(0, 5, 300)
    mean, low, high = comparison.difference(standing("a", MILES + 20 + noise), standing("b", MILES))
    assert mean == pytest.approx(20 + noise.mean())
    assert low < mean < high
    # A normal approximation of the same interval.
    assert high - low == pytest.approx(2 * 1.96 * noise.std() / 300**0.5, rel=0.15)


def test_runs_on_other_locations_cannot_be_compared():
    with pytest.raises(errors.RunError, match="a and b were not measured on the same locations"):
        comparison.difference(standing("a", MILES), standing("b", MILES[:-1]))


def test_the_table_has_the_best_first_and_those_without_a_model_last():
    better, worse = standing("mlp", MILES), standing("linear", MILES + 50, parameters=-1)
    lines = comparison.table([worse, better], better).splitlines()
    names = [line.split("|")[1].strip() for line in lines]
    assert names == ["", "---", "mlp", "linear", "people (50 guesses elsewhere)", "constant guess", "random guess"]
    assert len({line.count("|") for line in lines}) == 1
    assert f"{MILES.mean():,.1f} (90 to 110)" in lines[2]
    assert "1,234" in lines[2]
    assert "+50 (+50 to +50)" in lines[3]
    assert "587.0" in lines[4]
    better.metrics.pop("people")
    assert "people" not in comparison.table([better], better)


def test_the_same_as_json(tmp_path):
    better, worse = standing("mlp", MILES), standing("linear", MILES + 50)
    rows = json.loads(json.dumps(comparison.as_json([worse, better], better)))
    assert [row["name"] for row in rows] == ["linear", "mlp"]
    assert rows[0]["mean_miles_minus_mlp"] == pytest.approx([50, 50, 50])
    assert rows[0]["seconds"] == 61.4


def test_a_folder_without_an_evaluation_is_refused(tmp_path):
    with pytest.raises(errors.RunError, match=r"holds no finished evaluation(.|\n)*trainers\.evaluate"):
        comparison.read("a", tmp_path, 0, 0.0)
