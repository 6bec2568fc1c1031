"""Index of image files below a folder, by the path, name or id in a table."""

import array
import itertools
import math
import os
import pathlib
import posixpath
import re
import sqlite3
import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np

from geods import errors
from geods.imagery.photos import photo
from geods.storage import databases

_HEADING = re.compile(r"\d{1,3}(\.\d+)?", re.ASCII)
# More files of one name in folders of one name are several anyway.
_AT_MOST = 64
_AT_ONCE = 65_536
_SPLITS = {"train", "training", "val", "valid", "validation", "test", "testing"}


class PhotoIndex:
    """The image files below a folder, by name.

    The names lie in a temporary database on disk, so millions of files need no memory; it is made at the first name
    that is not a path from the folder.

    Attributes:
        folder: Folder to search.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        """Remembers the folder."""
        self.folder, self._start = folder, os.path.join(folder, "")  # noqa: PTH118 - a path has no separator at its end
        self._database: sqlite3.Connection | None = None
        # Of the files found, hashes of 8 bytes: a million names would take 100 MB.
        self._found = array.array("q")

    def find(self, name: str) -> str | None:
        """Returns the file named `name`, relative to the folder; None without one.

        The name has forward slashes.

        Args:
            name: A path from the folder or absolute, or the name of a file at any depth, or such a name without its
                suffix. Where both `name` and a file lie in folders, one path must end in the other: train/1.jpg is not
                test/1.jpg.

        Raises:
            TreeError: If `name` leads out of the folder, or means several files.
        """
        name = name.replace("\\", "/")
        if "://" in name:
            name = name.partition("?")[0]
        # Nearly all names, in a third of the time that paths take.
        if "./" not in name and "//" not in name and not name.startswith("/"):
            if name.lower().endswith(photo.IMAGE_SUFFIXES) and os.path.isfile(self._start + name):  # noqa: PTH113
                return name
            if "/" not in name and len(rows := self._rows_of(name)) == 1:
                return rows[0]
        path = pathlib.PurePosixPath(name)
        below = self._below(path)
        # A table from elsewhere must not make the import read files outside its folder.
        if below is None and not path.is_absolute():
            raise errors.TreeError(f"{name!r} leads out of {self.folder}.", "correct the file column")
        if below and path.suffix.lower() in photo.IMAGE_SUFFIXES and (self.folder / below).is_file():
            return below.as_posix()
        wanted = below or path
        rows = self._rows_of(wanted.name, wanted.parent.name if len(wanted.parts) > 1 else None)
        found = [file for file in map(pathlib.PurePosixPath, rows) if _is_end(file.parts[:-1], wanted.parts[:-1])]
        if found and self._is_elsewhere(wanted.parent.name):
            found = [file for file in found if len(file.parts) > 1]
        if below is None:
            # Of another machine, or none of our business: only files in folders of the same names count.
            found = [file for file in found if len(file.parts) > 1]
            if not found:
                raise errors.TreeError(f"{name!r} leads out of {self.folder}.", "correct the file column")
        found = [file for file in found if file.name == path.name] or found
        most = max((len(file.parts) for file in found), default=0) if len(wanted.parts) > 1 else 0
        chosen = [file for file in found if len(file.parts) == most] if most else found
        if len(chosen) > 1:
            problem = f"{name!r} is several files: {chosen[0]} and {chosen[1]}."
            raise errors.TreeError(problem, "write their paths in the file column")
        return chosen[0].as_posix() if chosen else None

    def find_all(self, name: str) -> list[tuple[str, float | None]]:
        """Returns the files named `name`, each with the heading of its name, degrees.

        Args:
            name: As in `find`, or the name of a folder that holds the views of one location, such as <id>/90.jpg.

        Raises:
            TreeError: As in `find`, or if several folders have the name.
        """
        found = self._find_all(name)
        self._found.extend(hash(file) for file, _ in found)
        return found

    def unnamed(self) -> Iterator[str]:
        """Yields the image files that `find_all` has not returned."""
        if self._database is None:
            names = (file for file in photo.walk(self.folder) if photo.is_text(file))
        else:
            names = (file for (file,) in self._database.execute("SELECT file FROM files"))
        while part := list(itertools.islice(names, _AT_ONCE)):
            is_found = np.isin(np.fromiter(map(hash, part), np.int64, len(part)), np.asarray(self._found))
            yield from itertools.compress(part, ~is_found)

    def _find_all(self, name: str) -> list[tuple[str, float | None]]:
        if (file := self.find(name)) is not None:
            return [(file, None)]
        folder = pathlib.PurePosixPath(name.replace("\\", "/"))
        rows = (
            self._database.execute("SELECT file FROM files WHERE parent = ?", (folder.name,)) if self._database else ()
        )
        inside = [pathlib.PurePosixPath(file) for (file,) in rows]
        inside = sorted(file for file in inside if _is_end(file.parts[:-1], folder.parts))
        if len(parents := sorted({file.parent for file in inside})) > 1:
            problem = f"{name!r} is several folders: {parents[0]} and {parents[1]}."
            raise errors.TreeError(problem, "write their paths in the file column")
        headings = _headings([file.stem for file in inside])
        return [(file.as_posix(), heading) for file, heading in zip(inside, headings, strict=True)]

    def close(self) -> None:
        """Removes the temporary database."""
        if self._database is not None:
            self._database.close()

    def _below(self, path: pathlib.PurePosixPath) -> pathlib.PurePosixPath | None:
        """Returns a path as one from the folder, None if it leads out of it."""
        if path.is_absolute():
            for folder in (self.folder.absolute(), self.folder.resolve()):
                if path.is_relative_to(folder.as_posix()) and ".." not in path.parts:
                    return path.relative_to(folder.as_posix())
            return None
        if ".." not in path.parts:
            return path
        here = self.folder.absolute().as_posix()
        inside = pathlib.PurePosixPath(posixpath.normpath(posixpath.join(here, path)))
        return inside.relative_to(here) if inside.is_relative_to(here) and inside.as_posix() != here else None

    def _is_elsewhere(self, parent: str) -> bool:
        """Returns whether a folder lies beside the source, or is another split than it.

        Of the source train, test/1.jpg is not 1.jpg.
        """
        here = self.folder.resolve()
        is_split = {parent.lower(), here.name.lower()} <= _SPLITS
        return bool(parent) and parent != here.name and (is_split or (here.parent / parent).is_dir())

    def _rows_of(self, name: str, parent: str | None = None) -> list[str]:
        """Returns the first files of a stem, in folders of a name if given or none."""
        if self._database is None:
            self._database = self._walked()
        query, values = "SELECT file FROM files WHERE stem = ?", [_stem(name)]
        if parent is not None:
            query, values = f"{query} AND parent IN (?, '')", [*values, parent]
        return [file for (file,) in self._database.execute(f"{query} ORDER BY file LIMIT {_AT_MOST}", values)]

    def _walked(self) -> sqlite3.Connection:
        """Returns a database of all files."""
        database = databases.open_alone("", "CREATE TABLE files (stem TEXT, parent TEXT, file TEXT)")
        files = (file for file in photo.walk(self.folder) if photo.is_text(file))
        rows = ((_stem(file.rpartition("/")[2]), f"/{file}".split("/")[-2], file) for file in files)
        database.execute("BEGIN")
        database.executemany("INSERT INTO files VALUES (?, ?, ?)", rows)
        database.execute("COMMIT")
        database.execute("CREATE INDEX by_stem ON files (stem, parent)")
        database.execute("CREATE INDEX by_parent ON files (parent)")
        return database


def _is_end(one: Sequence[str], other: Sequence[str]) -> bool:
    """Returns whether the shorter of two sequences of folders ends the longer one."""
    shared = min(len(one), len(other))
    return not shared or tuple(one[-shared:]) == tuple(other[-shared:])


def _headings(stems: Sequence[str]) -> list[float | None]:
    """Returns the headings that the names of a location's files give.

    They are None where the names only count.
    """
    numbers = [float(stem) if _HEADING.fullmatch(stem) else math.nan for stem in stems]
    counted = len(numbers) > 1 and sorted(numbers) in ([*range(len(numbers))], [*range(1, len(numbers) + 1)])
    is_known = all(0 <= number <= 360 for number in numbers) and not counted
    return [number % 360 if is_known else None for number in numbers]


def _stem(name: str) -> str:
    """Returns a file's name without the suffix of an image.

    Ids may have dots of their own.
    """
    # macOS takes accents apart, and tables seldom do.
    name = name if name.isascii() else unicodedata.normalize("NFC", name)
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in photo.IMAGE_SUFFIXES else name
