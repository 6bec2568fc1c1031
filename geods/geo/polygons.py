"""Polygons in longitude and latitude: canonical form, area, nearest border.

Shapes are shapely polygons or multipolygons with x = longitude and y = latitude in degrees. Their edges are straight in
longitude and latitude, as GeoJSON has them.
"""

import itertools
import threading
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import shapely
from shapely import affinity

from geods.geo import geometry

# 1e-9 degrees are 0.1 mm: finer than any map, and coarse enough that the last bits of a clipped vertex, which differ
# between versions of GEOS, vanish.
DIGITS = 9
_POINTS_AT_ONCE = 4096

Shape: TypeAlias = "shapely.Polygon | shapely.MultiPolygon"


# Shapely prepares a shape when it is first asked about points, and does not expect another thread to do so as well: a
# server ended with a damaged heap, small trials with a segmentation fault (Shapely 2.2.0, GEOS 3.14.1).
_ONE_THREAD = threading.Lock()


def contains_xy(shape: Shape, lon_deg: npt.ArrayLike, lat_deg: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Returns whether a shape contains points, not on its border; safe for threads."""
    with _ONE_THREAD:
        return np.asarray(shapely.contains_xy(shape, lon_deg, lat_deg))


def intersects_xy(shape: Shape, lon_deg: npt.ArrayLike, lat_deg: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Returns whether a shape contains points, also on its border; safe for threads."""
    with _ONE_THREAD:
        return np.asarray(shapely.intersects_xy(shape, lon_deg, lat_deg))


def parts(shape: shapely.Geometry) -> list[shapely.Polygon]:
    """Returns the polygons of any geometry, in its order.

    Points, lines and empty polygons are left out.
    """
    pieces = shapely.get_parts(shapely.get_parts(shape))
    return [piece for piece in pieces if isinstance(piece, shapely.Polygon) and not piece.is_empty]


def join(pieces: Sequence[shapely.Polygon]) -> Shape:
    """Returns polygons that do not overlap as one shape.

    Of no polygons, the shape is an empty MultiPolygon.
    """
    return pieces[0] if len(pieces) == 1 else shapely.MultiPolygon(list(pieces))


def canonical(shape: shapely.Geometry) -> Shape:
    """Returns the one form that all ways of writing the same area share.

    Coordinates are rounded to 1e-9 degrees; vertices in the middle of a straight north-south or east-west line are
    dropped (clipping leaves them there or not, as the library likes), but an edge longer than 180 degrees is halved, as
    it could be read as one over the antimeridian; outer rings run counterclockwise and holes
    clockwise (RFC 7946, section 3.1.6), each from its most western, then most southern vertex; rings and polygons are
    in order of their coordinates. The canonical form of a canonical form is itself, bit for bit.

    Returns:
        A valid shape; a MultiPolygon of none if nothing of the area is left after rounding.
    """
    rounded = shapely.transform(shapely.force_2d(shape), _rounded)
    if not rounded.is_valid:
        # A gap narrower than the rounding has closed. GEOS rounds such shapes with their topology.
        # On areas of nothing, such as a triangle 1e-309 degrees high, it divides by zero on its way to the answer.
        with np.errstate(divide="ignore", invalid="ignore"):
            rounded = shapely.transform(shapely.set_precision(shape, 10.0**-DIGITS), _rounded)
    return join(sorted((_canonical_polygon(piece) for piece in parts(rounded) if piece.area > 0), key=_coordinates))


def area_km2(shape: shapely.Geometry) -> float:
    """Returns the area on the sphere in square kilometres."""
    total = 0.0
    # ring_area_km2 takes edges longer than 180 degrees the short way round; here all are as drawn.
    for piece in parts(shapely.segmentize(shape, 90)):
        total += geometry.ring_area_km2(_lat_lon(piece.exterior))
        total -= sum(geometry.ring_area_km2(_lat_lon(hole)) for hole in piece.interiors)
    return total


def centroid(shape: Shape) -> tuple[float, float]:
    """Returns the (lat, lon) of the centroid, in degrees to 9 digits.

    It is the planar centroid in degrees, as the course report took it: a fair middle of a cell of a few degrees, not
    of a continent. A shape on both sides of the antimeridian is first put together at 180 degrees.
    """
    pieces = parts(shape)
    start, end = lon_range((piece.bounds[0], piece.bounds[2]) for piece in pieces)
    if start > end:
        pieces = [affinity.translate(piece, 360) if piece.bounds[0] < start else piece for piece in pieces]
    middle = shapely.centroid(join(pieces))
    lat_deg, lon_deg = np.round([middle.y, geometry.wrap_lon_deg(middle.x)], DIGITS) + 0.0
    return float(lat_deg), float(lon_deg)


def lon_range(ranges: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """Returns the shortest (west, east) range of longitudes that covers all given.

    West is greater than east where the range crosses the antimeridian (RFC 7946, section 5.2).
    """
    ordered = sorted(ranges)
    covered = [ordered[0]]
    for west, east in ordered[1:]:
        if west <= covered[-1][1]:
            covered[-1] = (covered[-1][0], max(covered[-1][1], east))
        else:
            covered.append((west, east))
    # gaps[k] lies before range k; the first one goes over the antimeridian and wins a tie.
    gaps = [covered[0][0] + 360 - covered[-1][1]] + [b[0] - a[1] for a, b in itertools.pairwise(covered)]
    first = int(np.argmax(gaps))
    return covered[first][0], covered[first - 1][1]


def share_border(a: shapely.Geometry, b: shapely.Geometry) -> bool:
    """Returns whether two disjoint shapes share more than single points."""
    return bool(shapely.intersection(a, b).length > 0)


class Borders:
    """The edges of shapes, indexed: the nearest by distance on the sphere."""

    def __init__(self, shapes: Sequence[shapely.Geometry]) -> None:
        """Indexes the borders of `shapes`, x = longitude, y = latitude in degrees."""
        starts, ends, owners = [np.empty((0, 2))], [np.empty((0, 2))], [np.empty(0, int)]
        for number, shape in enumerate(shapes):
            for piece in parts(shape):
                for ring in (piece.exterior, *piece.interiors):
                    points = np.asarray(ring.coords)[:, :2]
                    starts.append(points[:-1])
                    ends.append(points[1:])
                    owners.append(np.full(len(points) - 1, number))
        self._start, self._end, self._owner = np.concatenate(starts), np.concatenate(ends), np.concatenate(owners)
        self._tree = shapely.STRtree(shapely.linestrings(np.stack([self._start, self._end], axis=1)))

    def nearest(
        self, coords: npt.ArrayLike, within_km: float, own: npt.ArrayLike | None = None
    ) -> tuple[npt.NDArray[np.int64], geometry.Array]:
        """Returns which shape's border is nearest to each point, and how far it is.

        Args:
            coords: `[n, 2]`, (lat, lon) in degrees.
            within_km: Farther borders are left out.
            own: `[n]`, a shape for each point that is left out for it.

        Returns:
            Numbers of shapes `[n]`, -1 where none is within reach and the lowest of equals; and kilometres `[n]`,
            infinite there. Good to 1 % up to 500 km and 85 degrees of latitude: nearest points are looked for on the
            plane that touches the sphere at each point, and their distance is the great circle's.
        """
        points = np.asarray(coords, dtype=np.float64).reshape(-1, 2)
        without = np.full(len(points), -1) if own is None else np.asarray(own)
        found, distance_km = np.full(len(points), -1), np.full(len(points), np.inf)
        for start in range(0, len(points), _POINTS_AT_ONCE):
            rows = slice(start, start + _POINTS_AT_ONCE)
            found[rows], distance_km[rows] = self._nearest(points[rows], within_km, without[rows])
        return found, distance_km

    def _nearest(
        self, points: geometry.Array, within_km: float, without: np.ndarray
    ) -> tuple[npt.NDArray[np.int64], geometry.Array]:
        found, best_km = np.full(len(points), -1), np.full(len(points), np.inf)
        at, edge, shift = self._candidates(points, within_km)
        keep = self._owner[edge] != without[at]
        at, edge, shift = at[keep], edge[keep], shift[keep]
        if not at.size:
            return found, best_km
        lat, lon = points[at, 0], points[at, 1] + shift
        scale = np.stack([np.maximum(np.cos(np.radians(lat)), 1e-6), np.ones(len(lat))], axis=-1)
        start = (self._start[edge] - np.stack([lon, lat], axis=-1)) * scale
        along = (self._end[edge] - self._start[edge]) * scale
        length = np.maximum((along**2).sum(axis=-1), 1e-30)
        share = np.clip(-(start * along).sum(axis=-1) / length, 0, 1)[:, None]
        nearest = self._start[edge] + share * (self._end[edge] - self._start[edge])
        km = geometry.haversine_km(np.stack([lat, lon], axis=-1), nearest[:, ::-1])
        order = np.lexsort((self._owner[edge], km, at))
        first = order[np.unique(at[order], return_index=True)[1]]
        first = first[km[first] <= within_km]
        found[at[first]], best_km[at[first]] = self._owner[edge[first]], km[first]
        return found, best_km

    def _candidates(self, points: geometry.Array, within_km: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns pairs of points and edges, and the turn that brings each pair near."""
        reach_lat = within_km / geometry.KM_PER_DEG * 1.01 + 1e-6
        nearest_pole = np.minimum(np.abs(points[:, 0]) + reach_lat, 90)
        reach_lon = np.minimum(reach_lat / np.maximum(np.cos(np.radians(nearest_pole)), 1e-3), 180)
        found: list[list[np.ndarray]] = [[], [], []]
        for turn in (-360, 0, 360):
            lon = points[:, 1] + turn
            near = np.flatnonzero((lon + reach_lon >= -180) & (lon - reach_lon <= 180))
            low, high = points[near, 0] - reach_lat, points[near, 0] + reach_lat
            boxes = shapely.box(lon[near] - reach_lon[near], low, lon[near] + reach_lon[near], high)
            at, edge = self._tree.query(boxes)
            for values, new in zip(found, (near[at], edge, np.full(len(at), float(turn))), strict=True):
                values.append(new)
        at, edge, shift = (np.concatenate(values) for values in found)
        return at, edge, shift


def _rounded(coordinates: np.ndarray) -> np.ndarray:
    """Rounds to `DIGITS`; the 0.0 turns -0.0 into 0.0."""
    return np.round(coordinates, DIGITS) + 0.0


def _canonical_polygon(piece: shapely.Polygon) -> shapely.Polygon:
    """Returns the canonical form of one polygon with rounded coordinates."""
    holes = sorted((_canonical_ring(hole, clockwise=True) for hole in piece.interiors), key=_as_list)
    return shapely.Polygon(_canonical_ring(piece.exterior, clockwise=False), holes)


def _canonical_ring(ring: shapely.LinearRing, *, clockwise: bool) -> np.ndarray:
    """Returns the closed coordinates `[n, 2]` of a ring in canonical order."""
    points = shapely.get_coordinates(ring)[:-1]
    points = points[(points != _turned(points, -1)).any(axis=1)]
    points = points[~((points == _turned(points, -1)) & (points == _turned(points, 1))).any(axis=1)]
    if ring.is_ccw == clockwise:
        points = points[::-1]
    first = int(np.lexsort((points[:, 1], points[:, 0]))[0])
    closed = np.concatenate([points[first:], points[: first + 1]])
    long_edges = np.flatnonzero(np.abs(np.diff(closed[:, 0])) > 180)
    if not len(long_edges):
        return closed
    return np.insert(closed, long_edges + 1, _rounded((closed[long_edges] + closed[long_edges + 1]) / 2), axis=0)


def _turned(points: np.ndarray, by: int) -> np.ndarray:
    """Returns points in the order of `np.roll(points, -by)`, in a third of its time."""
    return np.concatenate([points[by:], points[:by]])


def _lat_lon(ring: shapely.LinearRing) -> np.ndarray:
    """Returns the vertices `[n, 2]` of a ring as (lat, lon)."""
    return np.asarray(ring.coords)[:, 1::-1]


def _coordinates(piece: shapely.Polygon) -> list[list[float]]:
    """Sort key of a polygon: its outer ring."""
    return _as_list(np.asarray(piece.exterior.coords))


def _as_list(points: np.ndarray) -> list[list[float]]:
    """Returns an array as lists, which compare in order."""
    return points.tolist()
