"""The standard imagery tree: locations and views by folder and file names.

The standard tree is `<root>/<cell>/<lat>,<lng>/<heading>_<YYYY-MM>.jpg`, with `partition.geojson` beside the cells.
Inside a location folder these names are read, and the first and the last three are written:

    90_2012-05.jpg     heading 90 degrees, taken in May 2012
    1 - 2012 - 05.jpg  the report's name, with or without blanks: the second view, heading unknown
    90.jpg             date unknown
    view1_2012-05.jpg  heading unknown
    view1.jpg          both unknown

Where all numbers of the report's names in a tree are 0, 90, 180 or 270, they are headings (`table.LocationTable`).
`geods.tree.layouts` reads and writes the other layouts.
"""

import dataclasses
import itertools
import math
import os
import pathlib
import re
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import NoReturn

import numpy as np

from geods import errors
from geods.geo import geometry
from geods.storage import files

_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
_LOCATION = re.compile(rf"({_NUMBER}),({_NUMBER})", re.ASCII)
_CELL = re.compile(r"-?\d+", re.ASCII)
_VIEW = re.compile(r"(?:view(\d+)|(\d+(?:\.\d+)?))(?:_(\d{4}-\d{2}))?\.jpe?g", re.IGNORECASE | re.ASCII)
_REPORT_VIEW = re.compile(r"\s*(\d+)\s*-\s*(\d{4})\s*-\s*(\d{1,2})\s*\.jpe?g\s*", re.IGNORECASE | re.ASCII)
# By which headings of views of one name are told apart.
HEADING_STEP_DEG = 1e-6
_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".avif")


@dataclasses.dataclass(frozen=True)
class View:
    """One image of a location.

    Attributes:
        path: The JPEG file.
        heading_deg: Compass direction of the camera in [0, 360], clockwise from north; None if unknown.
        date: Month of capture, as "YYYY-MM"; None if unknown.
        index: Number of the view where the heading is unknown, else 0.
        row: Number of the view among all views of a `table.LocationTable`; else -1.
    """

    path: pathlib.Path
    heading_deg: float | None
    date: str | None
    index: int = 0
    row: int = dataclasses.field(default=-1, compare=False, repr=False)


@dataclasses.dataclass(frozen=True)
class Location:
    """Position of the camera with its views.

    Attributes:
        location_id: "<lat>,<lng>" as written in the tree.
        lat_deg: Latitude, degrees.
        lon_deg: Longitude, degrees.
        folder_cell: Cell number in the tree's names (-1: outside every cell), None without one.
        views: At least one, sorted by heading, then index, then date.
    """

    location_id: str
    lat_deg: float
    lon_deg: float
    folder_cell: int | None
    views: tuple[View, ...]


def read(root: str | os.PathLike[str]) -> list[Location]:
    """Reads the names of a standard tree into a list; no image is opened.

    Args:
        root: Folder with one folder a cell.

    Returns:
        Locations sorted by location_id; folders without an image are left out.

    Raises:
        MissingFileError: If `root` is not a folder.
        TreeError: If it holds something that is no part of a tree.
        CoordinateError: If a name holds an impossible latitude or longitude.
    """
    locations = sorted((one for one in scan(root) if one.views), key=lambda one: one.location_id)
    check_some(len(locations), pathlib.Path(root))
    for first, second in itertools.pairwise(locations):
        if first.location_id == second.location_id:
            raise_duplicate(first, second)
    return locations


def scan(root: str | os.PathLike[str]) -> Iterator[Location]:
    """Yields the locations of a standard tree, cell by cell.

    Those without images have no views.

    Raises:
        MissingFileError: If `root` is not a folder.
        TreeError: If it holds something that is no part of a tree.
        CoordinateError: If a name holds an impossible latitude or longitude.
    """
    folder = files.check_folder(root, "name an imagery tree: a folder with <cell>/<lat>,<lng>/<heading>_<YYYY-MM>.jpg")
    check_no_stray_images(folder)
    for cell in subfolders(folder):
        if not is_cell_name(cell.name):
            raise errors.TreeError(
                f"{cell}: is not a cell folder; those are named by the cell's number.",
                f"move it out of the tree, or convert it: python -m tools.convert_tree --source={folder} --out=TREE",
            )
        check_no_stray_images(cell)
        yield from (read_location(path, path.name, int(cell.name)) for path in subfolders(cell))


def read_location(folder: pathlib.Path, location_id: str, cell: int | None) -> Location:
    """Reads the views of one location folder."""
    lat_deg, lon_deg = parse_location(location_id, str(folder))
    views = [parse_view(path.name, path) for path in image_files(folder)]
    return Location(location_id, lat_deg, lon_deg, cell, sort_views(views))


def check_some(count: int, root: pathlib.Path) -> None:
    """Raises TreeError if there is no location with an image."""
    if not count:
        raise errors.TreeError(
            f"{root}: holds no image of an imagery tree.",
            "name a folder with <cell>/<lat>,<lng>/<heading>_<YYYY-MM>.jpg",
        )


def raise_duplicate(first: Location, second: Location) -> NoReturn:
    """Raises TreeError for two locations of one id."""
    raise errors.TreeError(
        f"{second.views[0].path}: this location is also in another cell, as {first.views[0].path}.",
        "delete one of the two, or give both the same cell",
    )


