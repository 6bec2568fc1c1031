"""The nearest cell to outside points, against dense points on every border."""

import numpy as np
import pytest
import shapely

from geods.geo import geometry, nearest, partition, polygons

ISLANDS = (
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
    borders = [shapely.get_coordinates(shapely.segmentize(shape, 0.01))[:, ::-1] for shape in ISLANDS]
    all_km = np.stack([geometry.pairwise_km(coords, border).min(axis=1) for border in borders], axis=1)
    found, distance_km = nearest.Borders(ISLANDS).nearest(coords, 300)
    expected = np.where(all_km.min(axis=1) <= 300, all_km.argmin(axis=1), -1)
    np.testing.assert_array_equal(found, expected)
    near = found >= 0
    assert 100 < near.sum() < 202
    np.testing.assert_allclose(distance_km[near], all_km.min(axis=1)[near], rtol=0.01, atol=0.7)
    assert np.isinf(distance_km[~near]).all()


def test_a_shape_of_ones_own_is_left_out():
    coords = [[5, 10.1], [65, 180], [65, -179.6]]
    borders = nearest.Borders(ISLANDS)
    assert borders.nearest(coords, 500)[0].tolist() == [0, 2, 3]
    assert borders.nearest(coords, 500, [0, 2, 3])[0].tolist() == [1, 3, 2]
    assert borders.nearest(coords, 5, [0, 2, 3])[0].tolist() == [-1, -1, -1]
    assert borders.nearest(np.empty((0, 2)), 5)[0].shape == (0,)


def test_labels_reach_over_the_coast():
    cells = partition.Partition(ISLANDS)
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
