"""The nearest of many, from a service that answers small boxes incompletely."""

import math

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from geods.geo import geometry
from geods.imagery import nearest_search


def service(points, most):
    """Returns an `ask` over points `[n, 2]`, and the boxes it was asked for.

    It gives at most `most`, in no order.
    """
    asked = []

    def ask(box):
        west, south, east, north = map(float, box.text.split(","))
        assert -180 <= west < east <= 180
        asked.append(box)
        inside = [k for k, (lat, lon) in enumerate(points) if south <= lat <= north and west <= lon <= east][-most:]
        return [nearest_search.Found(away(points[k]), str(k), k) for k in inside], 0.0 if len(
            inside
        ) == most else math.inf

    def away(point):
        return float(geometry.haversine_km(ask.here, point))

    return ask, asked


@hypothesis.settings(max_examples=60)
@hypothesis.given(
    seed=strategies.integers(0, 10**6),
    lat=strategies.sampled_from([0.0, 40.0, -65.0]),
    lon=strategies.sampled_from([-100.0, 180.0, -180.0, 179.995]),
    most=strategies.sampled_from([1, 3, 1000]),
    count=strategies.integers(0, 60),
)
def test_it_is_the_nearest_of_all(seed, lat, lon, most, count):
    rng = np.random.default_rng(seed)
    offsets = rng.uniform(-0.02, 0.02, (count, 2)) / [1, np.cos(np.radians(lat))]
    points = np.round(np.stack([lat + offsets[:, 0], (lon + offsets[:, 1] + 180) % 360 - 180], -1), 6)
    ask, _ = service(points, most)
    ask.here = (lat, lon)
    found = nearest_search.search(lat, lon, 1.5, ask)
    far = geometry.haversine_km((lat, lon), points) if count else np.array([])
    if count and far.min() <= 1.5:
        assert found.distance_km == pytest.approx(far.min(), abs=1e-9)
    else:
        assert found is None


def test_a_near_one_saves_requests():
    ask, asked = service([(40.0001, -100.0001)], 1000)
    ask.here = (40.0, -100.0)
    assert nearest_search.search(40.0, -100.0, 5.0, ask).result == 0
    assert len(asked) <= 4


@pytest.mark.parametrize("lat", [90.0, -90.0, 89.99])
def test_at_a_pole_it_ends(lat):
    ask, asked = service([], 10)
    ask.here = (lat, 0.0)
    assert nearest_search.search(lat, 0.0, 0.5, ask) is None
    assert len(asked) <= 400


def test_what_is_outside_of_its_box_counts_by_its_distance():
    def ask(box):
        return [
            nearest_search.Found(3.0, "far", 1),
            nearest_search.Found(0.5, "b", 2),
            nearest_search.Found(0.5, "a", 3),
        ], math.inf

    assert nearest_search.search(10.0, 10.0, 1.0, ask).result == 3
