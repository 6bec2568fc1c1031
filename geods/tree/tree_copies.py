"""Copies of an imagery tree in another layout, resumable."""

import pathlib
import shutil
from collections.abc import Sequence

import numpy as np
import tqdm

from geods import errors
from geods.geo import partition as partitions
from geods.storage import files
from geods.tree import companions, labelling, layouts, table


def cell_numbers(locations: table.LocationTable, cells: partitions.Partition | None) -> list[int]:
    """Returns each location's cell, by the partition if given, else by its folder.

    Raises:
        TreeError: If there is neither for one.
    """
    if cells is not None:
        numbers: list[int] = labelling.label(locations, cells).cells.tolist()
        return numbers
    folder_cells = locations.folder_cells()
    if np.ma.is_masked(folder_cells):
        first = locations[int(np.flatnonzero(np.ma.getmaskarray(folder_cells))[0])]
        problem = f"{first.views[0].path}: its name tells no cell."
        raise errors.TreeError(problem, "give the partition by --partition=PATH")
    return [int(number) for number in folder_cells]


def copy_images(
    locations: table.LocationTable, numbers: Sequence[int], to: layouts.WritableLayout, out: pathlib.Path
) -> int:
    """Copies all views with a bar on stderr; returns the number of new files.

    Args:
        locations: Locations to copy.
        numbers: Cell of each.
        to: Layout to write.
        out: Folder to write to.

    Raises:
        TreeError: If a file is there with other bytes.
    """
    copied = 0
    with tqdm.tqdm(total=locations.views, desc="copying", unit=" images") as bar:
        for location, number in zip(locations, numbers, strict=True):
            for view in location.views:
                copied += _copy(view.path, out / layouts.name(to, number, location, view))
                bar.update()
    return copied


def _copy(source: pathlib.Path, target: pathlib.Path) -> bool:
    """Copies one file whole; returns False if it was there.

    Raises:
        TreeError: If other bytes are there.
    """
    content = source.read_bytes()
    if target.exists():
        if target.read_bytes() != content:
            raise errors.TreeError(f"{target}: is there with other bytes than {source}.", "name an empty --out")
        return False
    files.write_bytes(target, content)
    return True


def copy_companions(source: pathlib.Path, partition_path: str, out: pathlib.Path) -> None:
    """Copies partition and provenance into the new tree.

    The source's own partition, if none is named.
    """
    found = [(pathlib.Path(partition_path or source / companions.PARTITION_NAME), companions.PARTITION_NAME)]
    found.append((source / companions.PROVENANCE_NAME, companions.PROVENANCE_NAME))
    for path, name in found:
        if path.is_file():
            with files.atomic_path(out / name) as temporary:
                shutil.copyfile(path, temporary)
