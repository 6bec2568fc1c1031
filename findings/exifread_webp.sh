#!/usr/bin/env bash
# Surprise: ExifRead finds no EXIF at all in a WebP that Pillow wrote, GPS position included: an empty dictionary, no error.
# One would guess: it says that it reads WebP, and of the same Exif object saved as JPEG, PNG and AVIF it reads the position.
# Seen: Pillow writes the EXIF chunk as the WebP container specification has it, beginning with the TIFF header; piexif and Pillow
# read it. ExifRead always skips six bytes, those of "Exif\0\0", which JPEG needs and some WebP writers put there too, and so
# starts in the middle of the header. With the six bytes put into the chunk it reads the position.
# Versions: ExifRead 3.5.1, pillow 13.0.0, piexif 1.1.3, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check ExifRead==3.5.1 pillow==13.0.0 piexif==1.1.3
"$work/venv/bin/python" - <<'PY'
import io
import struct
import sys

import exifread
import piexif
from PIL import Image

exif = Image.Exif()
exif[0x8825] = {1: "S", 2: (33.0, 51.0, 35.9), 3: "E", 4: (151.0, 12.0, 40.0)}
written = {}
for kind in ("JPEG", "PNG", "AVIF", "WEBP"):
    file = io.BytesIO()
    Image.new("RGB", (64, 48), (3, 90, 200)).save(file, kind, exif=exif)
    written[kind] = file.getvalue()
whole = written["WEBP"]
at = whole.index(b"EXIF")
size = struct.unpack("<I", whole[at + 4 : at + 8])[0]
payload = b"Exif\0\0" + whole[at + 8 : at + 8 + size]
chunk = b"EXIF" + struct.pack("<I", len(payload)) + payload + b"\0" * (len(payload) % 2)
rest = whole[at + 8 + size + size % 2 :]
body = whole[8:at] + chunk + rest
written["WEBP with the six bytes"] = b"RIFF" + struct.pack("<I", len(body)) + body

read = {}
for kind, content in written.items():
    by_pillow = Image.open(io.BytesIO(content)).getexif().get_ifd(0x8825).get(2)
    found = exifread.process_file(io.BytesIO(content), details=False)
    read[kind] = str(found.get("GPS GPSLatitude", "nothing"))
    print(f"{kind:24} Pillow {by_pillow}  ExifRead {read[kind]}")
by_piexif = piexif.load(written["WEBP"])["GPS"][2]
print("WEBP by piexif", by_piexif)
there = "[33, 51, 359/10]"
as_seen = read.pop("WEBP") == "nothing" and set(read.values()) == {there} and by_piexif[0] == (33, 1)
sys.exit(0 if as_seen else 1)
PY
