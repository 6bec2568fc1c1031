"""Labels, samples, sizes, and a file that is the same bytes whoever wrote it."""

import concurrent.futures
import json
import math
import pathlib
import pickle

import hypothesis
import numpy as np
import pytest
import shapely
from hypothesis import strategies as st

from geods import errors
from geods.geo import geometry, partition

# Two squares side by side, and a cell of two islands with a hole.
HOLED = shapely.box(20, 0, 30, 10).difference(shapely.box(24, 4, 26, 6))
SHAPES = (
    shapely.box(0, 0, 10, 10),
    shapely.box(10, 0, 20, 10),
    shapely.MultiPolygon([HOLED, shapely.box(40, 0, 41, 2)]),
)
# Over the antimeridian: one cell west of it, one on both sides, one east.
PACIFIC = (
    shapely.box(170, -10, 179, 0),
    shapely.MultiPolygon([shapely.box(179, -10, 180, 0), shapely.box(-180, -10, -178, 0)]),
    shapely.box(-178, -10, -170, 0),
)


@pytest.fixture(scope="module")
def cells():
    return partition.Partition(SHAPES)


@pytest.fixture(scope="module")
def pacific():
    return partition.Partition(PACIFIC, "polygons", {"source": "ours"}, "00")


@pytest.mark.parametrize(
    ("lat_deg", "lon_deg", "cell"),
    [
        (5, 5, 0),
        (5, 15, 1),
        (5, 10, 0),  # a shared border goes to the lower number
        (5, 20, 1),
        (0, 0, 0),
        (10, 20, 1),
        (2, 22, 2),
        (5, 25, -1),  # in the hole
        (5, 24, 2),  # on the border of the hole
        (1, 40.5, 2),
        (5, 35, -1),  # between the islands
        (-1e-9, 5, -1),
        (90, 0, -1),
    ],
)
def test_labels(cells, lat_deg, lon_deg, cell):
    assert cells.label([lat_deg], [lon_deg]).tolist() == [cell]
    assert cells.label(lat_deg, lon_deg).tolist() == [cell]


def test_labels_are_int32_in_the_order_of_the_points(cells):
    labels = cells.label([5, 5, 5, 1], [15, 5, -5, 40.5])
    assert labels.dtype == np.int32
    assert labels.tolist() == [1, 0, -1, 2]
    assert cells.label([], []).shape == (0,)


def test_threads_label_points_of_new_cells_at_once():
    at = np.linspace(0, 2 * np.pi, 10_000, endpoint=False)
    ring = np.stack([np.cos(at), np.sin(at)], axis=1) * 10
    with concurrent.futures.ThreadPoolExecutor(6) as threads:
        for _ in range(30):
            fresh = partition.Partition((shapely.Polygon(ring),))
            found = [threads.submit(fresh.label, [lat], [1.0]) for lat in (0.0, 1.0, 2.0, 3.0, 50.0, 4.0)]
            assert [int(one.result()[0]) for one in found] == [0, 0, 0, 0, -1, 0]


def test_labels_on_the_antimeridian_are_the_same_under_both_names(pacific):
    assert pacific.label([-5, -5, -5, -5, -5], [175, 179.5, 180, -180, -179]).tolist() == [0, 1, 1, 1, 1]
    one_sided = partition.Partition((shapely.box(170, 0, 180, 1), shapely.box(-180, 0, -170, 1)))
    assert one_sided.label([0.5, 0.5], [180, -180]).tolist() == [0, 0]
    # Four cells meet there: each point goes to the lower number of its own two.
    halves = [shapely.box(west, south, west + 10, south + 10) for south in (0, 10) for west in (170, -180)]
    met = partition.Partition(tuple(halves)).label([5, 15, 5, 30, 15], [180, 180, -180, 180, -180])
    assert met.tolist() == [0, 2, 0, -1, 2]
    eastern = partition.Partition((shapely.box(-180, 0, -170, 1),))
    assert eastern.label([0.5, 0.5, 5], [180, -180, 180]).tolist() == [0, 0, -1]


