"""The places of buckets that this process works on: brought here once, kept from others, sent back while it works.

A place is "in" (read: nothing is ever sent), "out" (written to: claimed from the start) or "may" (read, and in some
cases written to: claimed once there is something to send, so that reading needs no permission to write).
"""

import contextlib
import dataclasses
import os
import pathlib
import sys
import threading
import time
from collections.abc import Callable, Iterator

from geods import errors
from geods.remote import bucket, lease, pull, push, urls
from geods.storage import locks

# Each lets one do all that those before it do.
_MODES = ("in", "may", "out")
_SEND_S = 60
_LOOK_S, _TELL_S, _REST = 0.5, 2, 9


@dataclasses.dataclass
class _Place:
    """A place that is in use.

    Attributes:
        url: Where it is.
        mode: "in", "out" or "may".
        store: Its bucket.
        held: The lock of its mirror.
        claim: The claim on it, None if there is none yet.
    """

    url: urls.Url
    mode: str
    store: bucket.Bucket
    held: contextlib.ExitStack
    claim: lease.Lease | None = None

    def make_sure(self) -> None:
        """Claims the place if that is not done, or looks whether the claim is still there.

        Raises:
            BucketError: If another process has it, or was there since it was brought here.
        """
        if self.claim is not None:
            self.claim.check()
            return
        self.claim = lease.Lease(self.store, self.url)
        if not self.claim.goes_on and pull.plan(self.store, self.url, goes_on=False):
            problem = f"{self.url}: was changed by others since it was brought here."
            raise errors.BucketError(problem, "run the same command again")

    def let_go(self) -> None:
        """Removes the claim, if there is one; where that fails it is too old in a while."""
        if self.claim is not None:
            with contextlib.suppress(errors.BucketError):
                self.claim.release()


class Session:
    """All places of this process."""

    def __init__(self) -> None:
        """Begins with none."""
        self._places: list[_Place] = []
        self._buckets: dict[tuple[str, str], bucket.Bucket] = {}
        # Of the threads that send and renew; one of them at a time looks at the places.
        self._sending, self._ended = threading.Lock(), threading.Event()
        self._going = False
        self._lost: errors.BucketError | None = None
        self._of_parents = urls.held()
        urls.say_urls()

    def local(self, url: urls.Url, mode: str) -> pathlib.Path:
        """Brings a place here, if it is not, and returns where it lies.

        Raises:
            BucketError: If it does not answer or refuses, or another process works on it.
            DiskFullError: If there is no room for it.
        """
        if not self._has(url, mode):
            # What is read so far, and is to be written to now, or to be used with all that is round it.
            with self._sending:
                for place in [one for one in self._places if url.covers(one.url) and one.mode == "in"]:
                    self._places.remove(place)
                    place.held.close()
            place = self._open(url, mode)
            with self._sending:
                self._places.append(place)
            urls.hold([*self._of_parents, *((one.mode, one.url) for one in self._places)])
            if mode != "in" and not self._going:
                self._going = True
                self._keep_going()
        return url.local

    def send(self, show: bool = True) -> None:
        """Sends what has changed in the places that may be written to.

        Args:
            show: Whether to show how far it is, if it takes long.

        Raises:
            BucketError: If it cannot be sent, or another process has taken over.
        """
        with self._sending:
            written = [place for place in self._places if place.mode != "in"]
            with push.changes([(place.store, place.url) for place in written]) as found:
                for place, change in zip(written, found, strict=True):
                    if change:
                        place.make_sure()
                if self._lost:
                    raise self._lost
                push.send(found, show)

    def close(self) -> None:
        """Sends what is left, and lets the places go.

        Raises:
            BucketError: As `send`.
        """
        self._ended.set()
        try:
            self.send()
        finally:
            with self._sending, contextlib.ExitStack() as last:
                for place in self._places:
                    last.push(place.held)
                self._places = []
            urls.hold(self._of_parents)

    def _has(self, url: urls.Url, mode: str) -> bool:
        """Says whether a place is here already, in this process or in the one that started it."""
        there = [*self._of_parents, *((place.mode, place.url) for place in self._places)]
        return any(of.covers(url) and _MODES.index(has) >= _MODES.index(mode) for has, of in there)

    def _open(self, url: urls.Url, mode: str) -> _Place:
        """Brings a place here."""
        name = (url.scheme, url.bucket)
        store = self._buckets[name] = self._buckets.get(name) or bucket.Bucket(url)
        with contextlib.ExitStack() as held, _alone_in_fetching(url):
            place = _Place(url, mode, store, held)
            if mode == "out":
                _lock(held, url, alone=True)
                held.callback(place.let_go)
                push.sweep(url)
                place.claim = lease.Lease(store, url)
                pull.carry_out(store, url, pull.plan(store, url, place.claim.goes_on))
            else:
                _bring_to_read(store, url)
                _lock(held, url, alone=False)
                held.callback(place.let_go)
            place.held = held.pop_all()
        return place

    def _keep_going(self) -> None:
        """Starts what sends and renews while the program works."""
        every_s = float(os.environ.get("GEODS_MIRROR_SEND_S") or _SEND_S)
        for seconds, function in ((every_s, self._send_now), (lease.RENEW_S, self._renew)):
            threading.Thread(target=self._repeat, args=(seconds, function), daemon=True).start()

    def _repeat(self, seconds: float, function: Callable[[], None]) -> None:
        """Calls a function again and again; what it cannot do is tried the next time."""
        took_s = 0.0
        # Looking through a million files takes seconds, which are the program's.
        while not self._ended.wait(max(seconds, _REST * took_s)):
            began_s = time.monotonic()
            try:
                function()
            # Whatever it is: a thread that ended of it would let the claim grow old.
            except Exception as error:
                problem = error.problem if isinstance(error, errors.GeodsError) else f"{type(error).__name__}: {error}."
                print(f"{problem} It is tried again in {seconds:g} s.", file=sys.stderr)
            took_s = time.monotonic() - began_s

    def _send_now(self) -> None:
        """Sends, unless it is over."""
        if not self._lost:
            self.send(show=False)

    def _renew(self) -> None:
        """Renews the claims."""
        for claim in [place.claim for place in self._places if place.claim]:
            try:
                claim.renew()
            except errors.ClaimLostError as error:
                self._lost = error
                raise


