"""The one retry loop: when to ask again, and when to give up."""

import dataclasses
import random
import threading
from collections.abc import Callable
from typing import TypeVar

from geods import errors
from geods.scraping import rate, tally

Answer = TypeVar("Answer")

_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.5, 30.0
# A server may ask for an hour; the user, who sees nothing move, should rather be asked to come back.
_LONGEST_WISH_S = 120.0


class StoppedError(Exception):
    """The scrape is being stopped; nothing was sent."""


class GaveUpError(Exception):
    """No answer came, however often it was asked for.

    Args:
        cause: As errors.SourceRetry.cause.
        problem: The last one.
    """

    def __init__(self, cause: str, problem: str) -> None:
        """Keeps both."""
        super().__init__(problem)
        self.cause, self.problem = cause, problem


@dataclasses.dataclass(frozen=True)
class Retries:
    """How to ask for one kind of thing.

    Attributes:
        rate: When to send.
        attempts: Times to send, at most.
        stop: Set when nothing more shall be sent.
        again: Counts what made it ask again.
        delay_factor: 1; tests that do not want to wait give less.
    """

    rate: rate.Rate
    attempts: int
    stop: threading.Event
    again: tally.Tally
    delay_factor: float = 1.0

    def call(
        self,
        attempt: Callable[[], Answer],
        pay: Callable[[], None] = lambda: None,
        unpay: Callable[[], None] = lambda: None,
    ) -> Answer:
        """Returns what `attempt` returns.

        Args:
            attempt: Sends one request.
            pay: Called before each; what it raises ends the loop.
            unpay: Called if after `pay` nothing is sent, because of `stop`.

        Raises:
            StoppedError: If `stop` is set before anything came of it.
            GaveUpError: If the last attempt raised SourceRetry.
            SourceStop: From `attempt`, at once.
            ImageRefused: From `attempt`: at once if it is final, else from the last.
        """
        for number in range(1, self.attempts + 1):
            if self.stop.is_set():
                raise StoppedError
            # Paid first: writing that down takes time, and what comes after the wait comes off the rate.
            pay()
            if not self.rate.wait(self.stop):
                unpay()
                raise StoppedError
            try:
                return attempt()
            except errors.SourceRetry as error:
                if number == self.attempts:
                    raise GaveUpError(error.cause, error.problem) from error
                self.again.add(error.cause)
                self._wait(number, error)
            except errors.ImageRefused as error:
                if number == self.attempts or not error.transient:
                    raise
                self.again.add(f"{error.reason} image")
                self._wait(number, None)
        raise StoppedError

    def _wait(self, number: int, error: errors.SourceRetry | None) -> None:
        """Waits after attempt `number`, as long as the server asked for, or longer from time to time."""
        # Full jitter, so that threads that failed together do not come back together:
        # https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
        delay_s = random.uniform(0, min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2 ** (number - 1)))
        if error and error.after_s is not None:
            delay_s = min(error.after_s, _LONGEST_WISH_S)
        delay_s *= self.delay_factor
        if error and error.cause == "quota":
            # All threads have asked too fast, not this one.
            self.rate.pause(delay_s)
        else:
            self.stop.wait(delay_s)
