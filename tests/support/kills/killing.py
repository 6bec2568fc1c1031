"""Programs that can be killed anywhere, without the start of TensorFlow.

A `Nursery` is a process that has imported what the programs need and done nothing with it; every child is forked from
it into a process group of its own, runs the function of a program, and ends. Only the imports are shared.
"""

import contextlib
import os
import pathlib
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable

_PAUSE_S = 0.002


class Child:
    """A process that runs a function.

    Attributes:
        log: File with all it says.
    """

    def __init__(self, function: Callable[[], None], log: pathlib.Path) -> None:
        self.log, self._code = log, None
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self._live(function)

    def _live(self, function: Callable[[], None]) -> None:
        """Runs the function and ends the process."""
        code = 1
        try:
            os.setpgid(0, 0)
            target = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(target, 1)
            os.dup2(target, 2)
            function()
            code = 0
        # A child must not go on with what its parent does.
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def poll(self) -> int | None:
        """Returns the exit code, negative for a signal; None while it lives."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code

    def wait(self, seconds: float = float("inf"), until: Callable[[], bool] = lambda: False) -> int | None:
        """Waits until it ends, the time is over or something is so; returns `poll`."""
        end_s = time.monotonic() + seconds
        while self.poll() is None and time.monotonic() < end_s and not until():
            time.sleep(_PAUSE_S)
        return self.poll()

    def kill(self) -> None:
        """Kills its process group."""
        while self.poll() is None:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                # Not yet a group of its own.
                os.kill(self.pid, signal.SIGKILL)
            self.wait()


def run(function: Callable[[], None], log: pathlib.Path) -> float:
    """Runs a function in a process to its end; returns the seconds that took."""
    began_s = time.monotonic()
    child = Child(function, log)
    assert child.wait() == 0, log.read_text(encoding="utf-8")
    return time.monotonic() - began_s


def seen(folder: pathlib.Path) -> frozenset[tuple[pathlib.Path, int]]:
    """Returns all files below a folder with their times; changes with each write."""
    found = set()
    for place, _, names in os.walk(folder):
        for name in names:
            path = pathlib.Path(place, name)
            with contextlib.suppress(FileNotFoundError):
                found.add((path, path.stat().st_mtime_ns))
    return frozenset(found)


def kill_somewhere(child: Child, folder: pathlib.Path, whole_s: float, rng: random.Random) -> bool:
    """Kills a process at a random moment; returns False if it had ended before.

    Half of the kills come after a time between 0 and what an undisturbed one takes. The others come where torn files
    come from: within 20 ms of a random one of the first writes.
    """
    if rng.random() < 0.5:
        child.wait(rng.uniform(0, whole_s))
    else:
        for _ in range(rng.randint(1, 12)):
            before = seen(folder)
            child.wait(2 * whole_s, until=lambda before=before: seen(folder) != before)
        child.wait(rng.uniform(0, 0.02))
    if child.poll() is not None:
        assert child.poll() == 0, child.log.read_text(encoding="utf-8")
        return False
    child.kill()
    return True
