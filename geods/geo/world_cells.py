"""Cells of the whole world: an adaptive quadtree, equal areas, H3.

They are labelled without their polygons and not cut along coasts. Those of equal areas and of H3 may be limited to the
cells that reach into a boundary.
"""

import itertools

import numpy as np
import shapely
import tqdm

from geods import errors
from geods.geo import antimeridian, fishnet, geometry, grids, partition, polygons
from geods.geo import boundary as boundaries

FINEST_H3 = 15
# Hexagons lie farther from their ancestor's centre than its corners do, and are up to a third larger than the average.
_H3_REACH = 2.0
_H3_COARSEST_LISTED = 2
# Pieces of a hexagon's edge, which is a great circle: straight in degrees they change its area by less than 0.1 %.
_PIECE_DEG, _PIECE_LON_DEG = 1.0, 2.0
# H3 computes areas on a sphere of WGS 84's area.
_H3_RADIUS_KM = 6371.007180918475


def quadtree(coords: geometry.Array, most: int = 50, least: int = 5, boundary_sha256: str = "") -> partition.Partition:
    """Divides the world into a quadtree over locations.

    The world is quartered in degrees, and so is each quarter that holds more than `most` locations (OSV-5M,
    arXiv 2404.18873, 4.1, which leaves out boxes with few locations and so 45 % of the sphere). A box with fewer than
    `least` locations joins the first one with locations that it shares a border with; empty boxes stay cells, so that
    those with locations stay small.

    Args:
        coords: `[n, 2]` (lat, lon) degrees; those of training, or the cells know where the answers are.
        most: Places a box may hold; at least 1, as `quadtree.make` checks.
        least: Places a cell must hold, at most `most`; one without a neighbour, or without any place, is exempt.
        boundary_sha256: Hash of the source of the map whose locations these are, or "".

    Returns:
        A partition that tiles the sphere; it labels a million points in 0.2 s, whatever the number of cells.

    Raises:
        CoordinateError: If the coordinates are none.
    """
    coords = geometry.check_coords(coords, "coords")
    boxes, held = _leaves(np.sort(grids.quadtree_codes(coords)), most)
    shapes = [shapely.box(*grids.quadtree_bounds(box)) for box in boxes]
    full = np.flatnonzero(held)
    groups = [[k] for k in np.flatnonzero(held == 0).tolist()]
    if full.size:
        joined = fishnet.merge([shapes[k] for k in full], held[full].tolist(), least)
        groups += [[int(full[k]) for k in group] for group in joined]
    groups.sort(key=min)
    cells = tuple(shapely.union_all([shapes[k] for k in group]) for group in groups)
    leaves = [[list(boxes[k]) for k in sorted(group)] for group in groups]
    parameters = {"most": most, "least": least, "places": len(coords), "leaves": leaves}
    return partition.Partition(cells, "world_quadtree", parameters, boundary_sha256)


def _leaves(codes: np.ndarray, most: int) -> tuple[list[grids.Box], np.ndarray]:
    """Returns the boxes in code order, and the number of locations in each."""
    boxes: list[grids.Box] = []
    held: list[int] = []
    waiting: list[tuple[grids.Box, int, int]] = [((0, 0, 0), 0, len(codes))]
    while waiting:
        (level, column, row), start, stop = waiting.pop()
        if stop - start <= most or level == grids.DEEPEST:
            boxes.append((level, column, row))
            held.append(stop - start)
            continue
        quarters = [(level + 1, 2 * column + east, 2 * row + north) for north in (0, 1) for east in (0, 1)]
        cuts = np.searchsorted(codes[start:stop], [grids.first_code(box) for box in quarters]) + start
        ends = [*cuts[1:].tolist(), stop]
        waiting += reversed(list(zip(quarters, cuts.tolist(), ends, strict=True)))
    return boxes, np.array(held)


def equal_area(boundary: boundaries.Boundary, cell_deg: float = 2.0) -> tuple[partition.Partition, float]:
    """Takes the boxes of one area that reach into a boundary, whole.

    `grids.EqualAreaGrid` describes them.

    Args:
        boundary: What to cover.
        cell_deg: Side in degrees of a square of a box's area at the equator.

    Returns:
        A partition of kind `equal_area`, and the area of its cells in square kilometres.

    Raises:
        OptionError: If `cell_deg` is not above 0 and at most 90.
        PartitionError: If there would be more than `fishnet.MOST_CELLS` cells.
    """
    fishnet.check_options(cell_deg, 0)
    fishnet.check_cell_count(boundary, cell_deg)
    grid = grids.EqualAreaGrid(cell_deg)
    boxes = grid.shapes()
    reached = _reaching(boxes, boundary.shape)
    parameters = {"cell_deg": float(cell_deg), "numbers": reached.tolist(), **boundary.selection}
    made = partition.Partition(tuple(boxes[reached]), "equal_area", parameters, boundary.sha256)
    return made, len(made) * grid.box_km2


