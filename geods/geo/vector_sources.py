"""The map to read of a file, archive or folder, and its layers."""

import contextlib
import pathlib
import re
import tempfile
import zipfile
from collections.abc import Iterator, Sequence

from geods import errors
from geods.storage import files

SUFFIXES = (".shp", ".geojson", ".json", ".topojson", ".gpkg", ".kml", ".fgb", ".parquet", ".gml")
NAMES_SHOWN = 8
_GDB = ".gdb"
# Protocols 2 to 5, then a frame, a global, a tuple, a list, a dictionary or an object by its module.
_PICKLE, _HEAD_BYTES = re.compile(rb"\x80[\x02-\x05][\x95c(\]})\x8c]", re.DOTALL), 3
# The report's usaPoly.pkl holds an array of (lat, lon).
_FROM_PICKLE = (
    "if you trust it, write GeoJSON: python -c \"import pickle, shapely; p = pickle.load(open('{path}', 'rb')); "
    "p = p if hasattr(p, 'geom_type') else shapely.Polygon(p[:, ::-1]); "
    "open('boundary.geojson', 'w').write(shapely.to_geojson(p))\", then give --boundary=boundary.geojson"
)


def check_source(path: str) -> pathlib.Path:
    """Returns the path of a map: a file, or a folder of a file geodatabase (.gdb).

    Raises:
        MissingFileError: If there is none.
        BoundaryError: If it is a pickle.
    """
    found = pathlib.Path(path)
    if found.is_dir() and found.suffix.lower() == _GDB:
        return found
    found = files.check_file(path, "give the path of a boundary file, or --boundary=us or --boundary=demo")
    with found.open("rb") as source:
        if _PICKLE.match(source.read(_HEAD_BYTES)):
            problem = f"{path}: is a pickle, which can run any code when it is read; it is not read."
            raise errors.BoundaryError(problem, _FROM_PICKLE.format(path=path))
    return found


def sha256_of_source(path: pathlib.Path) -> str:
    """Returns the SHA-256 of a file, or of a folder's names and hashes, hexadecimal."""
    import hashlib

    if not path.is_dir():
        return files.sha256_of_file(path)
    parts = [f"{files.sha256_of_file(part)}  {part.name}\n" for part in sorted(path.iterdir()) if part.is_file()]
    return hashlib.sha256("".join(parts).encode()).hexdigest()


@contextlib.contextmanager
def opened(path: pathlib.Path, member: str | None) -> Iterator[str]:
    """Yields the name under which GDAL, or pyarrow for .parquet, opens a map.

    Args:
        path: A map, or an archive that holds maps.
        member: Which map of an archive to take, by its path in it or the end of that; None for the only one.

    Raises:
        BoundaryError: If an archive is damaged, or holds not exactly one such map.
    """
    name = str(path)
    if path.is_file() and zipfile.is_zipfile(path):
        # The braces let GDAL open archives whose name does not end in .zip.
        chosen = _member(path, member)
        name = f"/vsizip/{{{path.resolve()}}}/{chosen}"
    elif member is not None:
        raise errors.BoundaryError(f"{path}: is no archive, so it has no member {member}.", "leave --member out")
    with tempfile.TemporaryDirectory() as folder:
        if name.lower().endswith((".gml", ".parquet")):
            name = _copied(path, name, pathlib.Path(folder))
        yield name


def only_layer(layers: Sequence[str], path: pathlib.Path, layer: str | None) -> str:
    """Returns the layer to read: the one of that name, or the one there is.

    Raises:
        BoundaryError: If there is no such layer, or several of which none is named.
    """
    known = ", ".join(layers[:NAMES_SHOWN])
    if layer is not None and layer not in layers:
        problem = f"{path}: has no layer {layer!r} of polygons or lines."
        raise errors.BoundaryError(problem, f"choose one with --layer: {known}")
    if layer is None and len(layers) != 1:
        problem = f"{path}: holds {len(layers)} layers: {known}."
        raise errors.BoundaryError(problem, f"choose one, such as --layer={layers[0]}" if layers else "give a map")
    return layer or layers[0]


def unreadable(path: pathlib.Path, cause: str) -> errors.BoundaryError:
    """Returns the error for a file that is not read."""
    shortened = " ".join(cause.split())[:300].rstrip(".")
    next_step = "give a .zip, .shp (with its .shx and .dbf), .geojson or .gpkg; docs/boundaries.md lists the formats"
    return errors.BoundaryError(f"{path}: cannot be read ({shortened}).", next_step)


def _copied(path: pathlib.Path, name: str, folder: pathlib.Path) -> str:
    """Returns the name of a copy in a folder of its own.

    Beside a GML file, GDAL leaves a .gfs with what it found, and next time believes it instead of the file.
    """
    copy = folder / pathlib.PurePath(name).name
    if name == str(path):
        copy.symlink_to(path.resolve())
        schema = path.with_suffix(".xsd")
        if schema.exists():
            (folder / schema.name).symlink_to(schema.resolve())
        return str(copy)
    with zipfile.ZipFile(path) as archive:
        copy.write_bytes(archive.read(name.rsplit("}/", 1)[1]))
    return str(copy)


def _member(path: pathlib.Path, member: str | None) -> str:
    """Returns the path in an archive of the map to read."""
    inside = _maps_inside(path)
    if member is None:
        # Beside a map there may lie .json with its metadata.
        certain = [name for name in inside if not name.lower().endswith(".json")]
        chosen = certain or inside
    else:
        chosen = [name for name in inside if name == member or name.endswith(f"/{member}")]
    if len(chosen) == 1:
        return chosen[0]
    shown = ", ".join((chosen or inside)[:NAMES_SHOWN])
    if chosen:
        problem = f"{path}: holds {len(chosen)} maps: {shown}."
        raise errors.BoundaryError(problem, f"choose one, such as --member={chosen[0]}")
    if inside:
        raise errors.BoundaryError(f"{path}: holds no map {member}.", f"choose one with --member: {shown}")
    problem = f"{path}: holds no map, which is a file with suffix {', '.join(SUFFIXES)} or a folder with {_GDB}."
    raise errors.BoundaryError(problem, "put a map into it, or give the path of one")


def _maps_inside(path: pathlib.Path) -> list[str]:
    """Returns the paths in an archive that may be maps.

    Files that macOS adds (__MACOSX, ._NAME) are left out.

    Raises:
        BoundaryError: If the archive is damaged or unsafe.
    """
    try:
        files.check_not_bomb(path)
    except ValueError as error:
        raise unreadable(path, str(error)) from error
    with zipfile.ZipFile(path) as archive:
        # GDAL reads on where a checksum does not fit.
        if damaged := archive.testzip():
            raise unreadable(path, f"{damaged} in it is damaged")
        if led_out := [name for name in archive.namelist() if name.startswith("/") or ".." in name.split("/")]:
            raise unreadable(path, f"{led_out[0]} in it leads out of it")
        paths = [pathlib.PurePosixPath(name) for name in archive.namelist() if not name.endswith("/")]
    paths = [inside for inside in paths if inside.parts[0] != "__MACOSX" and not inside.name.startswith(".")]
    folders = {parent for inside in paths for parent in inside.parents if parent.suffix.lower() == _GDB}
    single = [inside for inside in paths if inside.suffix.lower() in SUFFIXES and not folders & set(inside.parents)]
    return sorted(map(str, folders)) + [str(inside) for inside in single]
