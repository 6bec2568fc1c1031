"""Files as GIS programs write them, and as they arrive broken."""

import json
import logging
import pickle
import re
import subprocess
import sys
import zipfile

import fiona
import numpy as np
import pytest
import shapely

from geods import errors
from geods.geo import boundary, vector_files, vector_sources

ALAND, BORLAND = shapely.box(0, 0, 10, 10), shapely.box(20, 0, 30, 10)


def feature(shape, **properties):
    mapping = None if shape is None else shapely.geometry.mapping(shape)
    return {"type": "Feature", "geometry": mapping, "properties": properties}


@pytest.fixture
def countries(tmp_path):
    features = [feature(ALAND, NAME="Aland", rank=1), feature(BORLAND, NAME="Borland", rank=2)]
    path = tmp_path / "countries.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def write_with_fiona(path, driver: str, layers=("only",), crs="EPSG:4326", shapes=(ALAND, BORLAND)):
    schema = {"geometry": "Polygon", "properties": {"NAME": "str"}}
    # After TensorFlow is imported its own SQLite, which has no R-tree, serves GDAL too. Reading is not touched by that.
    options = {"SPATIAL_INDEX": "NO"} if driver == "GPKG" else {}
    for layer in layers:
        with fiona.open(path, "w", driver=driver, layer=layer, crs=crs, schema=schema, **options) as sink:
            sink.writerecords([feature(shape, NAME=f"{k}") for k, shape in enumerate(shapes)])
    return path


def read(path, *where, **choices):
    return vector_files.read(path, where, **choices).shapes


def same(found, expected):
    return len(found) == len(expected) and all(a.equals(b) for a, b in zip(found, expected, strict=True))


def test_reads_geojson_shapefile_and_geopackage(countries, tmp_path):
    assert same(read(countries), [ALAND, BORLAND])
    assert same(read(write_with_fiona(tmp_path / "a.gpkg", "GPKG")), [ALAND, BORLAND])
    assert same(read(write_with_fiona(tmp_path / "only.shp", "ESRI Shapefile")), [ALAND, BORLAND])


@pytest.mark.parametrize("name", ["boundary.zip", "no_suffix", "with space & ü.zip"])
def test_reads_archives_whatever_their_name_and_folders(tmp_path, name):
    write_with_fiona(tmp_path / "only.shp", "ESRI Shapefile")
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        for path in tmp_path.glob("only.*"):
            archive.write(path, f"some/folder/{path.name}")
    assert same(read(tmp_path / name), [ALAND, BORLAND])


def test_projected_coordinates_become_degrees(tmp_path):
    # On the equator of EPSG:3857 a degree of longitude is a 360th of a circle with R = 6378137 m.
    metres = 6378137 * 3.141592653589793 / 180
    shape = shapely.box(-99 * metres, 0, -98 * metres, 10 * metres)
    path = write_with_fiona(tmp_path / "m.gpkg", "GPKG", crs="EPSG:3857", shapes=[shape])
    west, south, east, _ = read(path)[0].bounds
    assert (west, south, east) == pytest.approx((-99, 0, -98), abs=1e-9)


@pytest.mark.parametrize(
    ("crs", "given", "area"),
    [
        # From 170 degrees east to 170 west, between the parallels of 10 and 20 degrees.
        ("EPSG:3832", (2226389.816, -2258423.649, 4452779.632, -1111475.103), 200),
        # The world to 84.9 degrees, whose sides lie at 179.99999999 degrees.
        ("EPSG:3857", (-20037508.34, -19900000, 20037508.34, 19900000), 360 * 2 * 84.92),
    ],
)
def test_projected_boxes_over_the_antimeridian_are_whole(tmp_path, crs, given, area):
    path = write_with_fiona(tmp_path / "a.gpkg", "GPKG", crs=crs, shapes=[shapely.box(*given)])
    assert boundary.load(str(path), "all").shape.area == pytest.approx(area, rel=1e-3)


