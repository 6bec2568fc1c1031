"""A CSV table that says where the photographs of a folder were taken.

Read row by row, so its length costs no memory; every value stays text ("NA" is Namibia, and 0123 an id). The columns
are known by their names in OSV-5M, Im2GPS3k, Mapillary's answers and everyday tables, or named by the caller. Values
are apart by comma, semicolon or tab, whichever the header has most of.
"""

import csv
import dataclasses
import datetime
import math
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence

from geods import errors
from geods.imagery.photos import file_index, photo
from geods.storage import files

NONE = "-"
OSV5M_LICENCE = "CC-BY-SA-4.0"

# By field, the names that are looked for, in upper or lower case; the first that is there counts.
_NAMES: dict[str, tuple[str, ...]] = {
    "file": (
        *("file", "filename", "file_name", "sourcefile", "path", "file_path", "image_path", "image", "img", "photo"),
        *("img_id", "image_id", "photo_id", "id"),
    ),
    "lat": ("latitude", "lat", "lat_deg", "gpslatitude", "gps_latitude", "gps_lat"),
    "lon": ("longitude", "lon", "lng", "long", "lon_deg", "lng_deg", "gpslongitude", "gps_longitude", "gps_lon"),
    "heading": (
        *("heading", "heading_deg", "computed_compass_angle", "compass_angle", "view:azimuth", "bearing", "azimuth"),
        *("gpsimgdirection",),
    ),
    "date": ("date", "captured_at", "datetimeoriginal", "date_taken", "datetaken", "taken", "datetime", "month"),
    "creator": ("creator_username", "creator", "author", "username", "photographer", "artist", "copyright"),
    "licence": ("licence", "license"),
    "source_id": ("source_id", "id", "image_id", "img_id", "photo_id", "pano_id"),
    "sequence": ("sequence", "sequence_id"),
    "country": ("country",),
}
_REQUIRED = ("file", "lat", "lon")
_MONTH = re.compile(r"(\d{4})[-:/](\d{1,2})(?:\D|$)", re.ASCII)
_COMPACT = re.compile(r"(\d{4})(\d{2})\d{2}", re.ASCII)
_EPOCH = re.compile(r"(\d{9,10}|\d{12,13})(?:\.\d*)?", re.ASCII)
_OSV5M_COLUMNS = {"thumb_original_url", "creator_username", "captured_at"}


@dataclasses.dataclass(frozen=True)
class Columns:
    """Which column of a table holds what.

    Attributes:
        by_field: Column number by field name; fields without a column are left out.
        header: The names as written.
        is_osv5m: Whether this is the table of OSV-5M, whose images are all CC BY-SA 4.0.
    """

    by_field: Mapping[str, int]
    header: tuple[str, ...]
    is_osv5m: bool

    def name(self, field: str) -> str:
        """Returns the name of a field's column."""
        return self.header[self.by_field[field]]

    @property
    def swap_hint(self) -> str:
        """What to do if latitude and longitude are swapped."""
        lat, lon = self.name("lat"), self.name("lon")
        known = "; one published Im2GPS3k table has the two names swapped" if {lat, lon} == {"LAT", "LON"} else ""
        return f"give the columns the other way round: --lat_column={lon} --lon_column={lat}{known}"


def columns(path: pathlib.Path, wanted: Mapping[str, str]) -> Columns:
    """Returns the columns of a table.

    Args:
        path: The table.
        wanted: Column name by field ("file", "lat", "lon", "heading", "date"); empty to look for it, "-" for none.

    Raises:
        MissingFileError: If there is no such file.
        TreeError: If it has no column for the file, the latitude or the longitude, or is not text.
        OptionError: If a wanted column is not there.
    """
    files.check_file(path, "name a CSV table: --csv=FILE")
    _, header = next(_rows(path), (0, []))
    lowered = [name.lower() for name in header]
    by_field = {}
    for field, names in _NAMES.items():
        name = wanted.get(field, "")
        if name and name != NONE:
            by_field[field] = _wanted(path, header, field, name)
        elif not name and (known := [lowered.index(name) for name in names if name in lowered]):
            by_field[field] = known[0]
    if missing := [field for field in _REQUIRED if field not in by_field]:
        flags = " ".join(f"--{field}_column=NAME" for field in missing)
        raise errors.TreeError(
            f"{path}: no column is known to hold the {', '.join(missing)}; it has {', '.join(header) or 'none'}.",
            f"name it: {flags}",
        )
    return Columns(by_field, tuple(header), set(lowered) >= _OSV5M_COLUMNS)


def photos(path: pathlib.Path, folder: pathlib.Path, chosen: Columns) -> Iterator[photo.Photo | photo.Skipped]:
    """Yields the photograph of each row, in order; no image is opened.

    Args:
        path: The table.
        folder: Where the images lie, at any depth.
        chosen: What `columns` returned.

    Raises:
        TreeError: If the file is not a CSV table in UTF-8.
    """
    index = file_index.PhotoIndex(folder)
    rows = _rows(path)
    next(rows, None)
    try:
        for line, row in rows:
            if any(row):
                yield _photo(_Row(chosen, row, f"{path} line {line}"), index)
    finally:
        index.close()


