"""Round trips of our formats, at the poles and the antimeridian too."""

import itertools
import os
import pathlib

import hypothesis
import numpy as np
import pytest
import shapely
from hypothesis import strategies as st

from geods.geo import partition
from geods.storage import checksums, seals
from geods.tree import imagery_tree, layouts

HASHES = st.text("0123456789abcdef", min_size=64, max_size=64)
# Names as Linux allows them in a folder: anything but NUL and the slash.
PARTS = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12)
NAMES = st.lists(PARTS.filter(lambda part: part not in (".", "..")), min_size=1, max_size=3).map("/".join)
LATITUDES = st.one_of(st.sampled_from([-90.0, 0.0, 90.0]), st.floats(-90, 90))
LONGITUDES = st.one_of(st.sampled_from([-180.0, 0.0, 180.0]), st.floats(-180, 180))
HEADINGS = st.none() | st.floats(0, 359.99).map(lambda heading: round(heading, 2))
DATES = st.none() | st.dates().map(lambda day: day.strftime("%Y-%m")).filter(lambda text: len(text) == 7)
# At most half a turn apart: a longer edge of a polygon is taken to go the short way (geods/geo/polygons.py).
EDGES = (
    st.lists(st.integers(-180, 180), min_size=2, max_size=6, unique=True)
    .map(sorted)
    .filter(lambda edges: max(b - a for a, b in itertools.pairwise(edges)) <= 180)
)
HEIGHTS = st.lists(st.integers(-90, 90), min_size=2, max_size=5, unique=True).map(sorted)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("formats")


def boxes(west_to_east: list[int], south_to_north: list[int]) -> partition.Partition:
    """Cells between these meridians and parallels, over the whole Earth at most."""
    return partition.Partition(
        tuple(
            shapely.box(west, south, east, north)
            for south, north in itertools.pairwise(south_to_north)
            for west, east in itertools.pairwise(west_to_east)
        )
    )


@hypothesis.example([-180, 0, 180], [0, 1], [(0.0, 1.0)])
@hypothesis.given(EDGES, HEIGHTS, st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
def test_every_point_between_the_borders_has_exactly_one_cell(west_to_east, south_to_north, shares):
    made = boxes(west_to_east, south_to_north)
    lat_deg, lon_deg = (
        low + np.array(share) * (high - low)
        for share, (low, *_, high) in zip(zip(*shares, strict=True), (south_to_north, west_to_east), strict=True)
    )
    # All longitudes of a pole are one place, which has one cell (tests/geods/geo/test_partition.py).
    hypothesis.assume((abs(lat_deg) < 90).all())
    labels = made.label(lat_deg, lon_deg)
    # 180 E is 180 W, so a cell that begins there holds it too.
    west_deg = np.where(lon_deg == 180, -180.0, lon_deg)
    inside = np.array(
        [shapely.intersects_xy(s, lon_deg, lat_deg) | shapely.intersects_xy(s, west_deg, lat_deg) for s in made.shapes]
    )
    assert (labels >= 0).all()
    # A border belongs to both neighbours, and goes to the lower number.
    np.testing.assert_array_equal(labels, inside.argmax(axis=0))
    strictly = np.array([shapely.contains_xy(shape, lon_deg, lat_deg) for shape in made.shapes])
    assert (strictly.sum(axis=0) <= 1).all()


@hypothesis.given(EDGES, HEIGHTS)
def test_a_partition_reads_back(west_to_east, south_to_north):
    made = boxes(west_to_east, south_to_north)
    back = partition.Partition.from_geojson(made.to_geojson())
    assert back.to_geojson() == made.to_geojson()
    assert back.fingerprint == made.fingerprint
    np.testing.assert_array_equal(back.areas_km2, made.areas_km2)
    np.testing.assert_array_equal(back.centroids, made.centroids)


@hypothesis.given(st.dictionaries(NAMES, HASHES, max_size=5))
def test_a_list_of_hashes_reads_back(folder, hashes):
    checksums.write(folder / checksums.NAME, hashes)
    assert checksums.read(folder / checksums.NAME) == hashes


@hypothesis.given(st.lists(st.tuples(PARTS, st.binary(max_size=20)), max_size=4, unique_by=lambda pair: pair[0]))
def test_a_seal_holds_while_nothing_changes(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("sealed")
    hypothesis.assume(all(len(os.fsencode(name)) < 200 and name not in (".", "..", seals.NAME) for name, _ in content))
    for name, written in content:
        (folder / name).write_bytes(written)
    seals.write(folder, [name for name, _ in content])
    assert seals.verify(folder) == []
    for name, written in content:
        (folder / name).write_bytes(written + b"x")
    assert len(seals.verify(folder)) == len(content)


@hypothesis.given(LATITUDES, LONGITUDES, HEADINGS, DATES, st.integers(-1, 10_000), st.integers(0, 99))
def test_names_of_every_layout_read_back(lat_deg, lon_deg, heading_deg, date, cell, index):
    view = imagery_tree.View(pathlib.Path("x.jpg"), heading_deg, date, 0 if heading_deg is not None else index)
    place = imagery_tree.Location(f"{lat_deg},{lon_deg}", lat_deg, lon_deg, cell, (view,))
    file = layouts.name("combined_files", cell, place, view)
    assert layouts.split_name(str(file)) == (place.location_id, imagery_tree.view_name(heading_deg, date, view.index))
    of_folder = layouts.name("combined_folders", cell, place, view)
    assert layouts.split_name(of_folder.parent.name) == (place.location_id, "")
    of_tree = layouts.name("tree", cell, place, view)
    assert of_tree.parts[:2] == (str(cell), place.location_id)
    for written in (of_folder.name, of_tree.name):
        back = imagery_tree.parse_view(written, view.path)
        assert (back.heading_deg, back.date, back.index) == (heading_deg, date, view.index)
