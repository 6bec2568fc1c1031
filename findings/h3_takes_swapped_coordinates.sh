#!/usr/bin/env bash
# Surprise: h3.latlng_to_cell takes a latitude of 95 or -97.25 degrees, and gives a cell beyond the pole. Coordinates in the wrong
# order, Kansas as (-97.25, 38.5), so land in Antarctica without an error, and every cell function works on with them.
# One would guess: an error. The library has one for it, H3LatLngDomainError ("arguments were outside of acceptable range"), and
# raises it for NaN and infinity alone.
# Seen: latitude 95, longitude 10 gives the cell around 85 N, 170 W; longitudes may be any number too, 200 is 160 W. A table of
# the Americas with its columns swapped gives a cell for each row; only a check before h3 notices.
# Versions: h3 4.5.0, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check h3==4.5.0
"$work/venv/bin/python" - <<'PY'
import math
import sys

import h3


def centre_of(lat_deg, lon_deg):
    try:
        return h3.cell_to_latlng(h3.latlng_to_cell(lat_deg, lon_deg, 5))
    except h3.H3LatLngDomainError as error:
        return type(error).__name__


found = {point: centre_of(*point) for point in ((95, 10), (-97.25, 38.5), (48, 200), (math.nan, 10), (math.inf, 10))}
for point, centre in found.items():
    print(point, "->", centre if isinstance(centre, str) else f"cell around {centre[0]:.2f}, {centre[1]:.2f}")
refused = [point for point, centre in found.items() if isinstance(centre, str)]
as_seen = len(refused) == 2 and not any(math.isfinite(lat_deg) for lat_deg, _ in refused)
as_seen &= not isinstance(found[95, 10], str) and abs(found[95, 10][0] - 85) < 0.2
sys.exit(0 if as_seen else 1)
PY
