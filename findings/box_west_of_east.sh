#!/usr/bin/env bash
# Surprise: a bounding box over the antimeridian, west > east as RFC 7946 (section 5.2) writes it, selects the rest of the world.
# One would guess: that GeoJSON's own convention is understood by readers of GeoJSON, or refused as xmin > xmax.
# Seen: bbox=(170, -20, -170, -10), Fiji, gives Paris' and New York's meridians and neither side of Fiji, from GeoJSON, GeoPackage,
# FlatGeobuf and Shapefile alike, and by .cx and clip: the corners are sorted. shapely.box makes the same box of it, and
# GeoParquet with a covering gives nothing at all. No error, no warning; two boxes, one on each side of 180, are the way.
# Versions: geopandas 1.2.0, pyogrio 0.13.0 (GDAL 3.12.4 in its wheel), shapely 2.2.0, pyarrow 26.0.1, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    geopandas==1.2.0 pyogrio==0.13.0 shapely==2.2.0 pyarrow==26.0.1
cd "$work"
"$work/venv/bin/python" - <<'PY'
import sys

import geopandas
import shapely

FIJI = (170, -20, -170, -10)
LON_DEG = {"Fiji, west of 180": 178, "Fiji, east of 180": -179, "meridian of Paris": 2, "meridian of New York": -74}
points = geopandas.GeoDataFrame(
    {"name": list(LON_DEG)}, geometry=[shapely.Point(lon, -17) for lon in LON_DEG.values()], crs=4326
)
found = {}
for name in ("points.geojson", "points.gpkg", "points.fgb", "points.shp"):
    points.to_file(name)
    found[f"read_file({name})"] = geopandas.read_file(name, bbox=FIJI)
found[".cx[170:-170]"] = points.cx[170:-170, -20:-10]
found["clip"] = geopandas.clip(points, FIJI)
points.to_parquet("points.parquet", write_covering_bbox=True)
by_parquet = geopandas.read_parquet("points.parquet", bbox=FIJI)
for how, rows in found.items():
    print(f"{how:28}", ", ".join(sorted(rows["name"])))
print(f"{'read_parquet':28}", ", ".join(by_parquet["name"]) or "nothing")
print("shapely.box:", shapely.box(*FIJI).bounds)
elsewhere = {"meridian of New York", "meridian of Paris"}
as_seen = all(set(rows["name"]) == elsewhere for rows in found.values()) and by_parquet.empty
sys.exit(0 if as_seen and shapely.box(*FIJI).bounds == (-170, -20, 170, -10) else 1)
PY
