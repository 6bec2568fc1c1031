"""Images named on a command line: an image, a folder of images, or a tree."""

import dataclasses
import math
import pathlib
from collections.abc import Iterable

from geods import errors
from geods.storage import files
from geods.tree import imagery_tree, layouts


def find(word: str) -> list[imagery_tree.Location]:
    """Returns the locations of a path: a tree's, or one for each image.

    An image that is named alone has the coordinates in its name or in that of its folder; all others have none.

    Raises:
        MissingFileError: If there is no such file or folder.
        TreeError: If it is a folder with neither.
    """
    path = pathlib.Path(word)
    if path.is_dir():
        return _find_in_folder(path)
    if path.suffix.lower() == ".csv":
        return list(layouts.read(path))
    image = _image(files.check_file(path, "name a JPEG, a folder of JPEGs or an imagery tree"))
    try:
        location_id, _ = layouts.split_name(path.resolve().as_posix())
        lat_deg, lon_deg = imagery_tree.parse_location(location_id, word)
    except errors.GeodsError:
        return [image]
    return [dataclasses.replace(image, lat_deg=lat_deg, lon_deg=lon_deg)]


def single_views(locations: Iterable[imagery_tree.Location]) -> list[imagery_tree.Location]:
    """Returns each view as a location of its own, whose name is its path."""
    return [
        dataclasses.replace(location, location_id=str(view.path), views=(view,))
        for location in locations
        for view in location.views
    ]


def _find_in_folder(folder: pathlib.Path) -> list[imagery_tree.Location]:
    """Returns the locations of a tree, or the images in a plain folder."""
    try:
        layout = layouts.detect(folder)
    except errors.TreeError as error:
        paths = imagery_tree.image_files(folder)
        if not paths:
            raise errors.TreeError(
                f"{folder}: holds no image and is no imagery tree.", "name a JPEG, or a folder that holds some"
            ) from error
        # With such a folder beside them the images are part of a tree in two layouts.
        if any(imagery_tree.is_cell_name(path.name) or "," in path.name for path in imagery_tree.subfolders(folder)):
            raise
        return [_image(path) for path in paths]
    return list(layouts.read(folder, layout))


def _image(path: pathlib.Path) -> imagery_tree.Location:
    """Returns an image as a location of one view; its name is its path."""
    return imagery_tree.Location(str(path), math.nan, math.nan, None, (imagery_tree.View(path, None, None),))
