"""The course report's partition: boxes of equal degrees, cut along the boundary.

Small pieces join a neighbour.
"""

import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np
import shapely
import tqdm
from shapely import affinity

from geods import errors
from geods.geo import boundary as boundaries
from geods.geo import partition, polygons

# A class each: a head over more would not fit in memory, and a slip in cell_deg should not run for hours.
MOST_CELLS = 100_000
# Distances are good to 1 % up to there.
MOST_JOIN_KM = 500.0
# What a finer partition keeps of another's parameters: the choice of the area, and how labels reach beyond it.
_KEPT_PARAMETERS = ("part", "center", "where", "layer", "member", "nearest_km")


def make(
    boundary: boundaries.Boundary, cell_deg: float = 2.0, merge_below: float = 0.1, join_within_km: float = 0.0
) -> partition.Partition:
    """Splits a boundary into cells.

    Boxes are aligned to multiples of `cell_deg` and taken by columns from west to east, each from south to north. What
    the boundary leaves of a box falls into its connected pieces, in the order of their most southern (then most
    eastern) points: the order that gives the numbers of the report. Then, in that order, each piece smaller
    than `merge_below` times the largest joins the first piece it shares a border with; one without such a neighbour, an
    island, stays a cell. On the Census Bureau's mainland this gives the report's 243 cells.

    Args:
        boundary: What to cover.
        cell_deg: Side of a box in degrees.
        merge_below: Share of the largest piece's area, both in square degrees as in the report.
        join_within_km: A small piece that shares no border with another, an island, joins the nearest one within so
            many kilometres.

    Returns:
        A partition of kind `fishnet` that tiles the boundary.

    Raises:
        OptionError: If `cell_deg` is not above 0 and at most 90, `merge_below` not from 0 to below 1, or
            `join_within_km` not from 0 to `MOST_JOIN_KM`.
        PartitionError: If there would be more than `MOST_CELLS` cells.
    """
    check_options(cell_deg, merge_below, join_within_km)
    check_cell_count(boundary, cell_deg)
    pieces = _pieces(boundary.shape, cell_deg)
    areas = [piece.area for piece in pieces]
    groups = merge(pieces, areas, merge_below * max(areas), join_within_km)
    shapes = tuple(shapely.union_all([pieces[k] for k in group]) for group in groups)
    parameters = {"cell_deg": float(cell_deg), "merge_below": float(merge_below), **boundary.selection}
    if join_within_km:
        parameters["join_within_km"] = float(join_within_km)
    return partition.Partition(shapes, "fishnet", parameters, boundary.sha256)


def refine(cells: partition.Partition, cell_deg: float) -> partition.Partition:
    """Splits the area of a partition again, into boxes of `cell_deg`; see `make`.

    Raises:
        OptionError: If `cell_deg` is not above 0 and at most 90.
        PartitionError: If there would be more than `MOST_CELLS` cells.
    """
    area = polygons.canonical(shapely.union_all(cells.shapes))
    selection = {name: value for name, value in cells.parameters.items() if name in _KEPT_PARAMETERS}
    return make(boundaries.Boundary(area, cells.boundary_sha256, "the cells of a partition", selection), cell_deg)


def check_options(cell_deg: float, merge_below: float, join_within_km: float = 0.0) -> None:
    """Raises OptionError if `make` does not take these values."""
    if not 0 < cell_deg <= 90:
        raise errors.OptionError(f"cell_deg={cell_deg:g} must be above 0 and at most 90 degrees.", "2 is the report's")
    if not 0 <= merge_below < 1:
        raise errors.OptionError(f"merge_below={merge_below:g} must be from 0 to below 1.", "0.1 is the report's")
    if not 0 <= join_within_km <= MOST_JOIN_KM:
        problem = f"join_within_km={join_within_km:g} must be from 0 to {MOST_JOIN_KM:g}."
        raise errors.OptionError(problem, "0 is the report's; 50 suits most coasts")


def check_cell_count(boundary: boundaries.Boundary, cell_deg: float) -> None:
    """Raises PartitionError if boxes of this side would be more than `MOST_CELLS`."""
    about = boundary.shape.area / cell_deg**2
    if about > MOST_CELLS:
        problem = f"cell_deg={cell_deg:g} would give about {about:,.0f} cells; at most {MOST_CELLS:,} are made."
        # A tenth more than just enough, so that the number is still enough when shown with two digits.
        enough = 1.1 * math.sqrt(boundary.shape.area / MOST_CELLS)
        raise errors.PartitionError(problem, f"take cell_deg={enough:.2g} or more")


