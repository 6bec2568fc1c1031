"""Points, distances and areas on the sphere; numpy only.

Coordinates are `[..., 2]` float64 arrays of (latitude, longitude) in degrees. The sphere has the Earth's mean radius,
6371.0088 km (IUGG R1), which keeps every distance within 0.6 % of the ellipsoid's.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from geods import errors

EARTH_RADIUS_KM = 6371.0088
EARTH_KM2 = 4 * np.pi * EARTH_RADIUS_KM**2
KM_PER_DEG = EARTH_RADIUS_KM * np.pi / 180
KM_PER_MILE = 1.609344
# The radius of the course report's metric; its published miles can only be compared on this sphere.
REPORT_RADIUS_MILES = 3958.8
# Diagonal of the bounding box of GeoGuessr's world map.
WORLD_DIAGONAL_KM = 14916.862

Array = npt.NDArray[np.float64]

# haversine_km makes about ten temporary arrays of its result's size; 2^20 of float64 keep them at 8 MiB each.
_PAIRS_AT_ONCE = 1 << 20


def check_coords(coords: npt.ArrayLike, name: str = "coords") -> Array:
    """Returns `coords` as float64 if every one is a location on Earth.

    Args:
        coords: `[..., 2]`, (lat, lon) in degrees.
        name: What to call the array in an error.

    Raises:
        CoordinateError: If the shape is another, a value is not a finite number, a latitude is outside -90 to 90 or a
            longitude outside -180 to 180; the message has the first such value, and whether the two look swapped.
    """
    next_step = "give (latitude, longitude) in degrees, in that order"
    try:
        checked = np.asarray(coords, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise errors.CoordinateError(f"{name}: not numbers: {coords!r}.", next_step) from error
    if checked.ndim == 0 or checked.shape[-1] != 2:
        raise errors.CoordinateError(f"{name}: shape {checked.shape} is not [..., 2].", next_step)
    rows = checked.reshape(-1, 2)
    wrong = ~(np.abs(rows[:, 0]) <= 90) | ~(np.abs(rows[:, 1]) <= 180)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise errors.CoordinateError(f"{_row_name(name, checked, at)} {_what_is_wrong(*rows[at])}", next_step)
    return checked


def haversine_km(a: npt.ArrayLike, b: npt.ArrayLike) -> Array:
    """Returns great-circle distances.

    Args:
        a: `[..., 2]`, (lat, lon) in degrees.
        b: `[..., 2]`, likewise; broadcast against `a`.

    Returns:
        `[...]`, kilometres. Good to 0.2 m, also between antipodes.

    The formula is R. W. Sinnott, "Virtues of the Haversine", Sky and Telescope 68 (1984), p. 159.
    """
    return EARTH_RADIUS_KM * _angle_rad(a, b)


def haversine_miles_report(a: npt.ArrayLike, b: npt.ArrayLike) -> Array:
    """Returns great-circle distances `[...]` in miles on the report's sphere."""
    return REPORT_RADIUS_MILES * _angle_rad(a, b)


