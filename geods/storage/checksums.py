"""Lists of files with their SHA-256, in the format of sha256sum.

    3f1a...  0/31.5,-115.25/0_2012-05.jpg

A tree may hold such a list of its images (`python -m tools.check_tree --record` writes it); a dataset always holds the
list of the images that it was built of: cd TREE && sha256sum --check --quiet DATASET/images.sha256
"""

import os
import re
from collections.abc import Iterator, Mapping

from geods import errors
from geods.storage import external_sort, files

NAME = "images.sha256"
_LINE = re.compile(r"(\\?)([0-9a-f]{64}) [ *](.+)", re.ASCII)


def write(path: str | os.PathLike[str], hashes: Mapping[str, str]) -> None:
    """Writes a list, sorted by name.

    Args:
        path: The file.
        hashes: SHA-256 in hexadecimal by name, relative to the folder the list is about.
    """
    size_bytes = sum(len(_line(*item).encode("utf-8")) for item in hashes.items())
    with files.atomic_path(path, size_bytes) as temporary, open(temporary, "wb") as target:
        target.writelines(_line(*row).encode("utf-8") for row in external_sort.in_order(hashes.items()))


def read(path: str | os.PathLike[str]) -> dict[str, str]:
    """Reads a list.

    Raises:
        TreeError: If a line is not one of such a list.
    """
    return dict(rows(path))


def rows(path: str | os.PathLike[str]) -> Iterator[tuple[str, str]]:
    """Yields the names and SHA-256 of a list, line by line.

    Raises:
        TreeError: If a line is not one of such a list.
    """
    try:
        # Not as text, which would take a carriage return in a name for the end of a line.
        with open(path, "rb") as source:
            for number, line in enumerate(source, 1):
                text = line.removesuffix(b"\n").decode("utf-8")
                match = _LINE.fullmatch(text)
                if match:
                    yield _plain(match[3]) if match[1] else match[3], match[2]
                elif text:
                    problem = f"{path} line {number}: is not <SHA-256>  <file>."
                    raise errors.TreeError(problem, "delete the list or put it back")
    except (OSError, UnicodeDecodeError) as error:
        raise errors.TreeError(f"{path}: cannot be read ({error}).", "delete it or put it back") from error


def _line(name: str, sha256: str) -> str:
    """Returns one line in the format of sha256sum.

    It starts with a backslash where the name holds one or a line break.
    """
    mark = "\\" if "\\" in name or "\n" in name else ""
    written = name.replace("\\", "\\\\").replace("\n", "\\n")
    return f"{mark}{sha256}  {written}\n"


def _plain(written: str) -> str:
    """Returns the name that `_line` wrote."""
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], written)
