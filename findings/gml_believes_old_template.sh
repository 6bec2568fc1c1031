#!/usr/bin/env bash
# Surprise: reading a GML file with GDAL writes a .gfs file beside it, and the next reading believes that file: features and
#   fields that came into the GML since then are missing, without an error or a warning.
# One would guess: that opening a file for reading writes nothing, or that a cache older than its source is thrown away. It is
#   thrown away if the GML is newer by its modification time; a copy that keeps times (cp -p, rsync, unzip, git archives) is not.
# Way out: open a copy in a temporary folder.
# Seen with: fiona 1.10.1 (GDAL 3.9.2 in its wheel), Python 3.11, Linux x86_64.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check fiona==1.10.1
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import os
import pathlib
import sys

import fiona

HEAD = (
    '<?xml version="1.0"?><ogr:FeatureCollection xmlns:ogr="http://ogr.maptools.org/" '
    'xmlns:gml="http://www.opengis.net/gml">'
)


def member(**fields):
    ring = "0,0 1,0 1,1 0,1 0,0"
    geometry = (
        "<gml:Polygon><gml:outerBoundaryIs><gml:LinearRing><gml:coordinates>"
        f"{ring}</gml:coordinates></gml:LinearRing></gml:outerBoundaryIs></gml:Polygon>"
    )
    values = "".join(f"<ogr:{name}>{value}</ogr:{name}>" for name, value in fields.items())
    return f"<gml:featureMember><ogr:region><ogr:geom>{geometry}</ogr:geom>{values}</ogr:region></gml:featureMember>"


def fields_and_count():
    with fiona.open("a.gml") as source:
        return sorted(source.schema["properties"]), len(source), len(list(source))


path = pathlib.Path("a.gml")
path.write_text(f"{HEAD}{member(name='A')}</ogr:FeatureCollection>")
written_at = path.stat().st_mtime - 3600
os.utime(path, (written_at, written_at))
before = fields_and_count()
beside = sorted(entry.name for entry in pathlib.Path().iterdir() if entry.name.startswith("a."))
# A newer edition of the map, whose time of modification lies before the first reading, as an archive keeps it.
path.write_text(f"{HEAD}{member(name='A', code=1)}{member(name='B', code=2)}</ogr:FeatureCollection>")
os.utime(path, (written_at, written_at))
after = fields_and_count()
pathlib.Path("a.gfs").unlink()
fresh = fields_and_count()
print("GDAL", fiona.__gdal_version__)
print("files after a first reading:", beside)
print("old edition:", before)
print("new edition:", after)
print("new edition without the .gfs:", fresh)
as_found = (
    beside == ["a.gfs", "a.gml"]
    and after == (["name"], 1, 1)
    and fresh == (["code", "name"], 2, 2)
)
print("as found" if as_found else "this has changed")
sys.exit(not as_found)
PYTHON
