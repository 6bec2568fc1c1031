"""Roles of the columns of a CSV table, by name or as named by the caller."""

import codecs
import csv
import dataclasses
import itertools
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence

from geods import errors
from geods.imagery.photos import notation
from geods.storage import files

NONE = "-"
OSV5M_LICENCE = "CC-BY-SA-4.0"

# By field, the names that are looked for, in upper or lower case; the first that is there counts.
_NAMES: dict[str, tuple[str, ...]] = {
    "file": (
        *("file", "filename", "file_name", "sourcefile", "path", "file_path", "filepath", "image_path", "image", "img"),
        *("photo", "image_name", "img_name", "photo_name", "image_file", "img_file", "photo_file", "imagefile", "name"),
        *("img_id", "image_id", "photo_id", "id", "uuid", "place_id", "location_id"),
    ),
    "lat": ("latitude", "lat", "lat_deg", "gpslatitude", "gps_latitude", "gps_lat", "y"),
    "lon": ("longitude", "lon", "lng", "long", "lon_deg", "lng_deg", "gpslongitude", "gps_longitude", "gps_lon", "x"),
    "lat_ref": (
        *("gpslatituderef", "gps_latitude_ref", "latituderef", "latitude_ref", "lat_ref", "latref", "gps_lat_ref"),
        *("lat_dir", "latitude_direction", "lat_hemisphere", "latitude_hemisphere", "ns", "n/s", "n_s"),
    ),
    "lon_ref": (
        *("gpslongituderef", "gps_longitude_ref", "longituderef", "longitude_ref", "lon_ref", "lonref", "gps_lon_ref"),
        *("lng_ref", "lon_dir", "longitude_direction", "lon_hemisphere", "longitude_hemisphere", "ew", "e/w", "e_w"),
    ),
    "heading": (
        *("heading", "heading_deg", "computed_compass_angle", "compass_angle", "view:azimuth", "bearing", "azimuth"),
        *("gpsimgdirection", "gps_img_direction", "img_direction", "compass", "compass_heading"),
        *("camera_heading", "compass_direction"),
    ),
    "date": ("date", "captured_at", "datetimeoriginal", "date_taken", "datetaken", "taken", "datetime", "month"),
    "creator": ("creator_username", "creator", "author", "username", "photographer", "artist", "copyright"),
    "licence": ("licence", "license"),
    "source_id": ("source_id", "id", "image_id", "img_id", "photo_id", "pano_id"),
    "sequence": ("sequence", "sequence_id"),
    "country": ("country",),
}
_REQUIRED = ("file", "lat", "lon")
_BY_FLAG = (*_REQUIRED, "lat_ref", "lon_ref", "heading", "date")
_POSITIONS = frozenset(_NAMES["lat"] + _NAMES["lon"])
_OTHER_KINDS = {
    b"PK": "a workbook or other archive",
    b"\xd0\xcf\x11\xe0": "an Excel workbook",
    b"<": "XML (tools.import_images reads a GPX track by --gpx)",
}
LETTERS = {"lat": "NS", "lon": "EW"}
# What columns of hemispheres hold.
_WORDS = {"NS": ("NORTH", "SOUTH"), "EW": ("EAST", "WEST")}
# So many rows show whether a column holds hemispheres; so many names, each so long, stand in an error.
_LOOKED_AT, _SHOWN, _LONGEST = 1000, 20, 40
_OSV5M_COLUMNS = {"thumb_original_url", "creator_username", "captured_at"}


@dataclasses.dataclass(frozen=True)
class Columns:
    """Roles of the columns of a table.

    Attributes:
        by_field: Column number by field name; fields without a column are left out.
        header: The names as written; of a table without names, the numbers of its columns from 1.
        is_osv5m: Whether this is the table of OSV-5M, whose images are all CC BY-SA 4.0.
        has_header: Whether the first row holds the names.
    """

    by_field: Mapping[str, int]
    header: tuple[str, ...]
    is_osv5m: bool
    has_header: bool = True

    def name(self, field: str) -> str:
        """Returns the name of a field's column."""
        return self.header[self.by_field[field]]

    def line(self) -> str:
        """Returns the line of a report on the columns that are read, and the others."""
        read = ", ".join(self.header[at] for at in dict.fromkeys(self.by_field.values()))
        others = [name for at, name in enumerate(self.header) if at not in self.by_field.values()]
        return f"columns: {read}" + (f"; not read: {_some(others)}" if others else "")

    @property
    def swap_hint(self) -> str:
        """Next step if latitude and longitude are swapped."""
        lat, lon = self.name("lat"), self.name("lon")
        known = "; one published Im2GPS3k table has the two names swapped" if {lat, lon} == {"LAT", "LON"} else ""
        return f"give the columns the other way round: --lat_column={lon} --lon_column={lat}{known}"