@pytest.mark.parametrize(
    ("crs", "given", "expected", "within"),
    [
        # Grads from the meridian of Paris; its datum lies some 100 m off.
        ("EPSG:4807", (0, 50, 1, 51), (2.337229, 45, 3.237229, 45.9), 0.002),
        # In Tokyo the datum of before 2002 lies 12 s of arc off in both directions.
        ("EPSG:4301", (139, 35, 140, 36), (138.9968, 35.0032, 139.9968, 36.0032), 0.0002),
        ("EPSG:4269", (-99, 40, -98, 41), (-99, 40, -98, 41), 0),
        ("EPSG:4167", (179, -40, 182, -35), (179, -40, 182, -35), 0),
    ],
)
def test_geographic_coordinates_of_other_origin_become_those_of_wgs_84(tmp_path, crs, given, expected, within):
    path = write_with_fiona(tmp_path / "g.gpkg", "GPKG", crs=crs, shapes=[shapely.box(*given)])
    assert read(path)[0].bounds == pytest.approx(expected, rel=0, abs=within)


def test_features_are_chosen_by_field_and_value(countries):
    assert same(read(countries, "NAME=Borland"), [BORLAND])
    assert same(read(countries, "rank=1"), [ALAND])
    assert same(read(countries, "NAME=Borland,Aland"), [ALAND, BORLAND])
    assert same(read(countries, "NAME=Aland", "NAME=Borland"), [ALAND, BORLAND])
    assert same(read(countries, "NAME=Aland, Borland", "rank=2"), [BORLAND])


def test_a_value_may_hold_a_comma(tmp_path):
    path = tmp_path / "a.geojson"
    features = [feature(ALAND, NAME="Korea, Republic of"), feature(BORLAND, NAME="Korea")]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    assert same(read(path, "NAME=Korea, Republic of"), [ALAND])
    assert same(read(path, "NAME=Korea"), [BORLAND])


def test_heights_are_dropped_and_features_without_geometry_skipped(tmp_path):
    path = tmp_path / "a.geojson"
    features = [feature(shapely.force_3d(ALAND, 7)), feature(None)]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    found = vector_files.read(path)
    assert len(found.features) == 1
    assert found.without_geometry == 1
    assert not found.shapes[0].has_z


@pytest.mark.parametrize(
    ("where", "message", "next_step"),
    [
        ("COUNTRY=Aland", r"countries.geojson: has no field 'COUNTRY'", "one of the fields NAME, rank"),
        ("Aland", "--where=Aland is not FIELD=VALUE", "one of the fields NAME, rank"),
        ("NAME=borland", "countries.geojson: no feature has NAME=borland", "its 2 values, such as Borland, Aland"),
        ("NAME=Aland,C", "countries.geojson: no feature has NAME=C", "its 2 values, such as"),
    ],
)
def test_a_choice_that_fits_nothing_is_answered_with_what_there_is(countries, where, message, next_step):
    with pytest.raises(errors.BoundaryError, match=message) as caught:
        read(countries, where)
    assert next_step in caught.value.next_step


def test_no_feature_may_fit_two_fields(countries):
    with pytest.raises(errors.BoundaryError, match="no feature has all of NAME=Aland, rank=2"):
        read(countries, "NAME=Aland", "rank=2")


def test_one_of_several_layers_is_chosen(tmp_path):
    path = write_with_fiona(tmp_path / "two.gpkg", "GPKG", layers=("states", "counties"))
    with pytest.raises(errors.BoundaryError, match="holds 2 layers: states, counties") as caught:
        read(path)
    assert caught.value.next_step == "choose one, such as --layer=states"
    assert same(read(path, layer="counties"), [ALAND, BORLAND])
    with pytest.raises(errors.BoundaryError, match="has no layer 'towns'") as caught:
        read(path, layer="towns")
    assert "--layer: states, counties" in caught.value.next_step


def test_a_table_without_geometry_is_no_layer(tmp_path):
    path = write_with_fiona(tmp_path / "a.gpkg", "GPKG")
    schema = {"geometry": "None", "properties": {"NAME": "str"}}
    with fiona.open(path, "w", driver="GPKG", layer="notes", schema=schema) as sink:
        sink.write({"type": "Feature", "geometry": None, "properties": {"NAME": "x"}})
    assert fiona.listlayers(path) == ["only", "notes"]
    assert same(read(path), [ALAND, BORLAND])


