"""Position, direction and time of a photograph, from its EXIF.

Tags are those of CIPA DC-008 (EXIF 2.32), sections 4.6.4 to 4.6.6. Cameras write them loosely: any value may be
missing, of another type, or a fraction over zero, and is then unknown.
"""

import contextlib
import dataclasses
import datetime
import math
import pathlib
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from PIL import JpegImagePlugin

from geods import errors
from geods.imagery.photos import photo
from geods.tree import panorama

_ARTIST, _COPYRIGHT, _XP_AUTHOR = 0x013B, 0x8298, 0x9C9D
_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_DATE_ORIGINAL, _DATE_DIGITIZED, _OFFSET_ORIGINAL = 0x9003, 0x9004, 0x9011
_LAT_REF, _LAT, _LON_REF, _LON, _DIRECTION_REF, _DIRECTION, _GPS_DATE = 1, 2, 3, 4, 16, 17, 29
_ZONE = re.compile(r"([+-])(\d\d):(\d\d)", re.ASCII)
_DATE = re.compile(r"(\d{4})[:/-](\d{2})(?!\d)", re.ASCII)
# A ten-millionth of a degree is 11 mm: what thirds of a fraction leave behind that has no meaning.
_DIGITS = 7


@dataclasses.dataclass(frozen=True)
class Facts:
    """Facts of a photograph's EXIF; None or empty where unknown.

    Attributes:
        lat_deg: Latitude, degrees.
        lon_deg: Longitude, degrees.
        heading_deg: Direction of the camera, 0 <= h < 360 clockwise from north.
        magnetic: Whether the heading counts from magnetic north instead of true north.
        date: Month it was taken, "YYYY-MM".
        creator: The artist.
        licence: The copyright notice.
        taken_s: Capture time in seconds since 1970, UTC where EXIF has the time zone, else the camera's clock.
        has_zone: Whether EXIF has the time zone.
    """

    lat_deg: float | None = None
    lon_deg: float | None = None
    heading_deg: float | None = None
    magnetic: bool = False
    date: str | None = None
    creator: str = ""
    licence: str = ""
    taken_s: float | None = dataclasses.field(default=None, compare=False)
    has_zone: bool = dataclasses.field(default=False, compare=False)


def read(path: pathlib.Path) -> Facts:
    """Reads the EXIF of a JPEG; the picture itself is not decoded.

    Raises:
        ImageError: If it has no readable JPEG header.
    """
    with warnings.catch_warnings():
        # Pillow warns of each damaged EXIF block; what it could not read is not known, which is said for each file.
        warnings.simplefilter("ignore")
        try:
            image = JpegImagePlugin.JpegImageFile(path)
        except Exception as error:  # Pillow's parsers raise a dozen kinds on damaged headers
            problem = f"{path}: is a damaged JPEG ({error})."
            raise errors.ImageError(problem, "fetch it again or delete it, or give --on_bad_image=skip") from error
        with image:
            try:
                tags = image.getexif()
                facts = _facts(dict(tags), dict(tags.get_ifd(_EXIF_IFD)), dict(tags.get_ifd(_GPS_IFD)))
            except Exception:  # likewise: a block that cannot be parsed says nothing
                facts = Facts()
            pose_deg = panorama.pose_heading_deg(image.info.get("xmp", b""), image.height, image.width)
            return facts if pose_deg is None else dataclasses.replace(facts, heading_deg=pose_deg, magnetic=False)


def angle_deg(parts: object, reference: object, positive: str, negative: str) -> float | None:
    """Returns a latitude or longitude of EXIF in degrees, or None if it is not known.

    Args:
        parts: Degrees, or degrees and minutes, or degrees, minutes and seconds: numbers or fractions, none negative.
        reference: The hemisphere, a text that starts with `positive` or `negative`.
        positive: Letter of the hemisphere with positive angles, "N" or "E".
        negative: Letter of the other one.
    """
    letter = text(reference)[:1].upper()
    parts = parts if isinstance(parts, tuple) else (parts,)
    numbers = [number(part) for part in parts]
    # Nikon's decimal minutes leave 0/0 seconds; of whole minutes nothing says whether seconds are missing.
    if len(numbers) == 3 and numbers[2] is None and getattr(parts[1], "denominator", 1) > 1:
        numbers.pop()
    if letter not in (positive, negative) or not 1 <= len(numbers) <= 3:
        return None
    # 60 itself is what cameras make of 59.9999 seconds.
    if any(value is None or value < 0 for value in numbers) or any(value > 60 for value in numbers[1:] if value):
        return None
    degrees = round(sum(value / 60**power for power, value in enumerate(numbers) if value), _DIGITS)
    if degrees > (90 if positive == "N" else 180):
        return None
    return -degrees if letter == negative and degrees else float(degrees)


def heading_deg(direction: object) -> float | None:
    """Returns a direction of EXIF in degrees, 0 <= h < 360, or None if unknown."""
    value = number(direction)
    return None if value is None or not 0 <= value <= 360 else round(value, 6) % 360


