#!/usr/bin/env bash
# Surprise: fiona's transform_geom returns an empty polygon for one that crosses the antimeridian, but only while a file is open.
# One would guess: the same polygon, cut in two at 180 degrees, as without an open file; or an error. None is raised.
# Seen: inside `with fiona.open(...)`, where features are usually transformed, the polygon of a projected file comes back as
# Polygon [], outside as a MultiPolygon of two parts; so regions of Alaska (EPSG:3338) or New Zealand (EPSG:2193) disappear
# from a map. A polygon that does not cross 180 degrees is the same in both. transform(), which moves points, is not touched.
# Versions: fiona 1.10.1 (GDAL 3.9.2 in its wheel), Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check fiona==1.10.1
cd "$work"
"$work/venv/bin/python" - <<'PY'
import sys

import fiona
from fiona import transform

# Boxes in metres of EPSG:3832 (Mercator from 150 degrees east): 170 degrees east to 170 west, and 160 to 170 east.
boxes = {"over 180 degrees": (2226390, 4452780), "short of it": (1113195, 2226390)}
seen = {}
for name, (west, east) in boxes.items():
    south, north = -2258424, -1111475
    ring = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    box = {"type": "Polygon", "coordinates": [ring]}
    schema = {"geometry": "Polygon", "properties": {"name": "str"}}
    with fiona.open("box.gpkg", "w", driver="GPKG", crs="EPSG:3832", schema=schema) as sink:
        sink.write({"type": "Feature", "geometry": box, "properties": {"name": name}})
    with fiona.open("box.gpkg") as source:
        feature = next(iter(source))
        inside = transform.transform_geom(source.crs, "EPSG:4326", feature.geometry)
        points = transform.transform(source.crs, "EPSG:4326", *zip(*ring))
    outside = transform.transform_geom("EPSG:3832", "EPSG:4326", feature.geometry)
    seen[name] = [(found.type, len(found.coordinates)) for found in (inside, outside)]
    print(f"{name:17} file open: {seen[name][0]}  closed: {seen[name][1]}  points: {[round(lon) for lon in points[0]]}")
expected = {"over 180 degrees": [("Polygon", 0), ("MultiPolygon", 2)], "short of it": [("Polygon", 1), ("Polygon", 1)]}
sys.exit(0 if seen == expected else 1)
PY
