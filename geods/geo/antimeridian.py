"""Polygons over the antimeridian and round the poles, in -180 to 180 degrees.

A ring is unrolled: each step over the antimeridian adds or takes a turn, so that longitudes run on beyond 180. A ring
that ends a turn away from its start goes round a pole and is closed along it. What the unrolled rings enclose is cut at
180 degrees, and the result's area is compared with one from unit vectors (`geometry.area_by_triangles_km2`).
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np
import shapely
from shapely import affinity

from geods import errors
from geods.geo import geometry, polygons

WORLD = shapely.box(-180, -90, 180, 90)

# A ring that stays so near a pole is that pole: world-atlas writes it as a ring at 89.999 degrees south.
_POLE_DEG = 0.01
# Mean latitude of a ring round a pole; nearer to the equator it does not say which pole.
_LEAST_POLAR_DEG = 1.0
# An edge that could go either way round the Earth is taken over the antimeridian up to this width, and refused above.
_WIDEST_AMBIGUOUS_DEG = 1.0
_AREA_TOLERANCE, _AREA_TOLERANCE_KM2 = 1e-3, 0.1
_SNAP_DEG = 10.0**-polygons.DIGITS


@dataclasses.dataclass(frozen=True, eq=False)
class _Ring:
    """A ring unrolled over the antimeridian.

    Attributes:
        points: `[n, 2]` (lon, lat) in degrees, closed but for whole turns.
        turns: 0, or 1 or -1 if the ring goes round a pole, eastwards or westwards.
        crosses: Whether it has a step over the antimeridian.
    """

    points: np.ndarray
    turns: int
    crosses: bool


def within_180(shape: shapely.Geometry, notes: list[str] | None = None) -> shapely.Geometry:
    """Returns a shape's polygons in -180 to 180, cut at the antimeridian.

    These are crossings: longitudes beyond 180 (178 to 182); a step of more than 180 degrees (from 179 to -179); a step
    of exactly 360 degrees (from 180 to -180), but not along a pole nor as the top or bottom of a box of the world. A
    ring with an odd number of crossings goes round the pole of its hemisphere.

    Args:
        shape: Any geometry; points and lines are left out.
        notes: Gets one sentence for each ring that could also be drawn the other way round the Earth.

    Raises:
        CoordinateError: If a latitude is beyond 90 or a longitude beyond 540 degrees; a ring round a pole does not say
            which; a ring could as well be drawn the other way round the Earth; or the area is not the ring's.
    """
    west, south, east, north = shapely.bounds(shape)
    # Nearly all cells of a partition: no edge can be longer than what holds all of them.
    if east - west <= 180 and west >= -180 and east <= 180 and south >= -90 and north <= 90:
        return polygons.join(polygons.parts(shape))
    shape = shapely.transform(shape, _snapped)
    _check_degrees(shape)
    found: list[shapely.Geometry] = []
    changed = False
    for piece in polygons.parts(shape):
        rings = [_unrolled(ring) for ring in (piece.exterior, *piece.interiors)]
        if any(ring.crosses for ring in rings):
            _check_direction(piece, rings[0], notes)
        elif WORLD.covers(piece):
            found.append(piece)
            continue
        found.append(_enclosed(rings))
        _check_area(rings, found[-1])
        changed = True
    return shapely.union_all(shapely.make_valid(found)) if changed else polygons.join(polygons.parts(shape))


def joined_over_antimeridian(pieces: Sequence[shapely.Polygon]) -> list[list[shapely.Polygon]]:
    """Groups polygons that have an edge in common at 180 degrees."""
    group_of = list(range(len(pieces)))
    at_east = [k for k, piece in enumerate(pieces) if piece.bounds[2] == 180]
    at_west = [k for k, piece in enumerate(pieces) if piece.bounds[0] == -180]
    for east, west in itertools.product(at_east, at_west):
        if polygons.share_border(pieces[east], affinity.translate(pieces[west], 360)):
            old, new = group_of[west], group_of[east]
            group_of = [new if group == old else group for group in group_of]
    return [[pieces[k] for k, group in enumerate(group_of) if group == number] for number in sorted(set(group_of))]


def _snapped(points: np.ndarray) -> np.ndarray:
    """Returns coordinates `[n, 2 or 3]` snapped to the antimeridian and the poles.

    They move by up to 1e-9 to an odd multiple of 180 and to a pole: files that were once in another projection hold
    -179.99999999999994 and 180.00000000000006 there.
    """
    limits = np.array([180.0, 90.0])
    nearest = np.where(np.abs(points[:, :2]) < limits / 2, np.inf, np.round(points[:, :2] / limits) * limits)
    with np.errstate(invalid="ignore"):
        close = np.abs(points[:, :2] - nearest) <= _SNAP_DEG
    return np.column_stack([np.where(close, nearest, points[:, :2]), points[:, 2:]])


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


def _unrolled(ring: shapely.LinearRing) -> _Ring:
    points = np.asarray(ring.coords)[:, :2]
    steps = np.diff(points, axis=0)
    points = points[np.append((steps != 0).any(axis=1), True)]
    steps = np.diff(points, axis=0)
    wide = np.abs(steps[:, 0])
    crossings = (wide > 180) & ~((wide == 360) & _is_edge_of_map(points, steps))
    shifts = np.concatenate([[0], np.cumsum(np.where(crossings, -360 * np.sign(steps[:, 0]), 0))])
    turns = round(float(shifts[-1]) / 360)
    if abs(turns) > 1:
        start = f"longitude {points[0, 0]:g}, latitude {points[0, 1]:g}"
        raise errors.CoordinateError(f"the ring from {start} goes round a pole {abs(turns)} times.")
    first_turn = 360 * round(float(points[0, 0]) / 360)
    lon_deg = points[:, 0] + shifts - first_turn
    return _Ring(np.column_stack([lon_deg, points[:, 1]]), turns, bool(crossings.any()))


def _is_edge_of_map(points: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Returns whether each 360-degree step of a ring lies along a map's edge, `[n]`.

    An edge along a pole counts as one. As a crossing, such a step would turn the meridians before and after it, at 180
    and -180, into one line back and forth.
    """
    before, after = np.roll(steps, 1, axis=0), np.roll(steps, -1, axis=0)
    meridians = (before[:, 0] == 0) & (after[:, 0] == 0) & (before[:, 1] * after[:, 1] < 0)
    along_pole = (np.abs(points[:-1, 1]) == 90) & (steps[:, 1] == 0)
    return meridians | along_pole


