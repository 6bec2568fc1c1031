"""Second half of an import: photographs of the journal are copied into the tree.

A name in a tree holds heading and month, so two photographs of one location with the same heading and month would have
one name. Their headings are then written a millionth of a degree apart, less than the dataset's float32 can hold; where
the heading is not known, the number in `view<number>` distinguishes them.
"""

import concurrent.futures
import csv
import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import tqdm

from geods import errors
from geods.imagery.photos import exif, import_journal, photo, sphere_views
from geods.storage import files
from geods.tree import companions, imagery_tree, jpeg, panorama, tree_copies

_AT_ONCE = 64


@dataclasses.dataclass
class Placed:
    """Counts of one run.

    Attributes:
        images: Images put into the tree.
        turned: Those of them that are stored in another orientation than they are seen in.
        panoramas: Panoramas that views were cut from.
        gone: Photographs that an earlier run had not placed, and that are not in the source any more.
    """

    images: int = 0
    turned: int = 0
    panoramas: int = 0
    gone: Sequence[str] = ()


class _Checked(NamedTuple):
    """A checked photograph.

    Attributes:
        facts: What the check found.
        views: Heading and JPEG of each view cut from a panorama.
        problem: Why no view of a panorama is imported; empty for flat photographs.
    """

    facts: jpeg.ImageFacts
    views: Sequence[tuple[float, bytes]] = ()
    problem: str = ""


def place(
    journal: import_journal.Journal,
    source: pathlib.Path,
    root: pathlib.Path,
    *,
    link: bool,
    raise_on_bad: bool,
    headings_deg: Sequence[float] = sphere_views.HEADINGS_DEG,
) -> Placed:
    """Puts all waiting photographs into the tree, with a bar on stderr.

    Every image is decoded once. One with the bytes of an image that is there is left out. What is in the tree is whole
    at any moment, and the same call takes up a run that was cut off.

    Args:
        journal: Journal of the tree.
        source: Folder of the photographs.
        root: Folder of the tree.
        link: Make hard links instead of copies.
        raise_on_bad: Whether an image that cannot be used ends the import, or is left out.
        headings_deg: Where the views look that are cut from panoramas; without any, panoramas are left out.

    Returns:
        What was put into the tree.

    Raises:
        ImageError: If an image cannot be used.
        TreeError: If another file has the name of an image, or the tree cannot be written.
    """
    placed = Placed(gone=journal.await_again(root, source))
    with (
        tqdm.tqdm(total=journal.counts()["waiting"], desc="importing", unit=" images") as bar,
        concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        while batch := journal.waiting(_AT_ONCE):
            checked = pool.map(lambda view: _check(source / view.file, view.heading_deg, headings_deg), batch)
            with journal.steps():
                for view, found in zip(batch, checked, strict=True):
                    count = _place_one(journal, view, found, root, link, raise_on_bad)
                    placed.images += count
                    placed.turned += bool(count) and found.facts.is_turned
                    placed.panoramas += bool(count and found.views)
                    bar.update()
    return placed


def write_credits(journal: import_journal.Journal, root: pathlib.Path) -> None:
    """Writes credits.csv, one row for each image in the tree."""
    with (
        files.atomic_path(root / companions.CREDITS_NAME) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as target,
    ):
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(import_journal.CREDITS)
        writer.writerows(journal.credits())


def _check(path: pathlib.Path, heading_deg: float | None, headings_deg: Sequence[float]) -> _Checked:
    """Reads and checks one photograph; cuts the views of a panorama.

    Args:
        path: The file.
        heading_deg: Bearing of its middle, None if only the file may know it.
        headings_deg: Where the views look.
    """
    facts = jpeg.check_file(path)
    if facts.problem or not facts.is_panorama:
        return _Checked(facts)
    content = path.read_bytes()
    sphere = panorama.sphere_of(content, facts.height_px, facts.width_px)
    if sphere is None or sphere.problem or not headings_deg:
        return _Checked(facts, (), (sphere.problem if sphere else "") or "panoramas are left out")
    north_deg = next((each for each in (heading_deg, sphere.heading_deg) if each is not None), None)
    north_deg = exif.read(path).heading_deg if north_deg is None else north_deg
    if north_deg is None:
        return _Checked(facts, (), "nothing says where north is in it")
    views = list(sphere_views.cut(content, sphere, north_deg, headings_deg))
    return _Checked(facts, views, "" if views else "it shows less than half of every view")


def _place_one(
    journal: import_journal.Journal,
    view: import_journal.Waiting,
    checked: _Checked,
    root: pathlib.Path,
    link: bool,
    raise_on_bad: bool,
) -> int:
    """Puts a photograph, or the views of a panorama, into the tree.

    Returns the number of images.
    """
    facts = checked.facts
    if facts.problem:
        error = _bad_image(facts)
        if raise_on_bad:
            raise error
        journal.left_out(view.number, "bad", error.problem)
        return 0
    if twin := journal.twin(view.number, facts.sha256):
        journal.left_out(view.number, "duplicate", f"{view.file} = {twin}")
        return 0
    if checked.problem:
        journal.left_out(view.number, "panorama", f"{view.file}: {checked.problem}")
        return 0
    if checked.views:
        return _place_views(journal, view, checked, root)
    target = view.target or _free_target(journal, view)
    if not link and (root / target).parent.is_dir():
        # Of this very image, if a run was killed while it was copied.
        files.sweep((root / target).parent)
    tree_copies.put(facts.path, root / target, link)
    journal.placed(view.number, facts.sha256, target)
    return 1


def _place_views(
    journal: import_journal.Journal, view: import_journal.Waiting, checked: _Checked, root: pathlib.Path
) -> int:
    """Puts the views of a panorama into the tree; returns how many."""
    for heading_deg, content in checked.views:
        target = _free_target(journal, view._replace(heading_deg=heading_deg))
        digest = hashlib.sha256(content).hexdigest()
        tree_copies.put(checked.facts.path, root / target, False, content)
        journal.placed_view(view.number, heading_deg, digest, target)
    journal.cut(view.number, checked.facts.sha256)
    return len(checked.views)


def _bad_image(facts: jpeg.ImageFacts) -> errors.ImageError:
    """Returns the error for an image that cannot be used; a HEIC is called one."""
    try:
        photo.check_kind(facts.path)
    except errors.ImageError as error:
        return error
    problem = f"{facts.path}: {facts.problem}."
    return errors.ImageError(problem, "fetch it again or delete it, or give --on_bad_image=skip")


def _free_target(journal: import_journal.Journal, view: import_journal.Waiting) -> str:
    """Returns a path in the tree that no other photograph has."""
    number = journal.views_alike(view)
    while True:
        heading = view.heading_deg
        if heading is not None:
            heading = round(heading + number * imagery_tree.HEADING_STEP_DEG, 6) % 360
        name = imagery_tree.view_name(heading, view.date, number)
        target = f"{view.cell}/{photo.location_id(view.lat_deg, view.lon_deg)}/{name}"
        if not journal.is_taken(target):
            return target
        number += 1
