"""Features of one layer of a file that GDAL or pyarrow opens, in degrees."""

import contextlib
import dataclasses
import difflib
import json
import logging
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import shapely

from geods import errors
from geods.geo import vector_sources

# 11 m of latitude: more than lies between the datums in use today.
_SHIFT_DEG = 1e-4


@dataclasses.dataclass(frozen=True)
class Feature:
    """A geometry, x = longitude and y = latitude in degrees, and its fields."""

    shape: shapely.Geometry
    properties: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Features:
    """The chosen features of a layer.

    Attributes:
        features: Those with a geometry, in the order of the file.
        without_geometry: How many of the chosen had none, or an empty one.
    """

    features: tuple[Feature, ...]
    without_geometry: int = 0

    @property
    def shapes(self) -> list[shapely.Geometry]:
        """Their geometries."""
        return [feature.shape for feature in self.features]


def read(
    path: pathlib.Path, where: Sequence[str] = (), layer: str | None = None, member: str | None = None
) -> Features:
    """Returns the chosen features of a file.

    Projected coordinates are transformed to WGS 84, and geographic ones of another prime meridian, unit or old datum.
    Other geographic ones are taken as they are: between the datums in use today (NAD83, ETRS89, WGS 84) lie a metre or
    two.

    Args:
        path: A map in one of the formats of docs/boundaries.md, or an archive that holds one.
        where: Each `FIELD=VALUE` or `FIELD=VALUE,VALUE`; a feature is taken that has, in each field named, one of the
            field's values. Without any, all features are taken.
        layer: Name of the layer; None for the only one with geometries.
        member: Path of the map in an archive, or the end of it; None for the only one.

    Raises:
        BoundaryError: If the file cannot be read whole, a layer or member is missing or must be chosen, or `where` fits
            nothing in it.
    """
    try:
        with _gdal_errors() as reported, vector_sources.opened(path, member) as name:
            read_layer = _parquet if name.lower().endswith(".parquet") else _gdal
            found = read_layer(name, path, layer)
    except errors.GeodsError:
        raise
    except Exception as error:
        # Damaged files make fiona raise almost anything, UnboundLocalError and SystemError among it.
        raise vector_sources.unreadable(path, str(errors.root(error))) from error
    if reported:
        # A file cut short is reported here only, and its last features come without geometry.
        raise vector_sources.unreadable(path, reported[0])
    chosen = list(_matching(found, where, path))
    with_geometry = tuple(feature for feature in chosen if feature.shape is not None and not feature.shape.is_empty)
    return Features(with_geometry, len(chosen) - len(with_geometry))


def _gdal(name: str, path: pathlib.Path, layer: str | None) -> list[Feature]:
    """Returns all features of a layer that GDAL opens."""
    import fiona

    layers = fiona.listlayers(name)
    if len(layers) > 1:
        layers = [known for known in layers if _has_geometry(name, known)]
    with _opened(name, vector_sources.only_layer(layers, path, layer)) as source:
        found = list(source)
        shapes = [feature.geometry and shapely.geometry.shape(feature.geometry) for feature in found]
        shapes = _in_degrees(shapes, source.crs)
        fields = list(source.schema["properties"])
    return [
        Feature(shape, {field: feature.properties[field] for field in fields})
        for shape, feature in zip(shapes, found, strict=True)
    ]


def _opened(name: str, layer: str) -> Any:  # noqa: ANN401 - fiona has no types
    """Opens a layer.

    Fiona opens KML only when asked to open what it was not tested with, and then also VRT, which leads to other files.
    """
    import fiona

    if name.lower().endswith(".kml"):
        return fiona.open(name, layer=layer, allow_unsupported_drivers=True, enabled_drivers=["KML"])
    return fiona.open(name, layer=layer)


def _has_geometry(name: str, layer: str) -> bool:
    """Returns whether a layer holds geometries.

    GeoPackages and geodatabases also hold plain tables.
    """
    with _opened(name, layer) as source:
        return bool(source.schema["geometry"] != "None")


def _parquet(name: str, path: pathlib.Path, layer: str | None) -> list[Feature]:
    """Returns all features of a GeoParquet file, which fiona's GDAL does not read."""
    from fiona import crs
    from pyarrow import parquet

    if layer is not None:
        raise errors.BoundaryError(f"{path}: GeoParquet has no layers.", "leave --layer out")
    table = parquet.read_table(name)
    metadata = json.loads((table.schema.metadata or {}).get(b"geo", b"null"))
    if not metadata:
        raise errors.BoundaryError(f"{path}: is Parquet without the metadata of GeoParquet.", "write it as GeoParquet")
    column = metadata["primary_column"]
    described = metadata["columns"][column]
    if described["encoding"] != "WKB":
        problem = f"{path}: its geometries are encoded as {described['encoding']}."
        raise errors.BoundaryError(problem, "write them as WKB, the encoding that all programs read")
    system = crs.CRS.from_user_input(json.dumps(described["crs"])) if described.get("crs") else None
    shapes = _in_degrees(list(shapely.from_wkb(table.column(column).to_pylist())), system)
    rows = table.drop_columns([column]).to_pylist() or [{}] * len(shapes)
    return [Feature(shape, row) for shape, row in zip(shapes, rows, strict=True)]


