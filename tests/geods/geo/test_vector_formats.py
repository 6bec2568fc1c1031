"""Each row of the table of formats in docs/boundaries.md.

As GIS programs write them.
"""

import json
import zipfile

import checkout
import fiona
import pyarrow as pa
import pytest
import shapely
from pyarrow import parquet

from geods import errors
from geods.geo import boundary, vector_files, vector_sources

ALAND, BORLAND = shapely.box(0, 0, 10, 10), shapely.box(20, 0, 30, 10)
NAMED = [("Aland", ALAND), ("Borland", BORLAND)]


def gdal(path, driver, layers=("only",), crs="EPSG:4326", named=NAMED):
    # After TensorFlow is imported its own SQLite, which has no R-tree, serves GDAL too. Reading is not touched by that.
    options = {"SPATIAL_INDEX": "NO"} if driver in ("GPKG", "SQLite") else {}
    schema = {"geometry": "Polygon", "properties": {"NAME": "str"}}
    for layer in layers:
        with fiona.open(path, "w", driver=driver, layer=layer, crs=crs, schema=schema, **options) as sink:
            for name, shape in named:
                mapping = shapely.geometry.mapping(shape)
                sink.write({"type": "Feature", "geometry": mapping, "properties": {"NAME": name}})
    return path


def zipped(path, folder):
    with zipfile.ZipFile(path, "w") as archive:
        for part in sorted(folder.rglob("*")):
            archive.write(part, part.relative_to(folder))
    return path


def shapefile(tmp_path):
    return gdal(tmp_path / "only.shp", "ESRI Shapefile")


def archive(tmp_path):
    (tmp_path / "in").mkdir()
    gdal(tmp_path / "in" / "only.shp", "ESRI Shapefile")
    return zipped(tmp_path / "a.zip", tmp_path / "in")


def geojson(tmp_path):
    return gdal(tmp_path / "a.geojson", "GeoJSON")


def geopackage(tmp_path):
    return gdal(tmp_path / "a.gpkg", "GPKG", ("ADM_ADM_0", "ADM_ADM_1"))


def flatgeobuf(tmp_path):
    return gdal(tmp_path / "a.fgb", "FlatGeobuf")


def geodatabase(tmp_path):
    return gdal(tmp_path / "a.gdb", "OpenFileGDB")


def geodatabase_zip(tmp_path):
    (tmp_path / "in").mkdir()
    gdal(tmp_path / "in" / "a.gdb", "OpenFileGDB")
    return zipped(tmp_path / "a.gdb.zip", tmp_path / "in")


def gml(tmp_path):
    path = gdal(tmp_path / "a.gml", "GML")
    path.with_suffix(".xsd").unlink()
    return path


def geoparquet(tmp_path, crs=None, named=NAMED, **column):
    shapes = [shape for _, shape in named]
    table = pa.table({"NAME": [name for name, _ in named], "geometry": list(shapely.to_wkb(shapes))})
    described = {"encoding": "WKB", "geometry_types": ["Polygon"], **column} | ({"crs": crs} if crs else {})
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": described}}
    parquet.write_table(table.replace_schema_metadata({"geo": json.dumps(geo)}), tmp_path / "a.parquet")
    return tmp_path / "a.parquet"


def topojson(tmp_path):
    def collection(*arcs):
        geometries = [{"type": "Polygon", "arcs": [[arc]], "properties": {"NAME": NAMED[arc][0]}} for arc in arcs]
        return {"type": "GeometryCollection", "geometries": geometries}

    arcs = [[list(point) for point in shape.exterior.coords] for _, shape in NAMED]
    document = {"type": "Topology", "arcs": arcs, "objects": {"countries": collection(0, 1), "land": collection(0)}}
    (tmp_path / "a.json").write_text(json.dumps(document))
    return tmp_path / "a.json"


def placemark(name, shape):
    ring = " ".join(f"{lon},{lat},0" for lon, lat in shape.exterior.coords)
    return (
        f"<Placemark><name>{name}</name><ExtendedData><Data name='code'><value>7</value></Data></ExtendedData><Polygon>"
        f"<outerBoundaryIs><LinearRing><coordinates>{ring}</coordinates></LinearRing></outerBoundaryIs></Polygon>"
        "</Placemark>"
    )


def kml(tmp_path):
    marks = "".join(placemark(*pair) for pair in NAMED)
    head = '<?xml version="1.0" encoding="UTF-8"?><kml xmlns="http://www.opengis.net/kml/2.2">'
    (tmp_path / "a.kml").write_text(f"{head}<Document><Folder><name>only</name>{marks}</Folder></Document></kml>")
    return tmp_path / "a.kml"


