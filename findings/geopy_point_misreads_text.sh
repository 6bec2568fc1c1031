#!/usr/bin/env bash
# Surprise: geopy.Point reads the Eiffel Tower's "48,8584 2,2945" as latitude 2, longitude 65, and "41 30 0 N, 97 12 0 W", in Kansas, as
# latitude 12, longitude 0. No error, no warning.
# One would guess: degrees, minutes and seconds with letters of hemispheres, and decimal commas, are read, or refused as "unknown
# format", as "41:30:12 N, 97:12:45 W" is.
# Seen: it is enough that two numbers somewhere in the text pass for a position. Without the signs ' and " those are the seconds of
# the latitude and the minutes of the longitude, or what follows the commas, brought into 180 degrees (2945 is 65). Only first
# numbers above 90 are refused. And a sign before 0 degrees is lost: "-0° 10' 48"" is north of the equator, so that Quito and the
# west of London change sides. Way out: decimal degrees, or signs and letters (41°30'0"N), which are read right.
# Versions: geopy 2.5.0, Python 3.11. A text of the second kind is github.com/geopy/geopy/issues/247.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check geopy==2.5.0
"$work/venv/bin/python" - <<'PY'
import sys
import warnings

import geopy

warnings.simplefilter("error")
# Text, where it is, and what is read.
TEXTS = [
    ("48,8584 2,2945", (48.8584, 2.2945), (2, 65)),
    ("48,8584, 2,2945", (48.8584, 2.2945), (2, 65)),
    ("41 30 0 N, 97 12 0 W", (41.5, -97.2), (12, 0)),
    ("41 30 12 N 97 12 45 W", (41.5033, -97.2125), (12, -45)),
    ("33 51 24 S 151 12 36 E", (-33.8567, 151.21), (12, 36)),
    ("-0° 10' 48\", -78° 28' 0\"", (-0.18, -78.4667), (0.18, -78.4667)),
    ("51° 28' 38\", -0° 7' 30\"", (51.4772, -0.125), (51.4772, 0.125)),
    ("41°30'12\"N, 97°12'45\"W", (41.5033, -97.2125), (41.5033, -97.2125)),
    ("48.8584 2.2945", (48.8584, 2.2945), (48.8584, 2.2945)),
]
as_seen = True
for text, place, expected in TEXTS:
    found = tuple(geopy.Point(text))[:2]
    print(f"{text:26} is at {place}, read as ({found[0]:.4f}, {found[1]:.4f})")
    as_seen = as_seen and all(abs(one - other) < 1e-4 for one, other in zip(found, expected))
try:
    geopy.Point("41:30:12 N, 97:12:45 W")
    as_seen = False
except ValueError as error:
    print("41:30:12 N, 97:12:45 W    ", error)
sys.exit(0 if as_seen else 1)
PY
