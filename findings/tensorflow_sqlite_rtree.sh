#!/usr/bin/env bash
# Surprise: after "import tensorflow", fiona can no longer write a GeoPackage with its spatial index: "no such module: rtree".
# One would guess: the order of two unrelated imports changes nothing; GDAL brings a SQLite of its own.
# Seen: TensorFlow's shared library exports the functions of its SQLite, which is built without the R-tree module, and the GDAL of
# fiona's wheel is bound to them if it is loaded later. Writing fails with the layer half made; the other order of imports writes
# the index. Reading is not touched. What writes both, imports fiona first, or writes with SPATIAL_INDEX=NO.
# Versions: tensorflow-cpu 2.21.0, fiona 1.10.1 (GDAL 3.9.2), Python 3.11, Linux x86_64.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir tensorflow-cpu==2.21.0 fiona==1.10.1
cat > "$work/write.py" <<'PY'
import importlib
import os
import sys

for name in sys.argv[2:]:
    importlib.import_module(name)
import fiona

schema = {"geometry": "Polygon", "properties": {}}
ring = [(0, 0), (1, 0), (1, 1), (0, 0)]
options = {"SPATIAL_INDEX": "NO"} if "plain" in sys.argv[1] else {}
try:
    with fiona.open(sys.argv[1], "w", driver="GPKG", crs="EPSG:4326", schema=schema, **options) as sink:
        sink.write({"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": {}})
    with fiona.open(sys.argv[1]) as source:
        answer = f"{len(source)} feature"
except Exception as error:
    answer = str(error)
print(answer, flush=True)
os._exit(0)
PY
seen() { "$work/venv/bin/python" "$work/write.py" "$work/$1.gpkg" "${@:2}" 2> "$work/log" | tail -1; }
alone=$(seen alone)
fiona_first=$(seen fiona_first fiona tensorflow)
tensorflow_first=$(seen tensorflow_first tensorflow)
plain=$(seen plain tensorflow)
echo "fiona alone: $alone"
echo "fiona, then tensorflow: $fiona_first"
echo "tensorflow, then fiona: $tensorflow_first"
echo "tensorflow, then fiona, without index: $plain"
[[ $alone == "1 feature" && $fiona_first == "1 feature" && $plain == "1 feature" && $tensorflow_first == *"no such module: rtree"* ]]
