"""The options of a scrape."""

import dataclasses

from geods import errors
from geods.cli import flags
from geods.imagery.scraping import budget

SAVED_NAME = "scrape.cfg"


@dataclasses.dataclass(frozen=True)
class ScrapeOptions:
    """How much to get, how fast, for how much."""

    partition: str = flags.option("partition.geojson", "Partition file: its cells are what is sampled.", path="in")
    points: str = flags.option(
        "",
        "File of points or panorama ids to get instead of sampled ones: CSV, GeoJSON or a GeoGuessr map;"
        " TREE/points.csv says row by row how it went.",
        path="in",
    )
    out: str = flags.option(
        "", "Folder of the imagery tree; a second run on it goes on where the first ended.", path="out"
    )
    locations_per_cell: int = flags.option(40, "Locations to get in each cell.")
    lookups_per_location: int = flags.option(
        10, "Points looked up before a cell is given up, times locations_per_cell."
    )
    headings: tuple[int, ...] = flags.option((0, 90, 180), "Headings of a location's views, degrees from north.")
    seed: int = flags.option(0, "Another seed samples other points.")
    workers: int = flags.option(8, "Requests under way at once, at most.")
    images_per_s: float = flags.option(10.0, "Images asked for a second, at most.")
    lookups_per_s: float = flags.option(20.0, "Places looked up a second, at most.")
    image_attempts: int = flags.option(4, "Times to ask for one image; each is paid.")
    lookup_attempts: int = flags.option(8, "Times to look up one place.")
    max_cost: float = flags.option(0.0, "Most to spend on this tree, USD, over all runs; 0 refuses to spend.")
    price_per_1000: float = flags.option(7.0, "Price of 1,000 images, USD.")
    free_images: int = flags.option(0, "Images that cost nothing, such as what is left of a month's free ones.")
    dry_run: bool = flags.option(False, "Whether to look up places only, fetch and write nothing, and show the cost.")

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
        whole = all(0 <= heading < 360 for heading in self.headings)
        different = len(set(self.headings)) == len(self.headings) > 0
        self._require("headings", whole and different, "must be different whole degrees from 0 to 359")

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
