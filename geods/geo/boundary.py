"""The polygon to cover, from any file fiona opens.

`load("us")` fetches the US Census Bureau's nation file once and takes its mainland; `load("demo")` takes the coarse
outline that comes with geods; anything else is the path of a .zip, .shp, .geojson or .gpkg.

Files that geods can fetch: over HTTPS, checked against a known SHA-256, kept in a cache.
"""

import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import shapely

from geods import errors
from geods.geo import antimeridian, geometry, polygons, vector_files
from geods.storage import files

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
        notes: Sentences about what in the source can be read in more than one way, and how it was read.
    """

    shape: polygons.Shape
    sha256: str
    name: str
    selection: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()


def load(
    boundary: str,
    where: str | None = None,
    part: str = "containing",
    center: tuple[float, float] = US_CENTER,
) -> Boundary:
    """Reads a boundary.

    Args:
        boundary: `us`, `demo` or a path. Coordinates in a projected system are brought to degrees; crossings of the
            antimeridian are cut there (see `antimeridian.within_180`); overlapping features are joined.
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
        groups = antimeridian.joined_over_antimeridian(pieces)
        pieces = max(groups, key=lambda group: polygons.area_km2(polygons.join(group)))
    return Boundary(polygons.join(pieces), sha256, name, selection)


def _demo() -> tuple[str, str, polygons.Shape]:
    """Returns name, hash and shape of the outline that comes with geods."""
    from geods.geo import demo_outline

    points = [(float(lat), float(lon)) for lat, lon in demo_outline.coarse_us()]
    sha256 = hashlib.sha256(repr(points).encode()).hexdigest()
    return "demo", sha256, polygons.canonical(shapely.Polygon([(lon, lat) for lat, lon in points]))


def _from_file(boundary: str, where: str | None) -> tuple[str, str, polygons.Shape]:
    """Returns name, hash and joined polygons of `us` or a file."""
    if boundary == "us":
        path = fetch(US_NATION)
    else:
        path = files.check_file(boundary, "give the path of a boundary file, or --boundary=us or --boundary=demo")
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
        return shapely.make_valid(antimeridian.within_180(shape))
    except errors.CoordinateError as error:
        next_step = error.next_step or "write degrees (EPSG:4326), longitude first, or name the projection in the file"
        raise errors.BoundaryError(f"{path}: {error.problem}", next_step) from error


def _containing(pieces: Sequence[shapely.Polygon], center: tuple[float, float], name: str) -> Sequence[shapely.Polygon]:
    """Returns the polygon at `center`, with what continues it over the antimeridian."""
    lat, lon = center
    for group in antimeridian.joined_over_antimeridian(pieces):
        if any(shapely.intersects_xy(piece, lon, lat) for piece in group):
            return group
    hint = ""
    if abs(lon) <= 90 and any(shapely.intersects_xy(piece, lat, lon) for piece in pieces):
        hint = f" ({lon:g}, {lat:g}) would be inside: latitude and longitude look swapped."
    raise errors.BoundaryError(
        f"{name}: the center ({lat:g}, {lon:g}) lies in none of its {len(pieces)} polygons.{hint}",
        "give --center=LAT,LON of a point inside, or take --part=largest or --part=all",
    )


_CONNECT_S, _READ_S = 10, 60
_CHUNK_BYTES = 1 << 16


@dataclasses.dataclass(frozen=True)
class Download:
    """A file on the web.

    Attributes:
        url: Where it is; its last part names the cached file.
        sha256: What its bytes must hash to, in hexadecimal.
        max_bytes: Where to stop reading if more comes.
        by_hand: What to do with a file that was fetched by other means, as the end of a sentence.
    """

    url: str
    sha256: str
    max_bytes: int
    by_hand: str


US_NATION = Download(
    # 1:5,000,000; the report's own boundary. Public domain, 0.4 MB.
    url="https://www2.census.gov/geo/tiger/GENZ2018/shp/cb_2018_us_nation_5m.zip",
    sha256="0358f24effd8f92c6a9dbe5f13c657373a5a075ef47e68f4f4f11992ca0e5728",
    max_bytes=8 << 20,
    by_hand="pass --boundary=PATH",
)


def cache_folder() -> pathlib.Path:
    """Returns where fetched files are kept: $GEODS_CACHE, or ~/.cache/geods."""
    return pathlib.Path(os.environ.get("GEODS_CACHE") or pathlib.Path.home() / ".cache" / "geods")


def fetch(download: Download) -> pathlib.Path:
    """Returns the path of a file in the cache, after fetching it if it is not there whole.

    Raises:
        DownloadError: If it cannot be fetched or kept, or other bytes came; the message says how to do without.
    """
    path = cache_folder() / download.url.rsplit("/", 1)[-1]
    if path.is_file() and files.sha256_of_file(path) == download.sha256:
        return path
    content = _get(download)
    digest = hashlib.sha256(content).hexdigest()
    if len(content) > download.max_bytes:
        raise errors.DownloadError(f"{download.url}: sent more than {download.max_bytes:,} bytes.", _by_hand(download))
    if digest != download.sha256:
        problem = f"{download.url}: sent {len(content):,} bytes with sha256 {digest}, not {download.sha256}."
        raise errors.DownloadError(problem, _by_hand(download))
    try:
        files.write_bytes(path, content)
    except OSError as error:
        next_step = "set GEODS_CACHE to a folder that can be written to"
        raise errors.DownloadError(f"{path}: cannot be written ({error.strerror}).", next_step) from error
    return path


def _get(download: Download) -> bytes:
    """Returns the body of the answer, or its first bytes over the limit."""
    import requests

    content = bytearray()
    try:
        with requests.get(download.url, stream=True, timeout=(_CONNECT_S, _READ_S)) as response:
            response.raise_for_status()
            for chunk in response.iter_content(_CHUNK_BYTES):
                content += chunk
                if len(content) > download.max_bytes:
                    break
    except requests.RequestException as error:
        raise errors.DownloadError(f"{download.url}: not fetched ({error}).", _by_hand(download)) from error
    return bytes(content)


def _by_hand(download: Download) -> str:
    """Says how to do without this program's own network."""
    return f"download that file by hand (sha256 {download.sha256}) and {download.by_hand}"
