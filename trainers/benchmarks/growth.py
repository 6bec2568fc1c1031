"""Larger trees, made by repeating the images of one at places nearby."""

import os
import pathlib

from geods import files, survey, tree

# 1e-5 degrees are 1 m; no place is moved out of its cell but at an edge, which changes nothing that is measured.
_STEP_DEG = 1e-5


def repeated(source: pathlib.Path, target: pathlib.Path, images: int) -> tuple[pathlib.Path, int]:
    """Makes a tree of at least so many images by links to another's, unless it is there.

    Args:
        source: An imagery tree with a partition beside it.
        target: Folder to write to.
        images: Images wanted.

    Returns:
        The tree, and how many images it has.
    """
    places = tree.read(source)
    made, number = 0, 0
    while made < images:
        place = places[number % len(places)]
        moved = (number // len(places)) * _STEP_DEG
        folder = target / str(place.folder_cell) / f"{place.lat_deg + moved:.6f},{place.lon_deg:.6f}"
        folder.mkdir(parents=True, exist_ok=True)
        for view in place.views:
            link = folder / view.path.name
            if not link.exists():
                os.link(view.path, link)
        made, number = made + len(place.views), number + 1
    cells = survey.find_partition(source).read_text(encoding="utf-8")
    files.write_text(target / survey.PARTITION_NAME, cells)
    return target, made
