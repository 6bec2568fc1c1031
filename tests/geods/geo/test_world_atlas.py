"""Every country of npm's world-atlas: its area, its cells, its labels.

Labels are compared with winding numbers on the unit sphere. The suite takes the coarsest scale; all three and
naturalearth_lowres, of the package geopandas, take a quarter of an hour: GEODS_WORLD=110m,50m,10m,lowres.
"""

import os
import shutil
import subprocess
import sys
import tarfile

import fiona
import numpy as np
import pytest
import shapely

from geods.geo import boundary, fishnet, geometry, partition, polygons, vector_files

SCALES = os.environ.get("GEODS_WORLD", "110m").split(",")

OVER_180 = ("Fiji", "Russia", "Antarctica", "New Zealand")


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    folder = tmp_path_factory.mktemp("atlas")
    if not shutil.which("npm"):
        pytest.skip("needs npm")
    command = ["npm", "pack", "--fetch-retries=0", "--fetch-timeout=20000", "world-atlas@2.0.2"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        pytest.skip(f"needs an npm registry: {done.stderr[-200:]}")
    with tarfile.open(folder / "world-atlas-2.0.2.tgz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "package"


def map_of(atlas, kind, scale):
    """Returns the path and layer of "countries" or "land"."""
    if scale != "lowres":
        return atlas / f"{kind}-{scale}.json", kind
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "geopandas==0.14.4"]
    if subprocess.run(command, cwd=atlas, capture_output=True, check=False, timeout=60).returncode:
        pytest.skip("needs a registry of Python packages")
    shutil.unpack_archive(atlas / "geopandas-0.14.4-py3-none-any.whl", atlas, "zip")
    return atlas / "geopandas" / "datasets" / "naturalearth_lowres" / "naturalearth_lowres.shp", None


def rings(polygon):
    return [np.asarray(ring.coords)[:, 1::-1] for ring in (polygon.exterior, *polygon.interiors)]


def raw_area_km2(shape):
    """The spherical area of shapes as written, each ring with its smaller side."""
    total = 0.0
    for polygon in polygons.parts(shape):
        exterior, *holes = [geometry.area_by_triangles_km2(ring) for ring in rings(polygon)]
        exterior, *holes = [min(area, geometry.EARTH_KM2 - area) for area in (exterior, *holes)]
        total += abs(exterior - sum(holes))
    return total


def contains(shape, coords):
    """Whether an odd number of rings wind round each point `[n, 2]`.

    Seen along the sphere from the point itself.
    """
    inside = np.zeros(len(coords), bool)
    for polygon in polygons.parts(shape):
        for ring in rings(polygon):
            steps = np.diff(ring, axis=0)
            steps[:, 1] -= 360 * np.round(steps[:, 1] / 360)
            pieces = np.maximum(np.ceil(np.abs(steps).max(axis=1) * 10), 1).astype(int)
            at = np.repeat(np.arange(len(steps)), pieces)
            share = (np.arange(len(at)) - np.repeat(np.cumsum(pieces) - pieces, pieces)) / pieces[at]
            dense = ring[:-1][at] + share[:, None] * steps[at]
            for rows in np.array_split(np.arange(len(coords)), 1 + len(coords) * len(dense) // 1_000_000):
                bearings = np.radians(geometry.bearing_deg(coords[rows, None], dense[None]))
                turns = np.diff(bearings, axis=1, append=bearings[:, :1])
                winding = ((turns + np.pi) % (2 * np.pi) - np.pi).sum(axis=1)
                inside[rows] ^= np.abs(winding) > np.pi
    return inside


@pytest.mark.parametrize("scale", SCALES)
def test_countries_have_their_area_and_labels(atlas, scale):
    path, layer = map_of(atlas, "countries", scale)
    features = vector_files.read(path, layer=layer)
    shapes, _ = boundary.shapes_within_180(features, path)
    assert len(shapes) >= 177
    rng = np.random.default_rng(0)
    for feature, shape in zip(features.features, shapes, strict=True):
        name, whole = feature.properties["name"], polygons.canonical(shape)
        expected = raw_area_km2(feature.shape)
        # Rings of tiny islands cross themselves where world-atlas rounded them: 0.2 km2 of the Maldives.
        assert polygons.area_km2(whole) == pytest.approx(expected, rel=1e-3, abs=0.2), name
        if scale == "110m" and name not in OVER_180:
            continue
        made = fishnet.make(boundary.Boundary(whole, "", name), 5)
        partition.check_area(made, polygons.area_km2(whole))
        west, south, east, north = whole.bounds
        coords = np.round(geometry.sample_box(south, north, west, east, 1000, rng), 9)
        labels = made.label(coords[:, 0], coords[:, 1])
        assert sum(cell.area for cell in made.shapes) == pytest.approx(whole.area, rel=1e-8), name
        # Great circles lie up to 0.6 m beside edges that are straight in degrees, where those are divided as here.
        near = np.isfinite(polygons.Borders([whole]).nearest(coords, 0.002)[1])
        assert near.sum() < 100
        np.testing.assert_array_equal((labels >= 0) | near, contains(feature.shape, coords) | near, err_msg=name)


@pytest.mark.parametrize("scale", SCALES)
def test_the_whole_land_makes_a_partition(atlas, scale):
    path, _ = map_of(atlas, "land", scale)
    covered = boundary.load(str(path), part="all")
    with fiona.open(path) as source:
        expected = sum(raw_area_km2(shapely.geometry.shape(feature.geometry)) for feature in source)
    assert polygons.area_km2(covered.shape) == pytest.approx(expected, rel=1e-3)
    made = fishnet.make(covered, 10)
    partition.check_area(made, expected)
    assert made.label([-90, -90], [0, 100]).tolist() == made.label([-90, -90], [180, -70]).tolist() != [-1, -1]
    assert made.bounds[0] == -90


def test_a_country_of_a_file_with_two_layers(atlas):
    found = boundary.load(boundary.Source(str(atlas / "countries-110m.json"), ("name=Fiji",), "countries"), part="all")
    assert polygons.area_km2(found.shape) == pytest.approx(19345, abs=1)
