#!/usr/bin/env bash
# Surprise: h3.polygon_to_cells turns a polygon wider than 180 degrees inside out: it fills what lies outside, without a word.
# One would guess: the cells inside, or an error; at the least more cells for a wider box.
# Seen: boxes from the equator to 10 N give 270 cells of resolution 2 at 180 degrees of width, all inside; at 182 degrees 247, none
# inside; at 270 degrees 127, none inside; at 360 degrees none at all. The world is therefore listed by get_res0_cells and
# cell_to_children, never by a box, and a wide country is cut at a meridian first.
# Versions: h3 4.5.0, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check h3==4.5.0
"$work/venv/bin/python" - <<'PY'
import sys

import h3

seen = {}
for width_deg in (150, 180, 182, 270, 360):
    east = width_deg / 2
    box = h3.LatLngPoly([(0, -east), (0, east), (10, east), (10, -east)])
    cells = h3.polygon_to_cells(box, 2)
    inside = sum(abs(h3.cell_to_latlng(cell)[1]) <= east for cell in cells)
    seen[width_deg] = len(cells), inside
    print(f"{width_deg} degrees wide: {len(cells)} cells, {inside} of them inside")
below, at_most = seen[150], seen[180]
turned = all(count == 0 or inside == 0 for count, inside in (seen[182], seen[270], seen[360]))
sys.exit(not (below[0] == below[1] < at_most[0] == at_most[1] and seen[182][0] > 0 and turned))
PY
