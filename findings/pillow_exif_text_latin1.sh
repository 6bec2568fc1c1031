#!/usr/bin/env bash
# Surprise: Pillow reads the text tags of EXIF (Artist, Copyright) as Latin-1 whatever their bytes are, and writes them so, so
#   that a name in UTF-8, as exiftool and phones store it, comes out as two letters for each accent; no error, no warning.
# One would guess: UTF-8 where the bytes are UTF-8. Encoding what comes out as Latin-1 and decoding it as UTF-8 gives the
#   name back.
# Seen with: pillow 12.3.0, Python 3.11, Linux x86_64.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pillow==12.3.0
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import pathlib
import sys

from PIL import Image

name = "J\u00f6rg M\u00fcller"
exif = Image.Exif()
exif[0x013B] = name.encode("utf-8")
path = pathlib.Path(sys.argv[1], "a.jpg")
Image.new("RGB", (16, 16)).save(path, exif=exif)
stored = name.encode("utf-8") in path.read_bytes()
with Image.open(path) as image:
    read = image.getexif()[0x013B]
print(f"stored as UTF-8: {stored}; wrote {name}; read {read}; read again as UTF-8 {read.encode('latin-1').decode()}")
as_found = stored and read == name.encode("utf-8").decode("latin-1") != name
print("as found" if as_found else "this has changed")
sys.exit(not as_found)
PYTHON
