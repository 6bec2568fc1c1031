"""Layouts of images on disk, all read into a `table.LocationTable`.

    tree              <cell>/<lat>,<lng>/<heading>_<YYYY-MM>.jpg
    combined_files    <cell>+<lat>,<lng>+<heading>_<YYYY-MM>.jpg, all in one folder
    combined_folders  <cell>+<lat>,<lng>/<heading>_<YYYY-MM>.jpg; the cell and its + may be missing
    csv               a table with the columns file, latitude, longitude, and heading and date where known

The first three are the report's and are written too. The report prints their names with blanks and numbered views,
such as `0 + 42.775957,-124.0667758 + 0 - 2009 - 07.jpg`; these are read in each.
"""

import csv
import os
import pathlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Literal

from geods import errors
from geods.storage import files
from geods.tree import imagery_tree, table

Layout = Literal["auto", "tree", "combined_files", "combined_folders", "csv"]
WritableLayout = Literal["tree", "combined_files", "combined_folders"]

_CSV_COLUMNS = ("file", "latitude", "longitude")
_FOLDER = re.compile(r"(?:\s*(-?\d+)\s*\+)?([^+/]*,[^/]*)", re.ASCII)
_FILE = re.compile(r"\s*(-?\d+)\s*\+([^/]*,[^/]*)\+([^+/]*)", re.ASCII)
_HEADING = re.compile(r"(\d+(\.\d+)?)?", re.ASCII)
_DATE = re.compile(r"(\d{4}-\d{2})?", re.ASCII)
_ACCEPTED = "name a folder with <cell>/<lat>,<lng>/<heading>_<YYYY-MM>.jpg, one of the report's layouts, or a CSV file"
_HEMISPHERE = re.compile(r"(gps)?_?(lat|latitude|lon|lng|longitude)_?(ref|hemisphere|direction|dir)|n[/_]?s|e[/_]?w")


def read(root: str | os.PathLike[str], layout: Layout = "auto") -> table.LocationTable:
    """Reads the names of images in any layout; no image is opened.

    Args:
        root: Folder of the images, or a CSV file.
        layout: How they lie; "auto" looks at the names in `root`.

    Returns:
        The locations, sorted by location_id.

    Raises:
        MissingFileError: If `root` does not exist.
        TreeError: If `root` has no layout or several, breaks the rules of its layout, or has a location twice.
        CoordinateError: If a latitude or longitude is impossible.
    """
    path = pathlib.Path(root)
    readers = {
        "tree": imagery_tree.scan,
        "combined_files": _read_combined_files,
        "combined_folders": _read_combined_folders,
        "csv": _read_csv,
    }
    locations = readers[detect(path) if layout == "auto" else layout](path)
    return table.LocationTable(path.parent if path.is_file() else path, locations)


def detect(root: str | os.PathLike[str]) -> Layout:
    """Returns the layout of `root` by its names.

    Raises:
        MissingFileError: If `root` does not exist.
        TreeError: If the names fit no layout or several.
    """
    path = pathlib.Path(root)
    if path.suffix.lower() == ".csv" and path.is_file():
        return "csv"
    kinds = _kinds(files.check_folder(path, _ACCEPTED))
    if len(kinds) > 1:
        raise errors.TreeError(
            f"{path}: holds images in several layouts: {', '.join(kinds)}.", "put each in its own folder"
        )
    if not kinds:
        raise errors.TreeError(f"{path}: is not an imagery tree.", _subfolder_hint(path))
    return kinds[0]


def unnamed_line(root: str | os.PathLike[str], locations: table.LocationTable) -> list[str]:
    """Returns the line that counts the images without a row in their CSV file."""
    path = pathlib.Path(root)
    if path.is_dir() and (_kinds(path) != ["csv"]):
        return []
    folder = path if path.is_dir() else path.parent
    there = [os.path.join(where, name) for where, _, names in os.walk(folder) for name in names]  # noqa: PTH118 - fast
    there = [file for file in there if imagery_tree.is_image_name(file)]
    if len(there) <= locations.views:
        return []
    unnamed = sorted(set(there) - set(locations.files()))
    return [f"images that no row names: {len(unnamed):,} (first: {unnamed[0]})"] if unnamed else []


