"""Programs in processes of their own, as users start them.

But for the imports (see warm_start.py).
"""

import atexit
import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence

import canary
from checkout import REPO

# What programs that train or read datasets import, what the others do, and what all do before they read their flags.
# A build without apache_beam and mlcroissant in place imports them for 0.7 s, a program on a bucket s3fs for 0.4 s.
HEAVY = (
    *("tensorflow", "keras", "tensorflow_datasets", "matplotlib.pyplot", "shapely", "PIL.Image", "s3fs"),
    *("tensorflow_datasets.scripts.cli.build", "apache_beam", "mlcroissant"),
    *("trainers.features.extraction", "trainers.training.run", "trainers.evaluation.evaluation"),
)
LIGHT = ("fiona", "requests", "tqdm", "geods.cli.program", "geods.geo.partition", "geods.tree.layouts")
BARE = ("geods.cli.program",)


@dataclasses.dataclass(frozen=True)
class Started:
    """A program that runs or has run: the parts of `subprocess.Popen` tests need."""

    pid: int
    folder: pathlib.Path

    @property
    def stdout(self) -> str:
        """Output so far."""
        return (self.folder / "stdout").read_text(encoding="utf-8")

    @property
    def stderr(self) -> str:
        """Error output so far."""
        return (self.folder / "stderr").read_text(encoding="utf-8")

    def poll(self) -> int | None:
        """Returns its exit status, minus the signal that ended it, or None while it runs."""
        try:
            return int((self.folder / "status").read_text())
        except FileNotFoundError:
            return None

    def wait(self, timeout_s: float = float("inf")) -> int:
        """Waits for its exit status."""
        end_s = time.monotonic() + timeout_s
        while (status := self.poll()) is None:
            assert time.monotonic() < end_s, f"{self.stdout}\n{self.stderr}"
            time.sleep(0.002)
        return status

    def wait_to_say(self, words: str, after: int = 0) -> int:
        """Waits until the output holds these words after a position.

        Returns where they end.
        """
        while True:
            # Looked at first: a program may say it and end.
            status, text = self.poll(), self.stdout
            if (at := text.find(words, after)) >= 0:
                return at + len(words)
            assert status is None, f"{words!r} never came:\n{text}\n{self.stderr}"
            time.sleep(0.02)

    def send(self, number: signal.Signals) -> None:
        """Sends a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)


@contextlib.contextmanager
def started(
    libraries: Sequence[str], words: Sequence[object], environment: dict[str, str], absent: Sequence[str] = ()
) -> Iterator[Started]:
    """Starts a program, kills it at the end, and looks for the key in its output.

    Args:
        libraries: What the process that it is forked from has imported.
        words: The module and its arguments.
        environment: Of the program.
        absent: Modules that it shall not be able to import.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name in ("stdout", "stderr"):
            pathlib.Path(folder, name).touch()
        starter = _starter(*libraries)[0]
        order = {"arguments": list(map(str, words)), "environment": environment, "absent": absent}
        print(json.dumps({**order, "repo": str(REPO), "folder": folder}), file=starter.stdin, flush=True)
        program = Started(int(starter.stdout.readline()), pathlib.Path(folder))
        try:
            yield program
        finally:
            program.send(signal.SIGKILL)
            program.wait()
        canary.assert_clean(program.stdout + program.stderr)


def ended(
    libraries: Sequence[str], words: Sequence[object], environment: dict[str, str]
) -> subprocess.CompletedProcess:
    """Runs a program to its end."""
    with started(libraries, words, environment) as program:
        status = program.wait()
        return subprocess.CompletedProcess(words, status, program.stdout, program.stderr)


def run(command: Sequence[object], environment: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    """Runs the command line of a program that needs no TensorFlow to its end."""
    return ended(LIGHT, command[command.index("-m") + 1 :], dict(os.environ) if environment is None else environment)


@contextlib.contextmanager
def warm_children(libraries: Sequence[str]) -> Iterator[None]:
    """Programs started by `sys.executable -m` then come from a warm process."""
    python, address = _starter(*libraries)[1:]
    before, sys.executable, os.environ["GEODS_WARM"] = sys.executable, python, address
    try:
        yield
    finally:
        sys.executable = before
        del os.environ["GEODS_WARM"]


@functools.cache
def _starter(*libraries: str) -> tuple[subprocess.Popen, str, str]:
    """The warm process of this test process that has imported these.

    With the stand-in for Python and the value of $GEODS_WARM by which it is asked for.
    """
    command = [sys.executable, str(pathlib.Path(__file__).with_name("warm_start.py")), *libraries]
    # As program.run sets it, which in a fork comes after TensorFlow has looked.
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    starter = subprocess.Popen(command, cwd=REPO, env=environment, **pipes, text=True)
    atexit.register(starter.communicate)
    return starter, starter.stdout.readline().rstrip(), starter.stdout.readline().rstrip()
