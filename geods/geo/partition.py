"""Partition of a boundary into cells: labels of points, random points in cells."""

import dataclasses
import functools
import hashlib
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from geods import errors
from geods.geo import geometry, grids, partition_geojson, polygons
from geods.storage import files

# Rejection sampling in a polygon that fills less of its box than this would take minutes a point.
_LEAST_FILL = 1e-6
_DRAWS_AT_ONCE = 1 << 20
_MOST_LATTICE_POINTS = 1_000_000
_AREA_TOLERANCE = 1e-3


@dataclasses.dataclass(frozen=True, eq=False)
class Partition:
    """Cells, numbered from 0, that do not overlap.

    Attributes:
        shapes: One polygon or multipolygon a cell, x = longitude and y = latitude in degrees; kept in canonical form.
        kind: `fishnet`, `quadtree`, `features`, or one of `grids.from_parameters`, whose polygons are only drawn;
            `polygons` for cells from elsewhere.
        parameters: What the cells were made with, as JSON can hold it.
        boundary_sha256: Hash of the boundary's source, or "".
        names: One a cell, or none.
    """

    shapes: tuple[polygons.Shape, ...]
    kind: str = "polygons"
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    boundary_sha256: str = ""
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Brings the cells into canonical form.

        Raises:
            PartitionError: If there is no cell, or one without area, or another number of names.
        """
        if not self.shapes:
            raise errors.PartitionError("a partition needs at least one cell.")
        object.__setattr__(self, "shapes", tuple(polygons.canonical(shape) for shape in self.shapes))
        for cell, shape in enumerate(self.shapes):
            if shape.is_empty:
                raise errors.PartitionError(f"cell {cell} has no area.", "leave it out")
        if self.names and len(self.names) != len(self.shapes):
            raise errors.PartitionError(f"{len(self.names)} names for {len(self.shapes)} cells.", "give one each")

    def __len__(self) -> int:
        """Returns the number of cells."""
        return len(self.shapes)

    @functools.cached_property
    def centroids(self) -> geometry.Array:
        """`[cells, 2]`, (lat, lon) in degrees; see `polygons.centroid`."""
        return np.array([polygons.centroid(shape) for shape in self.shapes])

    @functools.cached_property
    def areas_km2(self) -> geometry.Array:
        """`[cells]`, areas on the sphere in square kilometres."""
        return np.array([polygons.area_km2(shape) for shape in self.shapes])

    @functools.cached_property
    def bounds(self) -> tuple[float, float, float, float]:
        """(lat_min, lat_max, lon_min, lon_max) in degrees.

        With lon_min > lon_max, the cells cross the antimeridian.
        """
        boxes = shapely.bounds(shapely.get_parts(np.array(self.shapes)))
        lon_min, lon_max = polygons.lon_range((west, east) for west, _, east, _ in boxes.tolist())
        return float(boxes[:, 1].min()), float(boxes[:, 3].max()), lon_min, lon_max

    @functools.cached_property
    def diagonal_km(self) -> float:
        """Great-circle length in kilometres of the bounding box's diagonal.

        It is GeoGuessr's D for this map; of a box wider than 180 degrees, whose corners come near each other again, the
        longest distance in it.
        """
        lat_min, lat_max, lon_min, lon_max = self.bounds
        if (lon_max - lon_min) % 360 > 180 or lon_max - lon_min == 360:
            # Half a turn apart, and as far from each other's antipode as the latitudes force them to be.
            lat_from_equator = max(lat_min, -lat_max, 0.0)
            return float(geometry.haversine_km([lat_from_equator, 0], [lat_from_equator, 180]))
        return float(geometry.haversine_km([lat_min, lon_min], [lat_max, lon_max]))

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of `to_geojson()`, in hexadecimal."""
        return hashlib.sha256(self._geojson).hexdigest()

    def label(
        self, lat_deg: npt.ArrayLike, lon_deg: npt.ArrayLike, nearest_km: float | None = None
    ) -> npt.NDArray[np.int32]:
        """Returns the cell of each point, `[n]`.

        It is the lowest number on a shared border and -1 outside all cells; 180 and -180 degrees are one meridian, and
        a pole is one location whatever its longitude.

        Args:
            lat_deg: `[n]` latitudes in degrees, or one.
            lon_deg: `[n]` longitudes in degrees, or one.
            nearest_km: A point outside all cells gets the nearest one within so many kilometres: coarse coasts leave
                piers, beaches and small islands outside. None takes the partition's own parameter `nearest_km`, or 0.

        Raises:
            CoordinateError: If the two differ in length, or hold what is no location on Earth.
        """
        lat, lon = np.atleast_1d(np.asarray(lat_deg)), np.atleast_1d(np.asarray(lon_deg))
        if lat.shape != lon.shape or lat.ndim != 1:
            problem = f"lat_deg has shape {lat.shape}, lon_deg {lon.shape}."
            raise errors.CoordinateError(problem, "give one latitude and one longitude for each point")
        coords = geometry.check_coords(np.stack([lat, lon], axis=-1), "point")
        labels = self._label_as_written(coords)
        # All longitudes of a pole are one location.
        for pole_deg in np.unique(coords[np.abs(coords[:, 0]) == 90, 0]).tolist():
            labels[coords[:, 0] == pole_deg] = self._pole_cell(pole_deg)
        # 180 and -180 are the same meridian, and a cell may border on it under either name.
        edge = np.flatnonzero((np.abs(coords[:, 1]) == 180) & (np.abs(coords[:, 0]) < 90))
        if edge.size:
            other = self._label_as_written(coords[edge] * [1, -1])
            labels[edge] = grids.lowest(labels[edge], other)
        outside = np.flatnonzero(labels < 0)
        within_km = float(self.parameters.get("nearest_km", 0)) if nearest_km is None else nearest_km
        if within_km > 0 and outside.size:
            labels[outside] = self._borders.nearest(coords[outside], within_km)[0]
        return labels

    @functools.cached_property
    def _grid(self) -> grids.Grid | None:
        """The grid that labels points, of a kind that has one."""
        try:
            return grids.from_parameters(self.kind, self.parameters)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            problem = f"the parameters of this partition of kind {self.kind} are damaged."
            raise errors.PartitionError(problem, partition_geojson.MAKE_ONE) from error

    @functools.cached_property
    def _borders(self) -> polygons.Borders:
        return polygons.Borders(self.shapes)

    def lattice(self, step_deg: float) -> geometry.Array:
        """Returns the lattice points in the cells, at the middles of `step_deg` boxes.

        Returns:
            `[n, 2]`, (lat, lon) in degrees, from south to north and west to east.

        Raises:
            OptionError: If the step is not above 0, or gives more than a million points.
        """
        lat_min, lat_max, lon_min, lon_max = self.bounds
        width_deg = (lon_max - lon_min) % 360 or 360.0
        if not step_deg > 0 or (lat_max - lat_min) * width_deg / step_deg**2 > _MOST_LATTICE_POINTS:
            problem = f"a lattice of {step_deg:g} degrees over {lat_max - lat_min:.0f} x {width_deg:.0f} degrees."
            raise errors.OptionError(
                problem, f"its step is above 0, and it has at most {_MOST_LATTICE_POINTS:,} points"
            )
        lat_deg = (np.arange(math.floor(lat_min / step_deg), math.ceil(lat_max / step_deg)) + 0.5) * step_deg
        west = math.floor(lon_min / step_deg)
        # One more, as the first begins west of the bounds; but no middle twice where they go all the way round.
        columns = min(math.ceil(width_deg / step_deg) + 1, math.ceil(360 / step_deg))
        lon_deg = (np.arange(west, west + columns) + 0.5) * step_deg
        points = np.stack(np.meshgrid(lat_deg, geometry.wrap_lon_deg(lon_deg), indexing="ij"), axis=-1).reshape(-1, 2)
        points = points[np.abs(points[:, 0]) < 90]
        return points[self.label(points[:, 0], points[:, 1], nearest_km=0) >= 0]

    def sample(self, cell: int, n: int, rng: np.random.Generator) -> geometry.Array:
        """Draws `n` points uniformly by area inside a cell.

        Returns:
            `[n, 2]`, (lat, lon) in degrees; none on the cell's border.

        Raises:
            PartitionError: If there is no such cell, or a part of it is too thin to hit.
        """
        if not 0 <= cell < len(self):
            raise errors.PartitionError(f"cell {cell} is not one of 0 to {len(self) - 1}.")
        pieces = polygons.parts(self.shapes[cell])
        areas = np.array([polygons.area_km2(piece) for piece in pieces])
        chosen = rng.choice(len(pieces), size=n, p=areas / areas.sum())
        points = np.empty((n, 2))
        for number, piece in enumerate(pieces):
            points[chosen == number] = _sample_polygon(piece, areas[number], int((chosen == number).sum()), rng)
        return points

    def to_geojson(self) -> bytes:
        """Returns the partition as GeoJSON, one cell a line.

        Equal partitions give equal bytes.
        """
        return self._geojson

    @functools.cached_property
    def _geojson(self) -> bytes:
        """Those bytes, which a build needs twice."""
        properties: list[dict[str, Any]] = [
            # To the square metre: further digits of a sum of sines differ between processors.
            {"area_km2": round(float(area_km2), 6), "cell": cell, "centroid": centroid}
            for cell, (area_km2, centroid) in enumerate(zip(self.areas_km2, self.centroids.tolist(), strict=True))
        ]
        for values, name in zip(properties, self.names, strict=False):
            values["name"] = name
        member = {"boundary_sha256": self.boundary_sha256, "kind": self.kind, "parameters": dict(self.parameters)}
        return partition_geojson.dumps(self.shapes, properties, member)

    @classmethod
    def from_geojson(cls, content: bytes | str) -> "Partition":
        """Reads a partition of `to_geojson`, or any FeatureCollection of polygons.

        Features become cells in their order.

        Raises:
            PartitionError: If it is not JSON, not a FeatureCollection, written by a newer geods, or a cell is not a
                polygon, crosses itself, lies outside the Earth, or overlaps another.
        """
        shapes, member = partition_geojson.loads(content)
        return cls(tuple(shapes), **member)

    def _pole_cell(self, pole_deg: float) -> int:
        """Returns the lowest cell that touches the pole at 90 or -90 degrees, or -1."""
        bounds = shapely.bounds(np.array(self.shapes))
        touching = np.flatnonzero(bounds[:, 3] == 90 if pole_deg > 0 else bounds[:, 1] == -90)
        return int(touching[0]) if touching.size else -1

    def _label_as_written(self, coords: geometry.Array) -> npt.NDArray[np.int32]:
        """Labels points `[n, 2]` without joining 180 and -180 degrees."""
        if self._grid:
            return self._grid.label(coords)
        lat, lon = coords[:, 0], coords[:, 1]
        labels = np.full(len(coords), -1, dtype=np.int32)
        by_lon = np.argsort(lon, kind="stable")
        sorted_lon = lon[by_lon]
        for cell, shape in enumerate(self.shapes):
            west, south, east, north = shape.bounds
            near = by_lon[np.searchsorted(sorted_lon, west, "left") : np.searchsorted(sorted_lon, east, "right")]
            near = near[(lat[near] >= south) & (lat[near] <= north) & (labels[near] < 0)]
            if near.size:
                labels[near[polygons.intersects_xy(shape, lon[near], lat[near])]] = cell
        return labels


