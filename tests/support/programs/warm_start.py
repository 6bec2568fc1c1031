"""Starts programs from a process that has imported the libraries already.

TensorFlow alone costs 5 s of processor time.

    python tests/support/programs/warm_start.py tensorflow keras

Each program still has a process of its own, with its own arguments, folder, environment and output: a fork of this one,
which has imported libraries and has done nothing with them. What a start without them costs, and what is imported when,
tests/system/test_programs.py finds out with processes of its own.

It prints the path of a stand-in for Python, by which programs are asked for at a socket, and the $GEODS_WARM that this
needs (see warm_python.py). Then it is asked by lines of JSON, and answers each with the number of a process; how that
ends stands in a file `status`.
"""

import contextlib
import functools
import gc
import importlib
import json
import os
import pathlib
import runpy
import select
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence

# What is told how each process that runs ends: the exit status, or minus the signal.
_told: dict[int, Callable[[int], object]] = {}


def _run(order: dict, streams: Sequence[int], environment: dict[str, str]) -> None:
    """Becomes the program, with these as stdin, stdout and stderr."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    # Those of the warm process think that they are still the files they were.
    sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(order["environment"] | environment)
    sys.executable = str(pathlib.Path(environment["GEODS_WARM"].partition("|")[2]).with_name("python"))
    os.chdir(order["repo"])
    sys.path[:1] = [order["repo"], *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    # An import of these then raises.
    sys.modules.update(dict.fromkeys(order["absent"]))
    module, *words = order["arguments"]
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_as(order: dict, streams: Sequence[int], environment: dict[str, str]) -> None:
    """Runs a program in this process and ends it, as the interpreter would."""
    status = 0
    try:
        _run(order, streams, environment)
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


def _start(order: dict, streams: Sequence[int], environment: dict[str, str], tell: Callable[[int], object]) -> int:
    """Starts a program in a fork, and returns the number of its process."""
    child = os.fork()
    if not child:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        _end_as(order, streams, environment)
    _told[child] = tell
    for stream in streams:
        os.close(stream)
    return child


def _tell_of_ends(*_: object) -> None:
    """Tells how processes have ended."""
    while _told:
        child, status = os.waitpid(-1, os.WNOHANG)
        if not child:
            return
        # Who asked for it may have been killed.
        with contextlib.suppress(OSError):
            _told.pop(child)(os.waitstatus_to_exitcode(status))


def _write_status(folder: pathlib.Path, status: int) -> None:
    """Writes an exit status that is whole when it is there."""
    written = folder / "status.new"
    written.write_text(str(status))
    written.rename(folder / "status")


def _start_of_test(order: dict, environment: dict[str, str]) -> int:
    """Starts what a test asks for, with files as its output."""
    folder, flags = pathlib.Path(order["folder"]), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    outputs = [os.open(folder / name, flags, 0o644) for name in ("stdout", "stderr")]
    streams = [os.open(os.devnull, os.O_RDONLY), *outputs]
    return _start(order, streams, environment, functools.partial(_write_status, folder))


def _start_of_program(asker: socket.socket, environment: dict[str, str]) -> int:
    """Starts what a program asks for, with the streams of that."""
    content, streams, _, _ = socket.recv_fds(asker, 1 << 20, 3)
    child = _start(json.loads(content), streams, environment, lambda status: asker.send(str(status).encode()))
    asker.send(str(child).encode())
    return child


def _serve(listener: socket.socket, environment: dict[str, str]) -> None:
    """Answers orders until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    children: dict[socket.socket, int] = {}
    while True:
        ready = select.select([sys.stdin, listener, *children], [], [])[0][0]
        # A program may end before it is noted who is told of it.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
        if ready is sys.stdin:
            # It holds no second line: each is answered before the next is sent.
            line = sys.stdin.readline()
            if not line:
                return
            print(_start_of_test(json.loads(line), environment), file=answers, flush=True)
        elif ready is listener:
            asker = listener.accept()[0]
            children[asker] = _start_of_program(asker, environment)
        else:
            # Who asked has ended: after the program, or killed, and then so is the program.
            if (child := children.pop(ready)) in _told:
                os.kill(child, signal.SIGKILL)
            ready.close()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])


def main() -> None:
    """Imports the libraries, then answers orders."""
    sys.path[0] = str(pathlib.Path.cwd())
    # Else each program searches half a million objects of libraries for garbage: 0.5 of 1.5 s to build an encoder.
    gc.disable()
    for library in sys.argv[1:]:
        importlib.import_module(library)
    gc.freeze()
    gc.enable()
    signal.signal(signal.SIGCHLD, _tell_of_ends)
    stand_in = pathlib.Path(__file__).with_name("warm_python.py").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        address = str(pathlib.Path(folder, "socket"))
        listener.bind(address)
        listener.listen()
        python = pathlib.Path(folder, "python")
        python.write_text(f"#!{sys.executable} -SE\n{stand_in}", encoding="utf-8")
        python.chmod(0o755)
        print(python, f"{sys.executable}|{address}", sep="\n", flush=True)
        _serve(listener, {"GEODS_WARM": f"{sys.executable}|{address}"})


if __name__ == "__main__":
    main()
