"""Ledger of the requests to a simulated server, to check a client's counts.

An image request counts as used (`billable`) as soon as the service starts to work on it: with a view, without one (404,
the grey picture), and also if the answer fails on the way (5xx, a broken connection, damage). Refusals (400, 403, 429)
are free. The service documents no more than that views cost money, so this is the careful reading. Metadata are free.
"""

import collections
import contextlib
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

from geods.simulation.server import wire

ENDPOINTS = ("image", "metadata")
_WINDOW_S = 1.0


class Ledger:
    """Counters of requests and responses. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self.reset()

    def reset(self) -> None:
        """Resets the counters; requests under way still count as running."""
        with self._lock:
            self._requests: dict[str, collections.Counter[str]] = {name: collections.Counter() for name in ENDPOINTS}
            self._verdicts: collections.Counter[str] = collections.Counter()
            self._keys: collections.Counter[str] = collections.Counter()
            self._faults: collections.Counter[str] = collections.Counter()
            self._unknown: collections.Counter[str] = collections.Counter()
            self._views: collections.Counter[str] = collections.Counter()
            self._marks: collections.Counter[str] = collections.Counter()
            self._recent: dict[str, collections.deque[float]] = {name: collections.deque() for name in ENDPOINTS}
            self._peak = dict.fromkeys(ENDPOINTS, 0)
            self._billable = 0
            self._most_running = self._running

    @contextlib.contextmanager
    def running(self, endpoint: str) -> Iterator[None]:
        """Counts a request as under way while the block runs."""
        now_s = time.monotonic()
        with self._lock:
            self._running += 1
            self._most_running = max(self._most_running, self._running)
            recent = self._recent[endpoint]
            recent.append(now_s)
            while recent[0] <= now_s - _WINDOW_S:
                recent.popleft()
            self._peak[endpoint] = max(self._peak[endpoint], len(recent))
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1

    def answered(
        self, endpoint: str, reply: wire.Reply, key: str, unknown: Iterable[str] = (), fault: str = ""
    ) -> None:
        """Counts a response just before it is sent.

        Args:
            endpoint: One of ENDPOINTS.
            reply: The answer.
            key: Which key asked, in words that do not show it.
            unknown: Names of parameters that the service does not have.
            fault: Kind of the fault that shaped the answer; empty for none.
        """
        with self._lock:
            self._requests[endpoint]["none" if reply.delivery == "never" else str(reply.status)] += 1
            self._keys[key] += 1
            self._unknown.update(unknown)
            self._billable += reply.billed
            if reply.verdict:
                self._verdicts[reply.verdict] += 1
            if fault:
                self._faults[fault] += 1
            if reply.delivery == "whole":
                self._count_view(reply, 1)

    def sent(self, reply: wire.Reply) -> None:
        """Counts the view of a slow response that was sent whole."""
        with self._lock:
            if reply.delivery == "slow":
                self._count_view(reply, 1)

    def unsent(self, reply: wire.Reply) -> None:
        """Takes back the view of a response that could not be sent; it stays billed."""
        with self._lock:
            if reply.delivery == "whole":
                self._count_view(reply, -1)

    def mark(self, name: str) -> None:
        """Counts an unexpected event."""
        with self._lock:
            self._marks[name] += 1

    def views(self) -> dict[str, int]:
        """Returns how often each view ("pano|heading|fov|pitch|size") was sent."""
        with self._lock:
            return {name: count for name, count in self._views.items() if count > 0}

    def summary(self) -> dict[str, Any]:
        """Returns the counts as JSON values.

        Returns:
            requests: Requests by endpoint and HTTP status ("none": never answered).
            metadata_statuses: Metadata by their `status`.
            requests_by_key: Requests by key, shown by its number.
            faults: Faults by kind.
            billable: Image requests that count as used; see the module's docstring.
            unique_images: Different views that were sent whole at least once.
            repeated_images: How often a view was sent whole again.
            failed_images: Billable requests that brought no whole view.
            max_concurrent: Most requests under way at once.
            peak_per_s: Most requests within any second, by endpoint.
            unknown_parameters: Parameters that the service does not have, by name.
            redirects_followed: Requests that came to where a redirect pointed.
            server_errors: Requests on which the server itself failed.
        """
        views = self.views()
        with self._lock:
            return {
                "requests": {name: dict(counts) for name, counts in self._requests.items()},
                "metadata_statuses": dict(self._verdicts),
                "requests_by_key": dict(self._keys),
                "faults": dict(self._faults),
                "billable": self._billable,
                "unique_images": len(views),
                "repeated_images": sum(views.values()) - len(views),
                "failed_images": self._billable - sum(views.values()),
                "max_concurrent": self._most_running,
                "peak_per_s": dict(self._peak),
                "unknown_parameters": dict(self._unknown),
                "redirects_followed": self._marks["redirects_followed"],
                "server_errors": self._marks["server_errors"],
            }

    def _count_view(self, reply: wire.Reply, by: int) -> None:
        if reply.view:
            self._views[reply.view] += by
