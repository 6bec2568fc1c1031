"""Geometries from any vector file fiona opens: zip archives, one layer, chosen features, in degrees."""

import contextlib
import difflib
import logging
import pathlib
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

import shapely

from geods import errors
from geods.storage import files

_SUFFIXES_IN_ZIP = (".shp", ".geojson", ".json", ".gpkg")
_NAMES_SHOWN = 8


def read(path: pathlib.Path, where: str | None = None) -> list[shapely.Geometry]:
    """Returns the geometries of a file's features, x = longitude and y = latitude in degrees.

    Projected coordinates are transformed to WGS 84. Geographic ones are taken as they are: between the datums in use
    today (NAD83, ETRS89, WGS 84) lie a metre or two.

    Args:
        path: A .zip that holds one file, or a .shp, .geojson, .gpkg or another format of GDAL with one layer.
        where: `FIELD=VALUE` keeps the features with that value; None keeps all.

    Raises:
        BoundaryError: If the file cannot be read whole, or `where` fits nothing in it.
    """
    import fiona
    from fiona import transform

    try:
        with _gdal_errors() as reported:
            name = _fiona_name(path)
            with fiona.open(name, layer=_only_layer(fiona.listlayers(name), path)) as source:
                found = [feature.geometry for feature in _matching(source, where, path) if feature.geometry]
                if source.crs and source.crs.is_projected:
                    found = [transform.transform_geom(source.crs, "EPSG:4326", geometry) for geometry in found]
            shapes = [shapely.force_2d(shapely.geometry.shape(geometry)) for geometry in found]
    except errors.GeodsError:
        raise
    except Exception as error:
        # Damaged files make fiona raise almost anything, UnboundLocalError and SystemError among it.
        raise _unreadable(path, _root_cause(error)) from error
    if reported:
        # A file cut short is reported here only, and its last features come without geometry.
        raise _unreadable(path, reported[0])
    return shapes


@contextlib.contextmanager
def _gdal_errors() -> Iterator[list[str]]:
    """Gives the list that GDAL's errors are put into while the block runs, and keeps them off the terminal."""
    logger, handler = logging.getLogger("fiona"), _Collector(logging.ERROR)
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield handler.messages
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


class _Collector(logging.Handler):
    """Keeps the text of records."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps one record."""
        self.messages.append(record.getMessage())


def _root_cause(error: BaseException) -> str:
    """Returns the message at the end of a chain of exceptions: fiona's own says only that opening failed."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return str(error)


def _unreadable(path: pathlib.Path, cause: str) -> errors.BoundaryError:
    """Returns the error for a file that GDAL does not read."""
    shortened = " ".join(cause.split())[:300].rstrip(".")
    next_step = "give a .zip, .shp (with its .shx and .dbf), .geojson or .gpkg; ogrinfo FILE shows what is wrong"
    return errors.BoundaryError(f"{path}: cannot be read ({shortened}).", next_step)


def _fiona_name(path: pathlib.Path) -> str:
    """Returns what fiona.open takes for a path: fiona does not open archives by themselves."""
    if not zipfile.is_zipfile(path):
        return str(path)
    try:
        files.check_not_bomb(path)
    except ValueError as error:
        raise _unreadable(path, str(error)) from error
    with zipfile.ZipFile(path) as archive:
        # GDAL reads on where a checksum does not fit.
        if damaged := archive.testzip():
            raise _unreadable(path, f"{damaged} in it is damaged")
        if led_out := [name for name in archive.namelist() if name.startswith("/") or ".." in name.split("/")]:
            raise _unreadable(path, f"{led_out[0]} in it leads out of it")
        inside = [name for name in archive.namelist() if name.lower().endswith(_SUFFIXES_IN_ZIP)]
    if len(inside) != 1:
        found = f"{len(inside)} of them: {', '.join(inside[:_NAMES_SHOWN])}" if inside else "none"
        problem = f"{path}: must hold one file with suffix {', '.join(_SUFFIXES_IN_ZIP)}, but holds {found}."
        raise errors.BoundaryError(problem, "unpack it and give the path of one file")
    # The braces let GDAL open archives whose name does not end in .zip.
    return f"/vsizip/{{{path.resolve()}}}/{inside[0]}"


def _only_layer(layers: Sequence[str], path: pathlib.Path) -> str:
    """Returns the one layer there is."""
    if len(layers) != 1:
        problem = f"{path}: must hold one layer, but holds {len(layers)}: {', '.join(layers[:_NAMES_SHOWN])}."
        raise errors.BoundaryError(problem, "save one to a file of its own: ogr2ogr new.geojson OLD LAYER")
    return layers[0]


def _matching(source: Any, where: str | None, path: pathlib.Path) -> Iterator[Any]:  # noqa: ANN401 - fiona has no types
    """Gives the features that `where` keeps.

    Raises:
        BoundaryError: If `where` is not FIELD=VALUE, or there is no such field or value.
    """
    if where is None:
        yield from source
        return
    field, equals, value = where.partition("=")
    known = list(source.schema["properties"])
    if not equals or field not in known:
        problem = f"{path}: has no field {field!r}." if equals else f"--where={where} is not FIELD=VALUE."
        raise errors.BoundaryError(problem, f"choose one of the fields {', '.join(known)}")
    seen = set()
    for feature in source:
        seen.add(str(feature.properties[field]))
        if str(feature.properties[field]) == value:
            yield feature
    if value not in seen:
        close = difflib.get_close_matches(value, sorted(seen), n=_NAMES_SHOWN, cutoff=0)
        problem = f"{path}: no feature has {field}={value}."
        raise errors.BoundaryError(problem, f"choose one of its {len(seen)} values, such as {', '.join(close)}")
