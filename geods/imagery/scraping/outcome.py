"""Reasons for the end of a scrape, and the next step for each."""

import dataclasses
from typing import Literal

Reason = Literal[
    "complete",
    "under_target",
    "nothing_found",
    "denied",
    "quota",
    "request",
    "unavailable",
    "budget",
    "disk",
    "interrupted",
]

EXIT_CODES: dict[Reason, int] = {
    "complete": 0,
    "denied": 3,
    "quota": 4,
    "unavailable": 4,
    "request": 1,
    "budget": 5,
    "under_target": 6,
    "nothing_found": 6,
    "disk": 7,
    "interrupted": 130,
}


class StopScrapeError(Exception):
    """Ends a scrape.

    Args:
        halt: Why.
    """

    def __init__(self, halt: "Outcome") -> None:
        """Keeps the reason."""
        super().__init__(halt.detail)
        self.halt = halt


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Why a scrape ended.

    Attributes:
        reason: One word.
        detail: What happened, and what to do before it is run again; without any key.
    """

    reason: Reason
    detail: str = ""

    @property
    def exit_code(self) -> int:
        """Exit code of the program; tools.scrape says how to go on after each."""
        return EXIT_CODES[self.reason]


def nothing_found(lookups: int) -> Outcome:
    """Returns the end of a scrape in which no cell found anything."""
    detail = (
        f"no cell has imagery at any of {lookups:,} points; the reasons are counted above.\nNext: name another --source"
        " or --api_base, a larger radius, or fewer limits, with a new --out; --lookups_in_vain=0 asks for all points"
    )
    return Outcome("nothing_found", detail)
