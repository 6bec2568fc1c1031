"""One clock for all threads: no more requests than allowed, evenly spaced."""

import threading
import time
from collections.abc import Callable


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
