"""Scraping of one cell: look up point after point until a location is added.

The points of a cell are worked on strictly in order, and a panorama must lie in the cell that was sampled, so no two
cells can claim the same one: what a tree gets does not depend on threads, restarts or which cell came first.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from geods import errors
from geods.geo import partition
from geods.imagery import source as imagery_source
from geods.imagery.scraping import budget as scraping_budget
from geods.imagery.scraping import journal_writer, options, outcome, points, retry, sampling, staging

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
        sampler: Points of the cells.
        listed: The listed points of each stream; empty where points are sampled.
        images: Counts the images that came.
        locations: Counts the points of all cells where a location was "found", those of earlier runs too, or "missed".
    """

    settings: options.ScrapeOptions
    cells: partition.Partition
    source: imagery_source.Source
    journal: journal_writer.Writer
    budget: scraping_budget.Budget
    look_up: retry.Retries
    fetch: retry.Retries
    sampler: sampling.Sampler
    listed: Mapping[int, Sequence[points.Point]]
    images: retry.Tally = dataclasses.field(default_factory=retry.Tally)
    locations: retry.Tally = dataclasses.field(default_factory=retry.Tally)


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
                # What is spent is printed at the end, as other locations are being finished.
                raise outcome.StopScrapeError(outcome.Outcome("budget")) from None
            self.finished += 1
            self._check_found(self.accepted > before)

    def _check_found(self, found: bool) -> None:
        """Ends a scrape in which no cell finds anything."""
        most = self.tools.settings.lookups_in_vain
        self.tools.locations.add("found" if found else "missed")
        counts = self.tools.locations.counts()
        if not self.tools.listed and not counts.get("found") and counts["missed"] >= most > 0:
            raise outcome.StopScrapeError(outcome.nothing_found(counts["missed"]))

    def _point(self, ordinal: int) -> tuple[float, float]:
        """Returns where a query asks; 0, 0 if it is for a panorama id alone."""
        if self.tools.listed:
            return self.tools.listed[self.cell][ordinal].position or (0.0, 0.0)
        return self.tools.sampler.point(self.cell, ordinal)

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

        It is None once a miss has been written to the journal.
        """
        listed = self.tools.listed[self.cell][ordinal] if self.tools.listed else None
        client = self.tools.source
        found = self.tools.look_up.call(
            lambda: client.find(listed.pano_id) if listed and listed.pano_id else client.look_up(*point)
        )
        if isinstance(found, imagery_source.Miss):
            self.tools.journal.miss(self.cell, ordinal, point, found.reason, found.detail)
            return None
        chosen = self._of_dates(found)
        location_id = f"{chosen[0].lat_deg:.7f},{chosen[0].lon_deg:.7f}"
        # Of the name, not of the position: rounding may lead over a border, and the name is what readers label.
        lat_deg, lon_deg = map(float, location_id.split(","))
        cell = int(self.tools.cells.label(lat_deg, lon_deg)[0])
        headings, reason = self._headings(chosen[0], listed), ""
        if cell < 0 or (self.cell < len(self.tools.cells) and cell != self.cell):
            reason = "other_cell"
        elif not headings:
            reason = "no_road"
        elif spread_km := self.tools.settings.spread_km:
            there = self.tools.journal.locations(self.cell)
            reason = sampling.crowding((lat_deg, lon_deg), cell, self.tools.cells, there, spread_km)
        if reason:
            self.tools.journal.miss(self.cell, ordinal, point, reason, chosen[0].pano_id)
            return None
        others = tuple(other for other in chosen[1:] if not self.tools.journal.is_taken(other.pano_id))
        claim = journal_writer.Reservation(
            cell, ordinal, location_id, chosen[0], headings, self.cell, bool(listed), others
        )
        if self.tools.journal.claim(claim, point):
            return None
        return claim

    def _of_dates(self, found: imagery_source.Panorama) -> list[imagery_source.Panorama]:
        """Returns the panoramas of --dates; the first gives the location its position."""
        dates = self.tools.settings.dates
        if not dates:
            return [found]
        others = self.tools.look_up.call(lambda: self.tools.source.other_dates(found))
        by_date = sorted((one for one in (found, *others) if one.date), key=lambda one: one.date or "")
        if not by_date or dates == ("all",):
            return [found, *others]
        ends = {"newest": by_date[-1], "oldest": by_date[0]}
        return list(dict.fromkeys(ends[date] for date in dates))

    def _headings(self, found: imagery_source.Panorama, listed: points.Point | None) -> tuple[int, ...]:
        """Returns the headings of a location's views; none if its road is unknown."""
        if found.heading_deg is not None:
            return (found.heading_deg,)
        if listed and listed.heading_deg is not None:
            return (listed.heading_deg,)
        wanted, road_deg = self.tools.settings.parsed_headings, None
        if any(heading.base == "road" for heading in wanted):
            road_deg = self.tools.look_up.call(lambda: self.tools.source.road_deg(found))
            if road_deg is None:
                return ()
        return sampling.headings(wanted, self.tools.settings.seed, found.pano_id, road_deg)

    def _get(self, claim: journal_writer.Reservation) -> None:
        """Fetches all views of a claim and puts the location into the tree."""
        tools, place = self.tools, staging.StagedLocation(self.tools.settings.out, claim)
        missing = [(shot, heading) for shot, heading in claim.views if not place.has(shot, heading)]
        with tools.budget.holding(len(missing) * tools.source.units_per_image) as hold:
            for shot, heading in missing:
                try:
                    content = self._fetch(shot, heading, hold)
                except errors.ImageRefused as error:
                    self._fail(claim, place, f"image_{error.reason}", f"{heading}: {error.problem}")
                    return
                place.write(shot, heading, content)
                tools.images.add("whole")
        facts = place.facts()
        hashes = [digest for _, digest in facts.values()]
        twin = tools.journal.twin(claim.cell, hashes)
        if twin or len(set(hashes)) < len(hashes):
            self._fail(claim, place, "same_image", twin or claim.panorama.pano_id)
            return
        place.publish()
        tools.journal.complete(claim, facts)
        self.accepted += 1

    def _fetch(self, shot: imagery_source.Panorama, heading: int, hold: scraping_budget.Hold) -> bytes:
        """Returns the bytes of one view; every request is paid before it is sent."""
        tools, pano_id = self.tools, shot.pano_id
        units = tools.source.units_per_image

        def pay() -> None:
            if units:
                hold.spend(units)
                tools.journal.reserve(pano_id, heading, units)

        def unpay() -> None:
            if units:
                hold.take_back(units)
                tools.journal.reserve(pano_id, heading, -units)

        return tools.fetch.call(lambda: tools.source.fetch(shot, heading), pay, unpay)

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
        beside = self.tools.sampler.point(min(self.cell, len(self.tools.cells) - 1), ordinal + 1)
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
