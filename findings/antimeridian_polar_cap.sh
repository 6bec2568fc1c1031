#!/usr/bin/env bash
# Surprise: the package antimeridian returns a ring round a pole unchanged, as a thin shape of a third of its area, if its step
#   over the antimeridian goes from exactly 180 to exactly -180 degrees; with a step from 179 to -179 the same ring is closed over
#   the pole.
# One would guess: that both are closed over the pole, as the package documents for rings that enclose one. npm's world-atlas
#   writes Antarctica in the first way, since it undoes the cut of Natural Earth.
# Seen with: antimeridian 0.4.9, shapely 2.1.2, Python 3.11, Linux x86_64.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check antimeridian==0.4.9 shapely==2.1.2
"$folder/venv/bin/python" - <<'PYTHON'
import sys
import warnings

import antimeridian
import shapely

# Counterclockwise seen from above the pole's side that is inside: westwards round the South Pole.
coast = [(90, -75), (0, -70), (-90, -75)]
rings = {
    "step from 180 to -180": [(180, -80), *coast, (-180, -80)],
    "step from 179 to -179": [(179, -80), *coast, (-179, -80)],
}
areas = {}
for name, ring in rings.items():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fixed = antimeridian.fix_polygon(shapely.Polygon(ring))
    areas[name] = fixed.area
    print(f"{name}: {fixed.area:,.0f} square degrees, bounds {fixed.bounds}")
print("the cap down to the pole: 5,400 square degrees")
as_found = abs(areas["step from 180 to -180"] - 1800) < 1 and abs(areas["step from 179 to -179"] - 5400) < 60
print("as found" if as_found else "this has changed")
sys.exit(not as_found)
PYTHON
