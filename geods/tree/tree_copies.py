"""Copies of an imagery tree in another layout, resumable."""

import pathlib
import shutil
from collections.abc import Sequence

import tqdm

from geods import errors
from geods.geo import partition as partitions
from geods.storage import files
from geods.tree import companions, imagery_tree, labelling, layouts


def cell_numbers(locations: Sequence[imagery_tree.Location], cells: partitions.Partition | None) -> list[int]:
    """Returns the cell of each location, by the partition if there is one, else by its folder.

    Raises:
        TreeError: If there is neither for one.
    """
    if cells is not None:
        numbers: list[int] = labelling.label(locations, cells).cells.tolist()
        return numbers
    for place in locations:
        if place.folder_cell is None:
            raise errors.TreeError(
                f"{place.views[0].path}: its name tells no cell.", "give the partition by --partition=PATH"
            )
    return [place.folder_cell for place in locations if place.folder_cell is not None]


def copy_images(
    locations: Sequence[imagery_tree.Location], numbers: Sequence[int], to: layouts.WritableLayout, out: pathlib.Path
) -> int:
    """Copies all views with a bar on stderr; returns how many were not there before.

    Args:
        locations: What to copy.
        numbers: Cell of each.
        to: Layout to write.
        out: Folder to write to.

    Raises:
        TreeError: If a file is there with other bytes.
    """
    copied = 0
    with tqdm.tqdm(total=len(labelling.view_paths(locations)), desc="copying", unit=" images") as bar:
        for place, number in zip(locations, numbers, strict=True):
            for view in place.views:
                copied += _copy(view.path, out / layouts.name(to, number, place, view))
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
    """Copies the partition, the source's own if none is named, and the provenance of the source into the new tree."""
    found = [(pathlib.Path(partition_path or source / companions.PARTITION_NAME), companions.PARTITION_NAME)]
    found.append((source / companions.PROVENANCE_NAME, companions.PROVENANCE_NAME))
    for path, name in found:
        if path.is_file():
            with files.atomic_path(out / name) as temporary:
                shutil.copyfile(path, temporary)