def find(path: pathlib.Path, wanted: Mapping[str, str]) -> Columns:
    """Returns the columns of a table.

    Args:
        path: The table.
        wanted: Column name, or number from 1, by field ("file", "lat", "lon", "lat_ref", "lon_ref", "heading", "date");
            empty to look for it, "-" for none.

    Raises:
        MissingFileError: If there is no such file.
        TreeError: If it has no column for the file, the latitude or the longitude, or is not text.
        OptionError: If a wanted column is not there, or one that is not wanted holds hemispheres.
    """
    files.check_file(path, "name a CSV table: --csv=FILE")
    first = [row for _, row in itertools.islice(rows(path), _LOOKED_AT)]
    header = first[0] if first else []
    has_header = not _is_data(header, wanted)
    header = header if has_header else [str(number + 1) for number in range(len(header))]
    lowered = [_plain(name) for name in header]
    by_field = {}
    for field, names in _NAMES.items():
        name = wanted.get(field, "")
        if name and name != NONE:
            by_field[field] = _wanted(path, header, field, name)
        elif not name and (known := [lowered.index(name) for name in names if name in lowered]):
            by_field[field] = known[0]
    _check_once(path, header, by_field, wanted)
    plain = {field: header[at].lower() for field, at in by_field.items() if field in LETTERS}
    if len(set(plain.values()) & {"x", "y"}) == 1 and not any(wanted.get(field) for field in LETTERS):
        # Only together are they a position.
        by_field = {field: at for field, at in by_field.items() if plain.get(field) not in ("x", "y")}
    if missing := [field for field in _REQUIRED if field not in by_field]:
        flags = " ".join(f"--{field}_column=NAME" for field in missing)
        raise errors.TreeError(
            f"{path}: no column is known to hold the {', '.join(missing)}; it has {_some(header) or 'none'}.",
            f"name it: {flags}; of a table without names, give the numbers of its columns from 1",
        )
    _check_hemispheres(path, Columns(by_field, tuple(header), False), first[1:], wanted)
    return Columns(by_field, tuple(header), set(lowered) >= _OSV5M_COLUMNS, has_header)


def _check_once(
    path: pathlib.Path, header: Sequence[str], by_field: Mapping[str, int], wanted: Mapping[str, str]
) -> None:
    """Raises TreeError if a column that is read has the name of another."""
    names = [_plain(name) for name in header]
    for field in set(by_field) & set(_BY_FLAG):
        same = [str(number) for number, name in enumerate(names, 1) if name == names[by_field[field]]]
        if len(same) > 1 and wanted.get(field, "") not in same:
            problem = f"{path}: {len(same)} columns are named {header[by_field[field]]!r}."
            raise errors.TreeError(problem, f"name one by its number, {' or '.join(same)}: --{field}_column={same[0]}")


def _is_data(first: Sequence[str], wanted: Mapping[str, str]) -> bool:
    """Returns whether a table has no names.

    The columns are wanted by number, and its first row holds a position.
    """
    numbers = [wanted.get(field, "") for field in ("lat", "lon")]
    if not all(number.isdecimal() and 1 <= int(number) <= len(first) and number not in first for number in numbers):
        return False
    try:
        for number, letters in zip(numbers, LETTERS.values(), strict=True):
            notation.angle_deg(first[int(number) - 1] or "0", letters)
    except ValueError:
        return False
    return True


def _check_hemispheres(
    path: pathlib.Path, chosen: Columns, rows: Sequence[Sequence[str]], wanted: Mapping[str, str]
) -> None:
    """Raises OptionError for positions without sign beside an unread hemisphere."""
    for field, letters in LETTERS.items():
        at = chosen.by_field[field]
        if f"{field}_ref" in chosen.by_field or wanted.get(f"{field}_ref") == NONE:
            continue
        if any(value[at : at + 1] and not value[at][:1].isdecimal() for value in rows):
            continue
        for number, name in enumerate(chosen.header):
            values = {row[number].upper() for row in rows if number < len(row) and row[number]}
            if number not in chosen.by_field.values() and values and values <= {*letters, *_WORDS[letters]}:
                problem = f"{path}: column {name!r} holds {' and '.join(sorted(values))}, and {field} has no signs."
                flag = f"--{field}_ref_column"
                raise errors.OptionError(problem, f"say what it is: {flag}={name} for hemispheres, {flag}=- for others")


