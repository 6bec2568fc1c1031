"""Boxes that tile the world, labelled by Morton code as by their polygons."""

import dataclasses
import sys
import time

import numpy as np
import pytest
import shapely

from geods import errors
from geods.geo import boundary, geometry, grids, partition, polygons, quadtree, world_cells


def towns(count, seed=0):
    """Places in clusters on both sides of the antimeridian, at a pole, and anywhere."""
    rng = np.random.default_rng(seed)
    centers = np.array([[48.1, 11.5], [-16.5, 180], [-16.4, -179.9], [89.9, 0], [40.7, -74], [-33.9, 151.2]])
    near = centers[rng.integers(len(centers), size=count * 3 // 4)] + rng.normal(0, 1, (count * 3 // 4, 2))
    far = geometry.sample_box(-60, 75, -180, 180, count - len(near), rng)
    coords = np.concatenate([near, far])
    return np.stack([np.clip(coords[:, 0], -89.99, 89.99), geometry.wrap_lon_deg(coords[:, 1])], axis=-1)


@pytest.fixture(scope="module")
def world():
    return world_cells.quadtree(towns(5000), 20, 5, "ab")


def test_the_cells_tile_the_sphere(world):
    assert world.areas_km2.sum() == pytest.approx(geometry.EARTH_KM2, rel=1e-9)
    assert sum(shape.area for shape in world.shapes) == pytest.approx(360 * 180, rel=1e-9)
    assert (world.kind, world.boundary_sha256) == ("world_quadtree", "ab")
    assert world.bounds == (-90, 90, -180, 180)
    partition.check_area(world, geometry.EARTH_KM2)


EVERYWHERE = boundary.load("world")
SPAIN = boundary.Boundary(polygons.canonical(shapely.box(-9, 36, 3, 44)), "ab", "box", {"part": "all"})


@pytest.fixture(scope="module", params=["quadtree", "equal areas", "some equal areas"])
def boxes(request, world):
    if request.param == "quadtree":
        return world
    return world_cells.equal_area(*((EVERYWHERE, 9) if request.param == "equal areas" else (SPAIN, 1.1)))[0]


def test_labels_are_those_of_the_polygons_to_the_last_point(boxes):
    rng = np.random.default_rng(1)
    lines = np.stack([rng.choice(grids.LINES_LAT, 3000), rng.choice(grids.LINES_LON, 3000)], axis=-1)
    mixed = np.concatenate([np.stack([lines[:, 0], rng.uniform(-180, 180, 3000)], axis=-1), lines])
    corners = np.concatenate([shapely.get_coordinates(shape)[:, ::-1] for shape in boxes.shapes])
    mixed = np.concatenate([mixed, np.stack([rng.permutation(corners[:, 0]), corners[:, 1]], axis=-1)])
    beside = np.clip(np.nextafter(corners, rng.uniform(-200, 200, corners.shape)), [-90, -180], [90, 180])
    # GEOS takes (89.91, -5e-324) for a point of the edge below it.
    beside[np.abs(beside) < 1e-300] = 0
    edges = [[90, 7], [-90, -7], [0, 180], [0, -180], [10, 180], [90, 180], [-90, -180]]
    points = np.concatenate(
        [towns(5000, 2), geometry.sample_box(-90, 90, -180, 180, 5000, rng), mixed, corners, beside, edges]
    )
    plain = dataclasses.replace(boxes, parameters={})
    np.testing.assert_array_equal(boxes.label(*points.T), plain.label(*points.T))
    assert boxes.to_geojson() == partition.Partition.from_geojson(boxes.to_geojson()).to_geojson()


def test_boxes_of_one_area_have_one_area():
    made, area_km2 = world_cells.equal_area(EVERYWHERE, 5.0)
    assert len(made) == 1652
    np.testing.assert_allclose(made.areas_km2, geometry.EARTH_KM2 / 1652, rtol=1e-7)
    assert area_km2 == pytest.approx(geometry.EARTH_KM2, rel=1e-12)
    west, south, east, north = shapely.bounds(np.array(made.shapes)).T
    shape = (east - west) * np.cos(np.radians((south + north) / 2)) / (north - south)
    # As wide as high, but for the triangles round the poles.
    assert 0.8 < np.median(shape) < 1.25
    assert made.label([90, 90, -90], [0, 100, 5]).tolist() == [1649, 1649, 0]


@pytest.mark.parametrize("resolution", [0, 1])
def test_hexagons_are_labelled_by_h3(resolution):
    h3 = pytest.importorskip("h3.api.basic_int")
    made, area_km2 = world_cells.h3(EVERYWHERE, resolution)
    assert len(made) == h3.get_num_cells(resolution)
    assert made.areas_km2.sum() == pytest.approx(geometry.EARTH_KM2, rel=1e-9)
    partition.check_area(made, area_km2)
    numbers = [int(one, 16) for one in made.parameters["ids"]]
    areas = np.array([h3.cell_area(number, "km^2") for number in numbers])
    np.testing.assert_allclose(made.areas_km2, areas, rtol=1e-3)
    poles_and_edges = [[90, 0], [90, 120], [-90, 7], [10, 180], [10, -180], [-80, 180]]
    points = np.concatenate([geometry.sample_box(-90, 90, -180, 180, 4000, np.random.default_rng(0)), poles_and_edges])
    labels = made.label(*points.T)
    assert [numbers[cell] for cell in labels] == [h3.latlng_to_cell(*point, resolution) for point in points]
    # Their polygons say otherwise beside edges: great circles are not straight in degrees.
    assert (labels != dataclasses.replace(made, parameters={}).label(*points.T)).mean() < 0.003


def test_hexagons_of_a_country_are_those_that_reach_into_it():
    h3 = pytest.importorskip("h3.api.basic_int")
    made, area_km2 = world_cells.h3(SPAIN, 4)
    partition.check_area(made, area_km2)
    points = geometry.sample_box(36, 44, -9, 3, 5000, np.random.default_rng(0))
    labels = made.label(*points.T)
    assert labels.min() >= 0
    # Some reach into it by a corner only.
    assert len(set(labels.tolist())) > 0.9 * len(made)
    assert made.label([30, 50], [0, 0]).tolist() == [-1, -1]
    inside = {int(one, 16) for one in made.parameters["ids"]}
    assert inside >= set(h3.polygon_to_cells(h3.LatLngPoly([(36, -9), (36, 3), (44, 3), (44, -9)]), 4))
    assert (made.parameters["part"], made.boundary_sha256) == ("all", "ab")


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: world_cells.h3(EVERYWHERE, 16), errors.OptionError, "h3_resolution=16 must be from 0"),
        (lambda: world_cells.h3(EVERYWHERE, 4), errors.PartitionError, "gives about 288,116 cells"),
        (lambda: world_cells.equal_area(EVERYWHERE, 0.5), errors.PartitionError, "about 259,200 cells"),
        (lambda: world_cells.equal_area(EVERYWHERE, 0), errors.OptionError, "cell_deg=0 must be above 0"),
    ],
)
def test_grids_that_cannot_be_made_are_refused(make, error, match):
    with pytest.raises(error, match=match):
        make()


