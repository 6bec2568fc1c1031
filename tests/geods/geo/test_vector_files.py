"""Files as GIS programs write them, and as they arrive broken."""

import json
import logging
import zipfile

import fiona
import pytest
import shapely

from geods import errors
from geods.geo import vector_files

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


def same(found, expected):
    return len(found) == len(expected) and all(a.equals(b) for a, b in zip(found, expected, strict=True))


def test_reads_geojson_shapefile_and_geopackage(countries, tmp_path):
    assert same(vector_files.read(countries), [ALAND, BORLAND])
    assert same(vector_files.read(write_with_fiona(tmp_path / "a.gpkg", "GPKG")), [ALAND, BORLAND])
    assert same(vector_files.read(write_with_fiona(tmp_path / "only.shp", "ESRI Shapefile")), [ALAND, BORLAND])


@pytest.mark.parametrize("name", ["boundary.zip", "no_suffix", "with space & ü.zip"])
def test_reads_archives_whatever_their_name_and_folders(tmp_path, name):
    write_with_fiona(tmp_path / "only.shp", "ESRI Shapefile")
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        for path in tmp_path.glob("only.*"):
            archive.write(path, f"some/folder/{path.name}")
    assert same(vector_files.read(tmp_path / name), [ALAND, BORLAND])


def test_projected_coordinates_become_degrees(tmp_path):
    # On the equator of EPSG:3857 a degree of longitude is a 360th of a circle with R = 6378137 m.
    metres = 6378137 * 3.141592653589793 / 180
    shape = shapely.box(-99 * metres, 0, -98 * metres, 10 * metres)
    path = write_with_fiona(tmp_path / "m.gpkg", "GPKG", crs="EPSG:3857", shapes=[shape])
    west, south, east, _ = vector_files.read(path)[0].bounds
    assert (west, south, east) == pytest.approx((-99, 0, -98), abs=1e-9)


def test_features_are_chosen_by_field_and_value(countries):
    assert same(vector_files.read(countries, "NAME=Borland"), [BORLAND])
    assert same(vector_files.read(countries, "rank=1"), [ALAND])


def test_heights_are_dropped_and_features_without_geometry_skipped(tmp_path):
    path = tmp_path / "a.geojson"
    features = [feature(shapely.force_3d(ALAND, 7)), feature(None)]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    found = vector_files.read(path)
    assert len(found) == 1
    assert not found[0].has_z


@pytest.mark.parametrize(
    ("where", "message", "next_step"),
    [
        ("COUNTRY=Aland", r"countries.geojson: has no field 'COUNTRY'", "one of the fields NAME, rank"),
        ("Aland", "--where=Aland is not FIELD=VALUE", "one of the fields NAME, rank"),
        ("NAME=borland", "countries.geojson: no feature has NAME=borland", "its 2 values, such as Borland, Aland"),
    ],
)
def test_a_choice_that_fits_nothing_is_answered_with_what_there_is(countries, where, message, next_step):
    with pytest.raises(errors.BoundaryError, match=message) as caught:
        vector_files.read(countries, where)
    assert next_step in caught.value.next_step


def test_several_layers_are_named(tmp_path):
    path = write_with_fiona(tmp_path / "two.gpkg", "GPKG", layers=("states", "counties"))
    with pytest.raises(errors.BoundaryError, match="must hold one layer, but holds 2: states, counties"):
        vector_files.read(path)


@pytest.mark.parametrize(
    ("names", "found"), [(["a.txt"], "holds none"), (["a.shp", "b.geojson"], "2 of them: a.shp, b")]
)
def test_archives_without_exactly_one_file_are_refused(tmp_path, names, found):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    with pytest.raises(errors.BoundaryError, match=f"must hold one file .* {found}"):
        vector_files.read(tmp_path / "a.zip")


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
        vector_files.read(tmp_path / name)


def test_a_shapefile_without_its_index_is_named(tmp_path):
    path = write_with_fiona(tmp_path / "only.shp", "ESRI Shapefile")
    (tmp_path / "only.shx").unlink()
    with pytest.raises(errors.BoundaryError, match=r"only.shp: cannot be read \(Unable to open .*only.shx"):
        vector_files.read(path)


def test_a_shapefile_cut_short_is_not_taken_for_a_smaller_country(tmp_path):
    path = write_with_fiona(tmp_path / "only.shp", "ESRI Shapefile")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(errors.BoundaryError, match=r"only.shp: cannot be read \(.*(fread|reading)"):
        vector_files.read(path)


def test_a_damaged_archive_is_refused_though_gdal_would_read_it(countries, tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(countries, "a.geojson")
    path.write_bytes(path.read_bytes().replace(b"30.0", b"31.0"))
    with pytest.raises(errors.BoundaryError, match=r"a.geojson in it is damaged"):
        vector_files.read(path)
    packed = tmp_path / "packed.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(countries, "a.geojson")
    spoilt = bytearray(packed.read_bytes())
    spoilt[60:90] = bytes(30)
    packed.write_bytes(bytes(spoilt))
    with pytest.raises(errors.BoundaryError, match=r"packed.zip: cannot be read"):
        vector_files.read(packed)


def test_logging_is_left_as_it_was(countries, tmp_path):
    logger = logging.getLogger("fiona")
    before = (list(logger.handlers), logger.propagate)
    vector_files.read(countries)
    (tmp_path / "text.shp").write_text("hello")
    with pytest.raises(errors.BoundaryError, match="cannot be read"):
        vector_files.read(tmp_path / "text.shp")
    assert (list(logger.handlers), logger.propagate) == before
