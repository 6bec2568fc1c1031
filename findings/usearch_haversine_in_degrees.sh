#!/usr/bin/env bash
# Surprise: USearch's metric "haversine" takes degrees and gives radians; that of scikit-learn, PyNNDescent and UMAP takes radians, and so
# does the distance that USearch's own README writes for the same kind of metric. Coordinates in radians give wrong neighbours.
# One would guess: one name, one unit, the more so as the distances come in radians; or a unit in the documentation, which says
# "2-dimensional latitude/longitude coordinates"; or nonsense that one notices.
# Seen: it is not noticed, since most neighbours are right. Radians shrink the Earth to 3 by 6 degrees around the equator, where a
# degree of longitude is as long as one of latitude: of 500 places in northern Europe (55 to 70 N) 27 % get a neighbour that is
# not the nearest, up to 40 km farther, and distances are a 43rd of the right ones. In degrees all are right, and scikit-learn given
# degrees in its turn is wrong. Way out: degrees, and distances times 6,371 km; or unit vectors with "l2sq", which have no unit to mix up.
# Versions: usearch 2.26.6, scikit-learn 1.9.1, numpy 2.4.6, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check usearch==2.26.6 scikit-learn==1.9.1 numpy==2.4.6
"$work/venv/bin/python" - <<'PY'
import sys

import numpy as np
from sklearn.metrics.pairwise import haversine_distances
from usearch.index import Index

draw = np.random.default_rng(0)
places, queries = (np.stack([draw.uniform(55, 70, count), draw.uniform(-10, 30, count)], 1) for count in (2000, 500))
right = haversine_distances(np.radians(queries), np.radians(places))
rows = np.arange(len(queries))


def searched(unit, convert):
    """Share of right nearest neighbours, and distances given as a share of the right ones."""
    index = Index(ndim=2, metric="haversine", dtype="f64")
    index.add(np.arange(len(places)), convert(places))
    matches = index.search(convert(queries), 1, exact=True)
    found = matches.keys.ravel().astype(int)
    extra_km = 6371 * (right[rows, found] - right.min(1)).max()
    share, ratio = (found == right.argmin(1)).mean(), np.median(matches.distances.ravel() / right[rows, found])
    print(f"USearch, {unit}: {share:.0%} nearest, up to {extra_km:.0f} km farther, distances {ratio:.4f} of the right ones")
    return share, ratio


(in_degrees, ratio), (in_radians, ratio_of_radians) = searched("degrees", np.array), searched("radians", np.radians)
sklearn_in_degrees = (haversine_distances(queries, places).argmin(1) == right.argmin(1)).mean()
print(f"scikit-learn, degrees: {sklearn_in_degrees:.0%} nearest")
as_seen = in_degrees == 1 and abs(ratio - 1) < 1e-6 and in_radians < 0.85 and ratio_of_radians < 0.1 and sklearn_in_degrees < 0.9
sys.exit(0 if as_seen else 1)
PY
