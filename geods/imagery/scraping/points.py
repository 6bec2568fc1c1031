"""Lists of points to get imagery at, from the files that people have.

A table (CSV) with columns for latitude and longitude, or for panorama ids, or both, and perhaps headings; GeoJSON
points; or a GeoGuessr map: {"customCoordinates": [{"lat", "lng", "heading", "panoId"}]}, or its list alone.
"""

import csv
import dataclasses
import io
import math
import os
import pathlib
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import shapely

from geods import errors
from geods.geo import partition
from geods.storage import files
from geods.tree import layouts

NAME = "points.csv"
# Names of columns and members, in lower case without "_".
_NAMES = {
    "lat": ("lat", "latitude", "latdeg", "y"),
    "lon": ("lon", "lng", "long", "longitude", "londeg", "x"),
    "heading": ("heading", "headingdeg", "bearing", "azimuth"),
    "pano_id": ("panoid", "pano", "panorama", "panoramaid", "id"),
}
# Panoramas asked for by id are in so many streams, one id always in the same, whatever its place.
_ID_STREAMS = 256
_MARGIN_DEG = 0.25
_LONGEST_ID = 256
# A shorter id beside a position is the number of a row: Mapillary's have 15 digits and more, others 22 characters.
_SHORTEST_ID = 12


@dataclasses.dataclass(frozen=True)
class Point:
    """One row of a list.

    Attributes:
        row: Its number, from 1.
        position: (lat_deg, lon_deg), or None of a row that has a panorama id alone.
        heading_deg: Direction of its one view, whole degrees from 0 to 359; None for those of --headings.
        pano_id: The panorama to get; empty for the nearest.
    """

    row: int
    position: tuple[float, float] | None
    heading_deg: int | None = None
    pano_id: str = ""


def read(path: str | os.PathLike[str]) -> list[Point]:
    """Reads a list of points in the order of the file.

    Raises:
        MissingFileError: If there is no such file.
        PointsError: If it is no such list, or a row of it is no point.
    """
    content = files.check_file(path, "name a file of points with --points").read_bytes()
    text = content.decode("utf-8-sig", errors="replace")
    rows = _json_rows(content, path) if text.lstrip()[:1] in ("{", "[") else _csv_rows(text, path)
    found = [_point(number, row, path) for number, row in enumerate(rows, 1)]
    if not found:
        raise errors.PointsError(f"{path}: has no points.", _FORMATS)
    return found


def by_stream(found: Sequence[Point], cells: partition.Partition) -> dict[int, list[Point]]:
    """Returns the points of each stream, which is worked on in order.

    The cells', and those of panorama ids.

    The stream of a cell has its number; those of ids follow the cells. Points outside all cells are in none.

    Args:
        found: The points.
        cells: The partition.

    Raises:
        PointsError: If there are points, but none in a stream.
    """
    streams: dict[int, list[Point]] = {}
    near = {point.row: point.position for point in found if not point.pano_id and point.position}
    lats, lons = ([position[axis] for position in near.values()] for axis in (0, 1))
    cell_of = dict(zip(near, cells.label(lats, lons).tolist() if near else [], strict=True))
    for point in found:
        number = zlib.crc32(point.pano_id.encode()) % _ID_STREAMS
        stream = len(cells) + number if point.pano_id else cell_of[point.row]
        if stream >= 0:
            streams.setdefault(stream, []).append(point)
    if found and not streams:
        problem = f"none of the {len(found):,} points lies in a cell of the partition."
        raise errors.PointsError(problem, "name another with --partition, or a file that is not there for one cell")
    return streams


def positions(found: Sequence[Point], path: str | os.PathLike[str]) -> list[tuple[float, float]]:
    """Returns the positions of points, (lat_deg, lon_deg).

    Raises:
        PointsError: If one has a panorama id alone.
    """
    for point in found:
        if point.position is None:
            raise errors.PointsError(f"{path}, row {point.row}: has no lat and lon.", "give every row both")
    return [point.position for point in found if point.position]


def partition_around(found: Sequence[Point]) -> partition.Partition:
    """Returns one cell that holds all points with a margin.

    The whole world if a row has no position.
    """
    places = [point.position for point in found if point.position]
    if len(places) < len(found):
        return partition.Partition((shapely.box(-180, -90, 180, 90),))
    lats, lons = zip(*places, strict=True)
    west, south = max(min(lons) - _MARGIN_DEG, -180), max(min(lats) - _MARGIN_DEG, -90)
    east, north = min(max(lons) + _MARGIN_DEG, 180), min(max(lats) + _MARGIN_DEG, 90)
    return partition.Partition((shapely.box(west, south, east, north),))


_FORMATS = "give a CSV with lat and lon (or pano_id), GeoJSON points, or a GeoGuessr map with customCoordinates"


