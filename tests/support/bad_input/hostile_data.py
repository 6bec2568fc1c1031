"""Hostile partitions, boundaries, archives and arrays.

DATA maps a name to a function that writes the file into a folder and gives it to its real reader.
"""

import io
import pathlib
import pickle
import sqlite3
import stat
import zipfile
from collections.abc import Callable

import drawn_caches
import drawn_runs
import drawn_trees
import numpy as np
from hostile import OUTSIDE, Payload, geojson, nested

from geods.dataset import split_lists
from geods.geo import boundary, partition
from geods.tree import companions, layouts
from trainers.features import cache_format, feature_cache
from trainers.runs import predictions

_SQUARE = [[-100, 30], [-90, 30], [-90, 40], [-100, 40], [-100, 30]]


def of_partition(content: str) -> Callable[[pathlib.Path], object]:
    """Reads a text as partition."""

    def read(here: pathlib.Path) -> object:
        (here / "cells.geojson").write_text(content)
        return partition.read(here / "cells.geojson")

    return read


def of_boundary(content: str, name: str = "b.geojson") -> Callable[[pathlib.Path], object]:
    """Reads a text as boundary; {outside} is the folder that must not be read."""

    def read(here: pathlib.Path) -> object:
        (here / name).write_text(content.replace("{outside}", str(here / OUTSIDE)))
        return boundary.load(str(here / name), part="all")

    return read


