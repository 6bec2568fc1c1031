"""Retries, rate limit and counters of requests, shared by all threads."""

import collections
import dataclasses
import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from geods import errors


class Rate:
    """Gives out moments to send at, each once.

    Nobody catches up: a moment that no thread asked for is gone, so that any window of t seconds holds at most
    `per_s` x t + 1 of them. (A thread that wakes late sends late; the next is still on time.)

    Args:
        per_s: Requests a second.
        clock: Seconds, never going back.
    """

    def __init__(self, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Starts at once."""
        self._interval_s = 1 / per_s
        self._clock = clock
        self._next_s = clock()
        self._lock = threading.Lock()

    def reserve(self) -> float:
        """Takes the next moment and returns the seconds until then, 0 or more."""
        with self._lock:
            now_s = self._clock()
            moment_s = max(self._next_s, now_s)
            self._next_s = moment_s + self._interval_s
            return moment_s - now_s

    def pause(self, seconds: float) -> None:
        """Gives out no moment of the next `seconds`; those given out already stay."""
        with self._lock:
            self._next_s = max(self._next_s, self._clock() + seconds)

    def wait(self, stop: threading.Event) -> bool:
        """Waits for the next moment; returns False, at once, if `stop` is or gets set."""
        return not stop.wait(self.reserve())


class Tally:
    """Counts by name; for all threads."""

    def __init__(self) -> None:
        """Starts with nothing."""
        self._lock = threading.Lock()
        self._counts: collections.Counter[str] = collections.Counter()

    def add(self, name: str, count: int = 1) -> None:
        """Adds to a name."""
        with self._lock:
            self._counts[name] += count

    def total(self) -> int:
        """Returns the sum of all."""
        with self._lock:
            return sum(self._counts.values())

    def counts(self) -> dict[str, int]:
        """Returns the count of each name, the greatest first."""
        with self._lock:
            return dict(self._counts.most_common())


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

    rate: Rate
    attempts: int
    stop: threading.Event
    again: Tally
    delay_factor: float = 1.0

    def call(
        self,
        attempt: Callable[[], Answer],
        pay: Callable[[], None] = lambda: None,
        unpay: Callable[[], None] = lambda: None,
    ) -> Answer:
        """Returns the result of `attempt`.

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
        """Waits after attempt `number`, as long as the server asked for or longer."""
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
