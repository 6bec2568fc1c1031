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
import select
import shutil
import signal
import socket
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
LIGHT = (
    "fiona",
    "requests",
    "tqdm",
    "matplotlib.figure",
    "PIL.Image",
    "geods.cli.program",
    "geods.geo.partition",
    "geods.tree.layouts",
)
BARE = ("geods.cli.program",)
# What programs that need no TensorFlow cannot import in tests.
TENSORFLOW = ("tensorflow", "keras")
_LIBRARIES = {"heavy": HEAVY, "light": LIGHT, "bare": BARE}
# Names the folder of warm processes that several processes share.
_SHARED = "GEODS_WARM_FOLDER"


@dataclasses.dataclass
class Started:
    """A program that runs or has run: the parts of `subprocess.Popen` tests need."""

    pid: int
    folder: pathlib.Path
    warm: socket.socket
    status: int | None = None

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
        if self.status is None:
            with contextlib.suppress(BlockingIOError):
                self.status = int(self.warm.recv(64, socket.MSG_DONTWAIT))
        return self.status

    def wait(self, timeout_s: float | None = None) -> int:
        """Waits for its exit status."""
        if self.status is None:
            assert select.select([self.warm], [], [], timeout_s)[0], f"{self.stdout}\n{self.stderr}"
        status = self.poll()
        assert status is not None
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
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as warm:
        _connect(warm, warm_folder(*libraries))
        order = {"arguments": list(map(str, words)), "environment": environment, "absent": absent, "repo": str(REPO)}
        paths = [pathlib.Path(folder, name) for name in ("stdout", "stderr")]
        with open(os.devnull) as nothing, paths[0].open("a") as stdout, paths[1].open("a") as stderr:
            streams = [nothing.fileno(), stdout.fileno(), stderr.fileno()]
            socket.send_fds(warm, [json.dumps(order).encode()], streams)
        program = Started(int(warm.recv(64)), pathlib.Path(folder), warm)
        try:
            yield program
        finally:
            program.send(signal.SIGKILL)
            program.wait()
        canary.assert_clean(program.stdout + program.stderr)


def ended(
    libraries: Sequence[str], words: Sequence[object], environment: dict[str, str], absent: Sequence[str] = ()
) -> subprocess.CompletedProcess:
    """Runs a program to its end."""
    with started(libraries, words, environment, absent) as program:
        status = program.wait()
        return subprocess.CompletedProcess(words, status, program.stdout, program.stderr)


def run(command: Sequence[object], environment: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    """Runs the command line of a program that needs no TensorFlow to its end."""
    words = command[command.index("-m") + 1 :]
    return ended(LIGHT, words, dict(os.environ) if environment is None else environment, TENSORFLOW)


@contextlib.contextmanager
def warm_children(libraries: Sequence[str]) -> Iterator[None]:
    """Programs started by `sys.executable -m` then come from a warm process."""
    folder, before = warm_folder(*libraries), sys.executable
    sys.executable, os.environ["GEODS_WARM"] = str(folder / "python"), f"{before}|{folder / 'socket'}"
    try:
        yield
    finally:
        sys.executable = before
        del os.environ["GEODS_WARM"]


@contextlib.contextmanager
def shared_by_children() -> Iterator[None]:
    """Starts warm processes for the processes that this one starts in the block."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as ends:
        for name in _LIBRARIES:
            ends.callback(_start_warm(pathlib.Path(folder), name).communicate)
        os.environ[_SHARED] = folder
        yield
        del os.environ[_SHARED]


@functools.cache
def warm_folder(*libraries: str) -> pathlib.Path:
    """Folder of the warm process that has imported these, started if none is shared."""
    (name,) = (name for name, known in _LIBRARIES.items() if known == libraries)
    if _SHARED in os.environ:
        parent = pathlib.Path(os.environ[_SHARED])
    else:
        parent = pathlib.Path(tempfile.mkdtemp())
        atexit.register(shutil.rmtree, parent)
        atexit.register(_start_warm(parent, name).communicate)
    end_s = time.monotonic() + 300
    while not (parent / name / "socket").exists():
        assert time.monotonic() < end_s, (parent / name / "log").read_text()
        time.sleep(0.01)
    return parent / name


def _connect(warm: socket.socket, folder: pathlib.Path) -> None:
    """Connects to a warm process; an error says what it printed."""
    try:
        warm.connect(str(folder / "socket"))
    except OSError as error:
        error.add_note((folder / "log").read_text(encoding="utf-8"))
        raise


def _start_warm(parent: pathlib.Path, name: str) -> subprocess.Popen:
    """Starts a warm process, which ends with `communicate`."""
    (parent / name).mkdir()
    script = str(pathlib.Path(__file__).with_name("warm_start.py"))
    command = [sys.executable, script, str(parent / name), *_LIBRARIES[name]]
    # As program.run sets it, which in a fork comes after TensorFlow has looked.
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    with (parent / name / "log").open("w") as log:
        return subprocess.Popen(command, cwd=REPO, env=environment, stdin=subprocess.PIPE, stderr=log)
