"""Tasks for workers of a Beam runner that tests look at, and kill."""

import os
import pathlib
import time

from geods import errors
from geods.beam import worker


def slowly(task: int, folder: str) -> int:
    """Records the process that does the task and its threads; takes a moment."""
    pathlib.Path(folder, f"{task}.{os.getpid()}").write_text(str(worker.threads()), encoding="utf-8")
    time.sleep(0.4)
    return 10 * task


def with_a_child(task: int) -> int:
    """Starts a child that is not yet another program for longer than a check.

    Workers are looked at in that time; then it ends.
    """
    child = os.fork()
    if not child:
        time.sleep(0.5)
        os._exit(0)
    os.waitpid(child, 0)
    return 10 * task


def refused(task: int) -> None:
    raise errors.TreeError(f"task {task}: cannot be done.", "leave it")