def _pieces(shape: polygons.Shape, cell_deg: float) -> list[shapely.Polygon]:
    """Returns the connected pieces of all boxes, in canonical form and order."""
    west, south, east, north = shape.bounds
    columns = _lines(west, east, cell_deg)
    found: list[shapely.Polygon] = []
    for left, right in tqdm.tqdm(list(itertools.pairwise(columns)), desc="columns", delay=2, leave=False):
        # Cutting the column first makes the work per box depend on the column's border, not on the whole boundary's.
        cut = shapely.intersection(shape, shapely.box(left, south - 1, right, north + 1))
        # Where the boundary runs along the column's edge, lines come too, and GEOS cuts no mixtures.
        column = polygons.join(polygons.parts(cut))
        if column.is_empty:
            continue
        rows = _lines(column.bounds[1], column.bounds[3], cell_deg)
        for low, high in itertools.pairwise(rows):
            found += pieces_within(column, (left, low, right, high))
    return found


def pieces_within(shape: polygons.Shape, box: tuple[float, float, float, float]) -> list[shapely.Polygon]:
    """Returns the connected pieces of a shape in a box, in canonical order.

    The box is (west, south, east, north) in degrees.
    """
    inside = polygons.canonical(shapely.intersection(shape, shapely.box(*box)))
    return sorted(polygons.parts(inside), key=_south_east)


def _lines(low: float, high: float, step: float) -> list[float]:
    """Returns the multiples of `step` that enclose `low` to `high`."""
    numbers = range(math.floor(low / step), math.ceil(high / step) + 1)
    # Rounded as the vertices are: 3 * 0.1 is not 0.3, and both sides of a line must write it alike.
    return [round(number * step, polygons.DIGITS) for number in numbers]


def _south_east(piece: shapely.Polygon) -> tuple[float, float, float]:
    """Sort key: most southern, then most eastern point; area for shared corners."""
    return (*min((y, -x) for x, y in piece.exterior.coords), piece.area)


def merge(
    pieces: Sequence[shapely.Polygon], sizes: Sequence[float], least: float, within_km: float = 0.0
) -> Iterable[Sequence[int]]:
    """Joins pieces that are too small to a neighbour.

    Args:
        pieces: Polygons that do not overlap.
        sizes: One a piece, what the sizes of joined pieces add up from.
        least: In order, a piece smaller than this joins the first piece it shares a border with, if there is one.
        within_km: Without one it joins the nearest piece within so many kilometres.

    Returns:
        Which pieces form each cell, in order; a cell keeps the number of the piece that others joined.
    """
    neighbours = _neighbours(pieces)
    borders = polygons.Borders(pieces) if within_km > 0 else None
    joined = list(sizes)
    owner = list(range(len(pieces)))
    members = {k: [k] for k in owner}
    for k in range(len(pieces)):
        if joined[k] >= least:
            continue
        beside = {owner[other] for member in members[k] for other in neighbours[member]} - {k}
        if not beside and borders:
            beside = _nearest(k, pieces[k], borders, within_km)
            beside = {owner[other] for other in beside} - {k}
        if not beside:
            continue
        target = min(beside)
        for member in members[k]:
            owner[member] = target
        members[target] += members.pop(k)
        joined[target] += joined[k]
    return members.values()


def _nearest(number: int, piece: shapely.Polygon, borders: polygons.Borders, within_km: float) -> set[int]:
    """Returns the piece nearest to one of them, if it is within so many kilometres."""
    points = shapely.get_coordinates(shapely.segmentize(piece.exterior, 0.1))[:, ::-1]
    found, distance_km = borders.nearest(points, within_km, np.full(len(points), number))
    return {int(found[distance_km.argmin()])} - {-1}


def _neighbours(pieces: Sequence[shapely.Polygon]) -> list[set[int]]:
    """Returns each piece's neighbours by a shared border, also over the antimeridian."""
    at_west = [k for k, piece in enumerate(pieces) if piece.bounds[0] == -180]
    shapes = np.array([*pieces, *(affinity.translate(pieces[k], 360) for k in at_west)])
    numbers = np.array([*range(len(pieces)), *at_west])
    first, second = shapely.STRtree(shapes).query(shapes, predicate="touches")
    border = shapely.length(shapely.intersection(shapes[first], shapes[second])) > 0
    found: list[set[int]] = [set() for _ in pieces]
    for a, b in zip(numbers[first[border]].tolist(), numbers[second[border]].tolist(), strict=True):
        found[a].add(b)
    return found
