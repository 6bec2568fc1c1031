"""Drawn photographs with EXIF, as cameras and phones write it."""

import io
import pathlib
from fractions import Fraction
from typing import Any

import drawn_trees
from PIL import Image, TiffImagePlugin

# The start of a HEIC as phones write it (ISO/IEC 23008-12), and of an AVIF.
HEIC = b"\x00\x00\x00\x24ftypheic\x00\x00\x00\x00mif1MiHB" + bytes(60)
AVIF = HEIC.replace(b"heic", b"avif")


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