def pairwise_km(a: npt.ArrayLike, b: npt.ArrayLike) -> Array:
    """Returns the distances `[n, m]`, km, of each `a` `[n, 2]` to each `b` `[m, 2]`."""
    origins, targets = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    distances = np.empty((len(origins), len(targets)))
    rows = max(1, _PAIRS_AT_ONCE // max(1, len(targets)))
    for start in range(0, len(origins), rows):
        distances[start : start + rows] = haversine_km(origins[start : start + rows, None], targets[None])
    return distances


def unit_vectors(coords: npt.ArrayLike) -> Array:
    """Returns the unit vectors `[..., 3]` of `coords` `[..., 2]`.

    The axes are x to (0, 0), y to (0, 90 E) and z to the North Pole.
    """
    lat, lon = _radians(coords)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def coords_of(vectors: npt.ArrayLike) -> Array:
    """Returns (lat, lon) `[..., 2]` in degrees of vectors `[..., 3]` of any length."""
    x, y, z = np.moveaxis(np.asarray(vectors, dtype=np.float64), -1, 0)
    return np.stack([np.degrees(np.arctan2(z, np.hypot(x, y))), np.degrees(np.arctan2(y, x))], axis=-1)


def bearing_deg(a: npt.ArrayLike, b: npt.ArrayLike) -> Array:
    """Returns the initial bearings of great circles from `a` to `b`, `[...]`.

    They are degrees clockwise from north, 0 <= h < 360.
    """
    (lat_a, lon_a), (lat_b, lon_b) = _radians(a), _radians(b)
    east = np.sin(lon_b - lon_a) * np.cos(lat_b)
    north = np.cos(lat_a) * np.sin(lat_b) - np.sin(lat_a) * np.cos(lat_b) * np.cos(lon_b - lon_a)
    heading = np.degrees(np.arctan2(east, north)) % 360
    # The remainder of a tiny negative angle rounds to 360 itself.
    return np.where(heading == 360, 0.0, heading)


def destination(a: npt.ArrayLike, heading_deg: npt.ArrayLike, distance_km: npt.ArrayLike) -> Array:
    """Returns the points that great circles from `a` `[..., 2]` reach.

    Args:
        a: (lat, lon) in degrees.
        heading_deg: `[...]`, heading at the start, clockwise from north.
        distance_km: `[...]`, length of the great circle.

    Returns:
        `[..., 2]`, (lat, lon) in degrees.
    """
    lat, lon = _radians(a)
    heading = np.radians(np.asarray(heading_deg, dtype=np.float64))
    angle = np.asarray(distance_km, dtype=np.float64) / EARTH_RADIUS_KM
    north = np.stack([-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)], axis=-1)
    east = np.stack([-np.sin(lon), np.cos(lon), np.zeros_like(lon)], axis=-1)
    direction = np.cos(heading)[..., None] * north + np.sin(heading)[..., None] * east
    return coords_of(np.cos(angle)[..., None] * unit_vectors(a) + np.sin(angle)[..., None] * direction)


def wrap_lon_deg(lon_deg: npt.ArrayLike) -> Array:
    """Returns longitudes `[...]` moved by whole turns into -180 <= lon < 180.

    Longitudes already there keep every bit.
    """
    lon = np.asarray(lon_deg, dtype=np.float64)
    wrapped = (lon + 180) % 360 - 180
    wrapped = np.where(wrapped >= 180, -180.0, wrapped)
    return np.where((lon >= -180) & (lon < 180), lon, wrapped)


def sample_box(
    lat_min: float, lat_max: float, lon_min: float, lon_max: float, n: int, rng: np.random.Generator
) -> Array:
    """Draws points uniformly by area between two parallels and two meridians.

    The sine of the latitude is uniform, not the latitude: uniform degrees would put 1.4 times as many points on a
    square kilometre at 49 N as at 25 N.

    Returns:
        `[n, 2]`, (lat, lon). A box with `lon_min` > `lon_max` crosses the antimeridian, as in RFC 7946, section 5.2.
    """
    # NumPy refuses to draw from 0.0 to -0.0; adding 0.0 makes both 0.0.
    low, high = np.sin(np.radians([lat_min, lat_max])) + 0.0
    lat = np.degrees(np.arcsin(rng.uniform(low, high, n)))
    lon = rng.uniform(lon_min, lon_max + (360 if lon_min > lon_max else 0), n)
    # The arc sine may leave the box by its last bit.
    return np.stack([np.clip(lat, lat_min, lat_max), lon if lon_min <= lon_max else wrap_lon_deg(lon)], axis=-1)


def ring_area_km2(ring: npt.ArrayLike) -> float:
    """Returns the area on the sphere that a ring encloses.

    Edges are straight in latitude and longitude, as GeoJSON has them (RFC 7946, section 3.1.1), so the areas of cells
    cut along parallels and meridians add up exactly. An edge longer than 180 degrees goes the short way round. A ring
    round a pole encloses the pole on its smaller side.

    Args:
        ring: `[n, 2]`, (lat, lon) in degrees, closed or not, in either direction.

    The area is the integral of sin(lat) over longitude along the ring (Green's theorem on the sphere), in closed form
    on each edge.
    """
    lat, lon = _radians(ring)
    step_lon, step_lat = np.roll(lon, -1) - lon, np.roll(lat, -1) - lat
    # An edge of exactly a whole turn is the top or bottom of a world map, not a step on the spot.
    long_edge = (np.abs(step_lon) > np.pi) & (np.abs(step_lon) < 2 * np.pi - 1e-12)
    step_lon = np.where(long_edge, step_lon - 2 * np.pi * np.sign(step_lon), step_lon)
    # Mean of sin(lat) on an edge: sin(middle) * sin(h) / h with h half its height. numpy's sinc has pi inside.
    under = float(np.sum(step_lon * np.sin(lat + step_lat / 2) * np.sinc(step_lat / 2 / np.pi)))
    turns = float(np.sum(step_lon))
    around_pole = abs(turns) > np.pi
    area = min(abs(turns - under), abs(turns + under)) if around_pole else abs(under)
    return EARTH_RADIUS_KM**2 * area