def _in_degrees(shapes: Sequence[Any], system: Any) -> list[Any]:  # noqa: ANN401 - fiona has no types
    """Returns shapes of a coordinate system (None if not known) in WGS 84."""
    if system and (system.is_projected or _is_shifted(shapes, system)):
        shapes = [shape and _shape_moved(shape, system) for shape in shapes]
    return list(shapely.force_2d(shapes))


def _shape_moved(shape: shapely.Geometry, system: Any) -> shapely.Geometry:  # noqa: ANN401 - fiona has no types
    """Returns a shape of a coordinate system in degrees of WGS 84.

    Not by fiona's transform_geom, which while a file is open returns an empty polygon for one over the antimeridian
    (findings/fiona_transform_while_open.sh). A long edge over it could go either way in degrees, and gets more points.
    """
    points = shapely.get_coordinates(shape)
    moved = _moved(points, system)
    if not np.isfinite(moved).all():
        raise ValueError("coordinates outside its projection")
    long = float(np.ptp(points, axis=0).max()) / 1024
    is_long = np.hypot(*np.diff(points, axis=0).T) > long
    if (is_long & (np.abs(np.diff(moved[:, 0])) > 180)).any():
        shape = shapely.segmentize(shape, long)
    return shapely.transform(shape, lambda points: _moved(points, system))


def _moved(points: np.ndarray, system: Any) -> np.ndarray:  # noqa: ANN401 - fiona has no types
    """Returns points `[n, 2]` (x, y) of a coordinate system in degrees of WGS 84."""
    from fiona import transform

    return np.column_stack(transform.transform(system, "EPSG:4326", *points.T.tolist()))


def _is_shifted(shapes: Sequence[Any], system: Any) -> bool:  # noqa: ANN401 - fiona has no types
    """Returns whether a geographic system gives other degrees than WGS 84.

    NTF (Paris) counts grads from Paris, and the datum of Tokyo lies 450 m off.
    """
    points = shapely.get_coordinates([shape for shape in shapes if shape][:1])[:1]
    moved = _moved(points, system) - points
    # Some transformations bring longitudes beyond 180 into -180 to 180.
    moved[:, 0] = (moved[:, 0] + 180) % 360 - 180
    return bool((np.abs(moved) > _SHIFT_DEG).any())


@contextlib.contextmanager
def _gdal_errors() -> Iterator[list[str]]:
    """Yields the list of GDAL's errors in the block, which do not reach the terminal."""
    logger, handler = logging.getLogger("fiona"), _Collector(logging.ERROR)
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield handler.messages
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


class _Collector(logging.Handler):
    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps one record's text."""
        self.messages.append(record.getMessage())


def _matching(found: Sequence[Feature], where: Sequence[str], path: pathlib.Path) -> Iterable[Feature]:
    """Returns the features that `where` keeps.

    Raises:
        BoundaryError: If `where` is not FIELD=VALUE, or there is no such field or value.
    """
    known = list(found[0].properties) if found else []
    wanted: dict[str, set[str]] = {}
    for choice in where:
        field, equals, value = choice.partition("=")
        if not equals or field not in known:
            problem = f"{path}: has no field {field!r}." if equals else f"--where={choice} is not FIELD=VALUE."
            raise errors.BoundaryError(problem, f"choose one of the fields {', '.join(known)}")
        values = {str(feature.properties[field]) for feature in found}
        # A value may hold a comma itself, such as Korea, Republic of.
        choices = [value] if value in values else [part.strip() for part in value.split(",")]
        for missing in sorted(set(choices) - values):
            close = difflib.get_close_matches(missing, sorted(values), n=vector_sources.NAMES_SHOWN, cutoff=0)
            problem = f"{path}: no feature has {field}={missing}."
            raise errors.BoundaryError(problem, f"choose one of its {len(values)} values, such as {', '.join(close)}")
        wanted.setdefault(field, set()).update(choices)
    chosen = [
        feature
        for feature in found
        if all(str(feature.properties[field]) in values for field, values in wanted.items())
    ]
    if found and not chosen:
        raise errors.BoundaryError(f"{path}: no feature has all of {', '.join(where)}.", "leave one of them out")
    return chosen
