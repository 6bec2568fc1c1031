#!/usr/bin/env bash
# Surprise: DuckDB reads points from GeoJSON and GeoParquet as (longitude, latitude), and its ST_Distance_Sphere and ST_Area_Spheroid
# take the same column as (latitude, longitude): distances and areas are wrong, without an error or a warning.
# One would guess: what its reader gives, its functions measure. The column's type is GEOMETRY('EPSG:4326'), written with x first; and
# the functions of the same names in PostGIS, MySQL, Sedona and Databricks take longitudes first.
# Seen: Paris to New York is 8,509 km instead of 5,837, and a cell of one degree at 50 N has 12,309 km² instead of 7,892. A longitude
# of -122 is taken as a latitude too. ST_AsText of the column is longitude first. Way out: SET geometry_always_xy = true.
# Versions: duckdb 1.5.5 with duckdb-extension-spatial 1.5.5, geopandas 1.2.0, pyogrio 0.13.0, shapely 2.2.0, pyarrow 26.0.1, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==1.5.5 duckdb-extensions==1.5.5 \
    duckdb-extension-spatial==1.5.5 geopandas==1.2.0 pyogrio==0.13.0 shapely==2.2.0 pyarrow==26.0.1
cd "$work"
# DuckDB keeps its extensions in the home folder.
HOME="$work" "$work/venv/bin/python" - <<'PY'
import sys

import duckdb
import duckdb_extensions
import geopandas
import pyproj
import shapely

places = geopandas.GeoDataFrame(
    {"name": ["Paris", "New York"]}, geometry=[shapely.Point(2.3522, 48.8566), shapely.Point(-74.006, 40.7128)], crs=4326
)
places.to_file("places.geojson")
places.to_parquet("places.parquet")
cell = shapely.box(0, 50, 1, 51)
geopandas.GeoDataFrame({"cell": [0]}, geometry=[cell], crs=4326).to_parquet("cell.parquet")

duckdb_extensions.import_extension("spatial")
base = duckdb.connect()
base.load_extension("spatial")
PAIRS = "FROM {0} a, {0} b WHERE a.name = 'Paris' AND b.name = 'New York'"


def measured():
    """Kilometres by each reader and function, and the cell's area."""
    found = {}
    for source, column in (("ST_Read('places.geojson')", "geom"), ("'places.parquet'", "geometry")):
        query = f"SELECT ST_Distance_Sphere(a.{column}, b.{column}) / 1000 {PAIRS.format(source)}"
        found[f"ST_Distance_Sphere {source}"] = base.sql(query).fetchone()[0]
    query = "SELECT ST_Area_Spheroid(geometry) / 1e6 FROM 'cell.parquet'"
    found["ST_Area_Spheroid 'cell.parquet'"] = base.sql(query).fetchone()[0]
    return found


print("type:", base.sql("SELECT typeof(geom) FROM ST_Read('places.geojson')").fetchone()[0])
print("text:", base.sql("SELECT ST_AsText(geom) FROM ST_Read('places.geojson')").fetchone()[0])
geod = pyproj.Geod(ellps="WGS84")
true_km = geod.inv(2.3522, 48.8566, -74.006, 40.7128)[2] / 1000
true_km2 = geod.geometry_area_perimeter(cell)[0] / 1e6
by_default = measured()
base.sql("SET geometry_always_xy = true")
always_xy = measured()
print(f"true: {true_km:,.0f} km, {true_km2:,.0f} km²")
for how in by_default:
    print(f"{how:43} {by_default[how]:9,.0f} by default, {always_xy[how]:9,.0f} with geometry_always_xy")
*distances, area = by_default.values()
*right, right_area = always_xy.values()
wrong = all(8450 < distance < 8550 for distance in distances) and 12_250 < area < 12_350
ways_out = all(abs(distance - true_km) < 20 for distance in right) and abs(right_area - true_km2) < 10
sys.exit(0 if wrong and ways_out else 1)
PY
