"""Copies of an imagery tree in another layout, resumable."""

import csv
import hashlib
import itertools
import os
import pathlib
import shutil
from collections.abc import Mapping, Sequence

import numpy as np
import tqdm

from geods import errors
from geods.geo import partition as partitions
from geods.storage import files
from geods.tree import companions, imagery_tree, jpeg, labelling, layouts, table


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


def copy_images(names: Mapping[str, str], source: pathlib.Path, out: pathlib.Path) -> int:
    """Copies all views with a bar on stderr; returns the number of new files.

    Args:
        names: Path of each image below `out` by its path below the source.
        source: Folder of the images.
        out: Folder to write to.

    Raises:
        TreeError: If a file is there with other bytes, or images of another source, partition or layout are.
    """
    walked = ((folder, name) for folder, _, there in os.walk(out) for name in there if not name.startswith("."))
    images = {
        jpeg.name_below(f"{folder}{os.sep}{name}", out) for folder, name in walked if imagery_tree.is_image_name(name)
    }
    if others := sorted(images - set(names.values())):
        problem = f"{out}: holds {len(others):,} images that this copy of {source} does not have: {others[0]}."
        raise errors.TreeError(problem, "name a new --out; sources, partitions and layouts must not mix")
    copied = 0
    for name, target in tqdm.tqdm(names.items(), desc="copying", unit=" images"):
        copied += put(source / name, out / target)
    return copied


def put(source: pathlib.Path, target: pathlib.Path, link: bool = False, content: bytes | None = None) -> bool:
    """Links or copies a file, whole or not at all; returns False if it was there.

    Args:
        source: The file.
        target: Where it goes.
        link: Make a hard link.
        content: What is written instead of the file's bytes.

    Raises:
        TreeError: If other bytes are there, or it cannot be written.
    """
    if os.path.lexists(target):
        # A run that was killed before it noted the file, or the same command again.
        is_same = target.exists() and source.samefile(target)
        if not is_same and files.sha256_of_file(target) != hashlib.sha256(content or source.read_bytes()).hexdigest():
            problem = f"{target}: is there with other bytes than {source}."
            raise errors.TreeError(problem, "move it away, or name an empty --out")
        return False
    try:
        if link:
            target.parent.mkdir(parents=True, exist_ok=True)
            # Resolved, because a hard link to a symbolic link is another symbolic link.
            target.hardlink_to(source.resolve())
        else:
            files.write_bytes(target, source.read_bytes() if content is None else content)
    except OSError as error:
        step = "leave --link out" if link else "make room or name another folder"
        raise errors.TreeError(f"{target}: cannot be written ({error.strerror}).", step) from error
    return True


def copy_companions(
    source: pathlib.Path,
    partition_path: str,
    out: pathlib.Path,
    names: Mapping[str, str],
) -> None:
    """Copies partition, provenance and tables of views into the new tree.

    Args:
        source: The tree, whose own partition is copied if none is named.
        partition_path: File of the partition; empty for that of the source.
        out: The new tree.
        names: Path of each image below the new tree by its path below the source.
    """
    found = [(pathlib.Path(partition_path or source / companions.PARTITION_NAME), companions.PARTITION_NAME)]
    found.append((source / companions.PROVENANCE_NAME, companions.PROVENANCE_NAME))
    for path, name in found:
        if path.is_file():
            with files.atomic_path(out / name) as temporary:
                shutil.copyfile(path, temporary)
    for name in (companions.VIEWS_NAME, companions.CREDITS_NAME):
        rows = companions.rows(source / name)
        if first := next(rows, None):
            with (
                files.atomic_path(out / name) as temporary,
                temporary.open("w", encoding="utf-8", newline="") as target,
            ):
                sheet = csv.DictWriter(target, first, lineterminator="\n")
                sheet.writeheader()
                of_images = (row for row in itertools.chain([first], rows) if row["file"] in names)
                sheet.writerows(row | {"file": names[row["file"]]} for row in of_images)


def names_in(
    locations: table.LocationTable, numbers: Sequence[int], to: layouts.WritableLayout, source: pathlib.Path
) -> dict[str, str]:
    """Returns the path of each image in the new layout by its path below the source."""
    found = {}
    for location, number in zip(locations, numbers, strict=True):
        names: set[str] = set()
        for view in location.views:
            named = imagery_tree.renamed(view, names)
            names.add(imagery_tree.view_name(named.heading_deg, named.date, named.index))
            found[jpeg.name_below(str(view.path), source)] = layouts.name(to, number, location, named).as_posix()
    return found