_CURRENT: list[Session] = []


def current() -> Session:
    """Returns the session of this process."""
    if not _CURRENT:
        _CURRENT.append(Session())
    return _CURRENT[0]


def close(failed: bool = False) -> None:
    """Ends the session of this process, if there is one.

    Args:
        failed: Whether the program ends with an error, which counts more than one that comes now.

    Raises:
        BucketError: If what is left cannot be sent, unless `failed`.
    """
    if not _CURRENT:
        return
    try:
        _CURRENT.pop().close()
    except errors.GeodsError as error:
        if not failed:
            raise
        print(error.problem, file=sys.stderr)


def _bring_to_read(store: bucket.Bucket, url: urls.Url) -> None:
    """Brings a place here that nobody of this machine writes to."""
    with contextlib.ExitStack() as held:
        _lock(held, url, alone=False)
        plan = pull.plan(store, url, goes_on=False)
    if plan:
        with contextlib.ExitStack() as held:
            # Those who read it would see files of two states.
            _lock(held, url, alone=True)
            pull.carry_out(store, url, plan)


@contextlib.contextmanager
def _alone_in_fetching(url: urls.Url) -> Iterator[None]:
    """Waits until no other process brings the same place here."""
    lock = url.lock.with_name(f"{url.lock.name}.fetching")
    told_s = time.monotonic() + _TELL_S

    def busy(process: str) -> errors.BucketError:
        return errors.BucketError(f"{url}: process {process} is bringing it here.", "wait until it has")

    with contextlib.ExitStack() as held:
        while True:
            try:
                held.enter_context(locks.exclusive(lock, busy))
                break
            except errors.BucketError as error:
                if told_s and time.monotonic() > told_s:
                    print(f"{error.problem} Waiting for it.", file=sys.stderr)
                    told_s = 0
                time.sleep(_LOOK_S)
        yield


def _lock(held: contextlib.ExitStack, url: urls.Url, alone: bool) -> None:
    """Locks the mirror of a place, and with others all above it, so that nobody changes those as a whole."""
    for above in url.above():
        held.enter_context(locks.shared(above.lock, _busy(above)))
    lock = locks.exclusive if alone else locks.shared
    held.enter_context(lock(url.lock, _busy(url)))


def _busy(url: urls.Url) -> Callable[[str], errors.BucketError]:
    """Returns what makes the error for a place that another process of this machine works on."""

    def busy(process: str) -> errors.BucketError:
        # Those who share a lock do not write into it who they are.
        who = "another process" if process == "unknown" else f"process {process}"
        problem = f"{url}: {who} of this machine works on it."
        return errors.BucketError(
            problem, "wait until it ends, or name another place; $GEODS_MIRROR names another mirror"
        )

    return busy
