"""The coarse outline of the mainland United States."""

import checkout
import numpy as np
import pytest
import shapely

from geods.geo import boundary, demo_outline, geometry, polygons

CENSUS = checkout.SHARED / "data" / "census" / "cb_2018_us_nation_5m.zip"
# Contiguous United States with its inland waters but without the Great Lakes: about 7.8 million km2.
MAINLAND_KM2 = 7.8e6


@pytest.fixture(scope="module")
def polygon() -> shapely.Polygon:
    return shapely.Polygon([(lon, lat) for lat, lon in demo_outline.coarse_us()])


def test_it_is_one_simple_ring_of_100_to_200_vertices(polygon):
    points = demo_outline.coarse_us()
    assert 100 <= len(points) <= 200
    assert len(set(points)) == len(points)
    assert polygon.is_valid


def test_vertices_are_lat_lon_and_run_clockwise(polygon):
    coords = geometry.check_coords(demo_outline.coarse_us())
    assert (coords[:, 0] > 24).all()
    assert (coords[:, 0] < 50).all()
    assert (coords[:, 1] > -125).all()
    assert (coords[:, 1] < -66).all()
    assert not polygon.exterior.is_ccw


def test_area_is_that_of_the_mainland():
    assert geometry.ring_area_km2(np.array(demo_outline.coarse_us())) == pytest.approx(MAINLAND_KM2, rel=0.01)


@pytest.mark.parametrize(
    ("name", "lat", "lon"),
    [
        ("Seattle", 47.6, -122.2),
        ("San Diego", 32.75, -117.05),
        ("Miami", 25.8, -80.3),
        ("New York", 40.75, -73.9),
        ("Portland, Maine", 43.7, -70.4),
        ("Detroit", 42.4, -83.2),
        ("Harlingen", 26.19, -97.7),
        ("Lebanon, Kansas", 39.5, -98.35),
        ("Upper Peninsula", 46.3, -88.0),
    ],
)
def test_places_on_the_mainland_are_inside(polygon, name, lat, lon):
    assert polygon.contains(shapely.Point(lon, lat)), name


@pytest.mark.parametrize(
    ("name", "lat", "lon"),
    [
        ("Lake Michigan", 43.5, -87.0),
        ("Lake Superior", 47.6, -87.0),
        ("Vancouver", 49.25, -123.1),
        ("Toronto", 43.7, -79.4),
        ("Tijuana", 32.4, -117.0),
        ("Montreal", 45.5, -73.6),
        ("Delaware Bay", 39.1, -75.2),
        ("Honolulu", 21.3, -157.8),
    ],
)
def test_places_off_the_mainland_are_outside(polygon, name, lat, lon):
    assert not polygon.contains(shapely.Point(lon, lat)), name


def test_the_demo_boundary_is_this_outline(polygon):
    loaded = boundary.load("demo")
    assert loaded.shape.equals(polygon)
    assert loaded.name == "demo"


def test_it_is_good_to_a_fifth_of_a_degree():
    if not CENSUS.exists():
        pytest.skip("the Census file is not there")
    true = boundary.load(str(CENSUS)).shape
    coarse = boundary.load("demo").shape
    wrong_km2 = polygons.area_km2(shapely.symmetric_difference(true, coarse))
    assert wrong_km2 / polygons.area_km2(true) < 0.02
    points = shapely.points(np.array(shapely.segmentize(coarse, 0.1).exterior.coords))
    off_deg = shapely.distance(true.exterior, points)
    assert np.median(off_deg) < 0.05
    assert np.percentile(off_deg, 95) < 0.2
