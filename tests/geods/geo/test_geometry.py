"""Distances against published pairs, and laws of the sphere on random points.

Poles and the antimeridian are included.
"""

import math

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from geods import errors
from geods.geo import geometry

HALF_TURN_KM = math.pi * geometry.EARTH_RADIUS_KM
SPHERE_KM2 = 4 * math.pi * geometry.EARTH_RADIUS_KM**2

# Exact poles and meridians are where formulas break, so they come up often.
LATITUDES = st.one_of(st.sampled_from([-90.0, 0.0, 90.0]), st.floats(-90, 90))
LONGITUDES = st.one_of(st.sampled_from([-180.0, 0.0, 180.0]), st.floats(-180, 180))
PLACES = st.tuples(LATITUDES, LONGITUDES)
SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize(
    ("a", "b", "angle_rad"),
    [
        # https://rosettacode.org/wiki/Haversine_formula: Nashville to Los Angeles, 2887.2599506071106 km at R = 6372.8.
        ((36.12, -86.67), (33.94, -118.40), 2887.2599506071106 / 6372.8),
        # scikit-learn, haversine_distances: Ezeiza to Charles de Gaulle, 11099.54035582 km at R = 6371.
        ((-34.83333, -58.5166646), (49.0083899664, 2.53844117956), 11099.54035582 / 6371),
        ((0, 0), (0, 90), math.pi / 2),
        ((90, 17), (-90, -120), math.pi),
        ((0, 179.5), (0, -179.5), math.radians(1)),
        ((12.5, -180), (12.5, 180), 0),
    ],
)
def test_published_and_exact_distances(a, b, angle_rad):
    assert geometry.haversine_km(a, b) == pytest.approx(angle_rad * 6371.0088, abs=1e-6)
    assert geometry.haversine_miles_report(a, b) == pytest.approx(angle_rad * 3958.8, abs=1e-6)


def test_bearing_and_destination_match_published_examples():
    # https://www.movable-type.co.uk/scripts/latlong.html: Land's End to John o' Groats, and its destination example.
    start, end = (50.066389, -5.714722), (58.643889, -3.07)
    assert geometry.haversine_km(start, end) == pytest.approx(968.9, abs=0.05)
    assert geometry.bearing_deg(start, end) == pytest.approx(9 + 7 / 60 + 11 / 3600, abs=1e-3)
    arrived = geometry.destination((53.320556, -1.729722), 96.021667, 124.8)
    np.testing.assert_allclose(arrived, (53.188333, 0.133333), atol=3e-4)


@hypothesis.given(PLACES, PLACES, PLACES)
def test_distance_is_a_metric(a, b, c):
    ab, bc, ac = geometry.haversine_km([a, b, a], [b, c, c])
    assert geometry.haversine_km(a, a) == 0
    # Of arrays again: with AVX-512, NumPy's sine of a single number differs from that of an array in the last bit.
    assert geometry.haversine_km([b, c, c], [a, b, a])[0] == ab
    assert 0 <= ab <= HALF_TURN_KM
    # The arc sine is good to 0.2 m near antipodes.
    assert ac <= ab + bc + 1e-3


@hypothesis.given(PLACES, PLACES)
def test_distance_is_the_angle_between_unit_vectors(a, b):
    u, v = geometry.unit_vectors([a, b])
    angle = math.atan2(np.linalg.norm(np.cross(u, v)), np.dot(u, v))
    assert geometry.haversine_km(a, b) == pytest.approx(angle * geometry.EARTH_RADIUS_KM, abs=1e-3)


@hypothesis.given(PLACES)
def test_coordinates_survive_unit_vectors(place):
    back = geometry.coords_of(3.7 * geometry.unit_vectors(place))
    assert geometry.haversine_km(place, back) < 1e-6


@hypothesis.given(PLACES, st.floats(0, 360), st.floats(0, 19_000))
def test_destination_is_as_far_and_as_headed(place, heading_deg, distance_km):
    there = geometry.destination(place, heading_deg, distance_km)
    assert geometry.haversine_km(place, there) == pytest.approx(distance_km, abs=1e-3)
    if abs(place[0]) < 89 and distance_km > 1:
        turn = (geometry.bearing_deg(place, there) - heading_deg + 180) % 360 - 180
        assert turn == pytest.approx(0, abs=1e-3)


@hypothesis.given(PLACES, PLACES)
def test_headings_are_at_least_0_and_below_360(a, b):
    assert 0 <= geometry.bearing_deg(a, b) < 360


