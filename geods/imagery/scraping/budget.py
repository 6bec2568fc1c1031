"""Budget of a scrape: units that may be spent, and units spent."""

import contextlib
import dataclasses
import math
import threading
from collections.abc import Iterator


class ReachedError(Exception):
    """One request more would cost more than allowed."""


@dataclasses.dataclass(frozen=True)
class Prices:
    """Price of an image and limit of the spending.

    Attributes:
        per_1000: USD for a thousand billable units.
        free_units: Units that cost nothing, before all others.
        max_cost: USD, at most, over all runs of one journal.
    """

    per_1000: float
    free_units: int
    max_cost: float

    @property
    def affordable_units(self) -> float:
        """The most units whose cost is not above `max_cost`; infinite if they are free."""
        if not self.per_1000:
            return math.inf
        # A hair more, because 0.29 USD at 10 a thousand are 29 units, but 0.29 * 100 is 28.999999999999996.
        return self.free_units + math.floor(self.max_cost * 1000 / self.per_1000 * (1 + 1e-12))

    def cost(self, units: int) -> float:
        """Returns the cost of this many units, USD."""
        return max(0, units - self.free_units) * self.per_1000 / 1000


class Budget:
    """Counts units against the most that may be spent; for all threads.

    Args:
        prices: What they cost.
        spent_units: Units spent by earlier runs.
    """

    def __init__(self, prices: Prices, spent_units: int = 0) -> None:
        """Starts with what the journal says."""
        self.prices = prices
        self._most = prices.affordable_units
        self._spent, self._held = spent_units, 0
        self._lock = threading.Lock()

    @property
    def spent_units(self) -> int:
        """Units of all requests that were sent, or were about to be."""
        return self._spent

    @contextlib.contextmanager
    def holding(self, units: int) -> Iterator["Hold"]:
        """Reserves units for one location, so that all of its images can be paid.

        Raises:
            ReachedError: If there are not so many left.
        """
        with self._lock:
            if self._spent + self._held + units > self._most:
                raise ReachedError
            self._held += units
        hold = Hold(self, units)
        try:
            yield hold
        finally:
            with self._lock:
                self._held -= hold.left

    def _spend(self, hold: "Hold", units: int) -> None:
        """Moves units from a hold, and beyond it from the free ones, to the spent ones.

        Back, if they are below 0.
        """
        with self._lock:
            from_hold = min(units, hold.left)
            if self._spent + self._held + units - from_hold > self._most:
                raise ReachedError
            self._held -= from_hold
            hold.left -= from_hold
            self._spent += units


@dataclasses.dataclass
class Hold:
    """Units set aside.

    Attributes:
        left: How many of them.
    """

    budget: Budget = dataclasses.field(repr=False)
    left: int

    def spend(self, units: int) -> None:
        """Counts units as spent, for good; call it before sending.

        Raises:
            ReachedError: If neither the hold nor the budget has so many left.
        """
        self.budget._spend(self, units)

    def take_back(self, units: int) -> None:
        """Holds units again that were spent, but for which nothing was sent."""
        self.budget._spend(self, -units)
