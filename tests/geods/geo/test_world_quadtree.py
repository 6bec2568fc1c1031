"""Boxes that tile the world, labelled by Morton code as by their polygons."""

import dataclasses
import time

import numpy as np
import pytest
import shapely

from geods.geo import box_grid, geometry, partition, polygons, quadtree, world_quadtree


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
    return world_quadtree.make(towns(5000), 20, 5, "ab")


def test_the_cells_tile_the_sphere(world):
    assert world.areas_km2.sum() == pytest.approx(geometry.EARTH_KM2, rel=1e-9)
    assert sum(shape.area for shape in world.shapes) == pytest.approx(360 * 180, rel=1e-9)
    assert (world.kind, world.boundary_sha256) == ("world_quadtree", "ab")
    assert world.bounds == (-90, 90, -180, 180)
    partition.check_area(world, geometry.EARTH_KM2)


def test_labels_are_those_of_the_polygons_to_the_last_point(world):
    rng = np.random.default_rng(1)
    lines = np.stack([rng.choice(box_grid.LINES_LAT, 3000), rng.choice(box_grid.LINES_LON, 3000)], axis=-1)
    mixed = np.concatenate([np.stack([lines[:, 0], rng.uniform(-180, 180, 3000)], axis=-1), lines])
    corners = np.concatenate([shapely.get_coordinates(shape)[:, ::-1] for shape in world.shapes])
    beside = np.clip(np.nextafter(corners, rng.uniform(-200, 200, corners.shape)), [-90, -180], [90, 180])
    # GEOS takes (89.91, -5e-324) for a point of the edge below it.
    beside[np.abs(beside) < 1e-300] = 0
    edges = [[90, 7], [-90, -7], [0, 180], [0, -180], [10, 180], [90, 180], [-90, -180]]
    points = np.concatenate(
        [towns(5000, 2), geometry.sample_box(-90, 90, -180, 180, 5000, rng), mixed, corners, beside, edges]
    )
    plain = dataclasses.replace(world, parameters={})
    np.testing.assert_array_equal(world.label(*points.T), plain.label(*points.T))


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
    made = world_quadtree.make(np.full((100, 2), [35.0, -103.0]), 5, 0)
    assert len(made) == 3 * box_grid.DEEPEST + 1
    assert made.areas_km2.min() < 20
    assert len(world_quadtree.make(np.empty((0, 2)), 5, 0)) == 1


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
