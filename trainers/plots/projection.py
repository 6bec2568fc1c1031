"""Map projection, colours and texts of the figure and the web page.

Coordinates are `[n, 2]` (lat, lon) in degrees; shapes have x = longitude and y = latitude.
"""

import math

import numpy as np
import numpy.typing as npt
import shapely

from geods import errors
from geods.geo import geometry, partition, polygons

# ColorBrewer's Reds, safe for the colour-blind and in order when printed grey; without the darkest, nearly black one.
REDS = ("#fff5f0", "#fee0d2", "#fcbba1", "#fc9272", "#fb6a4a", "#ef3b2c", "#cb181d", "#a50f15")
# The same order on a dark page, where the most probable cell is the brightest.
DARK_REDS = ("#2a2524", "#431f1b", "#66211c", "#8f231d", "#bf2f25", "#ef4a38", "#ff8a73", "#ffd0c4")
# Long parallels bend on an equal-area map; pieces of half a degree look smooth.
PIECE_DEG = 0.5
# Okabe and Ito's bluish green, yellow and blue; the two points also differ in shape.
TRUE_COLOUR, PREDICTED_COLOUR, LINE_COLOUR = "#009e73", "#f0e442", "#0072b2"

# A line of 100 km steps bends by less than 200 m between them.
_STEP_KM = 100.0
# The picture's plane holds the globe up to here; further away Lambert's map stretches everything visibly.
_FARTHEST_KM = 7000.0
_SNAP_DEG = 1e-8
_SAME_RUN = "take partition and probabilities from the same run"