def _json_rows(content: bytes, path: str | os.PathLike[str]) -> Iterator[Mapping[str, Any]]:
    """Yields the rows of GeoJSON or a GeoGuessr map."""
    try:
        record = files.parse_json(content)
    except (ValueError, RecursionError) as error:
        raise errors.PointsError(f"{path}: is no JSON ({error}).", _FORMATS) from error
    listed = record if isinstance(record, list) else record.get("customCoordinates", record.get("features"))
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise errors.PointsError(f"{path}: has no list of customCoordinates or features.", _FORMATS)
    for one in listed:
        geometry, about = one.get("geometry"), one.get("properties")
        if "geometry" not in one:
            yield one
            continue
        place = geometry.get("coordinates") if isinstance(geometry, dict) and geometry.get("type") == "Point" else None
        lon_deg, lat_deg = place[:2] if isinstance(place, list) and len(place) >= 2 else (None, None)
        yield {**(about if isinstance(about, dict) else {}), "lat": lat_deg, "lon": lon_deg}


def _csv_rows(text: str, path: str | os.PathLike[str]) -> Iterator[Mapping[str, Any]]:
    """Yields the rows of a table."""
    table = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    names = {_plain(name) for name in table.fieldnames or ()}
    wanted = [names & set(_NAMES[kind]) for kind in ("lat", "lon", "pano_id")]
    if not (wanted[0] and wanted[1]) and not wanted[2]:
        columns = ", ".join(table.fieldnames or ()) or "none"
        raise errors.PointsError(f"{path}: has no columns lat and lon, nor pano_id, but {columns[:200]}.", _FORMATS)
    if column := layouts.hemisphere_column(table.fieldnames or ()):
        problem = f"{path}: has a column {column} of hemispheres; points are signed degrees."
        raise errors.PointsError(problem, "write south and west as negative numbers, and leave the column out")
    yield from table


def _point(number: int, row: Mapping[str, Any], path: str | os.PathLike[str]) -> Point:
    """Returns the point of a row."""
    plain = {_plain(name): value for name, value in row.items() if value not in (None, "")}
    values = {kind: next((plain[n] for n in names if n in plain), None) for kind, names in _NAMES.items()}
    pano_id = str(values["pano_id"] or "").strip()
    given = values["lat"], values["lon"]
    if None not in given and pano_id == str(plain.get("id", "")).strip() and len(pano_id) < _SHORTEST_ID:
        pano_id = ""
    if None in given and not pano_id:
        raise errors.PointsError(f"{path}, row {number}: has neither lat and lon nor a panorama id.", "correct the row")
    if len(pano_id) > _LONGEST_ID or not pano_id.isprintable():
        raise errors.PointsError(f"{path}, row {number}: {pano_id[:60]!r} is no panorama id.", "correct the row")
    position = None
    if None not in given:
        position = (_number(given[0], 90, "lat", number, path), _number(given[1], 180, "lon", number, path))
    heading = None
    if values["heading"] is not None:
        heading = round(_number(values["heading"], 720, "heading", number, path)) % 360
    return Point(number, position, heading, pano_id)


def _number(value: object, most: float, name: str, row: int, path: str | os.PathLike[str]) -> float:
    """Returns a number from -most to most, or raises PointsError."""
    try:
        found = float(str(value).strip())
    except ValueError:
        found = math.nan
    if not -most <= found <= most:
        problem = f"{path}, row {row}: {name} {str(value)[:60]!r} is not a number from -{most:g} to {most:g}."
        raise errors.PointsError(problem, "correct the row; columns are (lat, lon), degrees")
    return found


def _plain(name: object) -> str:
    """Returns a column's name as _NAMES has it."""
    return str(name).strip().lower().replace("_", "").replace(" ", "")


def views(found: Sequence[Point], headings: int) -> int:
    """Returns the images of all points.

    One of those with a heading, else as many as there are headings.
    """
    return sum(headings if point.heading_deg is None else 1 for point in found)


def missed(found: Sequence[Point], outcomes: Mapping[int, tuple[str, str, str]], got: Collection[str]) -> list[str]:
    """Returns a line on each point that was not found, in the order of the list.

    Args:
        found: The points.
        outcomes: As in `write_outcomes`.
        got: Outcomes that are no misses.
    """
    lines = []
    for point in found:
        outcome = outcomes.get(point.row, ("not asked for", "", ""))[0]
        if outcome not in got:
            where = point.pano_id or "{:.6f}, {:.6f}".format(*(point.position or (0.0, 0.0)))
            lines.append(f"row {point.row} ({where}): {outcome.replace('_', ' ')}")
    return lines


def write_outcomes(
    found: Sequence[Point], outcomes: Mapping[int, tuple[str, str, str]], tree_dir: str | os.PathLike[str]
) -> pathlib.Path:
    """Writes one line a point to TREE/points.csv and returns its path.

    The lines are in the order of the list.

    Args:
        found: The points.
        outcomes: By row, (outcome, panorama id, folder of the location); rows without one were not asked for yet.
        tree_dir: The tree.
    """
    text = io.StringIO(newline="")
    sheet = csv.writer(text, lineterminator="\n")
    sheet.writerow(["row", "latitude", "longitude", "heading", "pano_id", "outcome", "found_pano_id", "location"])
    for point in found:
        heading = "" if point.heading_deg is None else point.heading_deg
        asked = [point.row, *(point.position or ("", "")), heading, point.pano_id]
        sheet.writerow([*asked, *outcomes.get(point.row, ("", "", ""))])
    path = pathlib.Path(tree_dir, NAME)
    files.write_text(path, text.getvalue())
    return path