def _check_direction(piece: shapely.Polygon, exterior: _Ring, notes: list[str] | None) -> None:
    """Checks that the long edges of a polygon go the way they seem to.

    One with vertices at 180 degrees and on both sides was cut there, and its edges leave no doubt.

    Raises:
        CoordinateError: If there is doubt, and the way over the antimeridian is wider than `_WIDEST_AMBIGUOUS_DEG`.
    """
    points = np.asarray(piece.exterior.coords)[:, :2]
    steps = np.abs(np.diff(points[:, 0]))
    long_edges = np.flatnonzero((steps > 180) & (steps < 360))
    turns = (exterior.points[:, 0] + 180) / 360
    was_cut = (turns % 1 == 0).any() and math.floor(turns.min()) + 1 < turns.max()
    if not long_edges.size or was_cut or not piece.is_valid or piece.area == 0:
        return
    edge = long_edges[0]
    width = float(360 - steps[edge])
    west, east = sorted(points[edge : edge + 2, 0].tolist())
    problem = f"the edge from longitude {west:g} to {east:g} at latitude {points[edge, 1]:g} is ambiguous"
    if len(long_edges) % 2 == 0 and width > _WIDEST_AMBIGUOUS_DEG:
        raise errors.CoordinateError(
            f"{problem}: it goes {width:g} degrees over the antimeridian or {360 - width:g} the other way.",
            f"write {east:g} to {west + 360:g} for the first, and add a vertex at longitude {(west + east) / 2:g} for "
            "the second",
        )
    if notes is not None:
        notes.append(f"{problem}; taken over the antimeridian, {width:g} degrees.")


