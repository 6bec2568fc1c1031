"""Feeds of locations: a complete imagery tree, or one that a scraper fills.

feed = sources.open_feed(streaming, partition)   waits until a scraper has started
feed.update().locations                          new locations since the last call
"""

import contextlib
import dataclasses
import pathlib
import sqlite3
import time
from collections.abc import Callable
from typing import Literal, Protocol, TypeVar

from geods import errors
from geods.imagery.scraping import scrape_journal
from geods.storage import files
from geods.tree import companions, imagery_tree, layouts
from trainers.options import train_options

_Result = TypeVar("_Result")
_ATTEMPTS, _PAUSE_S = 4, 0.5
# How the detail of a scrape that its service refused begins (geods/imagery/scraping/scrape.py).
_DENIED = "denied."
_WITHOUT_FOLLOW = "train on what is there: leave out --follow"


@dataclasses.dataclass(frozen=True)
class Update:
    """New locations of a feed, and the state of the scraper that fills it.

    Attributes:
        state: "running" if more will come, "stopped" if that needs somebody to start the scraper again, or "done".
        detail: One line on the state.
        locations: Complete locations that are new.
    """

    state: Literal["running", "stopped", "done"]
    detail: str
    locations: list[imagery_tree.Location]


class LocationFeed(Protocol):
    """Locations as they arrive, each once."""

    def update(self) -> Update:
        """Returns the new locations since the last call."""


class StaticTree:
    """All locations of a tree in any layout.

    Args:
        root: The folder of the tree, or a CSV file.
    """

    def __init__(self, root: str) -> None:
        self._root = root

    def update(self) -> Update:
        """Returns all locations.

        Raises:
            TreeError: If there is no tree.
        """
        locations = list(layouts.read(self._root))
        status = _with_retries(lambda: scrape_journal.read_status(self._root))
        note = "" if status is None or status.state == "done" else f"; the scraper that fills it is {status.state}"
        return Update("done", f"{self._root} holds {len(locations):,} locations{note}", locations)


class FollowedScrape:
    """Locations that the journal of a scraper lists as complete.

    Args:
        root: The folder of the tree.
    """

    def __init__(self, root: str) -> None:
        self._root, self._seen = root, 0

    def update(self) -> Update:
        """Returns the locations that were completed since the last call."""
        # In this order: what a scraper completes before it is done is then there when it is read as done.
        status = _with_retries(lambda: scrape_journal.read_status(self._root))
        complete = _with_retries(lambda: scrape_journal.complete_locations(self._root, self._seen))
        if status is None:
            return Update("stopped", f"{self._root}: its journal is missing", [])
        if complete:
            self._seen = complete[-1].number
        detail = f"the scraper is done ({status.detail})" if status.state == "done" else status.detail
        return Update(status.state, detail, [entry.location for entry in complete])


class StallTimer:
    """Timeout of a scraper that has stopped.

    Attributes:
        is_over: Whether it has been stopped for longer than the timeout.

    Args:
        timeout_s: The timeout, seconds.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._stopped_s: float | None = None
        self.is_over = False

    def message(self, update: Update) -> str:
        """Returns a line on a scraper that has stopped or resumed, else ""."""
        now_s = time.monotonic()
        if update.state != "stopped":
            resumes = self._stopped_s is not None
            self._stopped_s = None
            return "the scraper resumes" if resumes else ""
        if update.detail.startswith(_DENIED):
            # A refused key is refused again: nobody is waited for.
            self.is_over = True
            return f"the scraper has ended: {update.detail}\ntraining on what is there"
        if self._stopped_s is None:
            self._stopped_s = now_s
        self.is_over = now_s - self._stopped_s >= self._timeout_s
        if self.is_over:
            return f"the scraper has not resumed for {self._timeout_s:,.0f} s: training on what is there"
        return f"the scraper has stopped: {update.detail}\nwaiting for it at most {self._timeout_s:,.0f} s"


def open_feed(streaming: train_options.StreamingOptions, partition: str = "") -> LocationFeed:
    """Opens the feed of --imagery; with --follow, waits until a scraper has started.

    Args:
        streaming: The tree, and whether to follow its scraper.
        partition: --partition; without it, the tree needs a partition file of its own before it is followed.

    Raises:
        TreeError: If no scraper has started in time, or the tree is not one that a scraper fills.
        MissingFileError: If there is no such tree.
    """
    if not streaming.follow:
        if not pathlib.Path(streaming.imagery).is_file():
            files.check_folder(streaming.imagery, "name an imagery tree")
        return StaticTree(streaming.imagery)
    _await_scraper(pathlib.Path(streaming.imagery), streaming, partition)
    return FollowedScrape(streaming.imagery)


def _await_scraper(root: pathlib.Path, streaming: train_options.StreamingOptions, partition: str) -> None:
    """Waits until a scraper has written its journal and a partition is known."""
    until = time.monotonic() + streaming.follow_timeout_s
    said = False
    while not _is_started(root, partition):
        # A journal without tables is one that a scraper is just making.
        is_scraped = not root.is_dir() or (root / scrape_journal.NAME).is_file()
        if not is_scraped and any(imagery_tree.is_cell_name(path.name) for path in imagery_tree.subfolders(root)):
            raise errors.TreeError(f"{root}: holds images, but no scraper's journal to follow.", _WITHOUT_FOLLOW)
        if time.monotonic() >= until:
            problem = f"{root}: no scraper has started there within {streaming.follow_timeout_s:,.0f} s."
            raise errors.TreeError(problem, f"start one: python -m tools.scrape --out={root}")
        if not said:
            print(
                f"{root}: no scraper has started there; waiting at most {streaming.follow_timeout_s:,.0f} s", flush=True
            )
            said = True
        time.sleep(streaming.follow_poll_s)


def _is_started(root: pathlib.Path, partition: str) -> bool:
    """Returns whether there are a journal and a partition."""
    if _with_retries(lambda: scrape_journal.read_status(root)) is None:
        return False
    return bool(partition) or (root / companions.PARTITION_NAME).is_file()


def _with_retries(read: Callable[[], _Result]) -> _Result:
    """Calls `read` up to four times.

    It fails while a journal is being created or compacted.

    Raises:
        TreeError: If it fails every time.
    """
    for _ in range(_ATTEMPTS - 1):
        with contextlib.suppress(errors.TreeError, sqlite3.OperationalError):
            return read()
        time.sleep(_PAUSE_S)
    try:
        return read()
    except sqlite3.OperationalError as error:
        problem = f"the scraper's journal cannot be read ({error})."
        raise errors.TreeError(problem, "check the permissions of the tree, then start again") from error