def _some(names: Sequence[str]) -> str:
    """Returns the first names, and how many more there are."""
    more = f", and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(name[:_LONGEST] for name in names[:_SHOWN]) + more


def _wanted(path: pathlib.Path, header: Sequence[str], field: str, name: str) -> int:
    """Returns the number of the column that a flag names."""
    if name in header:
        return header.index(name)
    if name.isdecimal() and 1 <= int(name) <= len(header):
        return int(name) - 1
    raise errors.OptionError(f"--{field}_column={name}: {path} has no such column.", f"name one of {_some(header)}")


def rows(path: pathlib.Path) -> Iterator[tuple[int, list[str]]]:
    """Yields line number and values of each row, the header first.

    Of GeoJSON, a row is a feature: its properties, latitude and longitude; of other JSON an object.

    Raises:
        TreeError: If the file is neither CSV in UTF-8 or UTF-16 nor JSON.
    """
    with path.open("rb") as source:
        start = source.read(512)
    if start.removeprefix(codecs.BOM_UTF8).lstrip()[:1] in (b"{", b"["):
        yield from _features(path)
        return
    for magic, kind in _OTHER_KINDS.items():
        if start.removeprefix(codecs.BOM_UTF8).startswith(magic):
            raise errors.TreeError(f"{path}: is {kind}, not a CSV table.", "export it as CSV in UTF-8")
    # Excel's "Unicode text" is UTF-16.
    encoding = "utf-16" if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        with path.open(encoding=encoding, newline="") as source:
            lines, skipped = iter(source), 0
            while (first := next(lines, "")) and not first.strip():
                skipped += 1
            # Excel writes and reads a first line that names the separator.
            named = re.fullmatch(r'"?sep=(.)"?\s*', first, re.IGNORECASE)
            skipped += bool(named)
            separator = named[1] if named else max(",;\t|", key=first.count)
            reader = csv.reader(lines if named else itertools.chain([first], lines), delimiter=separator)
            for row in reader:
                yield reader.line_num + skipped, [value.strip() for value in row]
    except (UnicodeError, csv.Error) as error:
        raise errors.TreeError(f"{path}: is not a CSV file in UTF-8 ({error}).", "save it as CSV in UTF-8") from error


def _features(path: pathlib.Path) -> Iterator[tuple[int, list[str]]]:
    """Yields the rows of GeoJSON, or of JSON objects in a list or a line each.

    Raises:
        TreeError: If it is other JSON.
    """
    content = path.read_bytes()
    try:
        try:
            whole = files.parse_json(content)
        except ValueError:
            # Such as metadata.jsonl of Hugging Face's datasets.
            whole = [files.parse_json(line) for line in content.splitlines() if line.strip()]
        if isinstance(whole, list):
            named = dict.fromkeys(name for each in whole for name in each.keys())  # noqa: SIM118 - of objects alone
            yield 1, [*named]
            for number, each in enumerate(whole, 1):
                yield number, ["" if value is None else str(value) for value in map(each.get, named)]
            return
        features = whole["features"]
        about = [feature.get("properties") or {} for feature in features]
        named = dict.fromkeys(name for each in about for name in each if _plain(name) not in _POSITIONS)
        yield 1, [*named, "latitude", "longitude"]
        for number, (feature, each) in enumerate(zip(features, about, strict=True), 1):
            place = feature.get("geometry") or {}
            lon, lat, *_ = place["coordinates"] if place.get("type") == "Point" else ("", "")
            yield number, ["" if value is None else str(value) for value in [*map(each.get, named), lat, lon]]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        hint = "make a CSV table of it; files that Mapillary's and Google's tools lay beside photographs are read"
        problem = f"{path}: is JSON, but no GeoJSON of points ({errors.in_short(error)}), and not a CSV table."
        raise errors.TreeError(problem, f"{hint} without --csv") from error


def _plain(name: str) -> str:
    """Returns a column's name in lower case with underscores, without its unit."""
    return re.sub(r"\s*[(\[][^)\]]*[)\]]$", "", name.strip()).lower().replace(" ", "_")
