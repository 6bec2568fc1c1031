"""The second half of an import: photographs that the journal knows are put into the tree, byte for byte.

A name in a tree holds heading and month, so two photographs of one place with the same heading and month would have one
name. Their headings are then written a millionth of a degree apart, less than the dataset's float32 can hold; where the
heading is not known, the number in `view<number>` tells them apart.
"""

import concurrent.futures
import csv
import dataclasses
import os
import pathlib

import tqdm

from geods import errors
from geods.imagery.photos import import_journal, photo
from geods.storage import files
from geods.tree import imagery_tree, jpeg

CREDITS_NAME = "credits.csv"
_HEADING_STEP_DEG = 1e-6
_AT_ONCE = 64


@dataclasses.dataclass
class Placed:
    """Counts of one run.

    Attributes:
        images: Images put into the tree.
        turned: Those of them that are stored in another orientation than they are seen in.
    """

    images: int = 0
    turned: int = 0


def place(
    journal: import_journal.Journal, source: pathlib.Path, root: pathlib.Path, *, link: bool, raise_on_bad: bool
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

    Returns:
        What was put into the tree.

    Raises:
        ImageError: If an image cannot be used.
        TreeError: If another file has the name of an image, or the tree cannot be written.
    """
    journal.await_again(root)
    placed = Placed()
    with (
        tqdm.tqdm(total=journal.counts()["waiting"], desc="importing", unit=" images") as bar,
        concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        while batch := journal.waiting(_AT_ONCE):
            checked = pool.map(jpeg.check_file, [source / view.file for view in batch])
            with journal.steps():
                for view, facts in zip(batch, checked, strict=True):
                    is_placed = _place_one(journal, view, facts, root, link, raise_on_bad)
                    placed.images += is_placed
                    placed.turned += is_placed and facts.is_turned
                    bar.update()
    return placed


def write_credits(journal: import_journal.Journal, root: pathlib.Path) -> None:
    """Writes credits.csv, one row for each image in the tree."""
    with (
        files.atomic_path(root / CREDITS_NAME) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as target,
    ):
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(import_journal.CREDITS)
        writer.writerows(journal.credits())


def _place_one(
    journal: import_journal.Journal,
    view: import_journal.Waiting,
    facts: jpeg.ImageFacts,
    root: pathlib.Path,
    link: bool,
    raise_on_bad: bool,
) -> bool:
    """Puts one photograph into the tree; returns False if it is left out."""
    if facts.problem:
        error = _bad_image(facts)
        if raise_on_bad:
            raise error
        journal.left_out(view.number, "bad", error.problem)
        return False
    if twin := journal.twin(view.number, facts.sha256):
        journal.left_out(view.number, "duplicate", f"{view.file} = {twin}")
        return False
    target = view.target or _free_target(journal, view)
    _put(facts, root / target, link)
    journal.placed(view.number, facts.sha256, target)
    return True


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
            heading = round(heading + number * _HEADING_STEP_DEG, 6) % 360
        name = imagery_tree.view_name(heading, view.date, number)
        target = f"{view.cell}/{photo.location_id(view.lat_deg, view.lon_deg)}/{name}"
        if not journal.is_taken(target):
            return target
        number += 1


def _put(facts: jpeg.ImageFacts, target: pathlib.Path, link: bool) -> None:
    """Links or copies a checked file, whole or not at all; one that is there with the same bytes is kept.

    Raises:
        ImageError: If the file changed after it was checked.
        TreeError: If other bytes are there, or it cannot be written.
    """
    if os.path.lexists(target):
        # A run that was killed between the file and the note of it in the journal.
        if files.sha256_of_file(target) != facts.sha256:
            raise errors.TreeError(f"{target}: is there with other bytes than {facts.path}.", "move it away")
        return
    try:
        if link:
            target.parent.mkdir(parents=True, exist_ok=True)
            # Resolved, because a hard link to a symbolic link is another symbolic link.
            target.hardlink_to(facts.path.resolve())
        else:
            if target.parent.is_dir():
                # Of this very image, if a run was killed while it was copied.
                files.sweep(target.parent)
            files.write_bytes(target, facts.path.read_bytes())
    except OSError as error:
        step = "leave --link out" if link else "make room or name another folder"
        raise errors.TreeError(f"{target}: cannot be written ({error.strerror}).", step) from error
