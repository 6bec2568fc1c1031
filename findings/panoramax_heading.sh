#!/usr/bin/env bash
# Panoramax's heading is not always the direction a picture looks in, and nothing says when.
#
# Panoramax (geovisio) reads uploaded pictures with geopic-tag-reader and publishes its `heading` as STAC's `view:azimuth`.
# One would guess that this is EXIF's GPSImgDirection, at least 0 and below 360, missing where the picture has none; and
# that XMP's GPano:PoseHeadingDegrees, which gives the same for a panorama, serves where EXIF is silent.
#
# Seen with geopic-tag-reader 1.10.1, the version that geovisio 2.15.1 installs:
#   GPSImgDirection 90            heading 90
#   GPSImgDirection 359.7         heading 360: rounded, and not taken modulo 360
#   GPSTrack 77 alone             heading 77: the direction of travel, without a warning
#   PoseHeadingDegrees 90 alone   no heading; the 90 is in `yaw`
#
# So trust view:azimuth only where the item's `exif` has GPSImgDirection, and take it modulo 360.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q geopic-tag-reader==1.10.1 pillow==12.0.0 piexif==1.1.3
cat > "$folder/seen.py" <<'PY'
import io
import sys

import piexif
from geopic_tag_reader import reader
from PIL import Image

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:GPano="http://ns.google.com/photos/1.0/panorama/"'
    b' GPano:ProjectionType="equirectangular" GPano:PoseHeadingDegrees="90"/></rdf:RDF></x:xmpmeta>'
)
PLACE = {1: b"N", 2: ((60, 1), (10, 1), (0, 1)), 3: b"E", 4: ((24, 1), (56, 1), (0, 1))}


def tags(gps, **metadata):
    """Returns heading, yaw and the warnings about headings for a picture with these GPS tags."""
    exif = piexif.dump({"Exif": {36867: b"2023:06:15 10:00:00"}, "GPS": {**PLACE, **gps}})
    out = io.BytesIO()
    Image.new("RGB", (512, 256), (90, 120, 150)).save(out, "JPEG", exif=exif, **metadata)
    found = reader.readPictureMetadata(out.getvalue())
    return found.heading, found.yaw, [text for text in found.tagreader_warnings if "heading" in text.lower()]


seen = {
    "GPSImgDirection 90": tags({16: b"T", 17: (9000, 100)}),
    "GPSImgDirection 359.7": tags({16: b"T", 17: (35970, 100)}),
    "GPSTrack 77 alone": tags({14: b"T", 15: (77, 1)}),
    "PoseHeadingDegrees 90 alone": tags({}, xmp=XMP),
}
for name, (heading, yaw, warnings) in seen.items():
    print(f"{name}: heading {heading}, yaw {yaw}, warnings {warnings}")
expected = [(90, None), (360, None), (77, None), (None, 90.0)]
silent = all(not warnings for name, (_, _, warnings) in seen.items() if name.startswith("GPS"))
sys.exit(0 if [value[:2] for value in seen.values()] == expected and silent else 1)
PY
"$folder/venv/bin/python" "$folder/seen.py"
