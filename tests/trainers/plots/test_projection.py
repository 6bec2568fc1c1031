"""Great circles, projections, and borders that stay shared."""

import drawn_runs
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geods import errors
from geods.geo import geometry, partition, polygons
from trainers.plots import projection

LATS, LONS = st.floats(-80, 80), st.floats(-180, 180)


@pytest.fixture(scope="module")
def island():
    return drawn_runs.island()


def test_shapes_beyond_the_antimeridian_lie_beside_the_others():
    atlas = projection.Atlas(drawn_runs.fiji())
    assert shapely.union_all(atlas.shapes).bounds == (176, -20, 182, -16)
    assert atlas.centre == (-18, 179)
    np.testing.assert_allclose(atlas.beside(np.array([[-17, -179], [-17, 177]])), [[-17, 181], [-17, 177]])


def test_shapes_stay_where_the_antimeridian_is_not_crossed(island):
    assert projection.Atlas(island).shapes == island.shapes


@given(LATS, LONS, LATS, LONS)
def test_great_circles_are_shortest_ways_without_jumps(lat_a, lon_a, lat_b, lon_b):
    atlas = projection.Atlas(drawn_runs.fiji())
    start, end = np.array([lat_a, lon_a]), np.array([lat_b, lon_b])
    distance_km = geometry.haversine_km(start, end)
    line = atlas.great_circle(start, end)
    np.testing.assert_allclose(geometry.haversine_km(line[[0, -1]], np.array([start, end])), 0, atol=1e-6)
    if distance_km < 20_000:
        legs_km = geometry.haversine_km(line[:-1], line[1:])
        np.testing.assert_allclose(legs_km.sum(), distance_km, rtol=1e-6, atol=1e-3)
        assert legs_km.max(initial=0) <= 100.001
    assert np.abs(np.diff(line[:, 1])).max(initial=0) <= 180


def test_lambert_keeps_areas():
    box = [shapely.box(lon, lat, lon + 2, lat + 2) for lon, lat in ((-120, 30), (-100, 40), (-72, 46))]
    cells = partition.Partition(tuple(box))
    atlas = projection.Atlas(cells)
    for shape in box:
        ring = np.asarray(shapely.segmentize(shape, 0.02).exterior.coords)[:, ::-1]
        paper = shapely.Polygon(atlas.plane(ring, equal_area=True)).area
        km_per_deg = np.radians(1) * geometry.EARTH_RADIUS_KM
        assert paper * km_per_deg**2 == pytest.approx(polygons.area_km2(shape), rel=1e-4)


@pytest.mark.parametrize("equal_area", [True, False])
@given(lat=LATS, lon=LONS)
def test_points_of_the_plane_lead_back_to_their_coordinates(equal_area, lat, lon):
    atlas = projection.Atlas(drawn_runs.fiji())
    # The antipode of the centre is the whole edge of the equal-area map.
    there = atlas.beside(np.array([[lat, lon]]))
    back = atlas.unprojected(atlas.plane(there, equal_area=equal_area), equal_area=equal_area)
    assert geometry.haversine_km(back[0], there[0]) < (1 if equal_area else 1e-6)
    beyond = atlas.unprojected(np.array([[0.0, 300.0], [500.0, 500.0]]), equal_area=equal_area)
    geometry.check_coords(beyond)


@pytest.mark.parametrize("equal_area", [True, False])
def test_the_centre_is_the_origin_and_north_is_up(island, equal_area):
    atlas = projection.Atlas(island)
    lat, lon = atlas.centre
    paper = atlas.plane(np.array([[lat, lon], [lat + 1, lon], [lat, lon + 1]]), equal_area=equal_area)
    np.testing.assert_allclose(paper[0], 0, atol=1e-12)
    np.testing.assert_allclose(paper[1], [0, 1], atol=1e-3)
    assert paper[2, 0] == pytest.approx(np.cos(np.radians(lat)), abs=1e-3)


def test_far_points_are_out_of_reach(island):
    atlas = projection.Atlas(island)
    assert atlas.reaches(np.array([[40.0, -95.0]]))
    assert not atlas.reaches(np.array([[48.0, 2.0]]))


@pytest.mark.parametrize("equal_area", [True, False])
def test_simplified_borders_stay_shared(island, equal_area):
    simple, unit_deg = projection.Atlas(island).plane_shapes(1 / 1000, equal_area=equal_area)
    whole = np.array(island.shapes)
    assert unit_deg == 0.01
    assert not shapely.coverage_is_valid(whole)  # the neighbours' corners are missing on merged borders
    assert shapely.coverage_is_valid(simple)
    assert shapely.get_num_coordinates(simple).sum() < 0.5 * shapely.get_num_coordinates(whole).sum()
    assert shapely.union_all(simple).geom_type == "Polygon"
    if equal_area:
        areas_km2 = shapely.area(simple) * (np.radians(1) * geometry.EARTH_RADIUS_KM) ** 2
        assert areas_km2.sum() == pytest.approx(island.areas_km2.sum(), rel=1e-3)


@pytest.mark.parametrize(
    ("distance_km", "text"),
    [
        (0.0, "0.0 miles (0.0 km)"),
        (9.96, "6.2 miles (10 km)"),
        (502.11, "312 miles (502 km)"),
        (2011.68, "1,250 miles (2,012 km)"),
    ],
)
def test_distances_are_written_in_miles_and_km(distance_km, text):
    assert projection.distance_text(distance_km) == text


def test_rescaled_is_a_share_of_the_highest():
    weights, highest = projection.rescaled(np.array([0.1, 0.4, 0.0], np.float16), 3)
    np.testing.assert_allclose(weights, [0.25, 1, 0], rtol=1e-3)
    assert highest == pytest.approx(0.4, rel=1e-3)


@pytest.mark.parametrize("bad", [[0, 0, 0], [0.5, np.nan, 0.5], [1.5, -0.5, 0], [np.inf, 0, 0]])
def test_rescaled_refuses_what_is_no_probability(bad):
    with pytest.raises(errors.RunError, match=r"cannot be drawn"):
        projection.rescaled(bad, 3)


def test_rescaled_refuses_another_number_of_cells():
    with pytest.raises(errors.RunError, match=r"shape \(2,\) do not fit 3 cells"):
        projection.rescaled([0.5, 0.5], 3)
