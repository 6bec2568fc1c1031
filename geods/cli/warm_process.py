"""Programs forked one after another from a process with TensorFlow.

    with warm_process.WarmProcess(environment) as warm:
        status = warm.run(["trainers.train", "--run_dir=runs/mlp"])

Each runs as `python -m` would run it, but in a fork of a process that has imported TensorFlow and done nothing with it.
The import takes 2.6 s of the processor.
"""

import multiprocessing.connection
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

from geods.cli import backend, program


def is_possible() -> bool:
    """Returns whether programs may be forked from a process with TensorFlow.

    Other systems do not promise that their libraries survive a fork, and PyTorch must be imported before TensorFlow.
    """
    return sys.platform == "linux" and backend.name() == backend.DEFAULT


class WarmProcess:
    """A process that starts programs; it ends when this does.

    Args:
        environment: Of the process and its programs.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        with multiprocessing.connection.Listener(family="AF_UNIX") as listener:
            command = [sys.executable, "-m", __name__, str(listener.address)]
            self._process = subprocess.Popen(command, env=environment)
            self._connection = listener.accept()

    def run(self, words: Sequence[str]) -> int:
        """Runs a program, given as module and arguments.

        Returns:
            Its exit status, or minus the number of the signal that ended it.
        """
        try:
            self._connection.send(list(words))
            status: int = self._connection.recv()
        except (EOFError, OSError):
            # The process itself was ended, for want of memory perhaps.
            return self._process.wait() or 1
        return status

    def __enter__(self) -> "WarmProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._process.wait()


def main(address: str) -> None:
    """Imports TensorFlow and runs programs until the other side is closed."""
    # An interrupt ends this process, and later the program that runs.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # As programs set it, for which it would be too late.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with multiprocessing.connection.Client(address) as connection:
        program.import_quietly("tensorflow")
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        while True:
            try:
                words = connection.recv()
                child = os.fork()
                if not child:
                    break
                connection.send(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            # The other side has ended.
            except (EOFError, OSError):
                return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = words
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
