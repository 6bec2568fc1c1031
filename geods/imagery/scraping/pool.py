"""All cells at once, one location at a time in each.

So a scrape that ends early is even over the map.
"""

import collections
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent import futures

from geods.imagery.scraping import cell_scraper, outcome, retry, scrape_journal

_LOOK_S = 0.2


def work_all(
    works: Sequence[cell_scraper.CellWork],
    workers: int,
    stop: threading.Event,
    look: Callable[[], None],
) -> outcome.Outcome | None:
    """Advances all cells by one location, again and again.

    Returns the reason for an early end, if there is one.

    When the money is used up, locations that are under way have theirs set aside, so they are finished.
    """
    waiting = collections.deque(work for work in works if not work.is_over)
    running: dict[futures.Future[None], cell_scraper.CellWork] = {}
    found: outcome.Outcome | None = None
    with futures.ThreadPoolExecutor(workers, "scrape") as pool:
        while running or (waiting and not found and not stop.is_set()):
            # No more than there are threads, so that a stop waits for nothing that has not begun.
            while waiting and len(running) < workers and not found and not stop.is_set():
                work = waiting.popleft()
                running[pool.submit(work.advance)] = work
            done, _ = futures.wait(running, _LOOK_S, futures.FIRST_COMPLETED)
            for future in done:
                work = running.pop(future)
                ended = _end_of(future, stop)
                # What else goes wrong meanwhile matters more than that the money is used up.
                found = ended if found is None or (ended and found.reason == "budget") else found
                if not work.is_over and not stop.is_set():
                    waiting.append(work)
            look()
    return found


def _end_of(future: futures.Future[None], stop: threading.Event) -> outcome.Outcome | None:
    """Returns the reason why a thread ended the scrape, or None.

    It stops the other threads if they must stop too.

    Raises:
        Exception: What it did not expect.
    """
    try:
        future.result()
    except retry.StoppedError:
        return None
    except outcome.StopScrapeError as error:
        if error.halt.reason != "budget":
            stop.set()
        return error.halt
    except (OSError, sqlite3.OperationalError) as error:
        stop.set()
        # A write that fails for want of room does not name its file.
        name = getattr(error, "filename", None) or "disk"
        said = f"{name}: {error.strerror}" if isinstance(error, OSError) else f"{scrape_journal.NAME}: {error}"
        return outcome.Outcome("disk", f"{said}.\nNext: make room or repair the disk, then run the same command again")
    except BaseException:
        stop.set()
        raise
    return None
