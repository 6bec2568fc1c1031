"""Canonical polygons, areas, centroids, and the nearest border."""

import math

import hypothesis
import numpy as np
import pytest
import shapely
from hypothesis import strategies as st

from geods.geo import geometry, partition, polygons

SQUARE = shapely.box(0, 0, 10, 10)
RING = shapely.Polygon(SQUARE.exterior, [shapely.box(4, 4, 6, 6).exterior, shapely.box(1, 1, 2, 2).exterior])
ISLANDS = shapely.MultiPolygon([RING, shapely.box(20, -5, 30, 5)])
BOW_TIE = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])


def rewritten(shape, seed):
    """The same area with other ring starts, directions and orders.

    And with further vertices in straight lines.
    """
    rng = np.random.default_rng(seed)

    def ring(original):
        points = np.asarray(original.coords)[:-1]
        points = np.repeat(points, 1 + (rng.random(len(points)) < 0.3), axis=0)
        points = np.roll(points, rng.integers(len(points)), axis=0)
        return points[:: rng.choice([-1, 1])]

    def polygon(original):
        holes = [ring(hole) for hole in original.interiors]
        rng.shuffle(holes)
        return shapely.Polygon(ring(original.exterior), holes)

    parts = [polygon(part) for part in polygons.parts(shapely.segmentize(shape, 3))]
    return shapely.MultiPolygon([parts[k] for k in rng.permutation(len(parts))])


@pytest.mark.parametrize("shape", [SQUARE, RING, ISLANDS], ids=["square", "holes", "islands"])
@pytest.mark.parametrize("seed", range(10))
def test_every_way_of_writing_has_one_canonical_form(shape, seed):
    expected, found = polygons.canonical(shape), polygons.canonical(rewritten(shape, seed))
    assert shapely.to_wkb(found) == shapely.to_wkb(expected)
    assert shapely.equals(found, shape)


def test_canonical_form_is_that_of_the_standard():
    # RFC 7946, section 3.1.6: outer rings counterclockwise, holes clockwise. Starts and order are ours.
    assert polygons.canonical(ISLANDS).wkt == (
        "MULTIPOLYGON (((0 0, 10 0, 10 10, 0 10, 0 0), (1 1, 1 2, 2 2, 2 1, 1 1), (4 4, 4 6, 6 6, 6 4, 4 4)), "
        "((20 -5, 30 -5, 30 5, 20 5, 20 -5)))"
    )


@hypothesis.given(
    st.lists(st.tuples(st.floats(-180, 180), st.floats(-90, 90)), min_size=3, max_size=9).map(shapely.MultiPoint)
)
@hypothesis.example(shapely.MultiPoint([(0, 0), (0, 2e-309), (1, 0)]))
def test_canonical_form_of_a_canonical_form_is_itself(points):
    hull = points.convex_hull
    once = polygons.canonical(hull)
    hypothesis.assume(not once.is_empty)
    assert once.is_valid
    assert shapely.to_wkb(polygons.canonical(once)) == shapely.to_wkb(once)
    # Rounding moves the border by up to 1e-9 degrees.
    assert abs(once.area - hull.area) <= 1e-9 * (hull.length + 1)


@pytest.mark.parametrize("bounds", [(-180, -60, 180, 60), (-180, -10, 90, 10)])
def test_no_edge_is_longer_than_half_a_turn(bounds):
    found = polygons.canonical(shapely.box(*bounds))
    assert np.abs(np.diff(np.asarray(found.exterior.coords)[:, 0])).max() <= 180
    assert found.equals(shapely.box(*bounds))
    assert shapely.to_wkb(polygons.canonical(found)) == shapely.to_wkb(found)


def test_last_bits_vanish_and_minus_zero_is_zero():
    shifted = polygons.canonical(shapely.box(-0.0, 1e-13, 0.1 + 0.2, 1))
    assert np.asarray(shifted.exterior.coords).tolist() == [[0.0, 0.0], [0.3, 0.0], [0.3, 1.0], [0.0, 1.0], [0.0, 0.0]]
    assert math.copysign(1, np.asarray(shifted.exterior.coords)[0, 0]) == 1