class Atlas:
    """Layout of a partition on the plane of a map.

    Args:
        cells: The partition.

    Attributes:
        shapes: The partition's shapes; where they cross the antimeridian, those beyond it have longitudes above 180, so
            that all lie side by side.
        centre: (lat, lon) of the middle of their bounding box.
    """

    def __init__(self, cells: partition.Partition) -> None:
        lat_min, lat_max, lon_min, lon_max = cells.bounds
        self.shapes: tuple[polygons.Shape, ...] = cells.shapes
        if lon_min > lon_max:
            self.shapes = tuple(shapely.transform(shape, lambda xy: _beyond(xy, lon_min)) for shape in cells.shapes)
            lon_max += 360
        self.centre = ((lat_min + lat_max) / 2, (lon_min + lon_max) / 2)

    def beside(self, coords: np.ndarray) -> np.ndarray:
        """Returns coords `[n, 2]`, longitudes in the same turn as the shapes."""
        moved = np.array(coords, dtype=np.float64).reshape(-1, 2)
        moved[:, 1] = self.centre[1] + geometry.wrap_lon_deg(moved[:, 1] - self.centre[1])
        return moved

    def great_circle(self, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Returns points `[n, 2]` of a great circle, one each 100 km.

        Longitudes have no jump.
        """
        distance_km = float(geometry.haversine_km(start, end))
        steps_km = np.linspace(0, distance_km, 2 + int(distance_km / _STEP_KM))
        line = geometry.destination(start, geometry.bearing_deg(start, end), steps_km)
        line[0], line[-1] = start, end
        line[:, 1] = np.unwrap(line[:, 1], period=360)
        line[:, 1] += self.beside(line[:1])[0, 1] - line[0, 1]
        return line

    def reaches(self, coords: np.ndarray) -> bool:
        """Returns whether the equal-area projection suits shapes and `coords` `[n, 2]`."""
        west, south, east, north = shapely.total_bounds(np.array(self.shapes))
        corners = [(lat, lon) for lat in (south, north) for lon in (west, east)]
        points = np.concatenate([np.array(corners), coords.reshape(-1, 2)])
        return bool(geometry.haversine_km(self.centre, points).max() < _FARTHEST_KM)

    def plane(self, coords: np.ndarray, *, equal_area: bool) -> np.ndarray:
        """Returns projected points `[n, 2]`, x east and y north.

        Both are in degrees at the centre.

        Args:
            coords: `[n, 2]`, beside the shapes.
            equal_area: Lambert's azimuthal projection round the centre (J. P. Snyder, "Map Projections: A Working
                Manual", USGS 1395, 1987, p. 185), in which equal areas look equal; else straight parallels and
                meridians, true in scale at the central latitude.
        """
        centre = np.radians(self.centre)
        if not equal_area:
            return np.column_stack(
                [(coords[:, 1] - self.centre[1]) * math.cos(centre[0]), coords[:, 0] - self.centre[0]]
            )
        lat, turn = np.radians(coords[:, 0]), np.radians(coords[:, 1]) - centre[1]
        sin_0, cos_0 = np.sin(centre[0]), np.cos(centre[0])
        scale = np.sqrt(2 / (1 + sin_0 * np.sin(lat) + cos_0 * np.cos(lat) * np.cos(turn)))
        x = scale * np.cos(lat) * np.sin(turn)
        y = scale * (cos_0 * np.sin(lat) - sin_0 * np.cos(lat) * np.cos(turn))
        return np.degrees(np.column_stack([x, y]))

    def unprojected(self, points: np.ndarray, *, equal_area: bool) -> np.ndarray:
        """Returns coords `[n, 2]` of points `[n, 2]`, the reverse of `plane`.

        Snyder, p. 186. Points beyond the globe's edge are taken to it, and beyond a pole to the pole; longitudes are in
        -180 to 180.
        """
        x, y = np.radians(points).T
        lat_0, lon_0 = np.radians(self.centre)
        if not equal_area:
            lat, turn = lat_0 + y, x / math.cos(lat_0)
        else:
            radius = np.maximum(np.hypot(x, y), np.finfo(float).tiny)
            angle = 2 * np.arcsin(np.minimum(radius / 2, 1))
            sin, cos = np.sin(angle), np.cos(angle)
            lat = np.arcsin(np.clip(cos * math.sin(lat_0) + y * sin * math.cos(lat_0) / radius, -1, 1))
            turn = np.arctan2(x * sin, radius * math.cos(lat_0) * cos - y * math.sin(lat_0) * sin)
        coords = np.degrees(np.column_stack([lat, lon_0 + turn]))
        return np.column_stack([coords[:, 0].clip(-90, 90), geometry.wrap_lon_deg(coords[:, 1])])

    def plane_shapes(self, tolerance: float, *, equal_area: bool) -> tuple[np.ndarray, float]:
        """Returns projected and simplified shapes; shared borders stay shared.

        Args:
            tolerance: Bends smaller than this share of the map's size are straightened (its square is an area;
                Visvalingam and Whyatt 1993).
            equal_area: As in `plane`.

        Returns:
            `[cells]` shapely polygons and multipolygons, and the power of ten, in degrees, just below the tolerance.
        """
        shapes = shapely.segmentize(_with_shared_vertices(self.shapes), PIECE_DEG)
        # Pieces of an edge differ in their last bits by its direction; only equal vertices are shared ones.
        shapes = shapely.transform(shapes, lambda xy: self.plane(np.round(xy[:, ::-1], 9), equal_area=equal_area))
        west, south, east, north = shapely.total_bounds(shapes)
        tolerance_deg = max(east - west, north - south) * tolerance
        return shapely.coverage_simplify(shapes, tolerance_deg), 10.0 ** math.floor(math.log10(tolerance_deg))


def rescaled(probabilities: npt.ArrayLike, cells: int) -> tuple[np.ndarray, float]:
    """Returns probabilities `[cells]` as shares of the highest, and that one.

    Raises:
        RunError: If they are not one finite number from 0 for each cell, with one above 0.
    """
    checked = np.asarray(probabilities, dtype=np.float64)
    if checked.shape != (cells,):
        raise errors.RunError(f"probabilities of shape {checked.shape} do not fit {cells} cells.", _SAME_RUN)
    highest = float(checked.max())
    if not (np.isfinite(checked).all() and (checked >= 0).all() and highest > 0):
        problem = f"probabilities from {checked.min():g} to {highest:g} cannot be drawn."
        raise errors.RunError(problem, "evaluate the run again: python -m trainers.evaluate --run_dir=RUN")
    return checked / highest, highest


def distance_text(distance_km: float) -> str:
    """Returns a distance as text: "312 miles (502 km)"."""
    return f"{_rounded(distance_km / geometry.KM_PER_MILE)} miles ({_rounded(distance_km)} km)"


def _rounded(number: float) -> str:
    """Returns a number with thousands separators, and one decimal below 10."""
    return f"{number:.1f}" if number < 9.95 else f"{number:,.0f}"


def _beyond(coordinates: np.ndarray, lon_min: float) -> np.ndarray:
    """Moves longitudes west of `lon_min` east by 360 degrees."""
    moved = coordinates.copy()
    moved[moved[:, 0] < lon_min, 0] += 360
    return moved


def _with_shared_vertices(shapes: tuple[polygons.Shape, ...]) -> np.ndarray:
    """Adds to each shape the vertices of its neighbours on its border.

    GEOS requires them of a valid coverage.
    """
    cells = np.array(shapes)
    vertices, owners = shapely.get_coordinates(cells, return_index=True)
    points = shapely.points(vertices)
    near_cell, near_point = shapely.STRtree(points).query(shapely.boundary(cells), "dwithin", _SNAP_DEG)
    foreign = owners[near_point] != near_cell
    near_cell, near_point = near_cell[foreign], near_point[foreign]
    for cell in np.unique(near_cell):
        on_border = shapely.multipoints(points[near_point[near_cell == cell]])
        cells[cell] = shapely.snap(cells[cell], on_border, _SNAP_DEG)
    return cells
