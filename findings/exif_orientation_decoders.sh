#!/usr/bin/env bash
# Surprise: of the usual JPEG decoders only OpenCV turns an image by its EXIF Orientation; Pillow's open, simplejpeg and
#   imageio give the pixels as stored. And Pillow's getexif reports an Orientation that stands in XMP alone, by which
#   ImageOps.exif_transpose then turns the image, while OpenCV does not.
# One would guess: that libraries agree on which way is up, by default, or at least on where the orientation stands.
# Seen with: pillow 12.3.0, simplejpeg 1.9.0, opencv-python-headless 4.11.0.86, imageio 2.37.0, Python 3.11, Linux x86_64.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  pillow==12.3.0 simplejpeg==1.9.0 opencv-python-headless==4.11.0.86 imageio==2.37.0
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import pathlib
import sys

import cv2
import imageio.v3
import simplejpeg
from PIL import Image, ImageOps

folder = pathlib.Path(sys.argv[1])
exif = Image.Exif()
exif[0x0112] = 6
xmp = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    'rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
).encode()
Image.new("RGB", (64, 32)).save(folder / "exif.jpg", exif=exif)
Image.new("RGB", (64, 32)).save(folder / "xmp.jpg", xmp=xmp)
seen = {}
for name in ("exif", "xmp"):
    path = folder / f"{name}.jpg"
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
        seen[name] = {
            "Pillow's open": (image.height, image.width),
            "Pillow's exif_transpose": (upright.height, upright.width),
            "simplejpeg": simplejpeg.decode_jpeg(path.read_bytes()).shape[:2],
            "imageio": imageio.v3.imread(path).shape[:2],
            "OpenCV": cv2.imread(str(path)).shape[:2],
        }
    for decoder, shape in seen[name].items():
        print(f"stored 32 x 64, Orientation 6 in {name}: {decoder} gives {shape[0]} x {shape[1]}")
turned = {name: [decoder for decoder, shape in shapes.items() if shape == (64, 32)] for name, shapes in seen.items()}
as_found = turned == {"exif": ["Pillow's exif_transpose", "OpenCV"], "xmp": ["Pillow's exif_transpose"]}
print("as found" if as_found else f"this has changed: {turned}")
sys.exit(not as_found)
PYTHON