def name(
    layout: WritableLayout, cell: int, location: imagery_tree.Location, view: imagery_tree.View
) -> pathlib.PurePath:
    """Returns the path of a view in a layout, relative to the root."""
    file_name = imagery_tree.view_name(view.heading_deg, view.date, view.index)
    if layout == "tree":
        return pathlib.PurePath(str(cell), location.location_id, file_name)
    if layout == "combined_folders":
        return pathlib.PurePath(f"{cell}+{location.location_id}", file_name)
    return pathlib.PurePath(f"{cell}+{location.location_id}+{file_name}")


def split_name(text: str, source: str = "") -> tuple[str, str]:
    """Splits a name of a combined layout.

    Args:
        text: "<cell>+<lat>,<lng>+<view>", "<cell>+<lat>,<lng>" or "<cell>+<lat>,<lng>/<view>", also below folders.
        source: File of the name, for messages.

    Returns:
        (location_id, name of the view or "").

    Raises:
        TreeError: If it is none of them.
    """
    *folders, last = text.strip().rstrip("/").split("/")
    if match := _FILE.fullmatch(last):
        return _location_id(match[2]), match[3].strip()
    if match := _FOLDER.fullmatch(last):
        return _location_id(match[2]), ""
    if folders and (match := _FOLDER.fullmatch(folders[-1])):
        return _location_id(match[2]), last
    problem = f"{text!r}: is not <cell>+<lat>,<lng>, with or without +<view>."
    raise errors.TreeError(f"{source}: {problem}" if source else problem, "correct the name")


def _location_id(text: str) -> str:
    """Returns "<lat>,<lng>" without the blanks of a name."""
    return ",".join(part.strip() for part in text.split(","))


def _kinds(folder: pathlib.Path) -> list[Layout]:
    """Returns the layouts that fit the names in a folder.

    A CSV file counts only where nothing else fits.
    """
    kinds: list[Layout] = []
    names = [path.name for path in imagery_tree.subfolders(folder)]
    if any(imagery_tree.is_cell_name(name) for name in names):
        kinds.append("tree")
    if any(_FOLDER.fullmatch(name) for name in names):
        kinds.append("combined_folders")
    if any(_FILE.fullmatch(path.name) for path in imagery_tree.image_files(folder)):
        kinds.append("combined_files")
    if not kinds and _find_csv(folder):
        kinds.append("csv")
    return kinds


def _subfolder_hint(folder: pathlib.Path) -> str:
    """Returns a next step that names a subfolder with a tree, if there is one."""
    for path in imagery_tree.subfolders(folder):
        if _kinds(path):
            return f"its subfolder {path} looks like one; name that"
    if imagery_tree.image_files(folder):
        return f"make one of these images: python -m tools.import_images --source={folder} --out=tree"
    return _ACCEPTED


def _read_combined_files(root: pathlib.Path) -> Iterator[imagery_tree.Location]:
    """Yields the locations of `<cell>+<lat>,<lng>+<view>.jpg` files."""
    views: dict[tuple[int, str], list[imagery_tree.View]] = defaultdict(list)
    for path in imagery_tree.image_files(files.check_folder(root, _ACCEPTED)):
        match = _FILE.fullmatch(path.name)
        if not match:
            raise errors.TreeError(f"{path}: its name is not <cell>+<lat>,<lng>+<heading>_<YYYY-MM>.jpg.", "rename it")
        views[int(match[1]), _location_id(match[2])].append(imagery_tree.parse_view(match[3], path))
    for (cell, location_id), group in views.items():
        yield _location(location_id, cell, group, group[0].path)


def _location(
    location_id: str, cell: int | None, views: list[imagery_tree.View], named_in: pathlib.Path
) -> imagery_tree.Location:
    """Returns the location of some views."""
    lat_deg, lon_deg = imagery_tree.parse_location(location_id, str(named_in))
    return imagery_tree.Location(location_id, lat_deg, lon_deg, cell, imagery_tree.sort_views(views))


def _read_combined_folders(root: pathlib.Path) -> Iterator[imagery_tree.Location]:
    """Yields the locations of `<cell>+<lat>,<lng>/` folders."""
    imagery_tree.check_no_stray_images(files.check_folder(root, _ACCEPTED))
    for folder in imagery_tree.subfolders(root):
        match = _FOLDER.fullmatch(folder.name)
        if not match:
            raise errors.TreeError(f"{folder}: its name is not <cell>+<lat>,<lng>.", "rename it or move it out")
        yield imagery_tree.read_location(folder, _location_id(match[2]), int(match[1]) if match[1] else None)


