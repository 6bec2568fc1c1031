"""Files made to do harm: what makes each, and who reads it.

HOSTILE maps a name to a function that writes the file into a folder and gives it to its real reader. `watching` tells
what was done meanwhile that must not be: code found in a file, or a file opened in the folder "outside".
"""

import contextlib
import io
import json
import os
import pathlib
import pickle
import sqlite3
import stat
import sys
import zipfile
from collections.abc import Callable, Iterator

import drawn_photos
import drawn_runs
import drawn_trees
import numpy as np
import road
import test_trainers_features as caching

from geods import boundary, cli, partition, seals, split_lists, survey, tree_layouts
from tools import verify
from trainers import cache_files, features, options, predictions

OUTSIDE, SECRET = "outside", "the secret of another file"
# What Python tells an audit hook when it does these: https://docs.python.org/3/library/audit_events.html
_CODE = ("pickle.find_class", "marshal.loads", "os.system", "subprocess.Popen", "os.exec", "os.posix_spawn")
_SQUARE = [[-100, 30], [-90, 30], [-90, 40], [-100, 40], [-100, 30]]
SECRET_LON = -77.125
_SECRET_SQUARE = [[SECRET_LON, 30], [-70, 30], [-70, 40], [SECRET_LON, 40], [SECRET_LON, 30]]

_watched: list[str] = []
_outside: list[str] = []


class Payload:
    """Leaves a file when it is unpickled."""

    def __init__(self, mark: pathlib.Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable, tuple]:
        return os.system, (f"touch '{self.mark}'",)


def _hook(event: str, arguments: tuple) -> None:
    """Notes what must not happen; nothing while nobody watches, nor that Python imports a compiled module."""
    if not _outside:
        return
    if event == "marshal.loads" and sys._getframe(1).f_code.co_filename.startswith("<frozen importlib"):
        return
    if event in _CODE:
        _watched.append(f"{event} {arguments[:2]}")
    elif event == "open" and isinstance(arguments[0], str | bytes) and _outside[0] in os.fsdecode(arguments[0]):
        _watched.append(f"opened {os.fsdecode(arguments[0])}")


sys.addaudithook(_hook)


@contextlib.contextmanager
def watching(folder: pathlib.Path) -> Iterator[list[str]]:
    """Gives the list of what was done that must not be; makes the folder outside with a secret in it."""
    outside = folder / OUTSIDE
    outside.mkdir()
    for name in ("secret.txt", "secret.cfg"):
        (outside / name).write_text(f"--{SECRET}\n")
    (outside / "secret.geojson").write_text(geojson(_SECRET_SQUARE))
    (outside / "photo.jpg").write_bytes(drawn_photos.jpeg(0, drawn_photos.position_tags(35.5, -95.5)))
    before = listing(outside)
    _watched.clear()
    _outside.append(str(outside))
    try:
        yield _watched
    finally:
        _outside.clear()
    if listing(outside) != before:
        _watched.append("outside was written to")


def forget() -> None:
    """Forgets what was done so far, by a test that makes a hostile file."""
    _watched.clear()


def listing(folder: pathlib.Path) -> dict[str, bytes]:
    """Returns all files below a folder with their bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def geojson(ring: object, kind: str = "Polygon") -> str:
    """Returns a FeatureCollection of one feature."""
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": kind, "coordinates": [ring]}}
    return json.dumps({"type": "FeatureCollection", "features": [feature]})


def nested(depth: int = 100_000) -> str:
    """Returns JSON that is nested deeper than any parser's stack."""
    return "[" * depth + "]" * depth


def of_partition(content: str) -> Callable[[pathlib.Path], object]:
    """Reads a text as partition."""

    def read(here: pathlib.Path) -> object:
        (here / "cells.geojson").write_text(content)
        return partition.read(here / "cells.geojson")

    return read


def of_boundary(content: str, name: str = "b.geojson") -> Callable[[pathlib.Path], object]:
    """Reads a text as boundary; {outside} stands for the folder that must not be read."""

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
        return split_lists.find(root, tree_layouts.read(root))

    return read


def of_cache(name: str, content: Callable[[pathlib.Path], bytes]) -> Callable[[pathlib.Path], object]:
    """Reads bytes as a file of a feature cache."""

    def read(here: pathlib.Path) -> object:
        caching.write(here / "cache")
        (here / "cache" / name).write_bytes(content(here))
        return features.FeatureCache(here / "cache").take(np.arange(3))

    return read


def of_index(**changed: object) -> Callable[[pathlib.Path], object]:
    """Reads a feature cache whose index says something else, with the right hash of its own."""

    def read(here: pathlib.Path) -> object:
        caching.write(here / "cache")
        cache_files.write_index(here / "cache", cache_files.read_index(here / "cache") | changed)
        return features.FeatureCache(here / "cache").take(np.arange(3))

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


def of_flags(content: bytes) -> Callable[[pathlib.Path], object]:
    """Reads bytes as the flags of a run."""

    def read(here: pathlib.Path) -> object:
        (here / "flags.cfg").write_bytes(content.replace(b"{here}", os.fsencode(here)))
        return cli.from_flagfile(options.TrainOptions, here / "flags.cfg")

    return read


