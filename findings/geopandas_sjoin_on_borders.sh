#!/usr/bin/env bash
# Surprise: labelling points with the cells of a gap-free grid by geopandas.sjoin gives more rows than points, and with
# predicate="within" fewer; "covered_by" and "intersects" agree. No predicate gives each point one cell.
# One would guess: a partition without gaps or overlaps gives every point exactly one label, except for a point or two.
# Seen: of 1,000 points with one decimal in cells of one degree, 17 % lie on a border: 1,192 rows by the default "intersects",
# 834 by "within". Coordinates of photographs are often rounded (EXIF in whole minutes, grids of "41.0,-97.0"), so a join puts
# one place into several classes, or into the training and the test split at once. Way out: one cell by a rule, such as the
# first of the index (drop_duplicates after "intersects").
# Versions: geopandas 1.2.0, shapely 2.2.0, numpy 2.4.6, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check geopandas==1.2.0 shapely==2.2.0 numpy==2.4.6
"$work/venv/bin/python" - <<'PY'
import sys

import geopandas
import numpy as np
import shapely

boxes = [shapely.box(lon, lat, lon + 1, lat + 1) for lon in range(10) for lat in range(10)]
cells = geopandas.GeoDataFrame({"cell": range(100)}, geometry=boxes, crs=4326)
assert shapely.union_all(boxes).equals(shapely.box(0, 0, 10, 10))
degrees = np.round(np.random.default_rng(0).uniform(0.05, 9.95, (1000, 2)), 1)
points = geopandas.GeoDataFrame({"point": range(1000)}, geometry=geopandas.points_from_xy(*degrees.T), crs=4326)
rows = {name: len(geopandas.sjoin(points, cells, predicate=name)) for name in ("intersects", "covered_by", "within")}
on_border = int((degrees == np.rint(degrees)).any(axis=1).sum())
print(f"1,000 points, {on_border} of them on a border; rows:", rows)
sys.exit(0 if rows["within"] < 900 and rows["intersects"] == rows["covered_by"] > 1100 else 1)
PY