def _enclosed(rings: Sequence[_Ring]) -> shapely.Geometry:
    """Returns what an odd number of the rings enclose, within 180 degrees."""
    polar = [ring for ring in rings if ring.turns]
    at_pole = [ring for ring in polar if (np.abs(ring.points[:, 1]) > 90 - _POLE_DEG).all()]
    if len(at_pole) == 1 and len(polar) == 2:
        polar = [ring for ring in polar if ring is not at_pole[0]]
        rings = [ring for ring in rings if ring is not at_pole[0]]
    # Between two rings round the poles lies the same band, whichever pole both are closed over.
    southern = _is_southern(polar[0]) if len(polar) == 1 else True
    enclosed: shapely.Geometry = shapely.MultiPolygon()
    for ring in rings:
        if ring.turns:
            inside = shapely.intersection(shapely.make_valid(_polar_cap(ring, southern)), WORLD)
        else:
            inside = _cut(shapely.make_valid(shapely.Polygon(ring.points)))
        enclosed = shapely.symmetric_difference(enclosed, inside)
    return polygons.join(polygons.parts(enclosed))


def _is_southern(ring: _Ring) -> bool:
    """Returns whether a polar ring has the South Pole on its smaller side."""
    lon, lat = np.radians(ring.points).T
    middle = (np.sin(lat[1:]) + np.sin(lat[:-1])) / 2
    mean_deg = math.degrees(math.asin(float(np.sum(middle * np.diff(lon)) / (2 * math.pi * ring.turns))))
    if abs(mean_deg) < _LEAST_POLAR_DEG:
        start = f"longitude {ring.points[0, 0]:g}, latitude {ring.points[0, 1]:g}"
        raise errors.CoordinateError(
            f"the ring from {start} goes round the Earth near the equator: either pole could be inside.",
            "cut it at 180 degrees and along the pole: ..., (180, LAT), (180, 90), (-180, 90), (-180, LAT)",
        )
    return mean_deg < 0


def _polar_cap(ring: _Ring, southern: bool) -> shapely.Polygon:
    """Returns five turns of a ring with a pole, the outer two beyond the world."""
    period = ring.points[:-1]
    line = np.concatenate([period + np.array([360 * turn * ring.turns, 0]) for turn in range(-2, 3)])
    pole_deg = -90.0 if southern else 90.0
    return shapely.Polygon(np.concatenate([line, [[line[-1, 0], pole_deg], [line[0, 0], pole_deg]]]))


def _cut(shape: shapely.Geometry) -> shapely.Geometry:
    """Returns a shape with each turn's part moved to -180 to 180 degrees."""
    west, _, east, _ = shape.bounds
    if shape.is_empty or (west >= -180 and east <= 180):
        return shape
    turns = range(math.floor((west + 180) / 360), math.ceil((east - 180) / 360) + 1)
    return shapely.union_all([shapely.intersection(affinity.translate(shape, -360 * turn), WORLD) for turn in turns])


def _check_area(rings: Sequence[_Ring], found: shapely.Geometry) -> None:
    """Raises CoordinateError if an area is not that of the rings on the sphere.

    Rings that cross themselves are left out: what they enclose depends on the rule.
    """
    if not all(shapely.LineString(ring.points).is_simple for ring in rings):
        return
    areas_km2 = [geometry.area_by_triangles_km2(ring.points[:, ::-1]) for ring in rings]
    polar = [area for area, ring in zip(areas_km2, rings, strict=True) if ring.turns]
    others = [area for area, ring in zip(areas_km2, rings, strict=True) if not ring.turns]
    if len(polar) == 1:
        expected_km2 = min(polar[0], geometry.EARTH_KM2 - polar[0]) - sum(others)
    elif polar:
        expected_km2 = max(polar) - min(polar) - sum(others)
    else:
        expected_km2 = others[0] - sum(others[1:])
    found_km2 = polygons.area_km2(found)
    if abs(found_km2 - expected_km2) > _AREA_TOLERANCE * expected_km2 + _AREA_TOLERANCE_KM2:
        lon_deg, lat_deg = rings[0].points[0].tolist()
        raise errors.CoordinateError(
            f"the ring from longitude {lon_deg:g}, latitude {lat_deg:g} encloses {expected_km2:,.0f} km2, but "
            f"{found_km2:,.0f} once cut at 180 degrees."
        )
