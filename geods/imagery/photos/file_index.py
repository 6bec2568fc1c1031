"""Finds the image file that a table means by a path, a bare name or an id, wherever below a folder it lies."""

import pathlib
import sqlite3

from geods import errors
from geods.imagery.photos import photo


class PhotoIndex:
    """The image files below a folder, by name.

    The names lie in a temporary database on disk, so millions of files need no memory; it is made at the first name
    that is not a path from the folder.

    Attributes:
        folder: Folder to search.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        """Remembers the folder."""
        self.folder = folder
        self._database: sqlite3.Connection | None = None

    def find(self, name: str) -> str | None:
        """Returns the file that `name` means, relative to the folder with forward slashes; None if there is none.

        Args:
            name: A path from the folder, or the name of a file at any depth, or such a name without its suffix.

        Raises:
            TreeError: If `name` leads out of the folder, or means several files.
        """
        path = pathlib.PurePosixPath(name.replace("\\", "/"))
        # A table from elsewhere must not make the import read files outside its folder.
        if path.is_absolute() or ".." in path.parts:
            raise errors.TreeError(f"{name!r} leads out of {self.folder}.", "correct the file column")
        if path.suffix.lower() in photo.IMAGE_SUFFIXES and (self.folder / path).is_file():
            return path.as_posix()
        found = self._by_stem(_stem(path.name))
        same_name = [file for file in found if pathlib.PurePosixPath(file).name == path.name]
        chosen = same_name or found
        if len(chosen) > 1:
            raise errors.TreeError(
                f"{name!r} is several files: {chosen[0]} and {chosen[1]}.", "write their paths in the file column"
            )
        return chosen[0] if chosen else None

    def close(self) -> None:
        """Removes the temporary database."""
        if self._database is not None:
            self._database.close()

    def _by_stem(self, stem: str) -> list[str]:
        """Returns the first files with this name without suffix."""
        if self._database is None:
            self._database = self._walked()
        rows = self._database.execute("SELECT file FROM files WHERE stem = ? ORDER BY file LIMIT 16", (stem,))
        return [file for (file,) in rows]

    def _walked(self) -> sqlite3.Connection:
        """Returns a database of all files."""
        # The empty name makes a file of SQLite's own, deleted when it is closed.
        database = sqlite3.connect("")
        database.execute("CREATE TABLE files (stem TEXT, file TEXT)")
        rows = ((_stem(file.rpartition("/")[2]), file) for file in photo.walk(self.folder) if photo.is_text(file))
        database.executemany("INSERT INTO files VALUES (?, ?)", rows)
        database.execute("CREATE INDEX by_stem ON files (stem)")
        return database


def _stem(name: str) -> str:
    """Returns a file's name without the suffix of an image; ids may have dots of their own."""
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in photo.IMAGE_SUFFIXES else name