@hypothesis.given(st.integers(0, 2**32 - 1))
def test_labels_agree_with_asking_each_cell(seed):
    rng = np.random.default_rng(seed)
    shapes = shapely.get_parts(
        shapely.voronoi_polygons(
            shapely.MultiPoint(rng.integers(0, 20, (12, 2))), extend_to=shapely.box(-5, -5, 25, 25)
        )
    )
    hypothesis.assume(len(shapes) > 1)
    made = partition.Partition(tuple(shapes))
    # Whole and half degrees, so that many lie on borders.
    lat, lon = rng.integers(-14, 60, (2, 300)) / 2
    expected = np.full(300, -1)
    for cell in reversed(range(len(made))):
        expected[shapely.intersects_xy(made.shapes[cell], lon, lat)] = cell
    np.testing.assert_array_equal(made.label(lat, lon), expected)


@pytest.mark.parametrize(
    ("lat_deg", "lon_deg", "message"),
    [
        (
            [1, 2],
            [3],
            r"lat_deg has shape \(2,\), lon_deg \(1,\)(.|\n)*Next: give one latitude and one longitude for each",
        ),
        ([[1]], [[3]], r"lat_deg has shape \(1, 1\)"),
        ([1, math.nan], [3, 4], r"point\[1\] = \(nan, 4\): both must be finite"),
        ([1, 91], [3, 200], r"point\[1\] = \(91, 200\)"),
        ([-98.35], [39.5], r"point\[0\] = \(-98.35, 39.5\).*look swapped"),
    ],
)
def test_points_that_are_none_are_refused(cells, lat_deg, lon_deg, message):
    with pytest.raises(errors.CoordinateError, match=message):
        cells.label(lat_deg, lon_deg)


def test_sizes_and_bounds(cells, pacific):
    assert len(cells) == 3
    assert cells.bounds == (0, 10, 0, 41)
    np.testing.assert_allclose(cells.centroids[:2], [(5, 5), (5, 15)])
    box_km2 = geometry.ring_area_km2([(0, 0), (0, 10), (10, 10), (10, 0)])
    np.testing.assert_allclose(cells.areas_km2[:2], box_km2)
    assert cells.diagonal_km == pytest.approx(geometry.haversine_km((0, 0), (10, 41)))
    assert pacific.bounds == (-10, 0, 170, -170)
    np.testing.assert_allclose(pacific.centroids, [(-5, 174.5), (-5, -179.5), (-5, -174)])
    assert pacific.diagonal_km == pytest.approx(geometry.haversine_km((-10, 170), (0, -170)))


@pytest.mark.parametrize("made", ["cells", "pacific"])
def test_samples_lie_in_their_cell(made, request):
    made = request.getfixturevalue(made)
    for cell in range(len(made)):
        points = made.sample(cell, 500, np.random.default_rng(cell))
        assert points.shape == (500, 2)
        assert (made.label(points[:, 0], points[:, 1]) == cell).all()
        np.testing.assert_array_equal(points, made.sample(cell, 500, np.random.default_rng(cell)))
    assert made.sample(0, 0, np.random.default_rng(0)).shape == (0, 2)


def test_samples_are_uniform_by_area():
    # A tall triangle and an island: counts per part and per band against areas on the sphere.
    triangle, island = shapely.Polygon([(0, 0), (30, 0), (0, 60)]), shapely.box(60, 50, 70, 60)
    made = partition.Partition((shapely.MultiPolygon([triangle, island]),))
    points = made.sample(0, 30_000, np.random.default_rng(0))
    bands = [shapely.box(0, south, 40, south + 10) for south in range(0, 60, 10)]
    pieces = [*(triangle.intersection(band) for band in bands), island]
    areas = partition.Partition(tuple(pieces)).areas_km2
    counts = np.array([shapely.contains_xy(piece, points[:, 1], points[:, 0]).sum() for piece in pieces])
    expected = 30_000 * areas / areas.sum()
    # Binomial: five standard deviations.
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected)).all()
    # Any first few of them are as mixed as all: 1 in 9 on the island.
    assert 50 < shapely.contains_xy(island, points[:1000, 1], points[:1000, 0]).sum() < 250


