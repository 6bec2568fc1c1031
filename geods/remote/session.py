"""The locations in buckets that a process uses: pulled once, pushed as it works.

A location is "in" (read: nothing is ever sent), "out" (written to: its lease is taken at the start) or "may" (read, and
in some cases written to: its lease is taken once there is something to send, so that reading needs no permission to
write).
"""

import contextlib
import functools
import os
import pathlib
import sys
import threading
import time
from collections.abc import Callable

from geods import errors
from geods.remote import bucket, lease, mirror, urls
from geods.storage import locks

# Each allows all that those before it allow.
_MODES = ("in", "may", "out")
_PUSH_S, _REST = 60, 9


class _Writer:
    """A location that may be written to; `take_lease` locks its mirror, too."""

    def __init__(self, store: bucket.Bucket, url: urls.Url) -> None:
        self._store, self._url, self._stack = store, url, contextlib.ExitStack()
        self.mirror = self._stack.enter_context(contextlib.closing(mirror.Mirror(store, url)))
        self.lease: lease.Lease | None = None
        self.close = self._stack.close

    def take_lease(self, pulled: bool) -> lease.Lease:
        """Takes or checks the lease; raises BucketError if others wrote after a pull."""
        if self.lease:
            self.lease.check()
            return self.lease
        with contextlib.ExitStack() as stack:
            _lock(stack, self._url)
            found = lease.Lease(self._store, self._url)
            stack.callback(found.release)
            if pulled and not found.resumes and self.mirror.moved()[1]:
                problem = f"{self._url}: was changed by others since it was downloaded."
                raise errors.BucketError(problem, "run the same command again")
            self._stack.enter_context(stack.pop_all())
        self.lease = found
        return found


class Session:
    """All locations of this process."""

    def __init__(self) -> None:
        self._writers: list[_Writer] = []
        self._buckets: dict[urls.Url, bucket.Bucket] = {}
        # Of the threads that push and renew; one of them at a time uses the mirrors.
        self._pushing, self._ended, self._started = threading.Lock(), threading.Event(), False
        self._inherited = urls.mirrored()
        urls.print_urls()

    def local(self, url: urls.Url, mode: str) -> pathlib.Path:
        """Returns the path of a mirror, pulled unless this process or a parent has."""
        there = urls.mirrored()
        if any(of.covers(url) and _MODES.index(has) >= _MODES.index(mode) for has, of in there):
            return url.local
        store = self._buckets[url.at("")] = self._buckets.get(url.at("")) or bucket.Bucket(url)
        # One process at a time pulls it; the others wait, and then find it here.
        with locks.exclusive(url.lock.with_suffix(".pulling")), contextlib.ExitStack() as stack:
            writer = _Writer(store, url)
            stack.callback(writer.close)
            if mode == "out":
                writer.mirror.pull(writer.take_lease(pulled=False).resumes)
                writer.mirror.drop_copies()
            elif writer.mirror.moved()[1]:
                with contextlib.ExitStack() as pulling:
                    _lock(pulling, url)
                    writer.mirror.pull()
            if mode != "in":
                stack.pop_all()
                with self._pushing:
                    self._writers.append(writer)
        urls.set_mirrored([*there, (mode, url)])
        if self._writers and not self._started:
            self._started = True
            push_s = float(os.environ.get("GEODS_MIRROR_SEND_S") or _PUSH_S)
            for seconds, work in ((push_s, lambda: self.push(show=False)), (lease.RENEW_S, self._renew)):
                threading.Thread(target=self._repeat, args=(seconds, work), daemon=True).start()
        return url.local

    def push(self, show: bool = True) -> None:
        """Sends changed files, or raises BucketError; `show` is for a progress bar."""
        with self._pushing:
            changed = [writer for writer in self._writers if any(writer.mirror.changes())]
            for writer in changed:
                writer.take_lease(pulled=True)
            mirror.push([writer.mirror for writer in changed], show)

    def close(self) -> None:
        """Sends the last changes and frees the locations; raises BucketError as `push`."""
        self._ended.set()
        try:
            self.push()
        finally:
            with self._pushing:
                for writer in self._writers:
                    writer.close()
                self._writers = []
            urls.set_mirrored(self._inherited)

    def _repeat(self, seconds: float, work: Callable[[], None]) -> None:
        pause_s = seconds
        while not self._ended.wait(pause_s):
            started_s = time.monotonic()
            try:
                work()
            # Whatever it is: a thread that ended of it would let the lease go stale.
            except Exception as error:
                problem = error.problem if isinstance(error, errors.GeodsError) else f"{type(error).__name__}: {error}."
                print(f"{problem} It is tried again in {seconds:g} s.", file=sys.stderr)
            # Looking through a million files takes seconds, which are the program's.
            pause_s = max(seconds, _REST * (time.monotonic() - started_s))

    def _renew(self) -> None:
        for writer in list(self._writers):
            if writer.lease:
                writer.lease.renew()


@functools.cache
def current() -> Session:
    """Returns the session of this process."""
    return Session()


def local_path(text: str | os.PathLike[str], *names: str) -> pathlib.Path:
    """Returns the path of names below a path, or below a URL, which is pulled."""
    if not urls.is_url(os.fspath(text)):
        return pathlib.Path(text, *names)
    return current().local(urls.parse("/".join([os.fspath(text).rstrip("/"), *names])), "in")


def close() -> None:
    """Ends the session of this process, if there is one, as `Session.close`."""
    if current.cache_info().currsize:
        session = current()
        current.cache_clear()
        session.close()


def _lock(stack: contextlib.ExitStack, url: urls.Url) -> None:
    """Locks a mirror, and shares the locks of all locations above it."""

    def busy(process: str) -> errors.BucketError:
        # Those who share a lock do not write their names into it.
        who = "another process" if process == "unknown" else f"process {process}"
        step = "wait until it ends, or name another location; $GEODS_MIRROR names another mirror"
        return errors.BucketError(f"{url}: {who} of this machine works on it.", step)

    for above in url.above():
        stack.enter_context(locks.shared(above.lock, busy))
    stack.enter_context(locks.exclusive(url.lock, busy))
