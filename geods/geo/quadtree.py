"""Adaptive cells, small where locations are dense (PlaNet, arXiv 1602.05314, 3)."""

import itertools

import numpy as np
import shapely

from geods import errors
from geods.geo import fishnet, geometry, partition, polygons, world_cells

# A box of 180 degrees halved so often is 3 km wide.
_DEEPEST = 13
# More than Asia and its seas: the map of a world, whose cells are boxes.
WORLD_KM2 = 50e6


def make(cells: partition.Partition, coords: geometry.Array, most: int = 50, least: int = 5) -> partition.Partition:
    """Divides the area of a partition into a quadtree over locations.

    An area of more than `WORLD_KM2` is taken for the world's land: see `world_cells.quadtree`.

    The bounding box is quartered, and so is each quarter that holds more than `most` locations. What the area leaves of
    a box falls into connected pieces; a piece with fewer than `least` locations joins the first piece it shares a
    border with, where PlaNet drops it: every point of the area has a cell.

    Args:
        cells: Whose area to cover.
        coords: `[n, 2]` (lat, lon) degrees; those of training, or the cells know where the answers are.
        most: Places a box may hold; at least 1.
        least: Places a cell must hold, at most `most`; a piece without a neighbour is exempt.

    Returns:
        A partition of kind `quadtree` that tiles the same area, or of kind `world_quadtree`.

    Raises:
        OptionError: If `most` or `least` is out of its range.
        CoordinateError: If the coordinates are none.
    """
    if not 0 <= least <= most or most < 1:
        problem = f"most={most} and least={least} locations a cell."
        raise errors.OptionError(problem, "most is at least 1, and least from 0 to most; 50 and 5 are usual")
    coords = geometry.check_coords(coords, "coords")
    if cells.areas_km2.sum() > WORLD_KM2:
        return world_cells.quadtree(coords, most, least, cells.boundary_sha256)
    area = polygons.canonical(shapely.union_all(cells.shapes))
    west, south, east, north = area.bounds
    pieces = [
        piece
        for box in _boxes((west, south, east, north), coords, most, 0)
        for piece in fishnet.pieces_within(area, box)
    ]
    inside = partition.Partition(tuple(pieces)).label(coords[:, 0], coords[:, 1])
    held = np.bincount(inside[inside >= 0], minlength=len(pieces))
    groups = fishnet.merge(pieces, held.tolist(), least)
    shapes = tuple(shapely.union_all([pieces[k] for k in group]) for group in groups)
    parameters = {"most": most, "least": least, "places": len(coords)}
    return partition.Partition(shapes, "quadtree", parameters, cells.boundary_sha256)


def _boxes(
    box: tuple[float, float, float, float], coords: geometry.Array, most: int, depth: int
) -> list[tuple[float, float, float, float]]:
    """Returns the leaves of the tree over a box (west, south, east, north).

    Quarters from south-west to north-east.
    """
    west, south, east, north = box
    if len(coords) <= most or depth == _DEEPEST:
        return [box]
    # Rounded as vertices are, so that both sides of a line write it alike.
    middle = round((west + east) / 2, polygons.DIGITS), round((south + north) / 2, polygons.DIGITS)
    right, above = coords[:, 1] >= middle[0], coords[:, 0] >= middle[1]
    found = []
    for up, on_right in itertools.product((False, True), repeat=2):
        low, high = (middle[1], north) if up else (south, middle[1])
        left, end = (middle[0], east) if on_right else (west, middle[0])
        chosen = coords[(above == up) & (right == on_right)]
        found += _boxes((left, low, end, high), chosen, most, depth + 1)
    return found
