"""The report's 243 cells, and the same rules on small boundaries."""

import checkout
import hypothesis
import numpy as np
import pytest
import shapely
from hypothesis import strategies as st

from geods import errors
from geods.geo import boundary, fishnet, partition, polygons

SHARED = checkout.SHARED / "data"
CENSUS = SHARED / "census" / "cb_2018_us_nation_5m.zip"
STREET_VIEW = SHARED / "us_street_view"
needs_census = pytest.mark.skipif(not CENSUS.exists(), reason="needs the Census Bureau's nation file in ../shared")


def covering(shape) -> boundary.Boundary:
    return boundary.Boundary(polygons.canonical(shape), "00", "ours", {"part": "all"})


def boxes(made: partition.Partition) -> list[tuple[float, ...]]:
    return [shape.bounds for shape in made.shapes]


def assert_tiles(made: partition.Partition, shape) -> None:
    """Areas sum to the boundary's, cells are disjoint, nothing else is covered."""
    assert sum(cell.area for cell in made.shapes) == pytest.approx(shape.area, rel=1e-9)
    assert made.areas_km2.sum() == pytest.approx(polygons.area_km2(shape), rel=1e-9)
    cells = np.array(made.shapes)
    first, second = shapely.STRtree(cells).query(cells)
    first, second = first[first < second], second[first < second]
    assert not shapely.relate_pattern(cells[first], cells[second], "T********").any()
    assert shapely.union_all(cells).symmetric_difference(shape).area <= 1e-9 * shape.area


@pytest.fixture(scope="module")
def mainland():
    return boundary.load(str(CENSUS))


@pytest.fixture(scope="module")
def report(mainland):
    return fishnet.make(mainland)


@needs_census
def test_the_reports_partition_has_243_cells_that_tile_the_mainland(report, mainland):
    assert len(report) == 243
    assert_tiles(report, mainland.shape)
    assert {shape.geom_type for shape in report.shapes} == {"Polygon"}
    assert report.diagonal_km == pytest.approx(5629, abs=1)
    assert report.kind == "fishnet"
    assert report.parameters == {"cell_deg": 2.0, "merge_below": 0.1, "part": "containing", "center": [39.5, -98.35]}
    assert report.boundary_sha256 == mainland.sha256


@needs_census
def test_the_reports_partition_is_the_same_bytes_everywhere(report):
    # The same under GEOS 3.11.4, 3.13.1 and 3.14.1, which cut, order and start rings in different ways.
    assert report.fingerprint == "31a50227645c17a54e2f996c7225dbcc20c6ecdcb1280964d28331c87afa2dcd"
    assert partition.Partition.from_geojson(report.to_geojson()).to_geojson() == report.to_geojson()


@needs_census
@pytest.mark.skipif(not STREET_VIEW.exists(), reason="needs the real locations in ../shared")
def test_cells_have_the_numbers_of_the_report(report):
    places = [(int(cell.name), *place.name.split(",")) for cell in STREET_VIEW.iterdir() for place in cell.iterdir()]
    folders, lat, lon = np.array(places, dtype=float).T
    assert len(folders) > 900
    np.testing.assert_array_equal(report.label(lat, lon), folders)


@needs_census
@pytest.mark.parametrize(("cell_deg", "part"), [(0.7, "containing"), (5, "all")])
def test_other_sizes_tile_too(cell_deg, part):
    covered = boundary.load(str(CENSUS), part=part)
    made = fishnet.make(covered, cell_deg)
    assert_tiles(made, covered.shape)
    lat, lon = made.centroids[0]
    assert made.label(lat, lon).tolist() == [0]


@needs_census
def test_all_parts_of_the_census_file_cross_the_antimeridian():
    covered = boundary.load(str(CENSUS), part="all")
    eastern = [piece for piece in polygons.parts(covered.shape) if piece.bounds[0] > 0]
    assert len(eastern) == 28
    made = fishnet.make(covered)
    lat_min, lat_max, lon_min, lon_max = made.bounds
    assert (lat_min, lat_max) == pytest.approx((-14.55, 71.35), abs=0.01)
    # From Guam eastwards over the antimeridian to the Virgin Islands.
    assert (lon_min, lon_max) == pytest.approx((144.62, -64.57), abs=0.01)
    # Attu in the western Aleutians, Guam, and Honolulu.
    assert (made.label([52.9, 13.45, 21.35], [172.9, 144.75, -157.85]) >= 0).all()