def kmz(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.kmz", "w") as archive:
        archive.write(kml(tmp_path), "doc.kml")
        archive.writestr("files/icon.png", b"x")
    return tmp_path / "a.kmz"


# The first and last column of the table; how to write such a file, the field of names, the layer if several, and bytes
# that only this version of the format has.
ROWS = {
    ("Shapefile (.shp, .shx, .dbf, .prj)", "1998"): (shapefile, "NAME", None, b"\xe8\x03\0\0\5\0\0\0"),
    ("zip of any of these", "PKZIP 2"): (archive, "NAME", None, b"PK\3\4"),
    ("GeoJSON (.geojson, .json)", "RFC 7946, 2008"): (geojson, "NAME", None, b"urn:ogc:def:crs:OGC:1.3:CRS84"),
    ("GeoPackage (.gpkg)", "1.2"): (geopackage, "NAME", "ADM_ADM_1", b"\0\0\x27\xd8\0\0\0\0GPKG"),
    ("FlatGeobuf (.fgb)", "3"): (flatgeobuf, "NAME", None, b"fgb\3fgb"),
    ("File geodatabase (.gdb folder)", "10"): (geodatabase, "NAME", None, b"\3\0\0\0"),
    ("zip of a .gdb", "10"): (geodatabase_zip, "NAME", None, b"PK\3\4"),
    ("TopoJSON (.json, .topojson)", "1.0"): (topojson, "NAME", "countries", b'"Topology"'),
    ("GML (.gml)", "3.2"): (gml, "NAME", None, b"http://www.opengis.net/gml/3.2"),
    ("KML (.kml)", "2.2"): (kml, "Name", None, b"http://www.opengis.net/kml/2.2"),
    ("KMZ (.kmz)", "2.2"): (kmz, "Name", None, b"PK\3\4"),
    ("GeoParquet (.parquet)", "1.0, 1.1"): (geoparquet, "NAME", None, b'"version": "1.1.0"'),
}


@pytest.mark.parametrize(("write", "field", "layer", "version"), ROWS.values(), ids=[name for name, _ in ROWS])
def test_each_format_gives_shapes_and_names(tmp_path, write, field, layer, version):
    path = write(tmp_path)
    assert version in (path / "a00000001.gdbtable" if path.is_dir() else path).read_bytes()
    before = sorted(part.name for part in tmp_path.rglob("*"))
    if layer:
        with pytest.raises(errors.BoundaryError, match="holds 2 layers") as caught:
            vector_files.read(path)
        assert "--layer=" in caught.value.next_step
    found = vector_files.read(path, layer=layer)
    # FlatGeobuf writes them in the order of its index.
    assert sorted(feature.properties[field] for feature in found.features) == ["Aland", "Borland"]
    for feature in found.features:
        assert feature.shape.equals(dict(NAMED)[feature.properties[field]])
    chosen = vector_files.read(path, [f"{field}=Borland"], layer)
    assert [shape.bounds for shape in chosen.shapes] == [BORLAND.bounds]
    # No .gfs, .qix or journal beside the user's file.
    assert sorted(part.name for part in tmp_path.rglob("*")) == before
    loaded = boundary.load(boundary.Source(str(path), layer=layer), part="all")
    assert loaded.shape.equals(shapely.MultiPolygon([ALAND, BORLAND]))
    assert loaded.sha256 == vector_sources.sha256_of_source(path)


def test_the_table_has_these_rows():
    lines = (checkout.REPO / "docs" / "boundaries.md").read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| format"))
    table = [line for line in lines[start + 2 :] if line.startswith("|")]
    cells = [[cell.strip() for cell in line.split("|")] for line in table[: len(ROWS)]]
    assert [(row[1], row[5]) for row in cells] == list(ROWS)


def test_extended_data_of_kml_is_lost(tmp_path):
    assert list(vector_files.read(kml(tmp_path)).features[0].properties) == ["Name", "Description"]


def test_a_stale_gfs_beside_a_gml_is_not_believed(tmp_path):
    path = gml(tmp_path)
    with fiona.open(path) as source:
        assert len(source) == 2
    gfs = path.with_suffix(".gfs")
    assert gfs.exists(), "GDAL leaves its template beside a file that is opened in place"
    stale = gfs.read_text().replace("NAME", "OTHER")
    gfs.write_text(stale)
    assert list(vector_files.read(path).features[0].properties)[-1] == "NAME"
    assert gfs.read_text() == stale


def test_projected_geoparquet_becomes_degrees(tmp_path):
    metres = 6378137 * 3.141592653589793 / 180
    square = [("A", shapely.box(-99 * metres, 0, -98 * metres, 10 * metres))]
    mercator = {"type": "ProjectedCRS", "id": {"authority": "EPSG", "code": 3857}}
    with fiona.Env():
        projjson = fiona.crs.CRS.from_epsg(3857).to_dict(projjson=True)
    assert projjson["id"] == mercator["id"]
    path = geoparquet(tmp_path, crs=projjson, named=square)
    assert vector_files.read(path).shapes[0].bounds[:3] == pytest.approx((-99, 0, -98), abs=1e-9)


def test_parquet_that_is_not_read_says_why(tmp_path):
    path = geoparquet(tmp_path, encoding="multipolygon")
    with pytest.raises(errors.BoundaryError, match="encoded as multipolygon"):
        vector_files.read(path)
    with pytest.raises(errors.BoundaryError, match="GeoParquet has no layers"):
        vector_files.read(geoparquet(tmp_path), layer="a")
    parquet.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(errors.BoundaryError, match="Parquet without the metadata of GeoParquet"):
        vector_files.read(path)
    path.write_bytes(b"PAR1")
    with pytest.raises(errors.BoundaryError, match=r"a.parquet: cannot be read"):
        vector_files.read(path)


def test_a_geodatabase_is_hashed_whole(tmp_path):
    path = geodatabase(tmp_path)
    before = vector_sources.sha256_of_source(path)
    (path / "added").write_text("x")
    assert vector_sources.sha256_of_source(path) != before
    with pytest.raises(errors.MissingFileError, match="is a folder, not a file"):
        vector_sources.check_source(str(tmp_path))


def test_a_kml_that_is_a_vrt_leads_nowhere(tmp_path):
    target = geojson(tmp_path)
    layer = f"<OGRVRTLayer name='a'><SrcDataSource>{target}</SrcDataSource></OGRVRTLayer>"
    vrt = f"<OGRVRTDataSource>{layer}</OGRVRTDataSource>"
    (tmp_path / "b.kml").write_text(vrt)
    with pytest.raises(errors.BoundaryError, match=r"b.kml: cannot be read"):
        vector_files.read(tmp_path / "b.kml")
