"""The process that hands a job to a Beam runner, and its workers' functions.

    python -m geods.beam.worker FOLDER

is started by `geods.beam.jobs` alone. FOLDER holds job.json, a file a task, and in the end one a result.
"""

import contextlib
import functools
import hashlib
import importlib
import json
import os
import pathlib
import platform
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from geods import errors
from geods.storage import files

JOB, LOG = "job.json", "log.txt"
DASK = "apache_beam.runners.dask.dask_runner.DaskRunner"
_CODE = ("geods", "model", "trainers")
_FOLDER = pathlib.Path(__file__).parents[2]


def task_path(folder: str | os.PathLike[str], number: int) -> pathlib.Path:
    """Returns the file of a task."""
    return pathlib.Path(folder, f"task-{number:06d}.json")


def result_path(folder: str | os.PathLike[str], number: int) -> pathlib.Path:
    """Returns the file that holds the result of a task."""
    return pathlib.Path(folder, f"result-{number:06d}.json")


@functools.lru_cache(maxsize=1)
def version() -> str:
    """Returns a hash of this project's code, and the libraries that decide its bytes."""
    # Only here: this module is imported for --help too, which would take 10 ms longer.
    from importlib import metadata

    digest = hashlib.sha256()
    for package in _CODE:
        for path in sorted((_FOLDER / package).rglob("*.py")):
            digest.update(f"{path.relative_to(_FOLDER).as_posix()}\n".encode() + path.read_bytes())
    others = (f"{name} {metadata.version(name)}" for name in ("tensorflow", "keras", "tensorflow-datasets"))
    return ", ".join([f"geods {digest.hexdigest()[:12]}", *others])


def threads() -> int:
    """Returns the number of threads of this Dask worker.

    A worker started with --nthreads=1 has one core of a machine that others share. On other runners it is 0: their
    tasks take all cores.
    """
    if distributed := sys.modules.get("distributed"):
        with contextlib.suppress(ValueError):
            return int(distributed.get_worker().state.nthreads)
    return 0


def work(number: int, folder: str) -> None:
    """Does one task on a worker; repeated, it does nothing.

    So a runner may repeat it.

    A mistake of the user is a result too: a runner would only try it again.
    """
    target = result_path(folder, number)
    if target.is_file():
        return
    try:
        job = json.loads(pathlib.Path(folder, JOB).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        problem = f"the worker on {platform.node()} does not see {folder}"
        raise FileNotFoundError(f"{problem}: all must see one disk under one path") from error
    task = json.loads(task_path(folder, number).read_text(encoding="utf-8"))
    try:
        _check_version(job["version"])
        result = {"value": _function(job["function"])(task, **job["arguments"])}
    except errors.GeodsError as error:
        result = {"error": [type(error).__name__, error.problem, error.next_step]}
        if isinstance(error, errors.MissingFileError):
            step = "give paths that all workers see and may read"
            result = {"error": [type(error).__name__, f"the worker on {platform.node()}: {error.problem}", step]}
    files.write_text(target, json.dumps(result))


def main(folder: str) -> None:
    """Gives all tasks without a result to the runner and waits for it."""
    import apache_beam as beam
    from apache_beam.options import pipeline_options

    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    job = json.loads(pathlib.Path(folder, JOB).read_text(encoding="utf-8"))
    if f"--runner={DASK}" in job["flags"]:
        # Or Beam would not know its options, and start a cluster of its own instead of asking the one that is named.
        importlib.import_module(DASK.rpartition(".")[0])
    left = [number for number in range(job["tasks"]) if not result_path(folder, number).is_file()]
    with beam.Pipeline(options=pipeline_options.PipelineOptions(flags=job["flags"])) as pipeline:
        pipeline | beam.Create(left) | beam.Reshuffle() | beam.Map(_work, folder=folder)


def _work(number: int, folder: str) -> None:
    """Does one task on a worker, which may lack geods.

    A function of __main__ reaches workers by value. One that they must import ends a Dask worker that cannot, and the
    job would wait for another one forever.
    """
    try:
        module = importlib.import_module("geods.beam.worker")
    except ImportError as error:
        raise ImportError(f"the worker on {platform.node()} has no geods ({error})") from error
    module.work(number, folder)


def _check_version(wanted: str) -> None:
    """Raises BeamError on a worker whose code differs from the starting program's."""
    if version() != wanted:
        problem = f"a worker runs {version()}, the program that asks for the work {wanted}."
        raise errors.BeamError(problem, "install the same versions on all workers, such as by one container image")


def _function(name: str) -> Callable[..., Any]:
    """Returns the function called module:name."""
    module, _, attribute = name.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return found


def _end_with_parent(parent: int) -> None:
    """Ends this process and its workers when the program that started it has ended."""
    while os.getppid() == parent:
        time.sleep(1)
    os.killpg(os.getpgid(0), signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1])