def _find_csv(folder: pathlib.Path) -> pathlib.Path | None:
    """Returns the one CSV in a folder that has the columns, or None."""
    fitting = [path for path in sorted(folder.glob("*.csv")) if not _missing_columns(path)]
    return fitting[0] if len(fitting) == 1 else None


def _missing_columns(path: pathlib.Path) -> list[str]:
    """Returns the columns that a CSV lacks."""
    return [column for column in _CSV_COLUMNS if column not in _header(path)]


def hemisphere_column(names: Iterable[str]) -> str | None:
    """Returns the first name of a column of hemispheres, None without one."""
    return next((name for name in names if _HEMISPHERE.fullmatch(name.strip().lower())), None)


def _header(path: pathlib.Path) -> list[str]:
    """Returns the names of a CSV's columns, in lower case."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as source:
        return [column.strip().lower() for column in next(csv.reader(source), [])]


def _read_csv(root: pathlib.Path) -> Iterator[imagery_tree.Location]:
    """Yields the locations of a CSV file of images, whose paths are relative to it."""
    path = _find_csv(root) if root.is_dir() else root
    if path is None or not path.is_file():
        raise errors.TreeError(
            f"{root}: holds no CSV file with the columns {', '.join(_CSV_COLUMNS)}.", "name the file"
        )
    if missing := _missing_columns(path):
        raise errors.TreeError(f"{path}: has no column {', '.join(missing)}.", f"its first line names {_CSV_COLUMNS}")
    if twice := [column for column in _CSV_COLUMNS if _header(path).count(column) > 1]:
        raise errors.TreeError(f"{path}: has the column {twice[0]} twice.", "delete or rename one of them")
    # Left unread, a west longitude without a sign would be an east one.
    if column := hemisphere_column(_header(path)):
        problem = f"{path}: has a column {column} of hemispheres; this layout takes signed degrees alone."
        step = f"python -m tools.import_images --source={path.parent} --csv={path} --out=TREE"
        raise errors.TreeError(problem, step)
    groups: dict[str, list[imagery_tree.View]] = defaultdict(list)
    try:
        for location_id, view in _csv_rows(path):
            unknown = sum(other.heading_deg is None for other in groups[location_id])
            index = unknown if view.heading_deg is None else 0
            groups[location_id].append(imagery_tree.View(view.path, view.heading_deg, view.date, index))
    except (csv.Error, UnicodeDecodeError) as error:
        raise errors.TreeError(f"{path}: is not a CSV file in UTF-8 ({error}).", "save it as one") from error
    for location_id, views in groups.items():
        yield _location(location_id, None, views, path)


def _csv_rows(path: pathlib.Path) -> Iterator[tuple[str, imagery_tree.View]]:
    """Yields (location_id, view) of each row."""
    seen, ids = set(), dict[tuple[float, float], str]()
    with path.open(encoding="utf-8-sig", newline="") as source:
        reader = csv.DictReader(source)
        reader.fieldnames = [column.strip().lower() for column in reader.fieldnames or ()]
        for row in reader:
            where = f"{path} line {reader.line_num}"
            cells = {key: (value or "").strip() for key, value in row.items() if isinstance(key, str)}
            location_id = f"{cells['latitude']},{cells['longitude']}"
            # 48.10 is where 48.1 is.
            location_id = ids.setdefault(imagery_tree.parse_location(location_id, where), location_id)
            view = _csv_view(path.parent, cells, where)
            if view.path in seen:
                raise errors.TreeError(f"{where}: {cells['file']!r} is listed twice.", "delete one of the lines")
            seen.add(view.path)
            yield location_id, view


def _csv_view(folder: pathlib.Path, cells: dict[str, str], where: str) -> imagery_tree.View:
    """Returns the view of one row, with index 0."""
    file = pathlib.PurePath(cells["file"])
    # A table from elsewhere must not make a build read files outside its folder.
    if file.is_absolute() or ".." in file.parts or not (folder / file).is_file():
        raise errors.TreeError(f"{where}: {str(file)!r} is not a file below {folder}.", "correct the file column")
    heading, date = cells.get("heading", ""), cells.get("date", "")
    if not _HEADING.fullmatch(heading) or not _DATE.fullmatch(date):
        raise errors.TreeError(
            f"{where}: heading {heading!r} or date {date!r} is not degrees or YYYY-MM.", "correct it or leave it empty"
        )
    name = f"{heading or 'view0'}{'_' if date else ''}{date}.jpg"
    view = imagery_tree.parse_view(name, pathlib.Path(where))
    return imagery_tree.View(folder / file, view.heading_deg, view.date)
