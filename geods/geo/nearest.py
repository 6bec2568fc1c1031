"""Nearest of many shapes to points outside of them, by distance on the sphere."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import shapely

from geods.geo import geometry, polygons

_POINTS_AT_ONCE = 4096


class Borders:
    """The edges of shapes, in a spatial index."""

    def __init__(self, shapes: Sequence[shapely.Geometry]) -> None:
        """Indexes the borders of `shapes`, x = longitude, y = latitude in degrees."""
        starts, ends, owners = [np.empty((0, 2))], [np.empty((0, 2))], [np.empty(0, int)]
        for number, shape in enumerate(shapes):
            for piece in polygons.parts(shape):
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