def test_what_stands_beside_the_map_in_an_archive_is_left_out(countries, tmp_path):
    path = tmp_path / "mac.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(countries, "maps/countries.geojson")
        archive.writestr("__MACOSX/maps/._countries.geojson", bytes(60))
        archive.writestr("maps/._countries.geojson", bytes(60))
        archive.writestr("maps/metadata.json", "{}")
        archive.writestr("README.txt", "x")
    assert same(read(path), [ALAND, BORLAND])


def test_one_of_several_maps_in_an_archive_is_chosen(countries, tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(countries, "x/a.geojson")
        archive.write(countries, "y/a.geojson")
        archive.writestr("b.shp", "x")
    assert same(read(path, member="x/a.geojson"), [ALAND, BORLAND])
    for member, message, next_step in [
        (None, "holds 3 maps: x/a.geojson, y/a.geojson, b.shp", "--member=x/a.geojson"),
        ("a.geojson", "holds 2 maps: x/a.geojson, y/a.geojson", "--member=x/a.geojson"),
        ("c.shp", "holds no map c.shp", "--member: x/a.geojson, y/a.geojson, b.shp"),
    ]:
        with pytest.raises(errors.BoundaryError, match=message) as caught:
            read(path, member=member)
        assert next_step in caught.value.next_step
    with pytest.raises(errors.BoundaryError, match="is no archive, so it has no member a"):
        read(countries, member="a")


def test_an_archive_without_a_map_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", "x")
    with pytest.raises(errors.BoundaryError, match=r"holds no map, which is a file with suffix .shp"):
        read(tmp_path / "a.zip")


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("empty.zip", b"", "not recognized"),
        ("text.shp", b"hello", "not recognized"),
        ("half.geojson", b'{"type": "FeatureCollection", "features": [{"type"', "Unterminated|character"),
    ],
)
def test_files_that_are_none_say_what_gdal_says(tmp_path, name, content, cause):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(errors.BoundaryError, match=rf"{name}: cannot be read \(.*({cause})"):
        read(tmp_path / name)


def test_a_pickle_is_refused_with_the_way_to_geojson(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ring = np.array([[40.0, -100.0], [40.0, -99.0], [41.0, -99.0]])
    (tmp_path / "usaPoly.pkl").write_bytes(pickle.dumps(ring, protocol=3))
    with pytest.raises(errors.BoundaryError, match=r"usaPoly.pkl: is a pickle, which can run any code") as refused:
        vector_sources.check_source("usaPoly.pkl")
    command = re.search('python -c "(.*)", then', refused.value.next_step)[1]
    subprocess.run([sys.executable, "-c", command], check=True)
    assert shapely.from_geojson((tmp_path / "boundary.geojson").read_text()).bounds == (-100, 40, -99, 41)


def test_a_shapefile_without_its_index_is_named(tmp_path):
    path = write_with_fiona(tmp_path / "only.shp", "ESRI Shapefile")
    (tmp_path / "only.shx").unlink()
    with pytest.raises(errors.BoundaryError, match=r"only.shp: cannot be read \(Unable to open .*only.shx"):
        read(path)


def test_a_shapefile_cut_short_is_not_taken_for_a_smaller_country(tmp_path):
    path = write_with_fiona(tmp_path / "only.shp", "ESRI Shapefile")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(errors.BoundaryError, match=r"only.shp: cannot be read \(.*(fread|reading)"):
        read(path)


def test_a_damaged_archive_is_refused_though_gdal_would_read_it(countries, tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(countries, "a.geojson")
    path.write_bytes(path.read_bytes().replace(b"30.0", b"31.0"))
    with pytest.raises(errors.BoundaryError, match=r"a.geojson in it is damaged"):
        read(path)
    packed = tmp_path / "packed.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(countries, "a.geojson")
    spoilt = bytearray(packed.read_bytes())
    spoilt[60:90] = bytes(30)
    packed.write_bytes(bytes(spoilt))
    with pytest.raises(errors.BoundaryError, match=r"packed.zip: cannot be read"):
        read(packed)


def test_logging_is_left_as_it_was(countries, tmp_path):
    logger = logging.getLogger("fiona")
    before = (list(logger.handlers), logger.propagate)
    read(countries)
    (tmp_path / "text.shp").write_text("hello")
    with pytest.raises(errors.BoundaryError, match="cannot be read"):
        read(tmp_path / "text.shp")
    assert (list(logger.handlers), logger.propagate) == before
