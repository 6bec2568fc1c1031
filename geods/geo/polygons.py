"""Polygons in longitude and latitude: one canonical form, spherical areas, and the antimeridian.

Shapes are shapely polygons or multipolygons with x = longitude and y = latitude in degrees. Their edges are straight in
longitude and latitude, as GeoJSON has them.
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
import shapely
from shapely import affinity

from geods import errors
from geods.geo import geometry

# 1e-9 degrees are 0.1 mm: finer than any map, and coarse enough that the last bits of a clipped vertex, which differ
# between versions of GEOS, vanish.
DIGITS = 9

Shape: TypeAlias = "shapely.Polygon | shapely.MultiPolygon"
_WORLD = shapely.box(-180, -90, 180, 90)


def parts(shape: shapely.Geometry) -> list[shapely.Polygon]:
    """Returns the polygons in any geometry, in its order; points, lines and empty polygons are left out."""
    pieces = shapely.get_parts(shapely.get_parts(shape))
    return [piece for piece in pieces if isinstance(piece, shapely.Polygon) and not piece.is_empty]


def join(pieces: Sequence[shapely.Polygon]) -> Shape:
    """Returns polygons that do not overlap as one shape, as they are; without any, a MultiPolygon of none."""
    return pieces[0] if len(pieces) == 1 else shapely.MultiPolygon(list(pieces))


def canonical(shape: shapely.Geometry) -> Shape:
    """Returns the one form that all ways of writing the same area share.

    Coordinates are rounded to 1e-9 degrees; vertices in the middle of a straight north-south or east-west line are
    dropped (clipping leaves them there or not, as the library likes); outer rings run counterclockwise and holes
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
    """Returns the shortest (west, east) range of longitudes that covers all given ones.

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


def within_180(shape: shapely.Geometry) -> shapely.Geometry:
    """Returns the polygons of `shape` with all longitudes in -180 to 180, cut at the antimeridian where they cross it.

    Two ways of writing such a crossing are understood: longitudes beyond 180 (178 to 182), and a jump (from 179 to
    -179). So an edge longer than 180 degrees, but not the whole turn of a world map, is taken to go the short way.

    Raises:
        CoordinateError: If a latitude is beyond 90 or a longitude beyond 540 degrees, or a ring goes round a pole.
    """
    _check_degrees(shape)
    whole = [_unrolled(piece) for piece in parts(shape)]
    if all(_WORLD.covers(piece) for piece in whole):
        return join(whole)
    turns = [affinity.translate(shapely.make_valid(piece), shift) for piece in whole for shift in (-360, 0, 360)]
    return shapely.union_all([shapely.intersection(piece, _WORLD) for piece in turns])


def joined_over_antimeridian(pieces: Sequence[shapely.Polygon]) -> list[list[shapely.Polygon]]:
    """Groups polygons that are one on the globe: cut apart at 180 degrees, with an edge in common there."""
    group_of = list(range(len(pieces)))
    at_east = [k for k, piece in enumerate(pieces) if piece.bounds[2] == 180]
    at_west = [k for k, piece in enumerate(pieces) if piece.bounds[0] == -180]
    for east, west in itertools.product(at_east, at_west):
        if share_border(pieces[east], affinity.translate(pieces[west], 360)):
            old, new = group_of[west], group_of[east]
            group_of = [new if group == old else group for group in group_of]
    return [[pieces[k] for k, group in enumerate(group_of) if group == number] for number in sorted(set(group_of))]


def share_border(a: shapely.Geometry, b: shapely.Geometry) -> bool:
    """Says whether two shapes that do not overlap have more than single points in common."""
    return bool(shapely.intersection(a, b).length > 0)


def _rounded(coordinates: np.ndarray) -> np.ndarray:
    """Rounds to `DIGITS`; the 0.0 turns -0.0 into 0.0."""
    return np.round(coordinates, DIGITS) + 0.0


def _check_degrees(shape: shapely.Geometry) -> None:
    """Raises CoordinateError if coordinates cannot be degrees."""
    x, y = np.moveaxis(shapely.get_coordinates(shape), -1, 0)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise errors.CoordinateError("a coordinate is not a finite number.")
    if (np.abs(y) > 90).any() or (np.abs(x) > 540).any():
        at = int(np.argmax((np.abs(y) > 90) | (np.abs(x) > 540)))
        swapped = (np.abs(x) <= 90).all() and (np.abs(y) <= 180).all()
        hint = "latitude and longitude look swapped" if swapped else "they look projected, or the file is damaged"
        raise errors.CoordinateError(f"longitude {x[at]:.10g}, latitude {y[at]:.10g} are not degrees; {hint}.")


def _unrolled(piece: shapely.Polygon) -> shapely.Polygon:
    """Returns a polygon whose longitudes run on beyond 180 instead of jumping."""
    exterior = _without_jumps(piece.exterior)
    if exterior is None:
        return piece
    holes = []
    for hole in piece.interiors:
        ring = _without_jumps(hole)
        ring = np.asarray(hole.coords)[:, :2] if ring is None else ring
        # A hole lies in the outer ring, which may now be a whole turn away.
        turns = np.round((exterior[:, 0].mean() - ring[:, 0].mean()) / 360)
        holes.append(ring + np.array([360 * turns, 0]))
    return shapely.Polygon(exterior, holes)


def _without_jumps(ring: shapely.LinearRing) -> np.ndarray | None:
    """Returns the (lon, lat) `[n, 2]` of a ring with its jumps taken out, or None if it has none."""
    points = np.asarray(ring.coords)[:, :2]
    steps = np.diff(points[:, 0])
    jumps = (np.abs(steps) > 180) & (np.abs(steps) < 360)
    if not jumps.any():
        return None
    shifts = np.concatenate([[0], np.cumsum(np.where(jumps, -360 * np.sign(steps), 0))])
    if shifts[-1] != 0:
        start = f"longitude {points[0, 0]:g}, latitude {points[0, 1]:g}"
        raise errors.CoordinateError(f"the ring from {start} goes round a pole, but is not cut at the antimeridian.")
    return np.column_stack([points[:, 0] + shifts, points[:, 1]])


def _canonical_polygon(piece: shapely.Polygon) -> shapely.Polygon:
    """Returns the canonical form of one polygon with rounded coordinates."""
    holes = sorted((_canonical_ring(hole, clockwise=True) for hole in piece.interiors), key=_as_list)
    return shapely.Polygon(_canonical_ring(piece.exterior, clockwise=False), holes)


def _canonical_ring(ring: shapely.LinearRing, *, clockwise: bool) -> np.ndarray:
    """Returns the closed coordinates `[n, 2]` of a ring in canonical order."""
    points = np.asarray(ring.coords)[:-1]
    points = points[(points != np.roll(points, 1, axis=0)).any(axis=1)]
    same_before, same_after = points == np.roll(points, 1, axis=0), points == np.roll(points, -1, axis=0)
    points = points[~(same_before & same_after).any(axis=1)]
    if ring.is_ccw == clockwise:
        points = points[::-1]
    first = int(np.lexsort((points[:, 1], points[:, 0]))[0])
    points = np.roll(points, -first, axis=0)
    return np.concatenate([points, points[:1]])


def _lat_lon(ring: shapely.LinearRing) -> np.ndarray:
    """Returns the vertices `[n, 2]` of a ring as (lat, lon)."""
    return np.asarray(ring.coords)[:, 1::-1]


def _coordinates(piece: shapely.Polygon) -> list[list[float]]:
    """Sort key of a polygon: its outer ring."""
    return _as_list(np.asarray(piece.exterior.coords))


def _as_list(points: np.ndarray) -> list[list[float]]:
    """Returns an array as lists, which compare in order."""
    return points.tolist()
