"""A partition whose cells are the features of a map: states, counties, countries."""

from collections.abc import Sequence

import numpy as np
import shapely

from geods import errors
from geods.geo import boundary as boundaries
from geods.geo import partition, polygons, vector_files, vector_sources

MOST_SLIVER = 0.5


def make(
    source: boundaries.Source, name_field: str | None = None, max_sliver: float = 1e-3
) -> tuple[partition.Partition, tuple[str, ...]]:
    """Takes each feature as a cell, in the order of the file.

    Polygons that cross themselves are made valid. Neighbours rarely meet exactly: what two cells share goes to the
    first of them, and a gap that several cells enclose to the first of those, up to a share of the smaller cell's area.
    Features without geometry or area are skipped and counted.

    Args:
        source: The map, and which of its features.
        name_field: Field whose values become the cells' names; None for cells without.
        max_sliver: Largest share of a cell's area, in square degrees, that an overlap or a gap may have.

    Returns:
        A partition of kind `features`, and notes on what was skipped or changed.

    Raises:
        OptionError: If `max_sliver` is not from 0 to `MOST_SLIVER`.
        BoundaryError: If the map cannot be read, has no such field, or holds no polygon.
        PartitionError: If two cells overlap by more than a sliver.
    """
    check_options(max_sliver)
    if source.boundary in boundaries.DRAWN:
        raise errors.OptionError(
            f"boundary={source.boundary} is one polygon without features.", "give a map of regions"
        )
    path, features = source.path(), source.read()
    shapes, notes = boundaries.shapes_within_180(features, path)
    cells = [polygons.canonical(shape) for shape in shapes]
    kept = [k for k, cell in enumerate(cells) if not cell.is_empty]
    if not kept:
        raise errors.BoundaryError(f"{path}: holds no polygon with an area.", "give a map of regions")
    if len(kept) < len(cells):
        notes.append(f"{len(cells) - len(kept)} features without area were skipped.")
    names = _names([features.features[k] for k in kept], name_field, path)
    labels = names or tuple(f"feature {k}" for k in kept)
    cells, cut = _without_overlaps([cells[k] for k in kept], labels, max_sliver)
    cells, filled = _without_gaps(cells, max_sliver)
    if cut or filled:
        notes.append(f"{cut} overlaps and {filled} gaps between cells, up to {max_sliver:.1%} of a cell, were closed.")
    parameters = source.selection | {"max_sliver": max_sliver} | ({"name_field": name_field} if name_field else {})
    sha256 = vector_sources.sha256_of_source(path)
    return partition.Partition(tuple(cells), "features", parameters, sha256, names), tuple(notes)


def check_options(max_sliver: float) -> None:
    """Raises OptionError if `make` does not take this value."""
    if not 0 <= max_sliver <= MOST_SLIVER:
        raise errors.OptionError(f"max_sliver={max_sliver:g} must be from 0 to {MOST_SLIVER:g}.", "0.001 is usual")


def _names(features: Sequence[vector_files.Feature], field: str | None, path: object) -> tuple[str, ...]:
    """Returns the features' values in a field as text.

    Raises:
        BoundaryError: If there is no such field.
    """
    if field is None:
        return ()
    known = list(features[0].properties)
    if field not in known:
        raise errors.BoundaryError(f"{path}: has no field {field!r}.", f"choose one of the fields {', '.join(known)}")
    return tuple(str(feature.properties[field]) for feature in features)


def _without_overlaps(
    cells: Sequence[polygons.Shape], names: Sequence[str], max_sliver: float
) -> tuple[list[polygons.Shape], int]:
    """Returns the cells without overlaps, and the number of overlaps.

    An overlap goes to the earlier cell.

    Raises:
        PartitionError: If a pair shares more than `max_sliver` of the smaller one.
    """
    pairs = np.stack(shapely.STRtree(cells).query(cells, predicate="intersects"), axis=-1)
    pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    found, count = list(cells), 0
    for first, second in pairs[order].tolist():
        shared = shapely.intersection(found[first], found[second])
        smaller = min(found[first].area, found[second].area)
        if shared.area <= 0:
            continue
        if shared.area > max_sliver * smaller:
            raise _overlap(names[first], names[second], shared, shared.area / smaller)
        rest = polygons.canonical(shapely.difference(found[second], found[first]))
        if not rest.is_empty:
            found[second], count = rest, count + 1
    return found, count


def _overlap(first: str, second: str, shared: shapely.Geometry, share: float) -> errors.PartitionError:
    """Returns the error for two cells that overlap."""
    largest = max(polygons.parts(shared), key=lambda piece: piece.area)
    inside = largest.representative_point()
    problem = f"{first} and {second} overlap at {inside.y:.5f},{inside.x:.5f}: {share:.2%} of the smaller one."
    if share > MOST_SLIVER:
        return errors.PartitionError(problem, "choose features that do not overlap, with --where or --layer")
    enough = float(f"{share * 1.1:.1e}")
    return errors.PartitionError(problem, f"give it to {first} with --max_sliver={min(enough, MOST_SLIVER):g}")


def _without_gaps(cells: list[polygons.Shape], max_sliver: float) -> tuple[list[polygons.Shape], int]:
    """Returns the cells with the small gaps they enclose, and the number of gaps."""
    gaps = [shapely.Polygon(hole) for piece in polygons.parts(shapely.union_all(cells)) for hole in piece.interiors]
    if not gaps:
        return cells, 0
    tree, count = shapely.STRtree(cells), 0
    for gap in gaps:
        around = sorted(int(k) for k in tree.query(gap) if polygons.share_border(cells[int(k)], gap))
        if len(around) > 1 and gap.area <= max_sliver * min(cells[k].area for k in around):
            cells[around[0]] = polygons.canonical(shapely.union(cells[around[0]], gap))
            count += 1
    return cells, count
