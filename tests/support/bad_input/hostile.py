"""Harm that files may do, and how it is seen.

`watching` tells what was done meanwhile that must not be: code found in a file, or a file opened in the folder
"outside". The files are in hostile_data.py, hostile_words.py and test_hostile_models.py.
"""

import contextlib
import json
import os
import pathlib
import sys
from collections.abc import Callable, Iterator

import drawn_photos

OUTSIDE, SECRET = "outside", "the secret of another file"
# What Python tells an audit hook when it does these: https://docs.python.org/3/library/audit_events.html
_CODE = ("pickle.find_class", "marshal.loads", "os.system", "subprocess.Popen", "os.exec", "os.posix_spawn")
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
    """Records forbidden events of the interpreter while a test watches.

    Imports of compiled modules are allowed.
    """
    if not _outside:
        return
    if event == "subprocess.Popen" and any("warm_start.py" in str(word) for word in arguments[1]):
        # The starter of programs, by the first of these tests that needs it.
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
    """Yields the list of forbidden events; makes the outside folder with a secret."""
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
    """Clears the events so far, of a test that makes a hostile file."""
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
