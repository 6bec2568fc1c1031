"""The options of a scrape."""

import dataclasses
import re
from typing import Literal

from geods import errors
from geods.cli import flags
from geods.imagery.scraping import budget

SAVED_NAME = "scrape.cfg"
_HEADING = re.compile(r"(road|random)?\+?(\d{1,3})?")


@dataclasses.dataclass(frozen=True)
class Heading:
    """Heading of one view.

    Attributes:
        base: From where it is counted: north, the road, or a direction drawn at random.
        offset_deg: Whole degrees from 0 to 359, clockwise.
    """

    base: Literal["north", "road", "random"]
    offset_deg: int

    @classmethod
    def parse(cls, word: object) -> "Heading | None":
        """Returns the heading of 90, road, road+180, random; None of another word."""
        found = _HEADING.fullmatch(str(word).strip())
        if not found or not any(found.groups()) or int(found[2] or 0) > 359 or (found[1] == "random" and found[2]):
            return None
        return cls(found[1] or "north", int(found[2] or 0))  # type: ignore[arg-type]


@dataclasses.dataclass(frozen=True)
class ScrapeOptions:
    """How much to get, how fast, for how much."""

    partition: str = flags.option("partition.geojson", "Partition file, whose cells are sampled.", path="in")
    points: str = flags.option(
        "",
        "File of points or panorama ids to get instead of sampled ones: CSV, GeoJSON or a GeoGuessr map;"
        " TREE/points.csv says row by row how it went.",
        path="in",
    )
    out: str = flags.option(
        "", "Folder of the imagery tree; a second run on it resumes where the first ended.", path="out"
    )
    locations_per_cell: int = flags.option(40, "Locations to get in each cell.")
    lookups_per_location: int = flags.option(
        10, "Most points looked up in a cell, as a multiple of --locations_per_cell."
    )
    lookups_in_vain: int = flags.option(
        300, "Points looked up in vain in all cells before the scrape stops; 0 never stops it."
    )
    headings: tuple[str, ...] = flags.option(
        ("0", "90", "180"),
        "Headings of a location's views: degrees from north; road, along the road, or road+90 and the like, where the"
        " source says where it leads; random, once for each view.",
    )
    dates: tuple[str, ...] = flags.option(
        (), "Dates to take at a location: newest, oldest, both, or all (one a month); empty for the nearest picture's."
    )
    spread_km: float = flags.option(0.0, "Least distance between locations, km; 0 for none.")
    near: str = flags.option(
        "", "File of points, such as towns (as --points), near which to sample more densely.", path="in"
    )
    near_km: float = flags.option(10.0, "Distance from the points of --near at which density falls to 1/e, km.")
    seed: int = flags.option(0, "Seed of the sampled points.")
    workers: int = flags.option(8, "Most requests at once.")
    images_per_s: float = flags.option(10.0, "Most image requests a second.")
    lookups_per_s: float = flags.option(20.0, "Most look-ups a second.")
    image_attempts: int = flags.option(4, "Most requests for one image; each is paid.")
    lookup_attempts: int = flags.option(8, "Most requests for one look-up.")
    max_cost: float = flags.option(0.0, "Most to spend on this tree, USD, in all runs together; 0 spends nothing.")
    price_per_1000: float = flags.option(7.0, "Price of 1,000 images, USD.")
    free_images: int = flags.option(0, "Images that cost nothing, such as what is left of a month's free ones.")
    dry_run: bool = flags.option(False, "Whether to print the cost only, without paying or writing.")

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If one is missing or out of range.
        """
        if not self.out:
            raise errors.OptionError("--out: is empty.", "name a folder for the tree: --out=TREE")
        for name in ("locations_per_cell", "lookups_per_location", "workers", "image_attempts", "lookup_attempts"):
            self._require(name, getattr(self, name) >= 1, "must be at least 1")
        for name in ("images_per_s", "lookups_per_s"):
            self._require(name, 0 < getattr(self, name) < float("inf"), "must be above 0")
        for name in ("max_cost", "price_per_1000", "free_images"):
            self._require(name, 0 <= getattr(self, name) < float("inf"), "must be 0 or more")
        for name in ("spread_km", "lookups_in_vain"):
            self._require(name, 0 <= getattr(self, name) < float("inf"), "must be 0 or more")
        self._require("near_km", 0 < self.near_km < float("inf"), "must be above 0")
        self._check_lists()

    def _check_lists(self) -> None:
        """Raises OptionError for headings or dates that cannot be."""
        fixed = [heading for heading in map(Heading.parse, self.headings) if heading and heading.base != "random"]
        possible = self.headings and all(map(Heading.parse, self.headings)) and len(set(fixed)) == len(fixed)
        if not possible:
            problem = f"--headings={','.join(map(str, self.headings))}: must be different whole degrees from 0 to 359,"
            raise errors.OptionError(f"{problem} or road, road+180, random.", "give such as 0,90,180 or road,road+180")
        dates = ",".join(self.dates)
        if tuple(sorted(self.dates)) not in {(), ("all",), ("newest",), ("oldest",), ("newest", "oldest")}:
            raise errors.OptionError(f"--dates={dates}: must be newest, oldest, both or all.", "give --dates=all")
        for name in ("dates", "spread_km", "near"):
            if self.points and getattr(self, name):
                problem = f"--{name}: has no effect with --points, whose points are taken as they are."
                raise errors.OptionError(problem, "leave one of them out")

    @property
    def parsed_headings(self) -> tuple[Heading, ...]:
        """The headings of a location's views."""
        return tuple(heading for heading in map(Heading.parse, self.headings) if heading)

    @property
    def plain_headings(self) -> list[int | str]:
        """The headings as the journal keeps them, degrees as numbers."""
        return [int(word) if str(word).isdigit() else str(word) for word in self.headings]

    @property
    def prices(self) -> budget.Prices:
        """Price of images and limit of the spending."""
        return budget.Prices(self.price_per_1000, self.free_images, self.max_cost)

    @property
    def lookups_per_cell(self) -> int:
        """Points looked up in a cell, at most."""
        return self.lookups_per_location * self.locations_per_cell

    def _require(self, name: str, holds: bool, rule: str) -> None:
        """Raises OptionError if a rule does not hold."""
        if not holds:
            raise errors.OptionError(f"--{name}={getattr(self, name)}: {rule}.", "see --help")
