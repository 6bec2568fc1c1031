"""Every figure of metrics.json against numbers worked out by hand."""

import json
import math

import drawn_trees
import numpy as np
import pytest
import shapely

from geods.geo import fishnet, geometry, partition
from trainers.runs import distance_metrics

CELLS = drawn_trees.cells()


def guesses(truth, points, top=None) -> distance_metrics.Guesses:
    truth, points = np.array(truth, float), np.array(points, float)
    labels = CELLS.label(truth[:, 0], truth[:, 1])
    best = CELLS.label(points[:, 0], points[:, 1])[:, None] if top is None else np.array(top)
    return distance_metrics.Guesses(truth, labels, points, best)


def test_distances_and_shares():
    # One degree of a meridian is 111.195 km on a sphere of 6371.0088 km.
    figures = distance_metrics.measure(guesses([[31, -119], [32, -119]], [[31, -119], [33, -119]]), CELLS)
    assert figures["mean_km"] == pytest.approx(111.195 / 2, abs=1e-3)
    assert figures["median_km"] == pytest.approx(111.195 / 2, abs=1e-3)
    assert figures["mean_miles"] == pytest.approx(figures["mean_km"] / 1.609344)
    assert figures["median_miles"] == pytest.approx(figures["median_km"] / 1.609344)
    assert figures["within_km"] == {"1": 0.5, "25": 0.5, "200": 1.0, "750": 1.0, "2500": 1.0}


def test_scores_say_which_diagonal():
    figures = distance_metrics.measure(guesses([[32, -119]], [[33, -119]]), CELLS)
    distance_km = geometry.haversine_km([32, -119], [33, -119])
    assert figures["score_map"] == pytest.approx(5000 * math.exp(-10 * distance_km / CELLS.diagonal_km))
    assert figures["score_world"] == pytest.approx(5000 * math.exp(-10 * distance_km / 14916.862))


def test_cells_count_by_rank_and_outside_is_never_right():
    inside, outside = [31, -119], [10, 10]
    found = guesses([inside, inside, outside], [inside] * 3, [[0, 1, 2], [3, 4, 0], [-1, -1, -1]])
    found = distance_metrics.Guesses(
        found.truth, found.cells, found.points, np.array([[0, 1, 2], [3, 4, 0], [1, 2, 3]])
    )
    figures = distance_metrics.measure(found, CELLS)
    assert figures["top1_cell"] == pytest.approx(1 / 3)
    assert figures["top5_cell"] == pytest.approx(2 / 3)


def test_the_reports_metric_is_blind_inside_a_cell():
    figures = distance_metrics.measure(guesses([[30.5, -119.5]], [[35.5, -110.5]]), CELLS)
    assert figures["report_mean_miles"] == 0
    neighbours = distance_metrics.measure(guesses([[31, -119]], [[31, -109]]), CELLS)
    assert neighbours["report_mean_miles"] == pytest.approx(
        float(geometry.haversine_miles_report(CELLS.centroids[0], CELLS.centroids[1]))
    )


def test_the_constant_guess_beats_every_cell_and_is_the_same_for_all_of_them():
    truth = np.random.default_rng(0).uniform((30, -120), (48, -70), (60, 2))
    constant = distance_metrics.constant_guess(guesses(truth, truth), CELLS)
    assert len(np.unique(constant.points, axis=0)) == 1
    reached = geometry.haversine_km(truth, constant.points).mean()
    assert reached < geometry.pairwise_km(truth, CELLS.centroids).mean(axis=0).min()
    assert constant.top_cells[0, 0] == geometry.haversine_km(CELLS.centroids, constant.points[0]).argmin()
    finer = fishnet.refine(CELLS, 1.0)
    assert np.array_equal(distance_metrics.constant_guess(guesses(truth, truth), finer).points, constant.points)


@pytest.mark.parametrize(
    ("truth", "best"),
    [
        ([[52.5, 13.4]], (52.5, 13.4)),
        # Two thirds of all at one point: nothing is nearer to all.
        ([[-41.3, 174.8], [-41.3, 174.8], [10.0, -170.0]], (-41.3, 174.8)),
        ([[10.0, 179.0], [10.0, -179.0], [12.0, -180.0], [8.0, -180.0]], (10.0, -180.0)),
    ],
)
def test_the_best_constant_point(truth, best):
    assert geometry.haversine_km(distance_metrics.best_constant(np.array(truth)), best) < 2


