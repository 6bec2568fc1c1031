"""One form for every way of writing a polygon; the antimeridian; areas."""

import math

import hypothesis
import numpy as np
import pytest
import shapely
from hypothesis import strategies as st
from shapely import affinity

from geods import errors
from geods.geo import geometry, polygons

SQUARE = shapely.box(0, 0, 10, 10)
RING = shapely.Polygon(SQUARE.exterior, [shapely.box(4, 4, 6, 6).exterior, shapely.box(1, 1, 2, 2).exterior])
ISLANDS = shapely.MultiPolygon([RING, shapely.box(20, -5, 30, 5)])
BOW_TIE = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
# Fiji's larger islands as three boxes, one of them over 180 degrees, in the three ways files write that.
VITI_LEVU, TAVEUNI = (177, -18.5, 178.5, -17.5), (179.5, -17, 180.5, -16.5)
FIJI_BEYOND_180 = shapely.MultiPolygon([shapely.box(*VITI_LEVU), shapely.box(*TAVEUNI)])
FIJI_BELOW_MINUS_180 = affinity.translate(FIJI_BEYOND_180, -360)
FIJI_WITH_JUMP = shapely.MultiPolygon(
    [shapely.box(*VITI_LEVU), shapely.Polygon([(179.5, -17), (-179.5, -17), (-179.5, -16.5), (179.5, -16.5)])]
)
FIJI_CUT = shapely.MultiPolygon(
    [shapely.box(*VITI_LEVU), shapely.box(179.5, -17, 180, -16.5), shapely.box(-180, -17, -179.5, -16.5)]
)


def rewritten(shape, seed):
    """The same area with other ring starts, directions, order of rings and parts, and vertices in straight lines."""
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


@pytest.mark.parametrize(
    "shape", [FIJI_BEYOND_180, FIJI_BELOW_MINUS_180, FIJI_WITH_JUMP, FIJI_CUT], ids=["182", "-182", "jump", "cut"]
)
def test_crossings_of_the_antimeridian_are_cut_there(shape):
    found = polygons.within_180(shape)
    assert shapely.equals(found, FIJI_CUT)
    assert polygons.area_km2(found) == pytest.approx(polygons.area_km2(FIJI_BEYOND_180))


def test_a_hole_goes_with_its_ring_over_the_antimeridian():
    for hole in ([(-179, -1), (-179, 1), (-178, 1), (-178, -1)], [(179, -1), (179, 1), (-179, 1), (-179, -1)]):
        jumping = shapely.Polygon([(175, -5), (-175, -5), (-175, 5), (175, 5)], [hole])
        width = 1 if hole[0][0] < 0 else 2
        assert polygons.within_180(jumping).area == pytest.approx(100 - 2 * width)


def test_shapes_within_180_are_left_as_they_are():
    for shape in (ISLANDS, shapely.box(-180, -90, 180, 90), shapely.box(-180, 10, -100, 20)):
        assert polygons.within_180(shape).equals(shape)
    # Antarctica as files cut it: down to the pole at 180 degrees and back along it.
    antarctica = shapely.Polygon([(-180, -70), (0, -65), (180, -70), (180, -90), (-180, -90)])
    assert polygons.within_180(antarctica).equals(antarctica)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (shapely.box(24, -124, 49, -66), "longitude 24, latitude -124 .*look swapped|longitude 49, .*look swapped"),
        (shapely.box(5e5, 4e6, 6e5, 5e6), "look projected"),
        (shapely.box(0, 0, math.inf, 1), "not a finite number"),
        (shapely.Polygon([(-170, 70), (-60, 70), (60, 70), (170, 70)]), "from longitude -170, latitude 70 goes round"),
    ],
)
def test_what_cannot_be_degrees_is_refused(shape, message):
    with pytest.raises(errors.CoordinateError, match=message):
        polygons.within_180(shape)


def test_parts_cut_at_the_antimeridian_are_found_together():
    groups = polygons.joined_over_antimeridian(polygons.parts(FIJI_CUT))
    assert sorted(len(group) for group in groups) == [1, 2]
    # At 180 degrees but without a common edge: they meet at a point, or not at all.
    apart = [shapely.box(179, 0, 180, 1), shapely.box(-180, 1, -179, 2), shapely.box(-180, 5, -179, 6)]
    assert [len(group) for group in polygons.joined_over_antimeridian(apart)] == [1, 1, 1]
    chain = [shapely.box(-180, 0, -179, 9), shapely.box(170, 0, 180, 2), shapely.box(170, 3, 180, 4)]
    assert [len(group) for group in polygons.joined_over_antimeridian(chain)] == [3]


def test_borders_are_shared_along_lines_not_at_points():
    assert polygons.share_border(shapely.box(0, 0, 1, 1), shapely.box(1, 0.5, 2, 2))
    assert not polygons.share_border(shapely.box(0, 0, 1, 1), shapely.box(1, 1, 2, 2))
    assert not polygons.share_border(shapely.box(0, 0, 1, 1), shapely.box(3, 3, 4, 4))