def test_without_h3_its_cells_cannot_be_labelled(monkeypatch):
    monkeypatch.setitem(sys.modules, "h3.api.basic_int", None)
    with pytest.raises(errors.PartitionError, match="need the package h3") as caught:
        grids.H3Grid(0, ["8001fffffffffff"]).label(np.zeros((1, 2)))
    assert caught.value.next_step == 'pip install "geods[h3]"'


def test_damaged_parameters_of_a_grid_are_refused(world):
    damaged = dataclasses.replace(world, kind="equal_area", parameters={"cell_deg": 2.0, "numbers": [-1, 10**6]})
    with pytest.raises(errors.PartitionError, match="parameters of this partition of kind equal_area are damaged"):
        damaged.label([0], [0])


def test_cells_hold_at_most_and_at_least_so_many_places_or_none(world):
    held = np.bincount(world.label(*towns(5000).T), minlength=len(world))
    empty = sum(len(group) == 1 for group, count in zip(world.parameters["leaves"], held, strict=True) if not count)
    assert empty == (held == 0).sum()
    few = np.flatnonzero((held > 0) & (held < 5))
    assert len(few) < 20
    with_places = shapely.union_all([world.shapes[k] for k in np.flatnonzero(held >= 5)])
    assert not any(polygons.share_border(world.shapes[k], with_places) for k in few)
    boxes = [box for group in world.parameters["leaves"] for box in group]
    assert len(boxes) == len(set(map(tuple, boxes)))
    # A cell of boxes that were too small may hold more than one of them could.
    assert np.median(held[held > 0]) <= 20


def test_a_file_read_again_labels_alike(world):
    again = partition.Partition.from_geojson(world.to_geojson())
    assert again.to_geojson() == world.to_geojson()
    points = towns(1000, 3)
    np.testing.assert_array_equal(again.label(*points.T), world.label(*points.T))


def test_many_places_at_one_point_end_the_division():
    made = world_cells.quadtree(np.full((100, 2), [35.0, -103.0]), 5, 0)
    assert len(made) == 3 * grids.DEEPEST + 1
    assert made.areas_km2.min() < 20
    assert len(world_cells.quadtree(np.empty((0, 2)), 5, 0)) == 1


def test_the_quadtree_of_a_map_of_the_world_is_made_of_boxes():
    land = partition.Partition((shapely.box(-180, -60, 180, -10), shapely.box(-180, 0, 180, 60)))
    assert quadtree.make(land, towns(100), 10, 2).kind == "world_quadtree"
    assert polygons.area_km2(shapely.box(-20, -40, 160, 0)) < quadtree.WORLD_KM2 * 2


def test_a_million_labels_take_less_than_a_second(world):
    rng = np.random.default_rng(0)
    lat, lon = rng.uniform(-90, 90, 1_000_000), rng.uniform(-180, 180, 1_000_000)
    world.label([0], [0])
    started = time.process_time()
    assert (world.label(lat, lon) >= 0).all()
    # 0.2 s on a quiet machine; polygons take several.
    assert time.process_time() - started < 1
