"""What is asked of all locations of a tree at once; none is made for that where `geods.places` holds the tree."""

import os
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np

from geods import places, tree


def files_of(paths: Sequence[pathlib.Path]) -> Iterator[str]:
    """Yields paths as text, without making them where that can be."""
    return paths.files() if isinstance(paths, places.Paths) else map(os.fspath, paths)


def paths_of(locations: Sequence[tree.Location]) -> Sequence[pathlib.Path]:
    """Returns the image files of all views, location by location, made when they are looked at where that can be."""
    if isinstance(locations, places.Places):
        return locations.paths
    return [view.path for place in locations for view in place.views]


def most_views(locations: Sequence[tree.Location]) -> int:
    """Returns how many views the location with the most has; at least one location is needed."""
    if isinstance(locations, places.Places):
        return int(locations.view_counts().max())
    return max(len(place.views) for place in locations)


def coords_of(locations: Sequence[tree.Location]) -> np.ndarray:
    """Returns what `tree.coords` does, without making locations where that can be."""
    return locations.coords() if isinstance(locations, places.Places) else tree.coords(locations)


def folder_cells_of(locations: Sequence[tree.Location]) -> np.ma.MaskedArray:
    """Returns the cells of folders, `[n]` masked where there is none, without making locations where that can be."""
    if isinstance(locations, places.Places):
        return locations.folder_cells()
    cells = [places.NO_CELL if place.folder_cell is None else place.folder_cell for place in locations]
    return np.ma.masked_equal(np.array(cells, np.int64), places.NO_CELL)


def view_count(locations: Sequence[tree.Location]) -> int:
    """Returns how many views locations have, without making them where that can be."""
    return locations.views if isinstance(locations, places.Places) else sum(len(place.views) for place in locations)
