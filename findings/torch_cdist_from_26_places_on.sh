#!/usr/bin/env bash
# Surprise: torch.cdist measures distances between up to 25 places to the millimetre, and from 26 places on misses them by up to 3 km.
# One would guess: the same distance between the same two points, however many others are in the table; at worst float32's own
# rounding, which is half a metre for coordinates of the Earth.
# Seen: from 26 rows on it takes |a|² + |b|² - 2ab, whose terms cancel where places are close together and far from the origin, as the
# places of one city are in each of the usual forms: degrees, metres of UTM, unit vectors. Of 1,000 places in a city of 10 km, the
# nearest other one is named right for 2 %, and a place is up to 2 km from itself. So neighbours, radii of 25 m for
# retrieval and triplet losses are noise. Way out: compute_mode="donot_use_mm_for_euclid_dist", float64, or a local origin.
# Versions: torch 2.13.0, numpy 2.4.6, Python 3.11, on a CPU. The cause is known: github.com/pytorch/pytorch/issues/42479.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
"$work/venv/bin/python" - <<'PY'
import sys

import numpy as np
import torch

PLACES, EARTH_M = 1000, 6_371_008.8
draw = np.random.default_rng(0)
lat_deg = 48.85 + draw.uniform(-0.045, 0.045, PLACES)
lon_deg = 2.35 + draw.uniform(-0.068, 0.068, PLACES)
lat, lon = np.radians(lat_deg), np.radians(lon_deg)
# Each form of the same city with the metres of its unit.
FORMS = {
    "degrees": (np.stack([lat_deg, lon_deg], 1), EARTH_M * np.pi / 180),
    "metres of UTM": (np.stack([draw.uniform(447e3, 457e3, PLACES), draw.uniform(5406e3, 5416e3, PLACES)], 1), 1),
    "unit vectors": (np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], 1), EARTH_M),
}


def compared(places, unit_m, **options):
    """Largest error in metres, and the share of places whose nearest other one is right."""
    right = torch.cdist(places.double(), places.double(), compute_mode="donot_use_mm_for_euclid_dist") * unit_m
    found = torch.cdist(places, places, **options) * unit_m
    error_m = (found - right).abs().max().item()
    for distances in (right, found):
        distances.fill_diagonal_(torch.inf)
    return error_m, (right.argmin(1) == found.argmin(1)).double().mean().item()


as_seen = True
for form, (values, unit_m) in FORMS.items():
    places = torch.tensor(values, dtype=torch.float32)
    for count, options in ((25, {}), (26, {}), (PLACES, {}), (PLACES, {"compute_mode": "donot_use_mm_for_euclid_dist"})):
        error_m, nearest = compared(places[:count], unit_m, **options)
        print(f"{form:13} {count:4} places: error at most {error_m:9.3f} m, nearest right {nearest:6.1%}", *options.values())
        is_right = count == 25 or options
        as_seen = as_seen and (error_m < 0.01 and nearest > 0.99 if is_right else error_m > 500)
        as_seen = as_seen and (nearest < 0.1 or count != PLACES or bool(options))
sys.exit(0 if as_seen else 1)
PY