@pytest.mark.parametrize(("bounds", "known"), [((-124.7, 24.6, -67, 49.3), True), ((-120, 30, -110, 40), False)])
def test_people_are_known_on_maps_of_the_us_alone(bounds, known):
    cells = partition.Partition((shapely.box(*bounds),))
    found = distance_metrics.Guesses(*[np.array(values) for values in ([[40, -115]], [0], [[40, -115]], [[0]])])
    assert ("people" in distance_metrics.evaluate(found, cells)) is known


def test_the_random_guess_is_uniform_by_area_and_seeded():
    truth = np.random.default_rng(0).uniform((30, -120), (48, -70), (500, 2))
    drawn = distance_metrics.random_guess(guesses(truth, truth), CELLS, np.random.default_rng(1))
    share = np.bincount(drawn.top_cells[:, 0], minlength=len(CELLS)) / len(drawn)
    assert np.allclose(share, CELLS.areas_km2 / CELLS.areas_km2.sum(), atol=0.01)
    assert np.array_equal(CELLS.label(drawn.points[:, 0], drawn.points[:, 1]), drawn.top_cells[:, 0])
    again = distance_metrics.random_guess(guesses(truth, truth), CELLS, np.random.default_rng(1))
    assert np.array_equal(drawn.points, again.points)


def test_of_many_locations_each_is_guessed_less_often_and_then_not_all():
    for count, guessed in ((25_000, 20 * 25_000), (30_000, 16 * 30_000), (600_000, 300_000)):
        truth = np.zeros((count, 2))
        found = distance_metrics.Guesses(truth, np.arange(count), truth, np.zeros((count, 1), int))
        drawn = distance_metrics.random_guess(found, CELLS, np.random.default_rng(0))
        assert len(drawn) == len(drawn.points) == guessed
        assert np.array_equal(drawn.cells, np.tile(np.arange(0, count, count // 300_000 or 1), guessed // count or 1))


def test_figures_of_many_locations_are_those_of_one_array():
    rng = np.random.default_rng(5)
    truth, points = rng.uniform((30, -120), (48, -70), (2, 70_000, 2))
    found = guesses(truth, points)
    figures, distance_km = distance_metrics.measure(found, CELLS), geometry.haversine_km(truth, points)
    assert (figures["mean_km"], figures["median_km"]) == (distance_km.mean(), np.median(distance_km))
    assert figures["score_world"] == geometry.geoguessr_score(distance_km, geometry.WORLD_DIAGONAL_KM).mean()
    true, guessed = CELLS.centroids[found.cells], CELLS.centroids[found.top_cells[:, 0]]
    assert figures["report_mean_miles"] == geometry.haversine_miles_report(true, guessed).mean()


def test_intervals_hold_the_figure_and_shrink_with_more_locations():
    rng = np.random.default_rng(3)

    def width(count: int) -> float:
        truth = rng.uniform((30, -120), (48, -70), (count, 2))
        found = guesses(truth, geometry.destination(truth, 90.0, rng.exponential(300, count)))
        metrics = distance_metrics.evaluate(found, CELLS)
        low, high = metrics["intervals"]["mean_miles"]
        assert low < metrics["mean_miles"] < high
        assert metrics["intervals"]["mean_miles_minus_constant_guess"][1] < 0
        return high - low

    assert width(800) < 0.6 * width(50)


def test_keys_are_those_of_the_format_and_json_holds_them():
    truth = np.random.default_rng(0).uniform((30, -120), (48, -70), (5, 2))
    metrics = distance_metrics.evaluate(guesses(truth, truth), CELLS)
    figures = {"mean_miles", "median_miles", "mean_km", "median_km", "report_mean_miles", "within_km"}
    figures |= {"score_map", "score_world", "top1_cell", "top5_cell"}
    assert figures | {"locations", "score_map_diagonal_km", "constant_guess", "random_guess", "intervals"} <= set(
        metrics
    )
    assert figures <= set(metrics["constant_guess"])
    assert figures <= set(metrics["random_guess"])
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics


def test_the_table_has_a_line_for_every_figure():
    truth = np.random.default_rng(0).uniform((30, -120), (48, -70), (5, 2))
    lines = distance_metrics.table(distance_metrics.evaluate(guesses(truth, truth), CELLS)).splitlines()
    assert lines[0].split() == ["5", "locations", "model", "constant", "random"]
    assert len(lines) == 16
    assert lines[-1].startswith("95 % intervals: mean miles 0.0 to 0.0")


def test_top_cells_are_in_order_and_ties_go_to_the_lowest():
    assert distance_metrics.top_cells(np.array([[0.1, 0.4, 0.4, 0.1]]), 3).tolist() == [[1, 2, 0]]
    assert distance_metrics.top_cells(np.array([[0.2, 0.8]])).tolist() == [[1, 0]]
