"""Cells as GeoJSON (RFC 7946) with reproducible bytes, and checks on reading."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import shapely

from geods import errors
from geods.geo import antimeridian, polygons
from geods.storage import files

FORMAT_VERSION = 1
MAKE_ONE = "make one: python -m tools.make_partition --boundary=us --out=partition.geojson"
_CONVERT = "convert it: python -m tools.make_partition --cells=features --boundary=FILE --out=partition.geojson"

_MAKE_VALID = "make its cells valid: python -m tools.make_partition --cells=features --boundary=OLD --out=NEW"
_MEMBER_FIELDS = {"kind": str, "parameters": dict, "boundary_sha256": str}
# Borders that two cells write with different vertices overlap by slivers; a larger share of a cell is a mistake.
_OVERLAP_ALLOWED = 1e-6


def dumps(
    shapes: Sequence[polygons.Shape], properties: Sequence[Mapping[str, Any]], member: Mapping[str, Any]
) -> bytes:
    """Returns a FeatureCollection, one feature a line, keys sorted.

    Args:
        shapes: One a cell, in canonical form.
        properties: One a cell.
        member: What the `geods` member says beside the format version.
    """
    features = [
        {"geometry": shapely.geometry.mapping(shape), "properties": dict(values), "type": "Feature"}
        for shape, values in zip(shapes, properties, strict=True)
    ]
    cells = ",\n".join(map(_dumps, features))
    header = _dumps({**member, "format_version": FORMAT_VERSION})
    return f'{{"features":[\n{cells}\n],\n"geods":{header},\n"type":"FeatureCollection"}}\n'.encode()


def loads(content: bytes | str) -> tuple[list[polygons.Shape], dict[str, Any]]:
    """Returns the shapes of a FeatureCollection in order, and its `geods` member.

    The shapes are cut at the antimeridian. The member comes with `names` if every cell has one. A file without a member
    is as good; then it is empty.

    Raises:
        PartitionError: If it is not JSON, not a FeatureCollection, written by a newer geods, or a feature is not a
            polygon, crosses itself, lies outside the Earth, or overlaps another.
    """
    try:
        document = files.parse_json(content)
    except ValueError as error:
        step = f"{MAKE_ONE}; of a Shapefile, GeoPackage or other map {_CONVERT}"
        raise errors.PartitionError(f"not JSON ({error}).", step) from error
    if not isinstance(document, dict) or document.get("type") != "FeatureCollection":
        raise errors.PartitionError("not a GeoJSON FeatureCollection.", MAKE_ONE)
    if not isinstance(document.get("features"), list) or not document["features"]:
        raise errors.PartitionError("a FeatureCollection without features: no cells.", MAKE_ONE)
    member = _member(document["geods"]) if "geods" in document else {}
    shapes = [_shape(feature, cell) for cell, feature in enumerate(document["features"])]
    _check_no_overlap(shapes)
    names = [(feature.get("properties") or {}).get("name") for feature in document["features"]]
    if member and all(isinstance(name, str) for name in names):
        member["names"] = tuple(names)
    return shapes, member


def _dumps(content: Any) -> str:  # noqa: ANN401 - anything JSON can hold
    """Returns JSON with sorted keys and no blanks."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _member(member: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever the file holds
    """Returns the fields of a `geods` member, without its format version."""
    if not isinstance(member, dict) or not isinstance(member.get("format_version"), int):
        raise errors.PartitionError("its geods member holds no format_version.", MAKE_ONE)
    if member["format_version"] > FORMAT_VERSION:
        version = member["format_version"]
        problem = f"format_version {version} is newer than this geods, which reads up to {FORMAT_VERSION}."
        raise errors.PartitionError(problem, "update geods")
    for name, kind in _MEMBER_FIELDS.items():
        if not isinstance(member.get(name), kind):
            raise errors.PartitionError(f"its geods member has no {name} of type {kind.__name__}.", MAKE_ONE)
    return {name: member[name] for name in _MEMBER_FIELDS}


def _shape(feature: Any, cell: int) -> polygons.Shape:  # noqa: ANN401 - whatever the file holds
    """Returns the polygons of a feature."""
    found = _geometry(feature, cell)
    if not isinstance(found, shapely.Polygon | shapely.MultiPolygon):
        raise errors.PartitionError(f"cell {cell} is a {found.geom_type}, not a polygon.")
    try:
        within = antimeridian.within_180(found)
    except errors.CoordinateError as error:
        raise errors.PartitionError(
            f"cell {cell}: {error.problem}", f"write degrees, longitude first, or {_CONVERT}"
        ) from error
    if not within.is_valid:
        reason = shapely.is_valid_reason(within)
        raise errors.PartitionError(f"cell {cell} is broken: {reason}.", _MAKE_VALID)
    return within


def _geometry(feature: Any, cell: int) -> shapely.Geometry:  # noqa: ANN401 - whatever the file holds
    """Returns what shapely makes of a feature's geometry."""
    try:
        # NaN, which is no JSON and read all the same, is refused later and needs no warning.
        with np.errstate(invalid="ignore"):
            return shapely.geometry.shape(feature["geometry"])
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, shapely.errors.ShapelyError) as error:
        cause = f"{type(error).__name__}: {error}"
        raise errors.PartitionError(f"cell {cell} has no readable geometry ({cause}).") from error


def _check_no_overlap(shapes: Sequence[polygons.Shape]) -> None:
    """Raises PartitionError if two cells share more than slivers."""
    pairs = np.stack(shapely.STRtree(shapes).query(shapes), axis=-1)
    first, second = pairs[pairs[:, 0] < pairs[:, 1]].T
    cells = np.array(shapes)
    crossing = shapely.relate_pattern(cells[first], cells[second], "T********")
    first, second = first[crossing], second[crossing]
    shared = shapely.area(shapely.intersection(cells[first], cells[second]))
    smaller = np.minimum(shapely.area(cells[first]), shapely.area(cells[second]))
    overlapping = np.flatnonzero(shared > _OVERLAP_ALLOWED * smaller)
    if overlapping.size:
        a, b = first[overlapping[0]], second[overlapping[0]]
        raise errors.PartitionError(f"cells {a} and {b} overlap.", "give polygons that do not overlap")