def test_boxes_go_by_columns_from_the_west_then_from_the_south():
    made = fishnet.make(covering(shapely.box(-1, -1, 3, 3)), 2)
    columns = [(-1, 0), (0, 2), (2, 3)]
    assert boxes(made) == [(west, south, east, north) for west, east in columns for south, north in columns]


def test_a_boundary_on_the_lines_gets_no_empty_boxes():
    made = fishnet.make(covering(shapely.box(0, 0, 4, 2)), 2)
    assert boxes(made) == [(0, 0, 2, 2), (2, 0, 4, 2)]
    # Part of the boundary's border runs along the line at 2: the column beyond it meets it in a line and an area.
    step = shapely.union(shapely.box(0, 0, 2, 2), shapely.box(2, 0, 3, 1))
    assert boxes(fishnet.make(covering(step), 2)) == [(0, 0, 2, 2), (2, 0, 3, 1)]


def test_lines_are_where_decimals_say():
    # 3 * 0.1 is 0.30000000000000004.
    made = fishnet.make(covering(shapely.box(0, 0, 0.5, 0.1)), 0.1)
    assert boxes(made) == [(k / 10, 0, (k + 1) / 10, 0.1) for k in range(5)]


def test_pieces_of_one_box_are_cells_by_their_southern_then_eastern_points():
    comb = shapely.union_all(
        [
            shapely.box(0, 1.9, 4, 4),
            shapely.box(0.1, 1, 0.5, 2),
            shapely.box(0.8, 1, 1.2, 2),
            shapely.box(1.5, 0.9, 1.8, 2),
        ]
    )
    made = fishnet.make(covering(comb.difference(shapely.box(0, 1.9, 4, 2))), 2, 0)
    assert [bounds[:2] for bounds in boxes(made)] == [(1.5, 0.9), (0.8, 1), (0.1, 1), (0, 2), (2, 2)]


def test_small_pieces_join_the_first_neighbour_with_a_common_border():
    # Three boxes in a row and a strip of 0.1 above them, in three pieces. The first piece joins the box below it; the
    # next one then borders on that cell too, which comes before the box below, and so on, as in the report.
    made = fishnet.make(covering(shapely.box(0, 0, 6, 2.1)), 2)
    assert boxes(made) == [(0, 0, 6, 2.1), (2, 0, 4, 2), (4, 0, 6, 2)]
    assert len(fishnet.make(covering(shapely.box(0, 0, 6, 2.1)), 2, 0)) == 6


def test_a_corner_is_no_common_border():
    stairs = shapely.union_all([shapely.box(0, 0, 2, 2), shapely.box(2, 2, 2.1, 4), shapely.box(2.1, 2, 4, 4)])
    made = fishnet.make(covering(stairs), 2)
    assert boxes(made) == [(0, 0, 2, 2), (2, 2, 4, 4)]
    small = shapely.MultiPolygon([shapely.box(0, 0, 2, 2), shapely.box(2, 2, 2.1, 2.1)])
    assert boxes(fishnet.make(covering(small), 2)) == [(0, 0, 2, 2), (2, 2, 2.1, 2.1)]


def test_a_small_piece_that_others_joined_may_grow_large_enough():
    # 0.3 and 0.2 high: each below 0.1 x 4 in area alone, not together; so the second is joined, and stays.
    tower = shapely.union_all([shapely.box(0, 1.7, 1, 2), shapely.box(0, 2, 1, 2.2), shapely.box(10, 0, 12, 2)])
    made = fishnet.make(covering(tower), 2)
    assert boxes(made) == [(0, 1.7, 1, 2.2), (10, 0, 12, 2)]


def test_islands_without_a_neighbour_stay_cells():
    islands = shapely.MultiPolygon([shapely.box(0, 0, 2, 2), shapely.box(4.5, 0.5, 4.6, 0.6)])
    assert len(fishnet.make(covering(islands), 2)) == 2