def month(value: str) -> str | None:
    """Returns a date as "YYYY-MM", None for an empty one.

    Args:
        value: A date or time that begins with year and month, or seconds or milliseconds since 1970.

    Raises:
        ValueError: If it is something else.
    """
    if not value:
        return None
    if match := _EPOCH.fullmatch(value):
        seconds = int(match[1]) / (1000 if len(match[1]) > 10 else 1)
        return f"{datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc):%Y-%m}"
    match = _MONTH.match(value) or _COMPACT.fullmatch(value)
    if not match or not 1 <= int(match[2]) <= 12 or match[1] == "0000":
        raise ValueError(value)
    return f"{match[1]}-{int(match[2]):02d}"


def heading_deg(value: str) -> float | None:
    """Returns a heading in degrees, 0 <= h < 360, None for an empty one.

    Args:
        value: A number from -180 to 360.

    Raises:
        ValueError: If it is something else.
    """
    if not value:
        return None
    heading = float(value)
    if not -180 <= heading <= 360:
        raise ValueError(value)
    return round(heading, 6) % 360


class _Row:
    """One row, by field."""

    def __init__(self, chosen: Columns, values: Sequence[str], where: str) -> None:
        self.chosen, self.where = chosen, where
        self._values = values

    def get(self, field: str) -> str:
        """Returns the value of a field; empty if the table or this row has none."""
        at = self.chosen.by_field.get(field)
        return "" if at is None or at >= len(self._values) else self._values[at]


def _photo(row: _Row, index: file_index.PhotoIndex) -> photo.Photo | photo.Skipped:
    """Returns the photograph of a row, or what is wrong with it."""
    lat_deg, lon_deg = _number(row.get("lat")), _number(row.get("lon"))
    problem = photo.position_problem(lat_deg, lon_deg)
    if math.isnan(lat_deg) or math.isnan(lon_deg):
        problem = f"position {row.get('lat')!r}, {row.get('lon')!r} is not two numbers"
    if problem:
        swapped = photo.looks_swapped(lat_deg, lon_deg)
        hint = row.chosen.swap_hint if swapped else "correct the row, or give --on_bad_row=skip"
        reason: photo.Reason = "swapped" if swapped else "bad_row"
        return photo.Skipped(reason, errors.CoordinateError(f"{row.where}: {problem}.", hint))
    name = row.get("file")
    try:
        file = index.find(name) if name else None
    except errors.TreeError as error:
        return photo.Skipped("bad_row", errors.TreeError(f"{row.where}: {error.problem}", error.next_step))
    if file is None:
        problem = f"{row.where}: there is no image {name!r}."
        return photo.Skipped("no_file", errors.MissingFileError(problem, "name the folder of the images: --source="))
    if not file.lower().endswith(photo.JPEG_SUFFIXES):
        try:
            photo.check_kind(index.folder / file)
        except errors.GeodsError as error:
            return photo.Skipped("bad_image", error)
    try:
        heading, date = heading_deg(row.get("heading")), month(row.get("date"))
    except ValueError:
        problem = f"heading {row.get('heading')!r} or date {row.get('date')!r} is not degrees or a month"
        hint = "correct the row, name another column, or none: --heading_column=- --date_column=-"
        return photo.Skipped("bad_row", errors.TreeError(f"{row.where}: {problem}.", hint))
    return photo.Photo(
        file,
        lat_deg + 0.0,
        lon_deg + 0.0,
        heading_deg=heading,
        date=date,
        creator=row.get("creator"),
        licence=row.get("licence"),
        source_id=row.get("source_id") or name,
        sequence=row.get("sequence"),
        country=row.get("country"),
    )


def _number(value: str) -> float:
    """Returns a number, NaN for what is none."""
    try:
        return float(value)
    except ValueError:
        return math.nan


def _wanted(path: pathlib.Path, header: Sequence[str], field: str, name: str) -> int:
    """Returns the number of the column that a flag names."""
    if name not in header:
        raise errors.OptionError(
            f"--{field}_column={name}: {path} has no such column.", f"name one of {', '.join(header)}"
        )
    return header.index(name)


def _rows(path: pathlib.Path) -> Iterator[tuple[int, list[str]]]:
    """Yields line number and values of each row, the header first.

    Raises:
        TreeError: If the file is not CSV in UTF-8.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as source:
            first = source.readline()
            source.seek(0)
            reader = csv.reader(source, delimiter=max(",;\t", key=first.count))
            for row in reader:
                yield reader.line_num, [value.strip() for value in row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise errors.TreeError(f"{path}: is not a CSV file in UTF-8 ({error}).", "save it as CSV in UTF-8") from error