def test_what_cannot_be_sampled_is_refused(cells):
    for cell in (-1, 3):
        with pytest.raises(errors.PartitionError, match=f"cell {cell} is not one of 0 to 2"):
            cells.sample(cell, 1, np.random.default_rng(0))
    thin = partition.Partition((shapely.Polygon([(0, 0), (10, 10), (10, 10.000001)]),))
    with pytest.raises(
        errors.PartitionError, match=r"fills 5.0e-08 of its bounding box: too thin(.|\n)*Next: leave such slivers out"
    ):
        thin.sample(0, 1, np.random.default_rng(0))


def test_a_thin_cell_is_sampled_in_steps():
    thin = partition.Partition((shapely.Polygon([(0, 0), (10, 10), (10, 10.001)]),))
    points = thin.sample(0, 200, np.random.default_rng(0))
    assert (thin.label(points[:, 0], points[:, 1]) == 0).all()


def test_cells_need_an_area():
    with pytest.raises(errors.PartitionError, match=r"^a partition needs at least one cell"):
        partition.Partition(())
    with pytest.raises(errors.PartitionError, match=r"cell 1 has no area.\nNext: leave it out"):
        partition.Partition((SHAPES[0], shapely.Polygon()))


@pytest.mark.parametrize("made", ["cells", "pacific"])
def test_a_file_read_and_written_again_is_the_same_bytes(made, request):
    made = request.getfixturevalue(made)
    content = made.to_geojson()
    again = partition.Partition.from_geojson(content)
    assert again.to_geojson() == content
    assert again.fingerprint == made.fingerprint
    # As the metadata of a dataset keeps it: through a dict, indented, as text.
    assert partition.Partition.from_geojson(json.dumps(json.loads(content), indent=1)).to_geojson() == content
    assert again.shapes == made.shapes
    assert (again.kind, again.parameters, again.boundary_sha256) == (made.kind, made.parameters, made.boundary_sha256)


def test_the_same_cells_written_otherwise_are_the_same_bytes(cells):
    otherwise = tuple(shapely.segmentize(shapely.reverse(shape), 0.7) for shape in SHAPES)
    assert partition.Partition(otherwise).to_geojson() == cells.to_geojson()


def test_the_file_is_geojson_with_a_geods_member(pacific):
    document = json.loads(pacific.to_geojson())
    assert document["type"] == "FeatureCollection"
    assert document["geods"] == {
        "kind": "polygons",
        "parameters": {"source": "ours"},
        "boundary_sha256": "00",
        "format_version": 1,
    }
    second = document["features"][1]
    assert second["geometry"]["type"] == "MultiPolygon"
    assert second["properties"] == {
        "cell": 1,
        "centroid": [-5.0, -179.5],
        "area_km2": round(float(pacific.areas_km2[1]), 6),
    }