@hypothesis.given(st.floats(-1e6, 1e6))
def test_wrapped_longitudes_lie_in_one_turn(lon_deg):
    wrapped = geometry.wrap_lon_deg(lon_deg)
    assert -180 <= wrapped < 180
    turns = (wrapped - lon_deg) / 360
    assert turns == pytest.approx(round(float(turns)), abs=1e-9)


@hypothesis.given(st.floats(-180, 180, exclude_max=True))
def test_wrapping_keeps_every_bit_of_a_longitude_in_range(lon_deg):
    assert geometry.wrap_lon_deg(lon_deg) == lon_deg


def test_wrapping_never_gives_180():
    np.testing.assert_array_equal(geometry.wrap_lon_deg([180, -180, 540, -180 - 1e-14]), -180)


def test_pairwise_is_haversine_of_all_pairs():
    rng = np.random.default_rng(0)
    # More rows than are computed at once with as many columns.
    a, b = geometry.sample_box(-90, 90, -180, 180, 700, rng), geometry.sample_box(-90, 90, -180, 180, 3000, rng)
    distances = geometry.pairwise_km(a, b)
    assert distances.shape == (700, 3000)
    np.testing.assert_array_equal(distances, geometry.haversine_km(a[:, None], b[None]))
    assert geometry.pairwise_km(np.empty((0, 2)), b).shape == (0, 3000)
    assert geometry.pairwise_km(a, np.empty((0, 2))).shape == (700, 0)


def test_arrays_of_any_shape_are_their_rows_and_float64():
    places = geometry.sample_box(-80, 80, -180, 180, 6, np.random.default_rng(0)).reshape(2, 3, 2)
    headings, distances = np.float32([[10, 20, 30], [40, 50, 60]]), np.float32([100, 200, 300])
    vectors, there = geometry.unit_vectors(places), geometry.destination(places, headings, distances)
    assert vectors.shape == (2, 3, 3)
    assert geometry.coords_of(np.float32([0.1, 0.2, 0.3])).dtype == np.float64
    assert geometry.geoguessr_score(distances, 5629).dtype == np.float64
    np.testing.assert_allclose(geometry.coords_of(vectors), places, atol=1e-9)
    for row in np.ndindex(2, 3):
        alone = geometry.destination(places[row], float(headings[row]), float(distances[row[1]]))
        np.testing.assert_allclose(there[row], alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("place", "swapped"),
    [
        ((91, 90), True),
        ((90.5, 10), True),
        ((180, 10), True),
        ((180.5, 10), False),
        ((91, 91), False),
        ((3, 181), False),
    ],
)
def test_only_what_would_be_a_place_the_other_way_round_looks_swapped(place, swapped):
    with pytest.raises(errors.CoordinateError) as caught:
        geometry.check_coords(place)
    assert ("look swapped" in caught.value.problem) == swapped


@pytest.mark.parametrize(
    ("coords", "message"),
    [
        ([(40, -100), (-98.35, 39.5)], r"place\[1\] = \(-98.35, 39.5\).*look swapped"),
        ([[(0, 0), (0, 0)], [(0, 0), (95, 200)]], r"place\[1, 1\] = \(95, 200\): a latitude is between"),
        ((12, 181), r"place = \(12, 181\): .* a longitude between -180 and 180"),
        ([(math.nan, 3)], r"place\[0\] = \(nan, 3\): both must be finite"),
        ([(3, math.inf)], "both must be finite"),
        ([1, 2, 3], r"place: shape \(3,\) is not \[..., 2\]"),
        (3, r"shape \(\) is not"),
        ([("north", "west")], "place: not numbers"),
        ([(1, 2), (3,)], "place: not numbers"),
    ],
)
def test_what_is_no_place_on_earth_is_refused(coords, message):
    with pytest.raises(errors.CoordinateError, match=message) as caught:
        geometry.check_coords(coords, "place")
    assert "give (latitude, longitude)" in caught.value.next_step


def test_checked_coordinates_are_float64_of_the_same_shape():
    checked = geometry.check_coords([(90, -180), (-90, 180)])
    assert checked.dtype == np.float64
    assert checked.shape == (2, 2)
    assert geometry.check_coords(np.empty((0, 2))).shape == (0, 2)


