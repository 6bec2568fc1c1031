"""Crossings of the antimeridian and rings round the poles, in every spelling."""

import math

import checkout
import pytest
import shapely
from shapely import affinity

from geods import errors
from geods.geo import antimeridian, boundary, fishnet, geometry, partition, polygons

ISLANDS = shapely.MultiPolygon([shapely.box(0, 0, 10, 10), shapely.box(20, -5, 30, 5)])
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


def box_km2(west, south, east, north):
    return (
        geometry.EARTH_KM2 * (east - west) / 360 * (math.sin(math.radians(north)) - math.sin(math.radians(south))) / 2
    )


def cap_km2(lat_deg):
    return box_km2(-180, abs(lat_deg), 180, 90)


def parallel(lat_deg, *lons_deg):
    return [(lon_deg, lat_deg) for lon_deg in lons_deg]


LAST_BITS, ROUND = 6e-14, (-135, -45, 45, 135)
ISLAND_KM2, CAP_KM2 = box_km2(179.8, -16.5, 180.2, -16.3), cap_km2(-80)
NORTH, SOUTH = parallel(-16.3, -179.8, 179.8), parallel(-16.5, 179.8, 180, -180, -179.8)
DRAWN = {
    "step of 359.6 degrees": (ISLAND_KM2, [(179.8, -16.5), (-179.8, -16.5), *NORTH]),
    "one step of 360 degrees": (ISLAND_KM2, [*SOUTH, *NORTH]),
    "two steps of 360 degrees": (ISLAND_KM2, [*SOUTH, *parallel(-16.3, -179.8, -180, 180, 179.8)]),
    "step of 360 degrees in the last bits": (
        ISLAND_KM2,
        [*parallel(-16.5, 179.8, 180 + LAST_BITS, -180 + LAST_BITS, -179.8), *NORTH],
    ),
    "step of 360 degrees and some latitude": (ISLAND_KM2 / 2, [(179.8, -16.5), (180, -16.5), (-180, -16.3), NORTH[1]]),
    "beyond 180": (ISLAND_KM2, shapely.box(179.8, -16.5, 180.2, -16.3).exterior.coords),
    "beyond -180": (ISLAND_KM2, shapely.box(-180.2, -16.5, -179.8, -16.3).exterior.coords),
    "cap along the pole": (CAP_KM2, [*parallel(-80, -180, 0, 180), *parallel(-90, 180, -180)]),
    "cap along the pole in the last bits": (
        CAP_KM2,
        [*parallel(-80, -180 + LAST_BITS, 0, 180), (180, -90), (-180 + LAST_BITS, -90)],
    ),
    "cap whose cut was undone": (CAP_KM2, parallel(-80, -180, 0, 180)),
    "cap to the west": (CAP_KM2, parallel(-80, 180, 0, -180)),
    "cap without a vertex at 180": (CAP_KM2, parallel(-80, *ROUND)),
    "northern cap": (CAP_KM2, parallel(80, *ROUND)),
    "cap from a vertex beyond 180": (CAP_KM2, parallel(-80, 185, -80, 40, 100)),
    "cap that turns back at its start": (
        CAP_KM2 + box_km2(170, -80, 190, -75),
        [(170, -80), (170, -75), (-170, -75), (-170, -80), (0, -80)],
    ),
    "box of the world": (box_km2(-180, -60, 180, 60), shapely.box(-180, -60, 180, 60).exterior.coords),
    "box of the world, one side divided": (
        box_km2(-180, -60, 180, 60),
        [*parallel(-60, -180, 0, 180), (180, 60), (-180, 60)],
    ),
    "the whole world": (geometry.EARTH_KM2, shapely.box(-180, -90, 180, 90).exterior.coords),
}


@pytest.mark.parametrize(("area_km2", "ring"), DRAWN.values(), ids=DRAWN)
def test_drawn_rings_have_their_area_and_are_read_back(area_km2, ring):
    found = polygons.canonical(antimeridian.within_180(shapely.Polygon(ring)))
    assert polygons.area_km2(found) == pytest.approx(area_km2, rel=1e-9)
    west, south, east, north = found.bounds
    assert (west, east) >= (-180, -180)
    assert (west, east) <= (180, 180)
    assert -90 <= south < north <= 90
    made = fishnet.make(boundary.Boundary(found, "", "drawn"), 20)
    again = partition.Partition.from_geojson(made.to_geojson())
    assert again.areas_km2.sum() == pytest.approx(area_km2, rel=1e-9)


def test_a_band_between_two_rings_round_the_poles():
    # As world-atlas writes Antarctica at 1:50 million: the pole is the outer ring, and the coast a hole in it.
    pole, coast = parallel(-89.999, 178, 90, 0, -90, -180), parallel(-70, -180, -90, 0, 90, 179)
    for exterior, hole in ((pole, coast), (coast, pole)):
        found = antimeridian.within_180(shapely.Polygon(exterior, [hole]))
        assert polygons.area_km2(found) == pytest.approx(cap_km2(-70), rel=1e-9)
        assert found.bounds == (-180, -90, 180, -70)
    tropics = shapely.Polygon(parallel(-20, *ROUND), [parallel(30, *ROUND)])
    assert polygons.area_km2(antimeridian.within_180(tropics)) == pytest.approx(box_km2(-180, -20, 180, 30), rel=1e-9)