def test_polygons_of_other_programs_become_cells():
    features = [{"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(shape)} for shape in SHAPES]
    made = partition.Partition.from_geojson(json.dumps({"type": "FeatureCollection", "features": features}))
    assert made.kind == "polygons"
    assert made.parameters == {}
    assert made.label([5, 5], [5, 15]).tolist() == [0, 1]


def test_files_are_written_whole_and_errors_name_them(cells, tmp_path):
    path = tmp_path / "made" / "partition.geojson"
    partition.write(cells, path)
    assert path.read_bytes() == cells.to_geojson()
    assert partition.read(path).fingerprint == cells.fingerprint
    path.write_bytes(cells.to_geojson()[:-30])
    with pytest.raises(errors.PartitionError, match=r"partition.geojson: not JSON") as caught:
        partition.read(path)
    assert "python -m tools.make_partition --cells=features --boundary=FILE" in caught.value.next_step
    with pytest.raises(errors.MissingFileError, match=r"none.geojson: does not exist") as missing:
        partition.read(tmp_path / "none.geojson")
    assert "python -m tools.make_partition" in missing.value.next_step
    with pytest.raises(errors.PartitionError, match="cannot be written") as unwritten:
        partition.write(cells, tmp_path)
    assert unwritten.value.next_step == "name another file"
    assert list(tmp_path.iterdir()) == [pathlib.Path(path.parent)]


def test_workers_get_partitions_by_pickle(cells):
    assert cells.label([5], [5]).tolist() == [0]
    copied = pickle.loads(pickle.dumps(cells))  # noqa: S301 - our own bytes
    assert copied.to_geojson() == cells.to_geojson()
    assert copied.label([5], [15]).tolist() == [1]


@pytest.mark.parametrize("made", ["cells", "pacific"])
@pytest.mark.parametrize("step_deg", [0.3, 1.0])
def test_a_lattice_has_a_point_near_every_place_and_none_outside(made, step_deg, request):
    made = request.getfixturevalue(made)
    points = made.lattice(step_deg)
    assert (made.label(points[:, 0], points[:, 1]) >= 0).all()
    assert len(np.unique(points, axis=0)) == len(points)
    rng = np.random.default_rng(0)
    places = np.concatenate([made.sample(cell, 50, rng) for cell in range(len(made))])
    nearest_km = geometry.pairwise_km(places, points).min(axis=1)
    # Half the diagonal of a box, and another box where the nearest middle lies outside.
    assert np.quantile(nearest_km, 0.95) < 1.5 * step_deg * 111.2 * 2**0.5 / 2


@pytest.mark.parametrize(
    ("bounds", "step_deg", "points"),
    [
        ((-100, 40, -98, 41), 1.0, [[40.5, -99.5], [40.5, -98.5]]),
        ((-100, 40, -98, 42), 1.0, [[40.5, -99.5], [40.5, -98.5], [41.5, -99.5], [41.5, -98.5]]),
        ((-20, 70, 20, 90), 20.0, [[70, -10], [70, 10]]),
        # 90.9 degrees north is no place, and a pole is one place, not a row of them.
        ((-20, 72, 20, 90), 20.2, np.empty((0, 2))),
        ((-180, 0, 180, 90), 90.0, [[45, -135], [45, -45], [45, 45], [45, 135]]),
    ],
)
def test_a_lattice_has_the_middles_of_boxes_from_south_to_north_and_west_to_east(bounds, step_deg, points):
    np.testing.assert_array_equal(partition.Partition((shapely.box(*bounds),)).lattice(step_deg), points)


def test_a_lattice_has_at_most_a_million_points():
    made = partition.Partition((shapely.box(0, -45, 125, 80),))
    assert len(made.lattice(0.125)) == 1_000_000
    with pytest.raises(
        errors.OptionError, match=r"a lattice of 0.124 degrees over 125 x 125 degrees.\nNext: its step is"
    ):
        made.lattice(0.124)


@pytest.mark.parametrize("step_deg", [0.0, -1.0, 1e-4, float("nan")])
def test_a_lattice_too_fine_or_of_no_step_is_refused(cells, step_deg):
    with pytest.raises(errors.OptionError, match="at most 1,000,000 points"):
        cells.lattice(step_deg)


def test_names_are_one_a_cell():
    named = partition.Partition(SHAPES, names=("a", "b", "c"))
    assert partition.Partition.from_geojson(named.to_geojson()).names == ("a", "b", "c")
    with pytest.raises(errors.PartitionError, match=r"2 names for 3 cells"):
        partition.Partition(SHAPES, names=("a", "b"))


def test_an_area_other_than_the_sources_is_refused(pacific):
    partition.check_area(pacific, float(pacific.areas_km2.sum()))
    with pytest.raises(errors.PartitionError, match=r"the cells cover .* km2 when read back, and their source"):
        partition.check_area(pacific, 1.002 * float(pacific.areas_km2.sum()))
    holed = partition.Partition((HOLED,))
    partition.check_area(holed, float(holed.areas_km2.sum()))