def test_a_gap_that_rounding_closes_leaves_valid_parts():
    waist = shapely.Polygon([(0, 0), (2, 0), (4, 0), (4, 1), (2, 1e-10), (0, 1)])
    assert waist.is_valid
    found = polygons.canonical(waist)
    assert found.is_valid
    assert len(polygons.parts(found)) == 2
    assert found.area == pytest.approx(waist.area, abs=1e-8)


def test_slivers_below_the_rounding_leave_nothing():
    assert polygons.canonical(shapely.box(0, 0, 1, 1e-10)).is_empty
    assert polygons.canonical(shapely.Polygon()).is_empty


def test_parts_are_polygons_only():
    mixture = shapely.GeometryCollection([ISLANDS, shapely.Point(0, 0), shapely.LineString([(0, 0), (1, 1)])])
    assert len(polygons.parts(mixture)) == 2
    assert polygons.parts(shapely.Polygon()) == []


def test_area_leaves_holes_out_and_adds_parts():
    boxes = [(0, 0, 10, 10), (4, 4, 6, 6), (1, 1, 2, 2), (20, -5, 30, 5)]
    square, hole, small_hole, island = (polygons.area_km2(shapely.box(*bounds)) for bounds in boxes)
    assert polygons.area_km2(ISLANDS) == pytest.approx(square - hole - small_hole + island)


def test_area_of_shapes_wider_than_half_the_world():
    world = 4 * math.pi * geometry.EARTH_RADIUS_KM**2
    assert polygons.area_km2(shapely.box(-180, -90, 180, 90)) == pytest.approx(world)
    assert polygons.area_km2(shapely.box(-100, -90, 100, 90)) == pytest.approx(world * 200 / 360)


@pytest.mark.parametrize(
    ("south", "area_km2"), [(24, 44_821), (34, 40_511), (48, 32_445), (70, 16_101)], ids=lambda value: str(value)
)
def test_areas_of_two_degree_boxes(south, area_km2):
    assert polygons.area_km2(shapely.box(-100, south, -98, south + 2)) == pytest.approx(area_km2, abs=1)


def test_centroid_is_planar_and_works_over_the_antimeridian():
    assert polygons.centroid(shapely.box(-100, 40, -98, 42)) == (41, -99)
    assert polygons.centroid(shapely.box(-180, -10, 180, 0)) == (-5, 0)
    east, west = shapely.box(179, 0, 180, 1), shapely.box(-180, 0, -177, 1)
    assert polygons.centroid(shapely.MultiPolygon([east, west])) == (0.5, -179)
    assert polygons.centroid(shapely.MultiPolygon([east, shapely.box(-180, 0, -179, 1)])) == (0.5, -180)


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ([(10, 20)], (10, 20)),
        ([(10, 20), (30, 40), (15, 25)], (10, 40)),
        ([(170, 180), (-180, -175)], (170, -175)),
        ([(-180, 180)], (-180, 180)),
        ([(144.6, 145), (-179, -64.5), (172, 179.8)], (144.6, -64.5)),
        ([(-100, 0), (80, 81)], (-100, 81)),
        ([(-100, 60), (50, 55)], (-100, 60)),
    ],
)
def test_longitude_range_is_the_shortest(ranges, expected):
    assert polygons.lon_range(ranges) == expected


def test_borders_are_shared_along_lines_not_at_points():
    assert polygons.share_border(shapely.box(0, 0, 1, 1), shapely.box(1, 0.5, 2, 2))
    assert not polygons.share_border(shapely.box(0, 0, 1, 1), shapely.box(1, 1, 2, 2))
    assert not polygons.share_border(shapely.box(0, 0, 1, 1), shapely.box(3, 3, 4, 4))


