"""Counts by name that threads add to."""

import collections
import threading


class Tally:
    """Counts by name; for all threads."""

    def __init__(self) -> None:
        """Starts with nothing."""
        self._lock = threading.Lock()
        self._counts: collections.Counter[str] = collections.Counter()

    def add(self, name: str) -> None:
        """Adds 1 to a name."""
        with self._lock:
            self._counts[name] += 1

    def total(self) -> int:
        """Returns the sum of all."""
        with self._lock:
            return sum(self._counts.values())

    def counts(self) -> dict[str, int]:
        """Returns the count of each name, the greatest first."""
        with self._lock:
            return dict(self._counts.most_common())
