"""Scraping of one cell: look up point after point until a location is added.

The points of a cell are worked on strictly in order, and a panorama must lie in the cell that was sampled, so no two
cells can claim the same one: what a tree gets does not depend on threads, restarts or which cell came first.

Where to look: a stream of points for each cell that depends on nothing but the seed.
"""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from geods import errors
from geods.geo import partition
from geods.imagery import source as imagery_source
from geods.imagery.scraping import budget as scraping_budget
from geods.imagery.scraping import journal_writer, options, outcome, points, retry, staging

_PROBES = 3


@dataclasses.dataclass(frozen=True, eq=False)
class ScrapeContext:
    """Settings, source, journal and budget that all cells share.

    Attributes:
        settings: The options of the scrape.
        cells: The partition.
        source: Where panoramas and images come from.
        journal: The journal.
        budget: What may be spent.
        look_up: How to look up.
        fetch: How to fetch.
        images: Counts the images that came.
        listed: The listed points of each stream; empty where points are sampled.
    """

    settings: options.ScrapeOptions
    cells: partition.Partition
    source: imagery_source.Source
    journal: journal_writer.Writer
    budget: scraping_budget.Budget
    look_up: retry.Retries
    fetch: retry.Retries
    images: retry.Tally
    listed: Mapping[int, Sequence[points.Point]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class CellWork:
    """One cell; used by one thread at a time.

    Attributes:
        tools: What to work with.
        cell: Its number; of listed points, that of their stream.
        finished: Points whose outcome is known.
        accepted: Complete locations.
        claim: A location that an earlier run began.
    """

    tools: ScrapeContext
    cell: int
    finished: int = 0
    accepted: int = 0
    claim: journal_writer.Reservation | None = None

    @property
    def is_over(self) -> bool:
        """Whether the cell has all its locations, or its points are used up."""
        settings = self.tools.settings
        if self.tools.listed:
            return self.finished >= self.target
        return self.accepted >= self.target or self.finished >= settings.lookups_per_cell

    @property
    def target(self) -> int:
        """Locations wanted."""
        listed = self.tools.listed
        return len(listed.get(self.cell, ())) if listed else self.tools.settings.locations_per_cell

    def advance(self) -> None:
        """Works until there is one location more, or the points are used up.

        Raises:
            HaltError: If the scrape must end.
            StoppedError: If it is being stopped.
            OSError: If the disk takes no more.
        """
        before = self.accepted
        while self.accepted == before and not self.is_over:
            ordinal = self.finished
            try:
                self._settle(ordinal, self._point(ordinal))
            except errors.SourceStop as error:
                raise outcome.StopScrapeError(outcome.Outcome(error.reason, str(error))) from None  # type: ignore[arg-type]
            except scraping_budget.ReachedError:
                # What is spent is told at the end, as other locations are being finished.
                raise outcome.StopScrapeError(outcome.Outcome("budget")) from None
            self.finished += 1

    def _point(self, ordinal: int) -> tuple[float, float]:
        """Returns where a query asks; 0, 0 if it is for a panorama id alone."""
        if self.tools.listed:
            return self.tools.listed[self.cell][ordinal].position or (0.0, 0.0)
        return query_point(self.tools.cells, self.tools.settings.seed, self.cell, ordinal)

    def _settle(self, ordinal: int, point: tuple[float, float]) -> None:
        """Finds out all about one point."""
        try:
            self._work(ordinal, point)
        except retry.GaveUpError as error:
            self._blame(error, ordinal, point)

    def _work(self, ordinal: int, point: tuple[float, float]) -> None:
        """Does all for one point."""
        claim = self.claim or self._look_up(ordinal, point)
        self.claim = claim
        if claim and not self.tools.settings.dry_run:
            self._get(claim)
        elif claim:
            self.accepted += 1
        self.claim = None

    def _look_up(self, ordinal: int, point: tuple[float, float]) -> journal_writer.Reservation | None:
        """Returns the claim to the panorama at a point, or None.

        None, when the miss has been written down.
        """
        listed = self.tools.listed[self.cell][ordinal] if self.tools.listed else None
        client = self.tools.source
        found = self.tools.look_up.call(
            lambda: client.find(listed.pano_id) if listed and listed.pano_id else client.look_up(*point)
        )
        if isinstance(found, imagery_source.Miss):
            self.tools.journal.miss(self.cell, ordinal, point, found.reason, found.detail)
            return None
        location_id = f"{found.lat_deg:.7f},{found.lon_deg:.7f}"
        # Of the name, not of the position: rounding may lead over a border, and the name is what readers label.
        lat_deg, lon_deg = map(float, location_id.split(","))
        cell = int(self.tools.cells.label(lat_deg, lon_deg)[0])
        if cell < 0 or (self.cell < len(self.tools.cells) and cell != self.cell):
            self.tools.journal.miss(self.cell, ordinal, point, "other_cell", found.pano_id)
            return None
        asked = self.tools.settings.headings
        if listed and listed.heading_deg is not None:
            asked = (listed.heading_deg,)
        headings = asked if found.heading_deg is None else (found.heading_deg,)
        claim = journal_writer.Reservation(cell, ordinal, location_id, found, headings, self.cell, bool(listed))
        if self.tools.journal.claim(claim, point):
            return None
        return claim

    def _get(self, claim: journal_writer.Reservation) -> None:
        """Fetches all views of a claim and puts the location into the tree."""
        tools, place = self.tools, staging.StagedLocation(self.tools.settings.out, claim)
        missing = [heading for heading in claim.headings if not place.has(heading)]
        with tools.budget.holding(len(missing) * tools.source.units_per_image) as hold:
            for heading in missing:
                try:
                    content = self._fetch(claim, heading, hold)
                except errors.ImageRefused as error:
                    self._fail(claim, place, f"image_{error.reason}", f"{heading}: {error.problem}")
                    return
                place.write(heading, content)
                tools.images.add("whole")
        facts = place.facts(claim.headings)
        hashes = [digest for _, digest in facts.values()]
        twin = tools.journal.twin(claim.cell, hashes)
        if twin or len(set(hashes)) < len(hashes):
            self._fail(claim, place, "same_image", twin or claim.panorama.pano_id)
            return
        place.publish()
        tools.journal.complete(claim, facts)
        self.accepted += 1

    def _fetch(self, claim: journal_writer.Reservation, heading: int, hold: scraping_budget.Hold) -> bytes:
        """Returns the bytes of one view; every request is paid before it is sent."""
        tools, pano_id = self.tools, claim.panorama.pano_id
        units = tools.source.units_per_image

        def pay() -> None:
            if units:
                hold.spend(units)
                tools.journal.reserve(pano_id, heading, units)

        def unpay() -> None:
            if units:
                hold.take_back(units)
                tools.journal.reserve(pano_id, heading, -units)

        return tools.fetch.call(lambda: tools.source.fetch(claim.panorama, heading), pay, unpay)

    def _fail(self, claim: journal_writer.Reservation, place: staging.StagedLocation, reason: str, detail: str) -> None:
        """Writes down that a claim gave no location."""
        self.tools.journal.fail(claim, reason, detail)
        place.discard()

    def _blame(self, error: retry.GaveUpError, ordinal: int, point: tuple[float, float]) -> None:
        """Decides whether one request fails, which is a miss, or all, which ends it.

        Raises:
            HaltError: If the service answers nothing.
        """
        settings = self.tools.settings
        beside = query_point(self.tools.cells, settings.seed, min(self.cell, len(self.tools.cells) - 1), ordinal + 1)
        try:
            dataclasses.replace(self.tools.look_up, attempts=_PROBES).call(lambda: self.tools.source.look_up(*beside))
        except retry.GaveUpError:
            reason: outcome.Reason = "quota" if error.cause == "quota" else "unavailable"
            detail = (
                f"{error.problem}\nNext: the service has not answered for a while; run the same command again later"
            )
            raise outcome.StopScrapeError(outcome.Outcome(reason, detail)) from None
        if self.claim:
            place = staging.StagedLocation(settings.out, self.claim)
            self._fail(self.claim, place, "no_answer", error.problem)
            self.claim = None
        else:
            self.tools.journal.miss(self.cell, ordinal, point, "no_answer", error.problem)


def query_point(cells: partition.Partition, seed: int, cell: int, ordinal: int) -> tuple[float, float]:
    """Returns point number `ordinal` of a cell as (lat_deg, lon_deg).

    Uniform by area inside the cell.

    Each point has a generator of its own, so any can be drawn without those before it, in any order, on any thread.

    Args:
        cells: The partition.
        seed: Another seed gives other points.
        cell: Number of the cell.
        ordinal: 0, 1, 2 ...

    Raises:
        PartitionError: If there is no such cell.
    """
    digest = hashlib.blake2b(f"geods query {seed} {cell} {ordinal}".encode(), digest_size=16).digest()
    rng = np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
    # Seven decimals are a centimetre: what is sent to a service is what the journal keeps.
    lat_deg, lon_deg = cells.sample(cell, 1, rng)[0].round(7).tolist()
    return lat_deg, lon_deg
