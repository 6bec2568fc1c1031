#!/usr/bin/env bash
# Surprise: gpxpy's get_location_at(time), with which photographs are placed along a track, gives the first recorded point at or after
# that time, however late it was recorded: neither the nearest in time nor a place in between.
# One would guess: a place between the two points around the time, as "approx. location" suggests and exiftool -geotag gives; or the
# nearer of them; or nothing where the track has a gap.
# Seen: a logger that writes a point every 10 minutes on a road at 60 km/h puts a photograph taken half a minute after a point 9.5 km
# ahead, and every photograph ahead of its place, by 5 km in the mean. A photograph taken just after a pause of 8 hours began is placed
# where the track resumes. Before the first point and after the last there is none. Way out: interpolate between the points around
# the time, and leave out what lies in a gap.
# Versions: gpxpy 1.6.2, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check gpxpy==1.6.2
"$work/venv/bin/python" - <<'PY'
import datetime
import sys

import gpxpy
import gpxpy.gpx

START = datetime.datetime(2024, 5, 1, 10, tzinfo=datetime.timezone.utc)
KM_PER_DEGREE = 111.195


def at(minutes):
    """Time so many minutes after the start."""
    return START + datetime.timedelta(minutes=minutes)


def lat_deg(minutes):
    """Latitude on a road to the north, driven at 1 km a minute, with a pause of 480 minutes after an hour."""
    return 48 + (minutes if minutes <= 60 else max(60, minutes - 480)) / KM_PER_DEGREE


points = "".join(
    f'<trkpt lat="{lat_deg(minutes):.7f}" lon="2"><time>{at(minutes).strftime("%Y-%m-%dT%H:%M:%SZ")}</time></trkpt>'
    for minutes in [*range(0, 61, 10), *range(550, 611, 10)]
)
track = gpxpy.parse(
    f'<gpx version="1.1" creator="logger" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>{points}</trkseg></trk></gpx>'
)


def ahead_km(minutes):
    """Kilometres by which a photograph is placed ahead of where it was taken."""
    (found,) = track.get_location_at(at(minutes))
    return (found.latitude - lat_deg(minutes)) * KM_PER_DEGREE


for minutes in (0, 0.5, 5, 9.5, 10, 60, 60.5, 300):
    print(f"photograph after {minutes:5.1f} minutes: placed {ahead_km(minutes):5.1f} km ahead")
every = [ahead_km(minutes / 10) for minutes in range(600)]
print(f"mean of one every 6 s: {sum(every) / len(every):.2f} km ahead, none behind: {min(every) > -0.01}")
outside = track.get_location_at(at(-1)), track.get_location_at(at(611))
print("before and after the track:", *outside)
as_seen = abs(ahead_km(0.5) - 9.5) < 0.01 and abs(ahead_km(60.5) - 10) < 0.01 and min(every) > -0.01 and outside == ([], [])
sys.exit(0 if as_seen and abs(sum(every) / len(every) - 5) < 0.1 else 1)
PY