def test_lakes_stay_holes_in_a_polar_cap():
    lake = shapely.box(30, -86, 50, -84).exterior
    found = antimeridian.within_180(shapely.Polygon(parallel(-80, *ROUND), [lake]))
    assert polygons.area_km2(found) == pytest.approx(CAP_KM2 - box_km2(30, -86, 50, -84), rel=1e-9)


def test_what_could_be_drawn_either_way_is_reported():
    notes = []
    antimeridian.within_180(shapely.Polygon(DRAWN["step of 359.6 degrees"][1]), notes)
    assert notes == [
        "the edge from longitude -179.8 to 179.8 at latitude -16.5 is ambiguous; taken over the antimeridian, 0.4 "
        "degrees."
    ]
    notes = []
    for name in ("one step of 360 degrees", "cap whose cut was undone", "the whole world"):
        antimeridian.within_180(shapely.Polygon(DRAWN[name][1]), notes)
    assert notes == []
    with pytest.raises(errors.CoordinateError) as caught:
        antimeridian.within_180(shapely.box(-179, -60, 179, 60))
    assert caught.value.next_step == ("write 179 to 181 for the first, and add a vertex at longitude 0 for the second")
    # Both next steps work.
    assert antimeridian.within_180(shapely.box(179, -60, 181, 60)).area == pytest.approx(240)
    wide = shapely.Polygon([*parallel(-60, -179, 0, 179), *parallel(60, 179, 0, -179)])
    assert antimeridian.within_180(wide).equals(wide)


@pytest.mark.skipif(not checkout.SHARED.exists(), reason="needs the drawn cases in ../shared")
@pytest.mark.parametrize("path", sorted((checkout.SHARED / "cases" / "world").glob("*.geojson")), ids=lambda p: p.stem)
def test_shared_cases_have_their_area(path):
    cap = 9_002_585.76
    expected = cap if path.stem.startswith("cap") else ISLAND_KM2
    assert polygons.area_km2(boundary.load(str(path), part="all").shape) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "shape", [FIJI_BEYOND_180, FIJI_BELOW_MINUS_180, FIJI_WITH_JUMP, FIJI_CUT], ids=["182", "-182", "jump", "cut"]
)
def test_crossings_of_the_antimeridian_are_cut_there(shape):
    found = antimeridian.within_180(shape)
    assert shapely.equals(found, FIJI_CUT)
    assert polygons.area_km2(found) == pytest.approx(polygons.area_km2(FIJI_BEYOND_180))


def test_a_hole_goes_with_its_ring_over_the_antimeridian():
    for hole in ([(-179, -1), (-179, 1), (-178, 1), (-178, -1)], [(179, -1), (179, 1), (-179, 1), (-179, -1)]):
        jumping = shapely.Polygon([(175, -5), (180, -5), (-175, -5), (-175, 5), (175, 5)], [hole])
        width = 1 if hole[0][0] < 0 else 2
        assert antimeridian.within_180(jumping).area == pytest.approx(100 - 2 * width)


def test_shapes_within_180_are_left_as_they_are():
    for shape in (ISLANDS, shapely.box(-180, -90, 180, 90), shapely.box(-180, 10, -100, 20)):
        assert antimeridian.within_180(shape).equals(shape)
    # Antarctica as files cut it: down to the pole at 180 degrees and back along it.
    antarctica = shapely.Polygon([(-180, -70), (0, -65), (180, -70), (180, -90), (-180, -90)])
    assert antimeridian.within_180(antarctica).equals(antarctica)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (shapely.box(24, -124, 49, -66), "longitude 24, latitude -124 .*look swapped|longitude 49, .*look swapped"),
        (shapely.box(5e5, 4e6, 6e5, 5e6), "look projected"),
        (shapely.box(0, 0, math.inf, 1), "not a finite number"),
        (shapely.Polygon([(-180, 0.5), (-60, -0.5), (60, 0.5), (180, -0.5)]), "near the equator: either pole"),
        (shapely.Polygon([(k * 50 % 360 - 180, 40 + k) for k in range(15)]), "goes round a pole 2 times"),
        (
            shapely.box(-179, -60, 179, 60),
            "from longitude -179 to 179 at latitude -?60 is ambiguous: it goes 2 degrees",
        ),
    ],
)
def test_what_cannot_be_degrees_is_refused(shape, message):
    with pytest.raises(errors.CoordinateError, match=message):
        antimeridian.within_180(shape)


def test_parts_cut_at_the_antimeridian_are_found_together():
    groups = antimeridian.joined_over_antimeridian(polygons.parts(FIJI_CUT))
    assert sorted(len(group) for group in groups) == [1, 2]
    # At 180 degrees but without a common edge: they meet at a point, or not at all.
    apart = [shapely.box(179, 0, 180, 1), shapely.box(-180, 1, -179, 2), shapely.box(-180, 5, -179, 6)]
    assert [len(group) for group in antimeridian.joined_over_antimeridian(apart)] == [1, 1, 1]
    chain = [shapely.box(-180, 0, -179, 9), shapely.box(170, 0, 180, 2), shapely.box(170, 3, 180, 4)]
    assert [len(group) for group in antimeridian.joined_over_antimeridian(chain)] == [3]
