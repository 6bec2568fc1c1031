#!/usr/bin/env bash
# Surprise: features written to FlatGeobuf by GDAL come back in another order.
# One would guess: the order in which they were written, as in every other vector format that GDAL writes. Code that takes
#   the number of a feature for its identity (class 0, 1, 2 of a map of regions) mixes up its regions without an error.
# Cause: the packed Hilbert R-tree of the format sorts features along a curve; SPATIAL_INDEX=NO keeps the order.
# Seen with: fiona 1.10.1 (GDAL 3.9.2 in its wheel), shapely 2.1.2, Python 3.11, Linux x86_64.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check fiona==1.10.1 shapely==2.1.2
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import fiona
import shapely

names = [f"region {number}" for number in range(6)]
schema = {"geometry": "Polygon", "properties": {"name": "str"}}


def round_trip(path, driver, **options):
    with fiona.open(path, "w", driver=driver, crs="EPSG:4326", schema=schema, **options) as sink:
        for number, name in enumerate(names):
            box = shapely.box(10 * number, 0, 10 * number + 10, 10)
            sink.write({"geometry": shapely.geometry.mapping(box), "properties": {"name": name}})
    with fiona.open(path) as source:
        return [feature.properties["name"] for feature in source]


orders = {
    "GeoPackage": round_trip("a.gpkg", "GPKG"),
    "FlatGeobuf": round_trip("a.fgb", "FlatGeobuf"),
    "FlatGeobuf, SPATIAL_INDEX=NO": round_trip("b.fgb", "FlatGeobuf", SPATIAL_INDEX="NO"),
}
print("GDAL", fiona.__gdal_version__, "wrote", names)
for kind, order in orders.items():
    print(f"{kind}: {order}")
seen = [order == names for order in orders.values()]
sorted_alike = all(sorted(order) == names for order in orders.values())
print("as found" if seen == [True, False, True] and sorted_alike else "this has changed")
sys.exit(not (seen == [True, False, True] and sorted_alike))
PYTHON
