"""The polygon to cover, from any file fiona opens.

`load("us")` downloads the US Census Bureau's nation file once and takes its mainland; `load("demo")` takes the coarse
outline that comes with geods, `load("world")` all land and sea; anything else is the path of a map in a format of
docs/boundaries.md.
"""

import dataclasses
import hashlib
import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import shapely

from geods import errors
from geods.geo import antimeridian, geometry, polygons, vector_files, vector_sources
from geods.storage import files

# Boundaries without a file.
DRAWN = ("demo", "world")
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


@dataclasses.dataclass(frozen=True)
class Source:
    """A map file and the selection of its features.

    Attributes:
        boundary: `us`, `demo`, `world` or a path.
        where: Each `FIELD=VALUE` or `FIELD=VALUE,VALUE`: keeps the features with one of these values in each field.
        layer: Layer of a file that holds several.
        member: Map of an archive that holds several.
    """

    boundary: str
    where: tuple[str, ...] = ()
    layer: str | None = None
    member: str | None = None

    def __post_init__(self) -> None:
        """Checks what can be checked without the file.

        Raises:
            OptionError: If something is to be chosen from a boundary without a file.
        """
        if self.boundary in DRAWN and (self.where or self.layer or self.member):
            chosen = ", ".join(self.where) or self.layer or self.member
            problem = f"where={chosen}: boundary={self.boundary} is one polygon without fields, layers or members."
            raise errors.OptionError(problem, "leave it out, or give a file")

    @property
    def selection(self) -> dict[str, Any]:
        """The selection as parameters of a partition."""
        where = {"where": self.where[0] if len(self.where) == 1 else list(self.where)} if self.where else {}
        return where | {name: value for name in ("layer", "member") if (value := getattr(self, name)) is not None}

    def path(self) -> pathlib.Path:
        """Returns the path of the file, after downloading `us` if it is not there.

        Raises:
            MissingFileError: If there is no such file.
            DownloadError: If `us` cannot be downloaded.
        """
        return fetch(US_NATION) if self.boundary == "us" else vector_sources.check_source(self.boundary)

    def read(self) -> vector_files.Features:
        """Returns the chosen features of the file; see `vector_files.read`."""
        return vector_files.read(self.path(), self.where, self.layer, self.member)


def check_part(part: str) -> float | None:
    """Returns the kilometres of `near:KM`, or None for the other words.

    Raises:
        OptionError: If `part` is another word, or KM not a number above 0.
    """
    word, colon, reach = part.partition(":")
    if part in PARTS:
        return None
    try:
        if word == "near" and colon and 0 < float(reach) < math.inf:
            return float(reach)
    except ValueError:
        pass
    raise errors.OptionError(f"part={part!r} is unknown.", f"choose one of {', '.join(PARTS)}, near:KM (near:200)")


def load(
    source: str | Source,
    part: str = "containing",
    center: tuple[float, float] = US_CENTER,
) -> Boundary:
    """Reads a boundary.

    Args:
        source: `us`, `demo`, a path, or a choice in a file. Coordinates in a projected system are transformed to
            degrees; crossings of the antimeridian are cut there (see `antimeridian.within_180`); overlapping features
            are joined.
        part: `containing` keeps the polygon that contains `center`, `largest` the largest on the sphere, `near:KM` the
            largest and those within so many kilometres of it, `all` all. Polygons that meet at the antimeridian count
            as one.
        center: (lat, lon) in degrees.

    Raises:
        MissingFileError: If there is no such file.
        BoundaryError: If it cannot be read, or holds no such polygon.
        OptionError: If `part` is another word, or something is to be chosen from the demo outline.
        CoordinateError: If `center` is no location on Earth.
        DownloadError: If `us` cannot be downloaded.
    """
    chosen = Source(source) if isinstance(source, str) else source
    reach_km = check_part(part)
    geometry.check_coords(center, "center")
    name, sha256, whole, notes = _drawn(chosen.boundary) if chosen.boundary in DRAWN else _from_file(chosen)
    pieces: Sequence[shapely.Polygon] = polygons.parts(whole)
    selection: dict[str, Any] = {"part": part} | chosen.selection
    if part == "containing":
        pieces = _containing(pieces, center, name)
        selection["center"] = [float(value) for value in center]
    elif part != "all":
        pieces = _largest(pieces, reach_km)
    return Boundary(polygons.join(pieces), sha256, name, selection, notes)


