"""Images on their way into the tree, collected in TREE/.incoming.

A paid image is on disk before the next is requested, so a killed run finds it again. No reader of the tree sees half a
location, as its folder is renamed into the tree when all views are in it.
"""

import hashlib
import os
import pathlib
import shutil
from collections.abc import Mapping

from geods import errors
from geods.imagery import source
from geods.imagery.scraping import journal_writer, scrape_journal
from geods.storage import files
from geods.tree import imagery_tree, jpeg


class StagedLocation:
    """The images of one claim.

    Args:
        tree_dir: Folder of the tree.
        claim: Whose images they are.
    """

    def __init__(self, tree_dir: str | os.PathLike[str], claim: journal_writer.Reservation) -> None:
        """Touches nothing yet."""
        panorama, self._claim = claim.panorama, claim
        # By hash, because ids differ in case alone where file systems do not.
        name = hashlib.sha256(panorama.pano_id.encode()).hexdigest()[:32]
        self._folder = pathlib.Path(tree_dir, scrape_journal.INCOMING_NAME, name)
        self._final = pathlib.Path(tree_dir, str(claim.cell), claim.location_id)

    def has(self, panorama: source.Panorama, heading_deg: int) -> bool:
        """Returns whether a view is there; one that is damaged is removed."""
        path = self._place() / imagery_tree.view_name(heading_deg, panorama.date)
        try:
            jpeg.check_jpeg(path.read_bytes(), str(path))
        except FileNotFoundError:
            return False
        except errors.ImageError:
            path.unlink()
            return False
        return True

    def write(self, panorama: source.Panorama, heading_deg: int, content: bytes) -> None:
        """Keeps the bytes of a view; they are on disk when this returns."""
        files.write_bytes(self._folder / imagery_tree.view_name(heading_deg, panorama.date), content)

    def facts(self) -> dict[tuple[str, int], tuple[int, str]]:
        """Returns the bytes and the SHA-256 of each view, by panorama and heading."""
        found = {}
        for panorama, heading in self._claim.views:
            content = (self._place() / imagery_tree.view_name(heading, panorama.date)).read_bytes()
            found[panorama.pano_id, heading] = (len(content), hashlib.sha256(content).hexdigest())
        return found

    def publish(self) -> None:
        """Moves all views into their place in the tree; does nothing if they are there."""
        if not self._folder.is_dir():
            return
        for leftover in self._folder.glob(".*"):
            leftover.unlink()
        self._final.parent.mkdir(parents=True, exist_ok=True)
        self._folder.replace(self._final)
        files.sync(self._final.parent)

    def discard(self) -> None:
        """Removes all images of a claim that failed."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _place(self) -> pathlib.Path:
        """Returns the folder the views are in: the final one after `publish`."""
        return self._final if self._final.is_dir() else self._folder


def sweep(tree_dir: str | os.PathLike[str], kept: Mapping[int, journal_writer.Reservation]) -> None:
    """Removes leftovers of killed runs in TREE/.incoming.

    The images of open claims stay.
    """
    folder = pathlib.Path(tree_dir, scrape_journal.INCOMING_NAME)
    mine = [StagedLocation(tree_dir, claim) for claim in kept.values()]
    wanted = {one._folder.name for one in mine}
    for one in mine:
        # A bucket cannot rename: there, a place that was on its way is in both, and whole only here.
        if one._folder.is_dir() and one._final.is_dir():
            files.discard(one._final)
    for found in folder.iterdir() if folder.is_dir() else ():
        if found.name not in wanted:
            shutil.rmtree(found, ignore_errors=True)
            continue
        for leftover in found.glob(".*"):
            leftover.unlink()
