"""Tasks for workers of a Beam runner that tests look at, and kill."""

import os
import pathlib
import time

from geods import errors


def slowly(task: int, folder: str) -> int:
    """Notes who does the task, and takes a moment over it."""
    pathlib.Path(folder, f"{task}.{os.getpid()}").touch()
    time.sleep(0.4)
    return 10 * task


def refused(task: int) -> None:
    raise errors.TreeError(f"task {task}: cannot be done.", "leave it")
