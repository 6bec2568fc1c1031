#!/usr/bin/env bash
# Surprise: a JPEG that Pillow opens and saves again loses EXIF and XMP, unless they are passed to `save`, but keeps its comment,
#   also through `convert`; so a comment that holds a position, a name or a camera's number is in the new file.
# One would guess: all metadata go or all stay. `image.info.clear()` before `save` leaves the comment out.
# Seen with: pillow 12.3.0, Python 3.11, Linux x86_64.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pillow==12.3.0
"$folder/venv/bin/python" - <<'PYTHON'
import io
import sys

from PIL import Image


def saved(image, **options):
    content = io.BytesIO()
    image.save(content, "JPEG", **options)
    return content.getvalue()


marks = {"EXIF": b"exif-40.1,-95.2", "XMP": b"<x>xmp-40.1,-95.2</x>", "comment": b"comment-40.1,-95.2"}
exif = Image.Exif()
exif[0x010E] = marks["EXIF"].decode()
options = {"exif": exif, "xmp": marks["XMP"], "comment": marks["comment"]}
camera = saved(Image.new("RGB", (32, 24), "green"), **options)
with Image.open(io.BytesIO(camera)) as image:
    again = image.convert("RGB")
kept = [name for name, mark in marks.items() if mark in saved(again)]
again.info.clear()
cleared = [name for name, mark in marks.items() if mark in saved(again)]
print(f"written: {[name for name, mark in marks.items() if mark in camera]}; kept by save: {kept}; after info.clear(): {cleared}")
as_found = kept == ["comment"] and not cleared
print("as found" if as_found else "this has changed")
sys.exit(not as_found)
PYTHON
