"""Starts programs from a process that has imported libraries already: TensorFlow alone costs 5 s of processor time.

    python tests/warm_start.py tensorflow keras

Each program still has a process of its own, with its own arguments, folder, environment and output: a fork of this one,
which has imported libraries and has done nothing with them. What a start without them costs, and what is imported when,
tests/test_programs.py finds out with processes of its own.
"""

import importlib
import json
import os
import runpy
import sys
import traceback


def _run(order: dict) -> None:
    """Becomes the program."""
    for number, path in ((1, order["stdout"]), (2, order["stderr"])):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    sys.path[0] = order["folder"]
    # An import of these then raises.
    sys.modules.update(dict.fromkeys(order["absent"]))
    module, *words = order["arguments"]
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _status_of(order: dict) -> int:
    """Runs a program in a fork and returns its exit status, or minus the signal that ended it."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 0
    try:
        _run(order)
    except SystemExit as end:
        # As the interpreter does it: a text is printed, and counts as 1.
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def main() -> None:
    """Answers orders until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    for library in sys.argv[1:]:
        importlib.import_module(library)
    for line in sys.stdin:
        print(_status_of(json.loads(line)), file=answers, flush=True)


if __name__ == "__main__":
    main()