def h3(boundary: boundaries.Boundary, resolution: int) -> tuple[partition.Partition, float]:
    """Takes the cells of H3 (https://h3geo.org) that reach into a boundary, whole.

    Args:
        boundary: What to cover.
        resolution: From 0, 122 cells of 4.4 million square km on average, to 15; one more divides the area by 7.

    Returns:
        A partition of kind `h3`, in the order of h3's numbers, and the area of its cells in square kilometres by h3.

    Raises:
        OptionError: If there is no such resolution.
        PartitionError: If h3 is not installed, or there would be more than `fishnet.MOST_CELLS` cells.
    """
    check_resolution(resolution)
    library = grids.h3_library()
    about = polygons.area_km2(boundary.shape) / library.average_hexagon_area(resolution, "km^2")
    if about > fishnet.MOST_CELLS:
        problem = f"h3_resolution={resolution} gives about {about:,.0f} cells; at most {fishnet.MOST_CELLS:,} are made."
        raise errors.PartitionError(problem, f"take --h3_resolution={resolution - 1} or less")
    ids = _h3_candidates(boundary.shape, resolution)
    shapes = [_h3_shape(number) for number in tqdm.tqdm(ids, desc="cells", delay=2, leave=False)]
    reached = _reaching(np.array(shapes), boundary.shape).tolist()
    parameters = {"resolution": resolution, "ids": [f"{ids[k]:x}" for k in reached], **boundary.selection}
    made = partition.Partition(tuple(shapes[k] for k in reached), "h3", parameters, boundary.sha256)
    # h3's own areas, which no polygon of ours entered.
    area_km2 = sum(library.cell_area(ids[k], "km^2") for k in reached)
    return made, area_km2 * (geometry.EARTH_RADIUS_KM / _H3_RADIUS_KM) ** 2


def check_resolution(resolution: int) -> None:
    """Raises OptionError if H3 has no such resolution."""
    if not 0 <= resolution <= FINEST_H3:
        problem = f"h3_resolution={resolution} must be from 0 to {FINEST_H3}."
        raise errors.OptionError(problem, "2 gives the world 5,882 cells, 3 41,162")


def _reaching(cells: np.ndarray, area: polygons.Shape) -> np.ndarray:
    """Returns the cells `[n]` that share more than a border with an area."""
    pieces = polygons.parts(area)
    tree = shapely.STRtree(cells)
    near = np.unique(np.concatenate([tree.query(piece, predicate="intersects") for piece in pieces]))
    shapely.prepare(area)
    whole = shapely.contains_properly(area, cells[near])
    border = near[~whole]
    shared = shapely.relate_pattern(cells[border], area, "T********")
    return np.sort(np.concatenate([near[whole], border[shared]]))


def _h3_candidates(area: polygons.Shape, resolution: int) -> list[int]:
    """Returns the cells that may reach into an area, ascending.

    The world is listed from the coarsest cells down: h3 fills no polygon that is wider than 180 degrees
    (findings/h3_box_wider_than_180_degrees.sh).
    """
    library = grids.h3_library()
    level = min(resolution, _H3_COARSEST_LISTED)
    ids = [child for cell in library.get_res0_cells() for child in library.cell_to_children(cell, level)]
    borders = polygons.Borders([area])
    while True:
        coords = np.array([library.cell_to_latlng(cell) for cell in ids])
        reach_km = _H3_REACH * library.average_hexagon_edge_length(level, "km")
        near = polygons.intersects_xy(area, coords[:, 1], coords[:, 0])
        # Near a pole distances to borders are not good enough, but latitudes are.
        reach_deg = reach_km / geometry.KM_PER_DEG
        within = (coords[:, 0] > area.bounds[1] - reach_deg) & (coords[:, 0] < area.bounds[3] + reach_deg)
        near |= (np.abs(coords[:, 0]) > 80) & within
        far = np.flatnonzero(~near)
        near[far] = np.isfinite(borders.nearest(coords[far], reach_km)[1])
        ids = [ids[k] for k in np.flatnonzero(near).tolist()]
        if level == resolution:
            return sorted(ids)
        level += 1
        ids = [child for cell in ids for child in library.cell_to_children(cell, level)]


def _h3_shape(cell: int) -> polygons.Shape:
    """Returns a cell as a polygon, cut at 180 degrees or closed round a pole."""
    corners = np.array(grids.h3_library().cell_to_boundary(cell))
    lat, lon = np.concatenate([_great_circle(*pair) for pair in itertools.pairwise([*corners, corners[0]])]).T
    unrolled = np.unwrap(lon, period=360)
    # A ring round a pole ends a turn away from its start.
    lon = unrolled if abs(unrolled[-1] - unrolled[0]) < 180 else lon
    return polygons.canonical(antimeridian.within_180(shapely.Polygon(np.column_stack([lon, lat]))))


def _great_circle(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Returns the points (lat, lon) of an edge without its end.

    They are the same from both cells.
    """
    turn_deg = abs(float(geometry.wrap_lon_deg(end[1] - start[1])))
    angle_deg = float(geometry.haversine_km(start, end)) / geometry.KM_PER_DEG
    count = int(np.ceil(max(angle_deg / _PIECE_DEG, turn_deg / _PIECE_LON_DEG)))
    if count <= 1:
        return start[None]
    forward = tuple(start) < tuple(end)
    first, last = geometry.unit_vectors([start, end] if forward else [end, start])
    share = np.arange(count + 1)[:, None] / count
    angle = np.radians(angle_deg)
    line = geometry.coords_of(np.sin((1 - share) * angle) * first + np.sin(share * angle) * last)
    return np.concatenate([start[None], (line if forward else line[::-1])[1:-1]])