def read(path: str | os.PathLike[str]) -> Partition:
    """Reads a partition file.

    Raises:
        MissingFileError: If there is none.
        PartitionError: If it is none; see `Partition.from_geojson`.
    """
    found = files.check_file(path, partition_geojson.MAKE_ONE)
    try:
        return Partition.from_geojson(found.read_bytes())
    except errors.PartitionError as error:
        raise errors.PartitionError(f"{found}: {error.problem}", error.next_step) from error


def check_area(partition: Partition, area_km2: float) -> None:
    """Reads a partition back and compares its area with the one to cover.

    The area read back is a sum of spherical triangles.

    Raises:
        PartitionError: If it cannot be read back, or the areas differ by more than a thousandth.
    """
    found_km2 = 0.0
    for piece in (
        piece for shape in Partition.from_geojson(partition.to_geojson()).shapes for piece in polygons.parts(shape)
    ):
        exterior, *holes = [np.asarray(ring.coords)[:, ::-1] for ring in (piece.exterior, *piece.interiors)]
        found_km2 += geometry.area_by_triangles_km2(exterior) - sum(map(geometry.area_by_triangles_km2, holes))
    if abs(found_km2 - area_km2) > _AREA_TOLERANCE * area_km2:
        problem = f"the cells cover {found_km2:,.3f} km2 when read back, and their source {area_km2:,.3f}."
        raise errors.PartitionError(problem, "nothing was written; cut the source's polygons at 180 degrees")