def of_command(content: bytes, chain: int = 0) -> Callable[[pathlib.Path], object]:
    """Gives bytes to a program as flag file, behind a chain of others."""

    def read(here: pathlib.Path) -> object:
        (here / f"{chain}.cfg").write_bytes(content.replace(b"{here}", os.fsencode(here)))
        for number in range(chain):
            (here / f"{number}.cfg").write_text(f"--flagfile={here / f'{number + 1}.cfg'}\n")
        return program(here, "tools.verify", f"--flagfile={here / '0.cfg'}")

    return read


def program(here: pathlib.Path, *words: str) -> str:
    """Runs a program; returns what it printed.

    Raises:
        AssertionError: If it shows a traceback, a secret or bytes that steer a terminal.
    """
    status, said = road.without_tensorflow(list(words), here / "output.txt")
    assert "Traceback" not in said, said
    assert "\x1b" not in said, said
    assert status in (0, 2), said
    return said


def of_seal(here: pathlib.Path) -> object:
    """Verifies a folder whose seal names files elsewhere."""
    folder = here / "run"
    folder.mkdir()
    for name in ("model.keras", "flags.cfg"):
        (folder / name).write_text("")
    entries = dict.fromkeys(("../outside/secret.txt", str(here / OUTSIDE / "secret.cfg")), (3, "0" * 64))
    (folder / seals.NAME).write_text(seals._text(entries))
    return verify.verify(folder, "run")


def of_provenance(here: pathlib.Path) -> object:
    """Reads a provenance that is nested too deep."""
    (here / survey.PROVENANCE_NAME).write_text(nested())
    return survey.provenance(here)


def of_table(name: str) -> Callable[[pathlib.Path], object]:
    """Reads a table of images that names another file, as tree and as list for an import."""

    def read(here: pathlib.Path) -> object:
        partition.write(drawn_trees.cells(), here / "partition.geojson")
        source = here / "source"
        source.mkdir()
        (source / "a.jpg").write_bytes(drawn_trees.jpeg(0))
        row = name.replace("{outside}", str(here / OUTSIDE))
        (source / "t.csv").write_text(f'file,latitude,longitude\n"{row}",35,-95\n')
        cells = f"--partition={here / 'partition.geojson'}"
        program(
            here,
            "tools.import_images",
            f"--source={source}",
            f"--csv={source / 't.csv'}",
            f"--out={here / 'out'}",
            cells,
        )
        said = program(here, "tools.check_tree", f"--tree={source / 't.csv'}", cells)
        assert not list((here / "out").rglob("*.jpg"))
        return said

    return read


def of_names(name: bytes) -> Callable[[pathlib.Path], object]:
    """Imports a photograph of this name, checks a tree with a file and a folder of this name."""

    def read(here: pathlib.Path) -> object:
        partition.write(drawn_trees.cells(), here / "partition.geojson")
        content = drawn_photos.jpeg(0, drawn_photos.position_tags(35.5, -95.5))
        source = here / "source"
        source.mkdir()
        pathlib.Path(os.fsdecode(os.fsencode(source) + b"/" + name + b".jpg")).write_bytes(content)
        cells = f"--partition={here / 'partition.geojson'}"
        program(here, "tools.import_images", f"--source={source}", f"--out={here / 'out'}", cells)
        root = drawn_trees.write(here / "tree", drawn_trees.location_ids(1))
        place = next((root / "0").iterdir())
        for folder in (place, root / "0"):
            pathlib.Path(os.fsdecode(os.fsencode(folder) + b"/" + name + b".jpg")).write_bytes(content)
            program(here, "tools.check_tree", f"--tree={root}", cells)
        return program(here, "tools.check_tree", "--tree=" + os.fsdecode(os.fsencode(root) + name))

    return read


_VRT = (
    "<OGRVRTDataSource><OGRVRTLayer name='secret'><SrcDataSource>{outside}/secret.geojson</SrcDataSource>"
    "</OGRVRTLayer></OGRVRTDataSource>"
)
_BOMB = b'{"type": "FeatureCollection", "features": [' + b" " * 100_000_000 + b"]}"
HOSTILE: dict[str, Callable[[pathlib.Path], object]] = {
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
    "flags of a run that name another file": of_flags(b"--flagfile={here}/outside/secret.cfg\n"),
    "flags of a run that are a pickle": of_flags(pickle.dumps({"seed": 1})),
    "flag file that includes itself": of_command(b"--flagfile={here}/0.cfg\n"),
    "flag file of bytes": of_command(bytes(range(256))),
    "flag file behind 2,000 others": of_command(b"--kinds=run\n", chain=2000),
    "seal that names files elsewhere": of_seal,
    "provenance nested too deep": of_provenance,
    "table that leads out": of_table("../outside/photo.jpg"),
    "table with an absolute name": of_table("{outside}/photo.jpg"),
    "table with NUL in a name": of_table("a\0.jpg"),
    "table with a line break in a name": of_table("a\n.jpg"),
    "name that steers the terminal": of_names(b"\x1b[2J\x1b]0;owned\x07"),
    "name with a line break": of_names(b"a\nb"),
    "name that is not UTF-8": of_names(b"\xff\xfe"),
    "name of 250 bytes": of_names(b"a" * 250),
}
