"""Starts programs from a process that has imported the libraries already.

TensorFlow alone costs 5 s of processor time.

    python tests/support/programs/warm_start.py tensorflow keras

Each program still has a process of its own, with its own arguments, folder, environment and output: a fork of this one,
which has imported libraries and has done nothing with them. What a start without them costs, and what is imported when,
tests/system/test_programs.py finds out with processes of its own.

It is asked by lines of JSON, and answers each with the number of a process; how that ends stands in a file `status`.
"""

import importlib
import json
import os
import pathlib
import runpy
import signal
import sys

# Where the status of each process that runs is written to.
_folders: dict[int, str] = {}


def _run(order: dict) -> None:
    """Becomes the program."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        path = pathlib.Path(order["folder"], name)
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["repo"])
    sys.path[0] = order["repo"]
    # An import of these then raises.
    sys.modules.update(dict.fromkeys(order["absent"]))
    module, *words = order["arguments"]
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_as(order: dict) -> None:
    """Runs a program in this process and ends it, as the interpreter would."""
    status = 0
    try:
        _run(order)
    except SystemExit as end:
        # A text is printed, and counts as 1.
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        # Not a traceback: programs say themselves how an error is shown.
        sys.excepthook(*sys.exc_info())
        status = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _start(order: dict) -> int:
    """Starts a program in a fork, and returns the number of its process."""
    # It may end before it is noted where its status belongs.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    child = os.fork()
    if not child:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        _end_as(order)
    _folders[child] = order["folder"]
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
    return child


def _note_ends(*_: object) -> None:
    """Writes down how processes have ended: the exit status, or minus the signal."""
    while _folders:
        child, status = os.waitpid(-1, os.WNOHANG)
        if not child:
            return
        written = pathlib.Path(_folders.pop(child), "status.new")
        written.write_text(str(os.waitstatus_to_exitcode(status)))
        written.rename(written.with_name("status"))


def main() -> None:
    """Answers orders until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    sys.path[0] = str(pathlib.Path.cwd())
    for library in sys.argv[1:]:
        importlib.import_module(library)
    signal.signal(signal.SIGCHLD, _note_ends)
    for line in sys.stdin:
        print(_start(json.loads(line)), file=answers, flush=True)


if __name__ == "__main__":
    main()
