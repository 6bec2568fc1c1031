"""Where the locations of a training on an imagery tree come from: a tree that stands, or one that a scraper fills.

source = arrivals.open_source(settings)   waits until a scraper has begun
source.news().locations                   what has come since the last look
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

_Answer = TypeVar("_Answer")
_ATTEMPTS, _PAUSE_S = 4, 0.5
_STANDING = "train on what is there: leave out --follow"


@dataclasses.dataclass(frozen=True)
class Update:
    """What has happened since the last look.

    Attributes:
        state: "running" if more will come, "stopped" if that needs somebody to start the scraper again, or "done".
        detail: One line on it, for people.
        locations: Complete locations that are new.
    """

    state: Literal["running", "stopped", "done"]
    detail: str
    locations: list[imagery_tree.Location]


class LocationFeed(Protocol):
    """Gives locations as they come, each once."""

    def news(self) -> Update:
        """Returns what has happened since the last call."""


class StaticTree:
    """All that is in a tree, in any layout."""

    def __init__(self, root: str) -> None:
        """Takes the folder of the tree, or a CSV file."""
        self._root = root

    def news(self) -> Update:
        """Returns all locations.

        Raises:
            TreeError: If there is no tree.
        """
        locations = list(layouts.read(self._root))
        status = _with_retries(lambda: scrape_journal.read_status(self._root))
        note = "" if status is None or status.state == "done" else f"; the scraper that fills it is {status.state}"
        return Update("done", f"{self._root} holds {len(locations):,} locations{note}", locations)


class FollowedScrape:
    """What the journal of a scraper says."""

    def __init__(self, root: str) -> None:
        """Takes the folder of the tree."""
        self._root, self._seen = root, 0

    def news(self) -> Update:
        """Returns the locations that were completed since the last call."""
        # In this order: what a scraper completes before it is done is then there when it is read as done.
        status = _with_retries(lambda: scrape_journal.read_status(self._root))
        found = _with_retries(lambda: scrape_journal.complete_locations(self._root, self._seen))
        if status is None:
            return Update("stopped", f"{self._root}: its journal is gone", [])
        if found:
            self._seen = found[-1].number
        detail = f"the scraper is done ({status.detail})" if status.state == "done" else status.detail
        return Update(status.state, detail, [arrival.location for arrival in found])


class StallTimer:
    """How long to wait for a scraper that has stopped.

    Attributes:
        is_over: Whether it has been stopped for too long.

    Args:
        timeout_s: How long is too long, seconds.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._stopped_s: float | None = None
        self.is_over = False

    def on(self, news: Update) -> str:
        """Takes the latest news; returns a line if there is something to say, else ""."""
        now_s = time.monotonic()
        if news.state != "stopped":
            goes_on = self._stopped_s is not None
            self._stopped_s = None
            return "the scraper goes on" if goes_on else ""
        if self._stopped_s is None:
            self._stopped_s = now_s
        self.is_over = now_s - self._stopped_s >= self._timeout_s
        if self.is_over:
            return f"the scraper has not gone on for {self._timeout_s:,.0f} s: training on what is there"
        return f"the scraper has stopped: {news.detail}\nwaiting for it at most {self._timeout_s:,.0f} s"


def open_feed(settings: train_options.TrainOptions) -> LocationFeed:
    """Returns the source that the flags name; waits until there is something to follow.

    Raises:
        TreeError: If no scraper has begun in time, or the tree is not one that a scraper fills.
        MissingFileError: If there is no such tree.
    """
    if not settings.follow:
        if not pathlib.Path(settings.imagery).is_file():
            files.check_folder(settings.imagery, "name an imagery tree")
        return StaticTree(settings.imagery)
    _await_scraper(pathlib.Path(settings.imagery), settings)
    return FollowedScrape(settings.imagery)


def _await_scraper(root: pathlib.Path, settings: train_options.TrainOptions) -> None:
    """Waits until a scraper has written down what it will do."""
    until = time.monotonic() + settings.follow_timeout_s
    said = False
    while not _has_begun(root, settings):
        if root.is_dir() and any(imagery_tree.is_cell_name(path.name) for path in imagery_tree.subfolders(root)):
            raise errors.TreeError(f"{root}: holds images, but no scraper's journal to follow.", _STANDING)
        if time.monotonic() >= until:
            problem = f"{root}: no scraper has begun there within {settings.follow_timeout_s:,.0f} s."
            raise errors.TreeError(problem, f"start one: python -m tools.scrape --out={root}")
        if not said:
            print(f"{root}: no scraper has begun there; waiting at most {settings.follow_timeout_s:,.0f} s", flush=True)
            said = True
        time.sleep(settings.follow_poll_s)


def _has_begun(root: pathlib.Path, settings: train_options.TrainOptions) -> bool:
    """Says whether there are a journal and a partition."""
    if _with_retries(lambda: scrape_journal.read_status(root)) is None:
        return False
    return bool(settings.partition) or (root / companions.PARTITION_NAME).is_file()


def _with_retries(read: Callable[[], _Answer]) -> _Answer:
    """Returns what `read` returns, which fails while a journal is being made or folded together.

    Raises:
        TreeError: If it goes on failing.
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
