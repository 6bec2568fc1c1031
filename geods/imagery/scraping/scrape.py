"""Scrape of the cells of a partition: sample, look up, fetch, check, write.

    result = scrape.scrape(settings, client, cells, client_config)

The journal beside the images holds the state: whatever ends the scrape, the same call resumes it, pays for nothing
twice that is on disk, and ends with the same tree as if nothing had happened.
"""

import collections
import contextlib
import dataclasses
import hashlib
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent import futures
from typing import Any

from geods.geo import partition
from geods.imagery import source
from geods.imagery.scraping import (
    budget,
    cell_scraper,
    journal_writer,
    options,
    outcome,
    points,
    retry,
    sampling,
    scrape_journal,
    staging,
    tables,
    workspace,
)

_LOOK_S = 0.2


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a scrape is, for a progress bar.

    Attributes:
        locations: Complete locations, with those of earlier runs.
        images: Images that came in this run.
        cost: USD spent, with that of earlier runs.
        lookups: Points whose outcome is known.
        again: Requests that had to be sent again in this run.
    """

    locations: int
    images: int
    cost: float
    lookups: int
    again: int


@dataclasses.dataclass(frozen=True)
class Result:
    """How a scrape ended.

    Attributes:
        halt: Why.
        rows: What each cell got.
        images: Images that came in this run.
        spent_units: Units of all requests that were sent, with those of earlier runs.
        has_tables: Whether cells.csv and views.csv were written.
        again: What made it send requests again in this run, and how often.
        missed: Lines on the listed points without a location; None where points are sampled.
    """

    halt: outcome.Outcome
    rows: list[tables.Row]
    images: int
    spent_units: int
    has_tables: bool
    again: Mapping[str, int]
    missed: list[str] | None = None


def scrape(
    settings: options.ScrapeOptions,
    client: source.Source,
    cells: partition.Partition,
    client_config: Mapping[str, Any],
    *,
    stop: threading.Event | None = None,
    watch: Callable[[Progress], None] = lambda progress: None,
    delay_factor: float = 1.0,
    listed: Sequence[points.Point] = (),
    near: Sequence[tuple[float, float]] = (),
) -> Result:
    """Scrapes until every cell has its locations or its points are used up.

    Args:
        settings: How much, how fast, for how much.
        client: The source.
        cells: The partition.
        client_config: The client's settings that decide which images it gives; a tree takes no others later.
        stop: Set it to end early: what is under way is finished.
        watch: Called several times a second.
        delay_factor: Scales the waits between attempts.
        listed: Points to get instead of sampled ones; the number of locations is then theirs.
        near: Points (lat, lon) near which to sample more densely.

    Raises:
        OptionError: If the images cost something and nothing may be spent.
        PointsError: If no listed point lies in a cell.
        TreeError: If the folder holds something else, is scraped by another process or cannot be written.
        DiskFullError: If there is no room to begin.
    """
    workspace.check_budget(settings, client)
    stop, again = stop or threading.Event(), retry.Tally()
    config = _config(settings, client, cells, listed, near) | dict(client_config)
    with workspace.journal_of(settings, client, cells, config) as journal:
        money = budget.Budget(settings.prices, journal.units())
        tools = cell_scraper.ScrapeContext(
            settings,
            cells,
            client,
            journal,
            money,
            retry.Retries(retry.Rate(settings.lookups_per_s), settings.lookup_attempts, stop, again, delay_factor),
            retry.Retries(retry.Rate(settings.images_per_s), settings.image_attempts, stop, again, delay_factor),
            sampling.Sampler(cells, settings.seed, near, settings.near_km),
            points.by_stream(listed, cells),
        )
        works = _works(tools)
        tools.locations.add("found", sum(work.accepted for work in works))
        found = _work_all(works, settings.workers, stop, lambda: watch(_progress(works, tools)))
        got = scrape_journal.OPEN if settings.dry_run else scrape_journal.ACCEPTED
        rows = tables.rows(journal.outcomes(), {work.cell: work.target for work in works}, got)
        found = _budget_reached(money) if found and found.reason == "budget" else found
        found = found or _ended(works, stop, len(listed))
        _note(journal, found, settings)
        watch(_progress(works, tools))
        said = _point_outcomes(tools)
    has_tables = not settings.dry_run and _write_tables(rows, settings.out, listed, said)
    missed = points.missed(listed, said, ("found", got)) if listed else None
    return Result(found, rows, tools.images.total(), money.spent_units, has_tables, again.counts(), missed)


def _config(
    settings: options.ScrapeOptions,
    client: source.Source,
    cells: partition.Partition,
    listed: Sequence[points.Point],
    near: Sequence[tuple[float, float]],
) -> dict[str, Any]:
    """Returns the options on which a tree's images depend, beside the client's."""
    config: dict[str, Any] = {"partition": cells.fingerprint, "seed": settings.seed}
    config |= {"headings": settings.plain_headings, "source": client.name}
    # Only what is given, as older journals know nothing of these.
    config |= {"dates": list(settings.dates)} if settings.dates else {}
    config |= {"spread_km": settings.spread_km} if settings.spread_km else {}
    config |= {"near_km": settings.near_km} if near else {}
    lists = {"points": listed, "near": near}
    return config | {
        name: hashlib.sha256(repr(list(found)).encode()).hexdigest() for name, found in lists.items() if found
    }


def _works(tools: cell_scraper.ScrapeContext) -> list[cell_scraper.CellWork]:
    """Returns the work of every cell, as far as earlier runs have come."""
    progress, journal = tools.journal.progress(), tools.journal
    works = []
    for cell in sorted(tools.listed) if tools.listed else range(len(tools.cells)):
        finished, accepted = progress.get(cell, (0, 0))
        works.append(cell_scraper.CellWork(tools, cell, finished, accepted, journal.open_claim(cell)))
    if not tools.settings.dry_run:
        staging.sweep(tools.settings.out, {work.cell: work.claim for work in works if work.claim})
    return works


def _work_all(
    works: Sequence[cell_scraper.CellWork],
    workers: int,
    stop: threading.Event,
    look: Callable[[], None],
) -> outcome.Outcome | None:
    """Advances all cells by one location, again and again.

    So a scrape that ends early is even over the map. Returns the reason for an early end, if there is one.

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


