"""Starts programs from a process that has imported the libraries already.

TensorFlow alone costs 5 s of processor time.

    python tests/support/programs/warm_start.py FOLDER tensorflow keras

Each program still has a process of its own, with its own arguments, folder, environment and output: a fork of this one,
which has imported libraries and has done nothing with them. What a start without them costs, and what is imported when,
tests/system/test_programs.py finds out with processes of its own.

It is asked at FOLDER/socket by an order in JSON, with the streams of the program; it answers with the number of the
process, and later with its exit status. FOLDER/python stands in for Python (see warm_python.py), so that what programs
start by `sys.executable -m` comes from here as well. It ends when stdin does.
"""

import contextlib
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
from collections.abc import Sequence

# Who is sent how each process that runs ends: the exit status, or minus the signal.
_askers: dict[int, socket.socket] = {}


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


def _start(asker: socket.socket, environment: dict[str, str]) -> int | None:
    """Starts the program asked for, with the streams that come along, in a fork.

    Returns its number, or None where who asked was killed before the order was sent.
    """
    content, streams, _, _ = socket.recv_fds(asker, 1 << 20, 3)
    if not content:
        return None
    child = os.fork()
    if not child:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        _end_as(json.loads(content), streams, environment)
    for stream in streams:
        os.close(stream)
    _askers[child] = asker
    # Who asked may be killed meanwhile: this process serves others too, and `_serve` then ends the program.
    with contextlib.suppress(OSError):
        asker.send(str(child).encode())
    return child


def _report_ends(*_: object) -> None:
    """Sends each exit status to the process that asked for the program."""
    while _askers:
        child, status = os.waitpid(-1, os.WNOHANG)
        if not child:
            return
        # Who asked for it may have been killed.
        with contextlib.suppress(OSError):
            _askers.pop(child).send(str(os.waitstatus_to_exitcode(status)).encode())


def _serve(listener: socket.socket, environment: dict[str, str]) -> None:
    """Answers orders until stdin ends."""
    children: dict[socket.socket, int | None] = {}
    while True:
        ready = select.select([sys.stdin, listener, *children], [], [])[0][0]
        # A program may end before it is noted who asked for it.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
        if ready is sys.stdin:
            return
        if ready is listener:
            asker = listener.accept()[0]
            children[asker] = _start(asker, environment)
        else:
            # Who asked has ended: after the program, or killed, and then so is the program.
            if (child := children.pop(ready)) in _askers:
                os.kill(child, signal.SIGKILL)
            ready.close()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])


def main() -> None:
    """Imports the libraries, then answers orders."""
    sys.path[0] = str(pathlib.Path.cwd())
    folder = pathlib.Path(sys.argv[1])
    # Else each program searches half a million objects of libraries for garbage: 0.5 of 1.5 s to build an encoder.
    gc.disable()
    for library in sys.argv[2:]:
        importlib.import_module(library)
    gc.freeze()
    gc.enable()
    signal.signal(signal.SIGCHLD, _report_ends)
    stand_in = pathlib.Path(__file__).with_name("warm_python.py").read_text(encoding="utf-8")
    python = folder / "python"
    python.write_text(f"#!{sys.executable} -SE\n{stand_in}", encoding="utf-8")
    python.chmod(0o755)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(folder / "starting"))
        listener.listen()
        # Whoever finds the socket may ask.
        (folder / "starting").rename(folder / "socket")
        _serve(listener, {"GEODS_WARM": f"{sys.executable}|{folder / 'socket'}"})


if __name__ == "__main__":
    main()
