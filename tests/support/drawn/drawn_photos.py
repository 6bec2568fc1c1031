"""Drawn photographs with EXIF, as cameras and phones write it."""

import io
import pathlib
from fractions import Fraction
from typing import Any

import drawn_trees
import numpy as np
from PIL import Image, TiffImagePlugin

# The start of a HEIC as phones write it (ISO/IEC 23008-12), and of an AVIF.
HEIC = b"\x00\x00\x00\x24ftypheic\x00\x00\x00\x00mif1MiHB" + bytes(60)
AVIF = HEIC.replace(b"heic", b"avif")
# By bearing from the middle of the frame: ahead, right, behind, left.
COLOURS = ((200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30))
NAMESPACE = 'xmlns:GPano="http://ns.google.com/photos/1.0/panorama/"'


def rational(value: float | Fraction, denominator: int = 10_000) -> TiffImagePlugin.IFDRational:
    return TiffImagePlugin.IFDRational(round(value * denominator), denominator)


def degrees_minutes_seconds(angle_deg: float) -> tuple[TiffImagePlugin.IFDRational, ...]:
    """Returns an angle as three fractions, good to 3 mm."""
    minutes, seconds = divmod(Fraction(abs(angle_deg)) * 3600, 60)
    degrees, minutes = divmod(minutes, 60)
    return rational(degrees, 1), rational(minutes, 1), rational(seconds)


def position_tags(lat_deg: float, lon_deg: float) -> dict[int, Any]:
    return {
        1: "N" if lat_deg >= 0 else "S",
        2: degrees_minutes_seconds(lat_deg),
        3: "E" if lon_deg >= 0 else "W",
        4: degrees_minutes_seconds(lon_deg),
    }


def jpeg(
    seed: int, gps: dict[int, Any] | None = None, exif: dict[int, Any] | None = None, tags: dict[int, Any] | None = None
) -> bytes:
    """Returns a JPEG whose EXIF has these GPS, EXIF and main tags."""
    image = Image.open(io.BytesIO(drawn_trees.jpeg(seed)))
    written = image.getexif()
    written.update(tags or {})
    written.get_ifd(0x8769).update(exif or {})
    written.get_ifd(0x8825).update(gps or {})
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=written)
    return buffer.getvalue()


def write(path: pathlib.Path, seed: int, lat_deg: float, lon_deg: float, **tags: dict[int, Any]) -> pathlib.Path:
    """Writes a photograph taken at a place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(jpeg(seed, position_tags(lat_deg, lon_deg) | tags.pop("gps", {}), **tags))
    return path


def sphere_frame(width_px: int = 512) -> Image.Image:
    """A sphere of four sectors of 90 degrees, one a bearing, darker below."""
    bearings = (np.arange(width_px) + 0.5) / width_px * 360 - 180
    sectors = np.round(bearings / 90).astype(int) % 4
    rows = np.broadcast_to(np.array(COLOURS, np.uint8)[sectors], (width_px // 2, width_px, 3)).copy()
    rows[width_px // 4 :] //= 2
    return Image.fromarray(rows)


def gpano(as_elements: bool = False, **values: Any) -> bytes:
    """XMP with these GPano values, as attributes or as elements."""
    values = {"ProjectionType": "equirectangular"} | values
    attributes = "" if as_elements else " ".join(f'GPano:{name}="{value}"' for name, value in values.items())
    elements = "".join(f"<GPano:{name}>{value}</GPano:{name}>" for name, value in values.items() if as_elements)
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        f'{NAMESPACE} {attributes}>{elements}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def sphere_jpeg(picture: Image.Image, xmp: bytes | None = None, **tags: Any) -> bytes:
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