def _ended(works: list[cell_scraper.CellWork], stop: threading.Event, listed: int) -> outcome.Outcome:
    """Returns how a scrape ended that nothing broke."""
    if not all(work.is_over for work in works):
        return outcome.Outcome("interrupted", "stopped; what was under way is finished")
    if sum(work.target for work in works) >= listed and all(work.accepted >= work.target for work in works):
        return outcome.Outcome("complete")
    if not listed and not any(work.accepted for work in works):
        return outcome.nothing_found(sum(work.finished for work in works))
    if listed:
        detail = f"some points have no location of their own; see {points.NAME}.\nNext: "
        detail += "accept it, or scrape with a higher --radius_m to another --out"
    else:
        detail = "some cells stay under their target.\nNext: raise --lookups_per_location, or accept it"
    return outcome.Outcome("under_target", detail)


def _budget_reached(money: budget.Budget) -> outcome.Outcome:
    """Returns the end of a scrape whose money is used up."""
    prices, spent = money.prices, money.spent_units
    detail = (
        f"{spent:,} images were asked for, {prices.cost(spent):.2f} USD; the next location would be above"
        f" --max_cost={prices.max_cost:g}.\nNext: raise --max_cost and run the same command again"
    )
    return outcome.Outcome("budget", detail)


def _note(journal: journal_writer.Writer, found: outcome.Outcome, settings: options.ScrapeOptions) -> None:
    """Writes down how the run ended; a full disk may not let it."""
    state = "done" if found.reason in ("complete", "under_target") else "stopped"
    detail = found.reason if state == "done" else f"{found.reason}. {workspace.resume(settings.out)}"
    with contextlib.suppress(sqlite3.OperationalError):
        journal.note(state, detail)


def _progress(works: list[cell_scraper.CellWork], tools: cell_scraper.ScrapeContext) -> Progress:
    """Returns how far it is."""
    return Progress(
        locations=sum(work.accepted for work in works),
        images=tools.images.total(),
        cost=tools.budget.prices.cost(tools.budget.spent_units),
        lookups=sum(work.finished for work in works),
        again=tools.fetch.again.total(),
    )


def _point_outcomes(tools: cell_scraper.ScrapeContext) -> dict[int, tuple[str, str, str]]:
    """Returns the outcome of each listed row that was asked for.

    Each is (outcome, panorama id, folder of the location).
    """
    asked = tools.journal.point_outcomes() if tools.listed else {}
    return {tools.listed[stream][ordinal].row: about for (stream, ordinal), about in asked.items()}


def _write_tables(
    rows: list[tables.Row], folder: str, listed: Sequence[points.Point], said: Mapping[int, tuple[str, str, str]]
) -> bool:
    """Writes views.csv, and cells.csv or points.csv.

    Returns whether it could, as a full disk may not let it.
    """
    with contextlib.suppress(OSError, sqlite3.OperationalError):
        if listed:
            points.write_outcomes(listed, said, folder)
        else:
            tables.write_cells(rows, folder)
        tables.write_views(folder)
        return True
    return False
