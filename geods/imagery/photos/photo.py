"""A photograph to import, and the kinds of files that are none."""

import dataclasses
import math
import os
import pathlib
from collections.abc import Iterator
from typing import Literal

from geods import errors
from geods.tree import jpeg

Reason = Literal["no_position", "no_file", "bad_row", "swapped", "bad_image", "unnamed", "linked"]


@dataclasses.dataclass(frozen=True)
class Photo:
    """One photograph with the place where it was taken.

    Attributes:
        file: Its path below the source's folder, with forward slashes.
        lat_deg: Latitude, degrees, -90 to 90.
        lon_deg: Longitude, degrees, -180 to 180.
        heading_deg: Compass direction of the camera, 0 <= h < 360 clockwise from north; None if not known.
        date: Month it was taken, "YYYY-MM"; None if not known.
        creator: Who made it; empty if not known.
        licence: Its licence; empty if not known.
        source_id: What its source calls it.
        sequence: The drive or walk it belongs to; empty if not known.
        country: Country as its source writes it; empty if not known.
        magnetic: Whether the heading counts from magnetic north.
    """

    file: str
    lat_deg: float
    lon_deg: float
    heading_deg: float | None = None
    date: str | None = None
    creator: str = ""
    licence: str = ""
    source_id: str = ""
    sequence: str = ""
    country: str = ""
    magnetic: bool = False

    @property
    def location_id(self) -> str:
        """`<lat>,<lng>` as a tree writes it."""
        return location_id(self.lat_deg, self.lon_deg)


@dataclasses.dataclass(frozen=True)
class Skipped:
    """Something that was found and is no photograph of a place.

    Attributes:
        reason: One word for counting.
        error: What is wrong with it, to raise or to count.
    """

    reason: Reason
    error: errors.GeodsError


def location_id(lat_deg: float, lon_deg: float) -> str:
    """Returns `<lat>,<lng>`, the same text for equal numbers; it reads back exactly."""
    # Adding 0.0 makes 0.0 of -0.0, which would be another name of the same place.
    return f"{lat_deg + 0.0!r},{lon_deg + 0.0!r}"


def looks_swapped(lat_deg: float, lon_deg: float) -> bool:
    """Says whether the two are no place on Earth, but one if swapped."""
    return 90 < abs(lat_deg) <= 180 and abs(lon_deg) <= 90


def position_problem(lat_deg: float, lon_deg: float) -> str:
    """Returns the reason why (lat, lon) degrees are no position; empty if they are."""
    if not (math.isfinite(lat_deg) and math.isfinite(lon_deg)):
        return f"position ({lat_deg}, {lon_deg}) is not two numbers"
    if looks_swapped(lat_deg, lon_deg):
        return f"latitude {lat_deg} is not within -90 to 90, and with longitude {lon_deg} looks swapped"
    if abs(lat_deg) > 90:
        return f"latitude {lat_deg} is not within -90 to 90"
    if abs(lon_deg) > 180:
        return f"longitude {lon_deg} is not within -180 to 180"
    if lat_deg == 0 == lon_deg:
        return "position (0, 0) lies in the Atlantic and stands for an unknown one"
    return ""


JPEG_SUFFIXES = (".jpg", ".jpeg", ".jfif", ".jpe")
# What phones, cameras and the web keep photographs in; other files in a folder are not looked at.
IMAGE_SUFFIXES = (*JPEG_SUFFIXES, ".png", ".heic", ".heif", ".avif", ".webp", ".gif", ".bmp", ".tif", ".tiff")
CONVERT_HINT = "make a JPEG of it that keeps its EXIF (magick PHOTO.heic PHOTO.jpg), or give --on_bad_image=skip"

_JPEG_MAGIC = b"\xff\xd8\xff"
_HEAD_BYTES = 64


def walk(folder: pathlib.Path, linked: list[str] | None = None) -> Iterator[str]:
    """Yields the image files below a folder, at any depth.

    They are paths relative to it with forward slashes.

    They come in the same order on every run. Hidden files and folders are left out, and links to folders, whose paths
    are added to `linked`.

    Raises:
        MissingFileError: If a folder cannot be read.
    """

    def unreadable(error: OSError) -> None:
        raise errors.MissingFileError(f"{error.filename}: cannot be read ({error.strerror}).", "check its permissions")

    for root, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = pathlib.PurePath(os.path.relpath(root, folder))
        if linked is not None:
            linked += [(below / name).as_posix() for name in folders if pathlib.Path(root, name).is_symlink()]
        for name in sorted(names):
            if not name.startswith(".") and name.lower().endswith(IMAGE_SUFFIXES):
                yield (below / name).as_posix()


def is_text(name: str) -> bool:
    """Returns whether a file name is UTF-8, as journals and tables need."""
    return not any("\udc80" <= character <= "\udcff" for character in name)


def check_kind(path: pathlib.Path) -> None:
    """Does nothing for a file that begins as a JPEG does.

    Raises:
        ImageError: If it is something else; the message says what.
        MissingFileError: If it cannot be read.
    """
    try:
        with path.open("rb") as source:
            head = source.read(_HEAD_BYTES)
    except OSError as error:
        raise errors.MissingFileError(f"{path}: cannot be read ({error.strerror}).", "check its permissions") from error
    if head.startswith(_JPEG_MAGIC):
        return
    try:
        jpeg.check_jpeg(head, str(path))
    except errors.ImageError as error:
        raise errors.ImageError(error.problem, CONVERT_HINT) from error
