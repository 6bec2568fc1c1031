"""Which files in a folder are images, and what an image is that is no JPEG."""

import os
import pathlib
from collections.abc import Iterator

from geods import errors, images

JPEG_SUFFIXES = (".jpg", ".jpeg")
# What phones, cameras and the web keep photographs in; other files in a folder are not looked at.
IMAGE_SUFFIXES = (*JPEG_SUFFIXES, ".png", ".heic", ".heif", ".avif", ".webp", ".gif", ".bmp", ".tif", ".tiff")
CONVERT_HINT = "make a JPEG of it that keeps its EXIF (magick PHOTO.heic PHOTO.jpg), or give --on_bad_image=skip"

_JPEG_MAGIC = b"\xff\xd8\xff"
_HEAD_BYTES = 64
# ISO base media files say their kind in bytes 8 to 12, after the word ftyp (ISO/IEC 14496-12, section 4.3).
_MEDIA_BRANDS = {b"avif": "an AVIF", b"avis": "an AVIF", b"crx ": "a Canon raw file"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}


def walk(folder: pathlib.Path) -> Iterator[str]:
    """Yields the image files below a folder, at any depth, as paths relative to it with forward slashes.

    They come in the same order on every run. Hidden files and folders are left out, and links to folders.
    """
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = pathlib.PurePath(os.path.relpath(root, folder))
        for name in sorted(names):
            if not name.startswith(".") and name.lower().endswith(IMAGE_SUFFIXES):
                yield (below / name).as_posix()


def is_text(name: str) -> bool:
    """Says whether the name of a file is UTF-8, without which no journal or table can hold it."""
    return not any("\udc80" <= character <= "\udcff" for character in name)


def refuse_other(path: pathlib.Path) -> None:
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
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        kind = "a HEIC" if brand in _HEIC_BRANDS else _MEDIA_BRANDS.get(brand, "a film or other ISO media file")
        raise errors.ImageError(f"{path}: is {kind}, not a JPEG.", CONVERT_HINT)
    try:
        images.check_jpeg(head, str(path))
    except errors.ImageError as error:
        raise errors.ImageError(error.problem, CONVERT_HINT) from error