def shapes_within_180(features: vector_files.Features, path: pathlib.Path) -> tuple[list[shapely.Geometry], list[str]]:
    """Returns the features' valid shapes, cut at the antimeridian, and notes.

    Notes are on edges that can be read in two ways.

    Raises:
        BoundaryError: If coordinates are not degrees, or a ring cannot be read in one way only.
    """
    notes: list[str] = []
    try:
        shapes = [shapely.make_valid(antimeridian.within_180(shape, notes)) for shape in features.shapes]
    except errors.CoordinateError as error:
        next_step = error.next_step or "write degrees (EPSG:4326), longitude first, or name the projection in the file"
        raise errors.BoundaryError(f"{path}: {error.problem}", next_step) from error
    if features.without_geometry:
        notes.append(f"{features.without_geometry} features without geometry were skipped.")
    return shapes, notes


def _drawn(name: str) -> tuple[str, str, polygons.Shape, tuple[str, ...]]:
    """Returns name, hash, shape and notes of a boundary that needs no file."""
    from geods.geo import demo_outline

    if name == "world":
        return name, "", polygons.canonical(antimeridian.WORLD), ()
    points = [(float(lat), float(lon)) for lat, lon in demo_outline.coarse_us()]
    sha256 = hashlib.sha256(repr(points).encode()).hexdigest()
    return name, sha256, polygons.canonical(shapely.Polygon([(lon, lat) for lat, lon in points])), ()


def _from_file(source: Source) -> tuple[str, str, polygons.Shape, tuple[str, ...]]:
    """Returns name, hash, joined polygons and notes of a file."""
    path, features = source.path(), source.read()
    shapes, notes = shapes_within_180(features, path)
    whole = polygons.canonical(shapely.union_all(shapes))
    if whole.is_empty:
        found = ", ".join(sorted({shape.geom_type for shape in features.shapes})) or "nothing"
        next_step = "give a file of polygons; lines and points bound nothing"
        raise errors.BoundaryError(f"{path}: holds no polygon with an area (found: {found}).", next_step)
    return str(path), vector_sources.sha256_of_source(path), whole, tuple(notes)


def _largest(pieces: Sequence[shapely.Polygon], reach_km: float | None) -> Sequence[shapely.Polygon]:
    """Returns the largest polygon with its parts over the antimeridian and near it."""
    groups = antimeridian.joined_over_antimeridian(pieces)
    areas_km2 = [sum(polygons.area_km2(piece) for piece in group) for group in groups]
    largest = groups[areas_km2.index(max(areas_km2))]
    if reach_km is None:
        return largest
    borders = polygons.Borders(largest)
    # Densified, as an island's nearest point may lie in the middle of an edge.
    coords = [shapely.get_coordinates(shapely.segmentize(polygons.join(group), 0.1))[:, ::-1] for group in groups]
    near = [np.isfinite(borders.nearest(points, reach_km)[1]).any() for points in coords]
    return [
        piece for group, is_near in zip(groups, near, strict=True) if group is largest or is_near for piece in group
    ]


def _containing(pieces: Sequence[shapely.Polygon], center: tuple[float, float], name: str) -> Sequence[shapely.Polygon]:
    """Returns the polygon at `center`, with what continues it over the antimeridian."""
    lat, lon = center
    for group in antimeridian.joined_over_antimeridian(pieces):
        if any(polygons.intersects_xy(piece, lon, lat) for piece in group):
            return group
    hint = ""
    if abs(lon) <= 90 and any(polygons.intersects_xy(piece, lat, lon) for piece in pieces):
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
        by_hand: What to do with a file that was downloaded by other means, as the end of a sentence.
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
    """Returns the folder of downloaded files: $GEODS_CACHE, or ~/.cache/geods."""
    return pathlib.Path(os.environ.get("GEODS_CACHE") or pathlib.Path.home() / ".cache" / "geods")


def fetch(download: Download) -> pathlib.Path:
    """Returns the path of a file in the cache, after downloading it if need be.

    Raises:
        DownloadError: If it cannot be downloaded or kept, or other bytes came; the next step does without.
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
        # urllib3 wraps the cause in the pool, the path and the number of attempts.
        cause = getattr(error.args[0] if error.args else None, "reason", error)
        raise errors.DownloadError(f"{download.url}: not downloaded ({cause}).", _by_hand(download)) from error
    return bytes(content)


def _by_hand(download: Download) -> str:
    """Returns the next step without the network of this program."""
    return f"download that file by hand (sha256 {download.sha256}) and {download.by_hand}"