def test_small_pieces_join_over_the_antimeridian():
    taveuni = shapely.MultiPolygon([shapely.box(176, -18, 180, -16), shapely.box(-180, -17, -179.9, -16.5)])
    made = fishnet.make(covering(taveuni), 2)
    assert len(made) == 2
    assert made.bounds == (-18, -16, 176, -179.9)
    assert made.label([-16.75, -16.75, -16.75], [179, -179.95, 180]).tolist() == [1, 1, 1]
    assert made.centroids[1] == pytest.approx((-17, 179), abs=0.05)


@hypothesis.settings(max_examples=20, deadline=None)
@hypothesis.given(st.integers(0, 2**32 - 1), st.sampled_from([0.7, 1, 2, 3.3]), st.sampled_from([0, 0.1, 0.5]))
def test_any_boundary_is_tiled(seed, cell_deg, merge_below):
    rng = np.random.default_rng(seed)
    # A star with a wild border of 80 points, and an island.
    angles, radii = np.linspace(0, 2 * np.pi, 80, endpoint=False), rng.uniform(1, 6, 80)
    star = shapely.Polygon(np.column_stack([radii * np.cos(angles), radii * np.sin(angles)]) + rng.uniform(-60, 60, 2))
    covered = covering(shapely.union(star, shapely.box(100, 50, 100 + rng.uniform(0.01, 5), 51)))
    made = fishnet.make(covered, cell_deg, merge_below)
    assert_tiles(made, covered.shape)
    assert partition.Partition.from_geojson(made.to_geojson()).to_geojson() == made.to_geojson()
    points = np.concatenate([made.sample(cell, 20, rng) for cell in range(len(made))])
    np.testing.assert_array_equal(made.label(*points.T), np.repeat(np.arange(len(made)), 20))


@pytest.mark.parametrize(
    ("cell_deg", "merge_below", "message"),
    [
        (0, 0.1, "cell_deg=0 must be above 0"),
        (91, 0.1, "cell_deg=91 must be above 0 and at most 90"),
        (float("nan"), 0.1, "cell_deg=nan"),
        (2, 1, "merge_below=1 must be from 0 to below 1"),
        (2, -0.1, "merge_below=-0.1"),
    ],
)
def test_sizes_out_of_range_are_refused(cell_deg, merge_below, message):
    with pytest.raises(errors.OptionError, match=message):
        fishnet.make(covering(shapely.box(0, 0, 1, 1)), cell_deg, merge_below)


def test_more_cells_than_a_model_can_have_are_refused():
    with pytest.raises(errors.PartitionError, match=r"cell_deg=0.001 would give about 1,000,000 cells") as caught:
        fishnet.make(covering(shapely.box(0, 0, 1, 1)), 0.001)
    assert caught.value.next_step == "take cell_deg=0.0035 or more"


def test_refined_cells_tile_the_same_area_and_begin_anew():
    whole = fishnet.make(covering(shapely.box(-100.3, 40.1, -95.2, 44.9)), 2.0)
    finer = fishnet.refine(whole, 1.0)
    assert len(finer) > 2 * len(whole)
    assert finer.parameters["cell_deg"] == 1.0
    assert_tiles(finer, shapely.box(-100.3, 40.1, -95.2, 44.9))
    assert fishnet.refine(whole, 2.0).to_geojson() == whole.to_geojson()


def test_small_islands_join_the_nearest_cell_within_reach():
    # 111 km west of the mainland, 55 km beyond the antimeridian, and far away.
    islands = [shapely.box(168.5, 1, 169, 1.2), shapely.box(-179.5, 1, -179.4, 1.2), shapely.box(0, 0, 0.1, 0.1)]
    covered = covering(shapely.MultiPolygon([shapely.box(170, 0, 180, 2), *islands]))
    assert len(fishnet.make(covered, 2)) == 8
    made = fishnet.make(covered, 2, join_within_km=120)
    assert len(made) == 6
    assert (
        made.label([1.1, 1.1, 0.05], [168.7, -179.45, 0.05]).tolist()
        == made.label([1, 1, 0.05], [171, 179, 0.05]).tolist()
    )
    assert made.parameters["join_within_km"] == 120
    assert made.areas_km2.sum() == pytest.approx(polygons.area_km2(covered.shape), rel=1e-9)
    with pytest.raises(errors.OptionError, match="join_within_km=501 must be from 0 to 500"):
        fishnet.make(covered, 2, join_within_km=501)
