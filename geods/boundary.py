"""The polygon to cover, from any file fiona opens.

`load("us")` fetches the US Census Bureau's nation file once and takes its mainland; `load("demo")` takes the coarse
outline that comes with geods; anything else is the path of a .zip, .shp, .geojson or .gpkg.
"""

import dataclasses
import hashlib
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import shapely

from geods import downloads, errors, files, geometry, polygons, vector_files

PARTS = ("containing", "largest", "all")
# Lebanon, Kansas: near the geographic centre of the contiguous United States.
US_CENTER = (39.50, -98.35)


@dataclasses.dataclass(frozen=True)
class Boundary:
    """A polygon to cover.

    Attributes:
        shape: Polygon or MultiPolygon in canonical form, x = longitude and y = latitude in degrees.
        sha256: Hash of the source's bytes, in hexadecimal.
        name: What to call the source in messages.
        selection: What was taken of the source: `part`, and `center` (lat, lon) and `where` if they were used.
    """

    shape: polygons.Shape
    sha256: str
    name: str
    selection: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def load(
    boundary: str,
    where: str | None = None,
    part: str = "containing",
    center: tuple[float, float] = US_CENTER,
) -> Boundary:
    """Reads a boundary.

    Args:
        boundary: `us`, `demo` or a path. Coordinates in a projected system are brought to degrees; crossings of the
            antimeridian are cut there (see `polygons.within_180`); overlapping features are joined.
        where: `FIELD=VALUE` keeps the features with that value.
        part: `containing` keeps the polygon that contains `center`, `largest` the largest on the sphere, `all` all.
            Polygons that meet at the antimeridian count as one.
        center: (lat, lon) in degrees.

    Raises:
        MissingFileError: If there is no such file.
        BoundaryError: If it cannot be read, or holds no such polygon.
        OptionError: If `part` is another word, or `where` is given with `demo`.
        CoordinateError: If `center` is no place on Earth.
        DownloadError: If `us` cannot be fetched.
    """
    if part not in PARTS:
        raise errors.OptionError(f"part={part!r} is unknown.", f"choose one of {', '.join(PARTS)}")
    if boundary == "demo" and where:
        raise errors.OptionError(f"where={where}: the demo outline has no fields.", "leave it out, or give a file")
    geometry.check_coords(center, "center")
    name, sha256, whole = _demo() if boundary == "demo" else _from_file(boundary, where)
    pieces: Sequence[shapely.Polygon] = polygons.parts(whole)
    selection: dict[str, Any] = {"part": part} | ({"where": where} if where else {})
    if part == "containing":
        pieces = _containing(pieces, center, name)
        selection["center"] = [float(value) for value in center]
    elif part == "largest":
        groups = polygons.joined_over_antimeridian(pieces)
        pieces = max(groups, key=lambda group: polygons.area_km2(polygons.join(group)))
    return Boundary(polygons.join(pieces), sha256, name, selection)


def _demo() -> tuple[str, str, polygons.Shape]:
    """Returns name, hash and shape of the outline that comes with geods."""
    from geods import outline

    points = [(float(lat), float(lon)) for lat, lon in outline.coarse_us()]
    sha256 = hashlib.sha256(repr(points).encode()).hexdigest()
    return "demo", sha256, polygons.canonical(shapely.Polygon([(lon, lat) for lat, lon in points]))


def _from_file(boundary: str, where: str | None) -> tuple[str, str, polygons.Shape]:
    """Returns name, hash and joined polygons of `us` or a file."""
    if boundary == "us":
        path = downloads.fetch(downloads.US_NATION)
    else:
        path = files.require_file(boundary, "give the path of a boundary file, or --boundary=us or --boundary=demo")
    shapes = vector_files.read(path, where)
    whole = polygons.canonical(shapely.union_all([_within_180(shape, path) for shape in shapes]))
    if whole.is_empty:
        found = ", ".join(sorted({shape.geom_type for shape in shapes})) or "nothing"
        next_step = "give a file of polygons; lines and points bound nothing"
        raise errors.BoundaryError(f"{path}: holds no polygon with an area (found: {found}).", next_step)
    return str(path), files.sha256_of_file(path), whole


def _within_180(shape: shapely.Geometry, path: pathlib.Path) -> shapely.Geometry:
    """Cuts a shape at the antimeridian and mends rings that cross themselves."""
    try:
        return shapely.make_valid(polygons.within_180(shape))
    except errors.CoordinateError as error:
        next_step = "write degrees, longitude first; ogr2ogr -t_srs EPSG:4326 new.geojson OLD converts projected files"
        raise errors.BoundaryError(f"{path}: {error.problem}", next_step) from error


def _containing(pieces: Sequence[shapely.Polygon], center: tuple[float, float], name: str) -> Sequence[shapely.Polygon]:
    """Returns the polygon at `center`, with what continues it over the antimeridian."""
    lat, lon = center
    for group in polygons.joined_over_antimeridian(pieces):
        if any(shapely.intersects_xy(piece, lon, lat) for piece in group):
            return group
    hint = ""
    if abs(lon) <= 90 and any(shapely.intersects_xy(piece, lat, lon) for piece in pieces):
        hint = f" ({lon:g}, {lat:g}) would be inside: latitude and longitude look swapped."
    raise errors.BoundaryError(
        f"{name}: the center ({lat:g}, {lon:g}) lies in none of its {len(pieces)} polygons.{hint}",
        "give --center=LAT,LON of a point inside, or take --part=largest or --part=all",
    )