def of_zip(*entries: tuple[str, bytes], link: bool = False) -> Callable[[pathlib.Path], object]:
    """Reads a zip archive with these entries as boundary."""

    def read(here: pathlib.Path) -> object:
        with zipfile.ZipFile(here / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in entries:
                entry = zipfile.ZipInfo(name.replace("{outside}", str(here / OUTSIDE)))
                entry.compress_type = zipfile.ZIP_DEFLATED
                if link:
                    entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
                archive.writestr(entry, content.replace(b"{outside}", str(here / OUTSIDE).encode()))
        return boundary.load(str(here / "b.zip"), part="all")

    return read


def sqlite_view(here: pathlib.Path) -> object:
    """Reads a GeoPackage whose layer is a view that loads a library."""
    import fiona

    path = here / "b.gpkg"
    schema = {"geometry": "Polygon", "properties": {}}
    made = {"driver": "GPKG", "schema": schema, "crs": "EPSG:4326", "layer": "evil", "SPATIAL_INDEX": "NO"}
    with fiona.open(path, "w", **made) as target:
        target.write({"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [_SQUARE]}})
    with sqlite3.connect(path) as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(evil)")]
        database.execute("ALTER TABLE evil RENAME TO kept")
        database.execute("DELETE FROM gpkg_contents WHERE table_name = 'kept'")
        database.execute("UPDATE gpkg_geometry_columns SET table_name = 'evil'")
        database.execute("UPDATE gpkg_contents SET table_name = 'evil'")
        what = f"load_extension('{here / OUTSIDE / 'secret.txt'}')"
        database.execute(f"CREATE VIEW evil AS SELECT {', '.join(columns)} FROM kept WHERE {what} IS NULL")  # noqa: S608
    database.close()
    return boundary.load(str(path), part="all")


def pickled(array: bool = True) -> Callable[[pathlib.Path], bytes]:
    """Returns the bytes of a pickled payload, as .npy or bare."""

    def made(here: pathlib.Path) -> bytes:
        payload = Payload(here / OUTSIDE / "mark")
        if not array:
            return pickle.dumps(payload)
        buffer = io.BytesIO()
        np.save(buffer, np.array([payload], dtype=object), allow_pickle=True)
        return buffer.getvalue()

    return made


def header(text: str) -> Callable[[pathlib.Path], bytes]:
    """Returns the bytes of a .npy file that is all header."""
    content = text.encode().ljust(117) + b"\n"
    return lambda here: b"\x93NUMPY\x01\x00" + len(content).to_bytes(2, "little") + content


HUGE = header("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 15), }")
CODE = header("{'descr': __import__('os').system('touch mark'), 'fortran_order': False, 'shape': (3,), }")


def of_probabilities(content: Callable[[pathlib.Path], bytes]) -> Callable[[pathlib.Path], object]:
    """Reads bytes as the probabilities of a run."""

    def read(here: pathlib.Path) -> object:
        cells = drawn_trees.cells()
        drawn_runs.write(here / "run", cells, drawn_runs.predict(cells, 3))
        (here / "run" / "probabilities.npy").write_bytes(content(here))
        return predictions.read(here / "run", len(cells))

    return read


def of_lists(content: Callable[[pathlib.Path], bytes]) -> Callable[[pathlib.Path], object]:
    """Reads bytes as the list of training images of a tree."""

    def read(here: pathlib.Path) -> object:
        root = drawn_trees.write(here / "tree", drawn_trees.location_ids(2))
        for name in ("trainFiles.npy", "testFiles.npy"):
            (root / name).write_bytes(content(here))
        return split_lists.find(companions.TreeFolder(root), layouts.read(root))

    return read


def of_cache(name: str, content: Callable[[pathlib.Path], bytes]) -> Callable[[pathlib.Path], object]:
    """Reads bytes as a file of a feature cache."""

    def read(here: pathlib.Path) -> object:
        drawn_caches.write(here / "cache")
        (here / "cache" / name).write_bytes(content(here))
        return feature_cache.FeatureCache(here / "cache").take(np.arange(3))

    return read


def of_index(**changed: object) -> Callable[[pathlib.Path], object]:
    """Reads a feature cache whose index is changed, with a hash that fits."""

    def read(here: pathlib.Path) -> object:
        drawn_caches.write(here / "cache")
        cache_format.write_index(here / "cache", cache_format.read_index(here / "cache") | changed)
        return feature_cache.FeatureCache(here / "cache").take(np.arange(3))

    return read


def npz(content: Callable[[pathlib.Path], bytes], kind: int = zipfile.ZIP_STORED) -> Callable[[pathlib.Path], bytes]:
    """Returns an .npz whose arrays all are these bytes."""

    def made(here: pathlib.Path) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", kind) as archive:
            for name in ("location_ids", "coords", "views", "headings", "../../outside/mark"):
                archive.writestr(f"{name}.npy", content(here))
        return buffer.getvalue()

    return made


_VRT = (
    "<OGRVRTDataSource><OGRVRTLayer name='secret'><SrcDataSource>{outside}/secret.geojson</SrcDataSource>"
    "</OGRVRTLayer></OGRVRTDataSource>"
)
_BOMB = b'{"type": "FeatureCollection", "features": [' + b" " * 100_000_000 + b"]}"
DATA: dict[str, Callable[[pathlib.Path], object]] = {
    "partition of NaN": of_partition(geojson(_SQUARE).replace("40", "NaN")),
    "partition of infinity": of_partition(geojson(_SQUARE).replace("-100", "1e999")),
    "partition of huge coordinates": of_partition(geojson(_SQUARE).replace("-100", "1e308")),
    "partition of texts": of_partition(geojson([["a", "b"]] * 5)),
    "partition of objects": of_partition(geojson([{"x": 1}] * 4)),
    "partition nested too deep": of_partition(nested()),
    "partition with a geometry nested too deep": of_partition(geojson(0).replace("[0]", nested())),
    "partition whose features are a number": of_partition('{"type": "FeatureCollection", "features": 7}'),
    "partition of a collection in a collection": of_partition(geojson(_SQUARE, "GeometryCollection")),
    "partition with an integer of 5,000 digits": of_partition(geojson(_SQUARE).replace("-100", "-1" + "0" * 5000)),
    "boundary of NaN": of_boundary(geojson(_SQUARE).replace("40", "NaN")),
    "boundary of huge coordinates": of_boundary(geojson(_SQUARE).replace("-100", "1e308")),
    "boundary nested too deep": of_boundary(geojson(0).replace("[0]", nested())),
    "boundary of texts": of_boundary(geojson([["a", "b"]] * 5)),
    "boundary that points to another file": of_boundary(_VRT),
    "boundary that points to another file, as .vrt": of_boundary(_VRT, "b.vrt"),
    "shapefile that claims 2 GB": lambda here: of_boundary("\x00\x00\x27\x0a" + "\x7f" * 96, "b.shp")(here),
    "GeoPackage with a view that loads code": sqlite_view,
    "archive with ..": of_zip(("../outside/secret.geojson", geojson(_SQUARE).encode())),
    "archive with an absolute name": of_zip(("{outside}/secret.geojson", geojson(_SQUARE).encode())),
    "archive with a brace in a name": of_zip(("}/../../outside/secret.geojson", geojson(_SQUARE).encode())),
    "archive with a link": of_zip(("b.geojson", b"{outside}/secret.geojson"), link=True),
    "archive that unpacks to 100 MB": of_zip(("b.geojson", _BOMB)),
    "probabilities that are a pickle": of_probabilities(pickled()),
    "probabilities that are a bare pickle": of_probabilities(pickled(array=False)),
    "probabilities that claim 60 TB": of_probabilities(HUGE),
    "probabilities whose header is code": of_probabilities(CODE),
    "lists that are a pickle": of_lists(pickled()),
    "lists that claim 60 TB": of_lists(HUGE),
    "cache whose rows are pickles": of_cache("index.npz", npz(pickled())),
    "cache whose rows claim 60 TB": of_cache("index.npz", npz(HUGE)),
    "cache whose rows unpack to 100 MB": of_cache(
        "index.npz", npz(lambda here: bytes(20_000_000), zipfile.ZIP_DEFLATED)
    ),
    "cache whose block is a pickle": of_cache("blocks/00000.npy", pickled()),
    "cache whose block claims 60 TB": of_cache("blocks/00000.npy", HUGE),
    "cache whose index is nested too deep": of_cache("index.json", lambda here: nested().encode()),
    "cache of no rows a block": of_index(block_rows=0),
    "cache of other types": of_index(sha256=7, rows="many", feature_shape={"a": 1}),
    "cache of another key": of_index(key={"__class__": "os.system"}),
}
