"""Adaptive cells tile the area and hold neither too many nor too few locations."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geods import errors
from geods.geo import partition, quadtree

BOX = shapely.box(-110, 30, -90, 42)
WHOLE = partition.Partition((shapely.box(-110, 30, -100, 42), shapely.box(-100, 30, -90, 42)), "polygons", {}, "ab")


def crowded(count, seed=0):
    """Most places round one town, some anywhere."""
    rng = np.random.default_rng(seed)
    town = np.array([35.3, -103.1]) + rng.normal(0, 0.4, (count * 3 // 4, 2))
    return np.concatenate([town, rng.uniform([30, -110], [42, -90], (count - len(town), 2))])


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 300), st.integers(1, 60), st.integers(0, 20), st.integers(0, 99))
def test_every_point_has_exactly_one_cell(count, most, least, seed):
    made = quadtree.make(WHOLE, crowded(count, seed), most, min(least, most))
    assert shapely.union_all(made.shapes).symmetric_difference(BOX).area < 1e-6
    assert sum(shape.area for shape in made.shapes) == pytest.approx(BOX.area, rel=1e-9)
    points = np.random.default_rng(seed).uniform([30, -110], [42, -90], (200, 2))
    assert (made.label(points[:, 0], points[:, 1]) >= 0).all()


def test_cells_are_small_where_places_are_many():
    coords = crowded(400)
    made = quadtree.make(WHOLE, coords, most=20, least=0)
    held = np.bincount(made.label(coords[:, 0], coords[:, 1]), minlength=len(made))
    assert held.max() <= 20
    in_town, far = made.label([35.3, 40.0], [-103.1, -92.0])
    assert made.areas_km2[in_town] < made.areas_km2[far] / 50
    assert (made.kind, made.boundary_sha256) == ("quadtree", "ab")


def test_no_cell_holds_too_few():
    coords = crowded(400)
    made = quadtree.make(WHOLE, coords, most=20, least=8)
    assert np.bincount(made.label(coords[:, 0], coords[:, 1]), minlength=len(made)).min() >= 8


def test_many_places_at_one_point_end_the_division():
    made = quadtree.make(WHOLE, np.full((100, 2), [35.0, -103.0]), most=5, least=0)
    assert len(made) < 60


def test_a_coast_is_followed():
    coast = shapely.Polygon([(-110, 30), (-90, 30), (-90, 42), (-99.3, 36.1), (-110, 42)])
    made = quadtree.make(partition.Partition((coast,)), crowded(200), 20, 5)
    assert shapely.union_all(made.shapes).symmetric_difference(coast).area < 1e-6


@pytest.mark.parametrize(("most", "least"), [(0, 0), (5, 6), (5, -1)])
def test_sizes_out_of_range_are_refused(most, least):
    with pytest.raises(errors.OptionError, match="50 and 5 are usual"):
        quadtree.make(WHOLE, crowded(10), most, least)
