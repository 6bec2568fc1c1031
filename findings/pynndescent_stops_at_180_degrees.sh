#!/usr/bin/env bash
# Surprise: PyNNDescent with metric="haversine", on which UMAP's haversine rests, finds every nearest neighbour but those across the
# 180th meridian, and of these next to none: Fiji falls into two groups that never meet. No error, no warning.
# One would guess: a metric that knows that 179.99 E and 179.99 W are neighbours finds them, or the search misses a few neighbours
# anywhere, as approximate ones do.
# Seen: of 8,000 random places on the Earth all nearest neighbours on the same side are among the 30 found, and of 20 across the meridian
# 5; of 8,000 places around Fiji none of 18. The distances given are right: the search starts from trees that halve latitudes and
# longitudes as plane coordinates, and nothing links the two edges later. So duplicates, gaps between the training and the test
# split and clusters end at the meridian, where no score shows it. Way out: unit vectors and metric="euclidean", which finds all,
# or scikit-learn's BallTree with haversine, which is exact.
# Versions: pynndescent 0.7.0, scikit-learn 1.9.1, numba 0.68.1, numpy 2.4.6, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pynndescent==0.7.0 scikit-learn==1.9.1 numba==0.68.1 numpy==2.4.6
"$work/venv/bin/python" - <<'PY'
import sys

import numpy as np
from pynndescent import NNDescent
from sklearn.neighbors import BallTree

PLACES = 8000
draw = np.random.default_rng(0)
REGIONS = {
    "Earth": (np.degrees(np.arcsin(draw.uniform(-1, 1, PLACES))), draw.uniform(-180, 180, PLACES)),
    "Fiji": (draw.uniform(-19, -16, PLACES), (draw.uniform(177, 183, PLACES) + 180) % 360 - 180),
}


def share_found(neighbours, nearest, rows):
    return (neighbours == nearest[:, None]).any(1)[rows].mean()


as_seen = True
for name, degrees in REGIONS.items():
    lat, lon = np.radians(degrees).astype("float32")
    places = np.stack([lat, lon], 1)
    nearest = BallTree(places, metric="haversine").query(places, k=2)[1][:, 1]
    is_across = np.abs(lon - lon[nearest]) > np.pi
    vectors = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], 1)
    for way, values, metric in (("haversine", places, "haversine"), ("unit vectors", vectors, "euclidean")):
        neighbours = NNDescent(values, metric=metric, random_state=0).neighbor_graph[0]
        beside, across = (share_found(neighbours, nearest, rows) for rows in (~is_across, is_across))
        print(f"{name}, {way}: nearest found for {beside:.1%}, across 180 degrees for {across:.1%} of {is_across.sum()}")
        as_seen = as_seen and beside > 0.99 and (across < 0.5 if way == "haversine" else across > 0.9) and is_across.sum() > 10
sys.exit(0 if as_seen else 1)
PY