def is_cell_name(name: str) -> bool:
    """Returns whether a folder's name is a cell number."""
    return _CELL.fullmatch(name) is not None


def parse_location(text: str, name: str) -> tuple[float, float]:
    """Returns (lat_deg, lon_deg) of "<lat>,<lng>".

    Raises:
        TreeError: If `text` is not two numbers with a comma between.
        CoordinateError: If they are out of range.
    """
    match = _LOCATION.fullmatch(text)
    if not match:
        raise errors.TreeError(f"{name}: {text!r} is not <lat>,<lng> in degrees.", "rename it, such as 40.52,-124.26")
    lat_deg, lon_deg = float(match[1]), float(match[2])
    geometry.check_coords((lat_deg, lon_deg), name)
    return lat_deg, lon_deg


def parse_view(name: str, path: pathlib.Path) -> View:
    """Returns the view of a file name.

    Raises:
        TreeError: If the name has no form of this module's docstring.
    """
    if match := _REPORT_VIEW.fullmatch(name):
        index, heading, date = int(match[1]), None, f"{match[2]}-{int(match[3]):02d}"
    elif match := _VIEW.fullmatch(name):
        index, heading, date = int(match[1] or 0), float(match[2]) if match[2] else None, match[3]
    else:
        raise errors.TreeError(f"{path}: its name is not <heading>_<YYYY-MM>.jpg.", "rename it, such as 90_2012-05.jpg")
    if heading is not None and heading > 360:
        raise errors.TreeError(f"{path}: heading {heading:g} is above 360 degrees.", "give 0 to 360")
    if date is not None and not 1 <= int(date[5:]) <= 12:
        raise errors.TreeError(f"{path}: {date} is not a month.", "give YYYY-MM, such as 2012-05")
    return View(path, heading, date, index)


def view_name(heading_deg: float | None, date: str | None, index: int = 0) -> str:
    """Returns the file name of a view in a location folder of the standard tree."""
    start = f"view{index}" if heading_deg is None else format(heading_deg, ".10g")
    if "e" in start[1:] and heading_deg is not None:
        # 1e-06 is the heading of a second view to the north, and no name of a tree.
        start = f"{heading_deg:.10f}".rstrip("0.") or "0"
    return f"{start}_{date}.jpg" if date else f"{start}.jpg"


def renamed(view: View, names: Container[str]) -> View:
    """Returns a view whose file name is none of `names`.

    Its number grows, or its heading by a millionth of a degree, less than the dataset's float32 can hold.
    """
    while view_name(view.heading_deg, view.date, view.index) in names:
        if view.heading_deg is None:
            view = dataclasses.replace(view, index=view.index + 1)
        else:
            view = dataclasses.replace(view, heading_deg=round(view.heading_deg + HEADING_STEP_DEG, 6) % 360)
    return view


def write_view(
    root: str | os.PathLike[str],
    cell: int,
    location_id: str,
    heading_deg: float | None,
    date: str | None,
    content: bytes,
    index: int = 0,
) -> pathlib.Path:
    """Writes one image into a standard tree, atomically; returns its path.

    Raises:
        TreeError: If `location_id` is not "<lat>,<lng>".
        CoordinateError: If it is out of range.
    """
    parse_location(location_id, str(root))
    path = pathlib.Path(root, str(cell), location_id, view_name(heading_deg, date, index))
    files.write_bytes(path, content)
    return path


def coords(locations: Sequence[Location]) -> np.ndarray:
    """Returns the coordinates, `[n, 2]` float64 degrees, (lat, lon)."""
    numbers = (number for one in locations for number in (one.lat_deg, one.lon_deg))
    return np.fromiter(numbers, np.float64, 2 * len(locations)).reshape(-1, 2)


def view_paths(locations: Iterable[Location]) -> list[pathlib.Path]:
    """Returns the image files of all views, location by location."""
    return [view.path for one in locations for view in one.views]


def sort_views(views: Iterable[View]) -> tuple[View, ...]:
    """Returns views by heading (unknown last), then index, then date, then file name."""

    def key(view: View) -> tuple[float, int, str, str]:
        heading = math.inf if view.heading_deg is None else view.heading_deg
        return heading, view.index, view.date or "", view.path.name

    return tuple(sorted(views, key=key))


def subfolders(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the subfolders of a folder, sorted, without hidden ones."""
    # scandir knows which entries are folders; Path.is_dir is a system call more for each of a million locations.
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())
    return [folder / name for name in names]


def image_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the files of a folder with an image suffix, sorted.

    Hidden files are left out.
    """
    names = (name for name in os.listdir(folder) if is_image_name(name))  # noqa: PTH208 - see above
    return [folder / name for name in sorted(names) if not name.startswith(".")]


def is_image_name(name: str) -> bool:
    """Returns whether a file's name has an image suffix."""
    return name.lower().endswith(_IMAGE_SUFFIXES)


def check_no_stray_images(folder: pathlib.Path) -> None:
    """Raises TreeError if a folder of folders holds images."""
    for path in image_files(folder):
        raise errors.TreeError(
            f"{path}: is not in a location folder.", "move it to <cell>/<lat>,<lng>/ or out of the tree"
        )