def write(partition: Partition, path: str | os.PathLike[str]) -> None:
    """Writes a partition file, whole or not at all.

    Raises:
        PartitionError: If nothing can be written there.
    """
    try:
        files.write_bytes(path, partition.to_geojson())
    except OSError as error:
        raise errors.PartitionError(f"{path}: cannot be written ({error.strerror}).", "name another file") from error


def _sample_polygon(piece: shapely.Polygon, area_km2: float, n: int, rng: np.random.Generator) -> geometry.Array:
    """Draws points `[n, 2]` in one polygon, by rejection from its bounding box."""
    west, south, east, north = piece.bounds
    fill = area_km2 / polygons.area_km2(shapely.box(west, south, east, north))
    if n and fill < _LEAST_FILL:
        problem = f"the polygon at ({south:g}, {west:g}) fills {fill:.1e} of its bounding box: too thin to sample."
        raise errors.PartitionError(problem, "leave such slivers out of the partition")
    points = np.empty((0, 2))
    while len(points) < n:
        count = min(int(1.1 * (n - len(points)) / fill) + 16, _DRAWS_AT_ONCE)
        draws = geometry.sample_box(south, north, west, east, count, rng)
        points = np.concatenate([points, draws[polygons.contains_xy(piece, draws[:, 1], draws[:, 0])]])
    return points[:n]