def month(*stamps: object) -> str | None:
    """Returns the month of the first readable stamp as "YYYY-MM".

    Stamps are like "2012:05:31 10:00:00" or "2012:05:31".
    """
    for stamp in stamps:
        match = _DATE.match(text(stamp))
        if match and match[1] != "0000" and 1 <= int(match[2]) <= 12:
            return f"{match[1]}-{match[2]}"
    return None


def number(value: object) -> float | None:
    """Returns a number or fraction as float.

    It is None for a fraction over zero, and for what is no number.
    """
    if isinstance(value, str | bytes):
        return None
    try:
        result = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return result if math.isfinite(result) else None


def text(value: object) -> str:
    """Returns a text tag without the zeros and blanks that pad it.

    Empty for what is no text.
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    if isinstance(value, str):
        # Pillow reads ASCII tags as Latin-1; phones, exiftool and editors write UTF-8 there, which seldom is Latin-1.
        with contextlib.suppress(UnicodeError):
            value = value.encode("latin-1").decode("utf-8")
    return value.replace("\0", " ").strip() if isinstance(value, str) else ""


def _taken_s(stamp: str, offset: str) -> float | None:
    """Returns the capture time in seconds since 1970, None if it is not known."""
    try:
        taken = datetime.datetime.strptime(f"{stamp}+0000", "%Y:%m:%d %H:%M:%S%z")
    except ValueError:
        return None
    match = _ZONE.fullmatch(offset)
    seconds = (int(match[2]) * 3600 + int(match[3]) * 60) * (-1 if match[1] == "-" else 1) if match else 0
    return taken.timestamp() - seconds


def _utf16(value: object) -> str:
    """Returns a tag of Windows, which is UTF-16; empty for what is none."""
    content = bytes(value) if isinstance(value, bytes | tuple | list) else b""
    return content.decode("utf-16-le", errors="replace")


def _facts(tags: dict[int, Any], exif: dict[int, Any], gps: dict[int, Any]) -> Facts:
    """Returns the facts in parsed tags."""
    heading = heading_deg(gps.get(_DIRECTION))
    return Facts(
        lat_deg=angle_deg(gps.get(_LAT), gps.get(_LAT_REF), "N", "S"),
        lon_deg=angle_deg(gps.get(_LON), gps.get(_LON_REF), "E", "W"),
        heading_deg=heading,
        magnetic=heading is not None and text(gps.get(_DIRECTION_REF))[:1].upper() == "M",
        date=month(exif.get(_DATE_ORIGINAL), gps.get(_GPS_DATE), exif.get(_DATE_DIGITIZED)),
        creator=text(tags.get(_ARTIST)) or text(_utf16(tags.get(_XP_AUTHOR))),
        licence=text(tags.get(_COPYRIGHT)),
        taken_s=_taken_s(text(exif.get(_DATE_ORIGINAL)), text(exif.get(_OFFSET_ORIGINAL))),
        has_zone=_ZONE.fullmatch(text(exif.get(_OFFSET_ORIGINAL))) is not None,
    )


_TABLE_HINT = "if a table says where it was taken, name that: --csv=FILE"


def photos(
    folder: pathlib.Path,
    known: Callable[[str], bool] = lambda file: False,
    fill: Callable[[str, Facts], Facts] = lambda file, facts: facts,
) -> Iterator[photo.Photo | photo.Skipped]:
    """Yields every image below a folder, in the same order on every run.

    Pictures are not decoded.

    Args:
        folder: Folder to walk.
        known: Files (relative to it) that are not opened and not yielded.
        fill: Adds to the facts of a file what its neighbours say, such as `sidecars.Sidecars.fill`.
    """
    linked: list[str] = []
    for file in photo.walk(folder, linked):
        if not photo.is_text(file):
            yield photo.Skipped("bad_image", errors.ImageError(f"{file!r}: its name is not UTF-8.", "rename it"))
        elif not known(file):
            yield _photo(folder / file, file, fill)
    for name in linked:
        step = "import that folder into another tree, and join the two: python -m tools.join_trees"
        yield photo.Skipped("linked", errors.TreeError(f"{name}: is a link to a folder.", step))


def _photo(path: pathlib.Path, file: str, fill: Callable[[str, Facts], Facts]) -> photo.Photo | photo.Skipped:
    """Returns one photograph, or what is wrong with it."""
    try:
        photo.check_kind(path)
        facts = fill(file, read(path))
    except errors.GeodsError as error:
        return photo.Skipped("bad_image", error)
    if facts.lat_deg is None or facts.lon_deg is None:
        return photo.Skipped("no_position", errors.CoordinateError(f"{file}: has no GPS position.", _TABLE_HINT))
    if problem := photo.position_problem(facts.lat_deg, facts.lon_deg):
        return photo.Skipped("no_position", errors.CoordinateError(f"{file}: {problem}.", _TABLE_HINT))
    return photo.Photo(
        file,
        facts.lat_deg,
        facts.lon_deg,
        heading_deg=facts.heading_deg,
        date=facts.date,
        creator=facts.creator,
        licence=facts.licence,
        source_id=file,
        magnetic=facts.magnetic,
    )
