#!/usr/bin/env bash
# Surprise: ids of images lose their last digits when geopandas reads a file in which one row has none, without a warning.
# One would guess: that the column stays whole numbers, as it was written (Int64 with a gap), at least with use_arrow=True.
# Seen: GeoJSON, GeoPackage and Shapefile come back as float64, with and without Arrow, so that 17856345012345677 is
# 17856345012345676; the digits are in the file. Mapillary's ids have up to 17 digits and pass 2^53: asked for by such a number,
# the service has no picture, or another. Read as written: GeoParquet, and files whose ids are text.
# Versions: geopandas 1.2.0, pyogrio 0.13.0 (GDAL 3.12.4), pandas 3.1.1, pyarrow 26.0.1, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    geopandas==1.2.0 pyogrio==0.13.0 pandas==3.1.1 shapely==2.2.0 pyarrow==26.0.1
cd "$work"
"$work/venv/bin/python" - <<'PY'
import pathlib
import sys

import geopandas
import pandas
import shapely

ID = 17856345012345677
with_gap = geopandas.GeoDataFrame(
    {"image_id": pandas.array([ID, None], dtype="Int64")}, geometry=[shapely.Point(11.5, 48), shapely.Point(8, 50)], crs=4326
)
whole = with_gap.iloc[:1]
changed = {}
for name in ("ids.geojson", "ids.gpkg", "ids.shp"):
    for rows, what in ((whole, "every row has one"), (with_gap, "one row has none")):
        rows.to_file(name)
        for arrow in (False, True):
            found = geopandas.read_file(name, use_arrow=arrow)["image_id"]
            changed[name, what, arrow] = int(found[0]) != ID
            print(f"{name:12} {what:18} use_arrow={arrow!s:6} {found.dtype!s:8} {int(found[0])}")
print("in the GeoJSON file:", str(ID) in pathlib.Path("ids.geojson").read_text())
with_gap.to_parquet("ids.parquet")
by_parquet = geopandas.read_parquet("ids.parquet")["image_id"]
print("GeoParquet:", by_parquet.dtype, by_parquet[0])
as_seen = all(is_changed == (what == "one row has none") for (_, what, _), is_changed in changed.items())
sys.exit(0 if as_seen and int(by_parquet[0]) == ID else 1)
PY
