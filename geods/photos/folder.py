"""A folder of photographs whose EXIF says where they were taken."""

import pathlib
from collections.abc import Callable, Iterator

from geods import errors
from geods.photos import exif, kind, photo

_TABLE_HINT = "if a table says where it was taken, name that: --csv=FILE"


def photos(
    folder: pathlib.Path, known: Callable[[str], bool] = lambda file: False
) -> Iterator[photo.Photo | photo.Skipped]:
    """Yields every image below a folder, in the same order on every run; pictures are not decoded.

    Args:
        folder: Folder to walk.
        known: Files (relative to it) that are not opened and not yielded.
    """
    for file in kind.walk(folder):
        if not kind.is_text(file):
            yield photo.Skipped("bad_image", errors.ImageError(f"{file!r}: its name is not UTF-8.", "rename it"))
        elif not known(file):
            yield _photo(folder / file, file)


def _photo(path: pathlib.Path, file: str) -> photo.Photo | photo.Skipped:
    """Returns one photograph, or what is wrong with it."""
    try:
        kind.refuse_other(path)
        facts = exif.read(path)
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
        turned=facts.turned,
    )