SHAPES = (
    shapely.box(0, 0, 10, 10),
    shapely.Polygon([(12, 2), (14, 0), (15, 9)]),
    shapely.box(170, 60, 180, 70),
    shapely.box(-179.5, 60, -175, 70),
    shapely.box(-180, 84, 180, 90),
)


def test_the_nearest_border_of_dense_points():
    rng = np.random.default_rng(0)
    coords = np.concatenate(
        [
            rng.uniform([-2, -3], [12, 17], (150, 2)),
            rng.uniform([58, 168], [72, 180], (50, 2)),
            [[65, -179.8], [83, 40]],
        ]
    )
    borders = [shapely.get_coordinates(shapely.segmentize(shape, 0.01))[:, ::-1] for shape in SHAPES]
    all_km = np.stack([geometry.pairwise_km(coords, border).min(axis=1) for border in borders], axis=1)
    found, distance_km = polygons.Borders(SHAPES).nearest(coords, 300)
    expected = np.where(all_km.min(axis=1) <= 300, all_km.argmin(axis=1), -1)
    np.testing.assert_array_equal(found, expected)
    near = found >= 0
    assert 100 < near.sum() < 202
    np.testing.assert_allclose(distance_km[near], all_km.min(axis=1)[near], rtol=0.01, atol=0.7)
    assert np.isinf(distance_km[~near]).all()


def test_a_shape_of_ones_own_is_left_out():
    coords = [[5, 10.1], [65, 180], [65, -179.6]]
    borders = polygons.Borders(SHAPES)
    assert borders.nearest(coords, 500)[0].tolist() == [0, 2, 3]
    assert borders.nearest(coords, 500, [0, 2, 3])[0].tolist() == [1, 3, 2]
    assert borders.nearest(coords, 5, [0, 2, 3])[0].tolist() == [-1, -1, -1]
    assert borders.nearest(np.empty((0, 2)), 5)[0].shape == (0,)


def test_labels_reach_over_the_coast():
    cells = partition.Partition(SHAPES)
    lat, lon = [5, 5, 65, 65, 5], [5, 10.1, 180, -179.9, -9]
    assert cells.label(lat, lon).tolist() == [0, -1, 2, -1, -1]
    assert cells.label(lat, lon, nearest_km=25).tolist() == [0, 0, 2, 2, -1]
    assert cells.label(lat, lon, nearest_km=1).tolist() == [0, -1, 2, -1, -1]


@pytest.mark.parametrize("pole_deg", [90, -90])
def test_a_pole_is_one_place(pole_deg):
    low, high = sorted([80, pole_deg]) if pole_deg > 0 else (-90, -80)
    quarters = tuple(shapely.box(west, low, west + 90, high) for west in range(-180, 180, 90))
    cells = partition.Partition((shapely.box(0, 0, 1, 1), *quarters))
    lon = np.linspace(-180, 180, 25)
    assert set(cells.label(np.full(25, pole_deg), lon).tolist()) == {1}
    assert cells.label([-pole_deg], [100]).tolist() == [-1]
    triangle = partition.Partition((shapely.Polygon([(-10, 0), (10, 0), (0, pole_deg)]),))
    assert triangle.label([pole_deg, pole_deg], [0, 100]).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("bounds", "diagonal_km"),
    [
        ((-60, -10, 60, 10), 13454.9),
        ((-90.1, -10, 90.1, 10), 20015.1),
        ((-180, -10, 180, 10), 20015.1),
        ((-180, 40, 180, 60), 11119.5),
        ((-180, -90, 180, -70), 4447.8),
    ],
)
def test_the_diagonal_of_a_map_wider_than_half_the_world_is_its_longest_distance(bounds, diagonal_km):
    cells = partition.Partition((shapely.box(*bounds),))
    assert cells.diagonal_km == pytest.approx(diagonal_km, abs=0.1)
    assert polygons.area_km2(cells.shapes[0]) > 0
