#!/usr/bin/env bash
# Surprise: an EXIF position that Pillow writes into JPEG, PNG, WebP, AVIF and MPO cannot be written into TIFF: AttributeError,
# "'Exif' object has no attribute 'fp'".
# One would guess: one Exif object serves every format, as `save(..., exif=)` documents for TIFF too; and TIFF is where EXIF is from.
# Seen: only an Exif made in memory fails, whose GPS part was set as a dictionary; the same one written to bytes and loaded again
# (exif.load(exif.tobytes())) is saved, and the position read back.
# Versions: pillow 13.0.0, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0
"$work/venv/bin/python" - <<'PY'
import io
import sys

from PIL import Image

GPS, POSITION = 0x8825, {1: "S", 2: (33.0, 51.0, 35.9), 3: "E", 4: (151.0, 12.0, 40.0)}


def saved(kind, exif):
    file = io.BytesIO()
    try:
        Image.new("RGB", (64, 48)).save(file, kind, exif=exif)
    except AttributeError as error:
        return f"AttributeError: {error}"
    return Image.open(file).getexif().get_ifd(GPS).get(2)


made = Image.Exif()
made[GPS] = dict(POSITION)
loaded = Image.Exif()
loaded.load(made.tobytes())
found = {kind: saved(kind, made) for kind in ("JPEG", "PNG", "WEBP", "AVIF", "MPO", "TIFF")}
found["TIFF, loaded from bytes"] = saved("TIFF", loaded)
for kind, latitude in found.items():
    print(f"{kind:24} {latitude}")
failed = [kind for kind, latitude in found.items() if latitude != POSITION[2]]
sys.exit(0 if failed == ["TIFF"] else 1)
PY
