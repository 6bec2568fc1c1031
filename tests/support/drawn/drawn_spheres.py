"""Panoramas whose colours say where one looks, as cameras and phones write them."""

import io
from typing import Any

import numpy as np
from PIL import Image

# By bearing from the middle of the frame: ahead, right, behind, left.
COLOURS = ((200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30))
NAMESPACE = 'xmlns:GPano="http://ns.google.com/photos/1.0/panorama/"'


def frame(width_px: int = 512) -> Image.Image:
    """A sphere of four sectors of 90 degrees, each around its bearing, darker below the horizon."""
    bearings = (np.arange(width_px) + 0.5) / width_px * 360 - 180
    sectors = np.round(bearings / 90).astype(int) % 4
    rows = np.broadcast_to(np.array(COLOURS, np.uint8)[sectors], (width_px // 2, width_px, 3)).copy()
    rows[width_px // 4 :] //= 2
    return Image.fromarray(rows)


def packet(as_elements: bool = False, **values: Any) -> bytes:
    """XMP with these GPano values, as attributes or as elements."""
    values = {"ProjectionType": "equirectangular"} | values
    attributes = "" if as_elements else " ".join(f'GPano:{name}="{value}"' for name, value in values.items())
    elements = "".join(f"<GPano:{name}>{value}</GPano:{name}>" for name, value in values.items() if as_elements)
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        f'{NAMESPACE} {attributes}>{elements}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def jpeg(picture: Image.Image, xmp: bytes | None = None, **tags: Any) -> bytes:
    """A JPEG of a picture with XMP and these EXIF tags: `gps` and `main`."""
    exif = Image.Exif()
    exif.update(tags.get("main", {}))
    exif.get_ifd(0x8825).update(tags.get("gps", {}))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=92, exif=exif, **({"xmp": xmp} if xmp else {}))
    return buffer.getvalue()


def looks_to(view: bytes) -> int:
    """Number of the sector in the middle of a view."""
    pixels = np.asarray(Image.open(io.BytesIO(view)).convert("RGB")).astype(int)
    middle = pixels[pixels.shape[0] // 4, pixels.shape[1] // 2]
    return int(np.argmin(np.abs(np.array(COLOURS) - middle).sum(axis=1)))