@hypothesis.given(LATITUDES, LATITUDES, LONGITUDES, LONGITUDES, SEEDS)
def test_samples_lie_in_their_box(lat_a, lat_b, west, east, seed):
    low, high = sorted((lat_a, lat_b))
    points = geometry.sample_box(low, high, west, east, 50, np.random.default_rng(seed))
    assert points.shape == (50, 2)
    assert ((points[:, 0] >= low) & (points[:, 0] <= high)).all()
    inside = (points[:, 1] >= west) & (points[:, 1] <= east)
    over = (points[:, 1] >= west) | (points[:, 1] <= east)
    assert (inside if west <= east else over).all()
    assert (np.abs(points[:, 1]) <= 180).all()


@pytest.mark.parametrize("zeros", [(0.0, -0.0), (-0.0, 0.0), (-0.0, -0.0)])
def test_a_box_without_height_on_the_equator_can_be_sampled(zeros):
    points = geometry.sample_box(*zeros, *zeros, 5, np.random.default_rng(0))
    assert not points.any()


def test_samples_are_uniform_by_area():
    # Archimedes: bands of the sphere between parallels of equal height have equal areas, so the sine is uniform.
    points = geometry.sample_box(0, 90, 170, -170, 40_000, np.random.default_rng(1))
    counts, _ = np.histogram(np.sin(np.radians(points[:, 0])), bins=10, range=(0, 1))
    # Each count is binomial: mean 4000, standard deviation 60.
    assert (np.abs(counts - 4000) < 5 * 60).all()
    counts, _ = np.histogram(points[:, 1] % 360, bins=10, range=(170, 190))
    assert (np.abs(counts - 4000) < 5 * 60).all()


def ring_of_box(south: float, north: float, west: float, east: float) -> list[tuple[float, float]]:
    return [(south, west), (south, east), (north, east), (north, west)]


@pytest.mark.parametrize(
    ("ring", "area_km2"),
    [
        ([(0, 0), (0, 90), (90, 90), (90, 0)], SPHERE_KM2 / 8),
        (ring_of_box(-90, 90, -180, 180), SPHERE_KM2),
        (ring_of_box(30, 90, -180, 180), SPHERE_KM2 / 4),
        ([(30, 0), (30, 120), (30, -120)], SPHERE_KM2 / 4),
        ([(-30, -120), (-30, 0), (-30, 120)], SPHERE_KM2 / 4),
        (ring_of_box(-1, 1, 179, -179), SPHERE_KM2 * math.sin(math.radians(1)) * 2 / 360),
        ([(0, 0), (5, 5), (10, 10)], 0),
    ],
)
def test_areas_of_known_rings(ring, area_km2):
    assert geometry.ring_area_km2(ring) == pytest.approx(area_km2, rel=1e-12, abs=1e-6)
    assert geometry.ring_area_km2([*ring, ring[0]]) == pytest.approx(area_km2, rel=1e-12, abs=1e-6)
    assert geometry.ring_area_km2(ring[::-1]) == pytest.approx(area_km2, rel=1e-12, abs=1e-6)


@hypothesis.given(
    st.floats(-89, 80), st.floats(0.001, 9), st.floats(-180, 179), st.floats(0.001, 1), st.floats(0.1, 0.9)
)
def test_area_of_a_box_is_exact_and_adds_up_when_it_is_cut(south, height, west, width, share):
    north, east = south + height, west + width
    whole = geometry.ring_area_km2(ring_of_box(south, north, west, east))
    band = math.sin(math.radians(north)) - math.sin(math.radians(south))
    assert whole == pytest.approx(geometry.EARTH_RADIUS_KM**2 * math.radians(width) * band, rel=1e-6)
    # A slanting cut: both sides take their edges straight in latitude and longitude.
    cut_south, cut_north = west + share * width, west + (1 - share) * width
    left = [(south, west), (south, cut_south), (north, cut_north), (north, west)]
    right = [(south, cut_south), (south, east), (north, east), (north, cut_north)]
    assert geometry.ring_area_km2(left) + geometry.ring_area_km2(right) == pytest.approx(whole, rel=1e-9, abs=1e-6)


def test_score_is_geoguessrs():
    assert geometry.geoguessr_score(0, 5629) == 5000
    np.testing.assert_allclose(geometry.geoguessr_score([562.9, 5629], 5629), 5000 * np.exp([-1.0, -10.0]))
    # The decay length that papers on the world map use, 1492 km, gives a 1/e of the points.
    assert geometry.geoguessr_score(1491.6862, geometry.WORLD_DIAGONAL_KM) == pytest.approx(5000 / math.e)