def area_by_triangles_km2(ring: npt.ArrayLike) -> float:
    """Returns the spherical area inside a ring, by a formula without longitudes.

    Edges are divided into a tenth of a degree, and each piece, as a great circle, spans a triangle with the South Pole.
    The sum of their areas agrees with `ring_area_km2` to 1e-6 on cells of some degrees, and is the same however a
    crossing of the antimeridian is written, which makes it a check on the other.

    Args:
        ring: `[n, 2]`, (lat, lon) in degrees, closed or not, in either direction. An edge longer than 180 degrees goes
            the short way round, and one of 360 degrees has no length.

    Returns:
        Square kilometres; of a ring round a pole, those south of it.

    The triangle is that of A. van Oosterom and J. Strackee, IEEE Trans. Biomed. Eng. 30 (1983), p. 125.
    """
    starts = np.asarray(ring, dtype=np.float64)
    steps = np.roll(starts, -1, axis=0) - starts
    steps[:, 1] -= 360 * np.round(steps[:, 1] / 360)
    pieces = np.maximum(np.ceil(np.abs(steps).max(axis=1) / 0.1).astype(int), 1)
    at = np.repeat(np.arange(len(starts)), pieces)
    share = (np.arange(len(at)) - np.repeat(np.cumsum(pieces) - pieces, pieces)) / pieces[at]
    points = starts[at] + share[:, None] * steps[at]
    a = unit_vectors(points)
    b = np.roll(a, -1, axis=0)
    volumes = a[:, 1] * b[:, 0] - a[:, 0] * b[:, 1]
    # 1 - sin(lat) without cancellation, so that edges along the North Pole keep their longitudes.
    below = 2 * np.sin(np.radians(90 - points[:, 0]) / 2) ** 2
    halves = np.arctan2(volumes, below * np.roll(below, -1) + (a * b)[:, :2].sum(axis=1))
    return EARTH_RADIUS_KM**2 * abs(float(2 * halves.sum()))


def geoguessr_score(distance_km: npt.ArrayLike, diagonal_km: float) -> Array:
    """Returns GeoGuessr's points `[...]`, 0 to 5000.

    `diagonal_km` is the diagonal of the map's bounding box.
    """
    return 5000 * np.exp(-10 * np.asarray(distance_km, dtype=np.float64) / diagonal_km)


def _radians(coords: npt.ArrayLike) -> tuple[Array, Array]:
    """Returns latitudes and longitudes `[...]` in radians."""
    angles = np.radians(np.asarray(coords, dtype=np.float64))
    return angles[..., 0], angles[..., 1]


def _angle_rad(a: npt.ArrayLike, b: npt.ArrayLike) -> Array:
    """Returns the angles `[...]` between locations at the centre of the sphere."""
    (lat_a, lon_a), (lat_b, lon_b) = _radians(a), _radians(b)
    across = np.sin((lat_b - lat_a) / 2) ** 2 + np.cos(lat_a) * np.cos(lat_b) * np.sin((lon_b - lon_a) / 2) ** 2
    # Rounding can lift the sum to 1 + 2e-16 between antipodes, where the arc sine would be NaN.
    return 2 * np.arcsin(np.sqrt(np.minimum(across, 1)))


def _row_name(name: str, coords: Array, at: int) -> str:
    """Returns `name` with the index of row `at`, or alone where there is only one."""
    return name if coords.ndim == 1 else f"{name}[{', '.join(map(str, np.unravel_index(at, coords.shape[:-1])))}]"


def _what_is_wrong(lat_deg: Any, lon_deg: Any) -> str:  # noqa: ANN401 - numpy scalars
    """Returns the rule that a pair breaks."""
    pair = f"= ({lat_deg:.10g}, {lon_deg:.10g})"
    if not np.isfinite([lat_deg, lon_deg]).all():
        return f"{pair}: both must be finite numbers."
    if abs(lat_deg) > 90 >= abs(lon_deg) and abs(lat_deg) <= 180:
        return f"{pair}: a latitude is between -90 and 90 degrees; latitude and longitude look swapped."
    return f"{pair}: a latitude is between -90 and 90 degrees, a longitude between -180 and 180."
