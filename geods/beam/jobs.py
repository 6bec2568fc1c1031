"""Work divided among the workers of any Apache Beam runner.

    with jobs.workers(flags, data_dir) as workers:
        for result in workers.map("geods.dataset.build_plan:check", tasks, {}, "checking images"):
            ...

Beam does one thing here: it calls a function once for each task, anywhere, and again where a worker was lost. What a
task makes goes into files that are whole or not there, and its result, as JSON, into a folder that all workers see; so
no image goes through Beam, no runner needs to hand results back, and what is done stays done.
"""

import contextlib
import dataclasses
import importlib.util
import json
import os
import pathlib
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from geods import errors
from geods.beam import worker as beam_worker
from geods.storage import files

if TYPE_CHECKING:
    import tqdm


_POLL_S = 0.5
# Attempts that finish no task; the local runner waits forever for a worker process that has died.
_ATTEMPTS = 3
_WORKER = ["-m", "apache_beam.runners.worker.sdk_worker_main"]
_DASK = re.compile(rf"--runner=(dask(runner)?|{re.escape(beam_worker.DASK)})", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Workers:
    """A Beam runner.

    Attributes:
        flags: Beam's pipeline options, such as ("--runner=DirectRunner", "--direct_num_workers=2").
        folder: Where tasks and results go; every worker sees it under this path.
    """

    flags: tuple[str, ...]
    folder: pathlib.Path

    def map(self, function: str, tasks: Iterable[Any], arguments: Mapping[str, Any], description: str) -> Iterator[Any]:
        """Yields `function(task, **arguments)` for each task, in order.

        It yields after all are done.

        Args:
            function: "module:name"; it may be called twice for a task.
            tasks: What JSON can hold.
            arguments: The same.
            description: What the bar says.

        Raises:
            GeodsError: The first that a task has raised.
            BeamError: If the runner cannot be reached, fails, or keeps losing workers.
        """
        # Here and below: the options of the programs check their --beam_pipeline_options by this module.
        import tqdm

        folder = self.folder / secrets.token_hex(4)
        count = 0
        for count, task in enumerate(tasks, 1):
            files.write_text(beam_worker.task_path(folder, count - 1), json.dumps(task))
        job = {"function": function, "arguments": dict(arguments), "tasks": count, "flags": list(self.flags)}
        files.write_json(folder / beam_worker.JOB, job | {"version": beam_worker.version()})
        with tqdm.tqdm(total=count, desc=description, unit=" parts", disable=not count) as bar:
            fruitless = 0
            while bar.n < count and fruitless < _ATTEMPTS:
                before = bar.n
                if not (lost := _drive(folder, bar)):
                    break
                fruitless = 0 if bar.n > before else fruitless + 1
                bar.write(f"worker process {lost} is gone; {count - bar.n} of {count} parts are left")
            if fruitless == _ATTEMPTS:
                problem = f"the runner lost a worker {_ATTEMPTS} times, and nothing was done between."
                raise errors.BeamError(problem, "give workers more memory, or start fewer; what is finished stays")
        for number in range(count):
            yield _result(beam_worker.result_path(folder, number))


@contextlib.contextmanager
def workers(flags: Sequence[str], folder: str | os.PathLike[str]) -> Iterator[Workers]:
    """Gives workers with a hidden folder in `folder`, which is removed in the end.

    Args:
        flags: Beam's pipeline options, from `flags_of`.
        folder: A folder that every worker sees under this path.
    """
    own = pathlib.Path(folder).absolute() / f".beam.{secrets.token_hex(4)}"
    try:
        yield Workers(tuple(_with_defaults(flags)), own)
    finally:
        shutil.rmtree(own, ignore_errors=True)


def flags_of(text: str) -> tuple[str, ...]:
    """Returns the flags of a text like "runner=DirectRunner,x=1".

    They are those that `tfds build --beam_pipeline_options` takes.

    Raises:
        OptionError: If one has no name.
    """
    words = tuple(word.strip() for word in text.split(","))
    if not all(word and word[0] not in "-=" for word in words):
        problem = f"--beam_pipeline_options={text}: is not a list of name=value."
        raise errors.OptionError(problem, "give it as runner=DirectRunner,direct_num_workers=2")
    return tuple(f"--{word}" for word in words)


def flags_of_config(download_config: Any) -> tuple[str, ...]:  # noqa: ANN401 - of TFDS
    """Returns the words of --beam_pipeline_options; none where Beam is not asked for.

    Raises:
        OptionError: If it holds a runner, which the workers are not started by.
    """
    if download_config.beam_runner is not None:
        problem = f"beam_runner={download_config.beam_runner!r}: workers are started by options alone."
        raise errors.OptionError(problem, "name it in beam_options, as runner=DirectRunner")
    options = download_config.beam_options
    if options is None:
        return ()
    # As they were given: parsed, they lose those of runners that are not imported yet, and Beam cannot write lists or
    # False as flags again. Only options made without words have none.
    if options._flags is None:
        options = options.from_dictionary(options.get_all_options(drop_default=True))
    return tuple(options._flags)


def _with_defaults(flags: Sequence[str]) -> Iterator[str]:
    """Yields flags with our defaults.

    These are short timeouts, little output of workers, and a part for each task on Dask.

    Raises:
        OptionError: If the flags name Dask and it is not installed.
    """
    defaults = ["--job_server_timeout=20", "--default_sdk_harness_log_level=ERROR"]
    names = {flag.partition("=")[0] for flag in flags}
    if is_dask := any(_DASK.fullmatch(flag) for flag in flags):
        if importlib.util.find_spec("distributed") is None:
            raise errors.OptionError("runner=DaskRunner: Dask is not installed.", 'pip install "geods[dask]"')
        defaults.append("--dask_connection_timeout=10")
        # Beam 2.77 would hand up to 128 tasks to one worker, and its Reshuffle does nothing there.
        if not {"--dask_npartitions", "--dask_partition_size"} & names:
            defaults.append("--dask_partition_size=1")
    # Beam does not know this one by its short name.
    yield from (f"--runner={beam_worker.DASK}" if is_dask and _DASK.fullmatch(flag) else flag for flag in flags)
    yield from (default for default in defaults if default.partition("=")[0] not in names)


def _drive(folder: pathlib.Path, bar: "tqdm.tqdm") -> int:
    """Runs the job once; returns 0, or the number of a worker process that died.

    Raises:
        BeamError: If the runner fails.
        GeodsError: If a task has raised one.
    """
    log = folder / beam_worker.LOG
    paths = [str(pathlib.Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "geods.beam.worker", str(folder)]
    with open(log, "wb") as said:
        driver = subprocess.Popen(command, stdout=said, stderr=said, env=environment, start_new_session=True)
        try:
            lost = _watch(driver, folder, bar)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(driver.pid, signal.SIGKILL)
            code = driver.wait()
    if not lost and code:
        lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        problem = f"Beam's runner ended with code {code}: {lines[-1][:500] if lines else 'it said nothing'}"
        step = "see that it runs, and that all workers have this geods and see the folders; what is finished stays"
        raise errors.BeamError(problem, step)
    return lost


def _watch(driver: subprocess.Popen[bytes], folder: pathlib.Path, bar: "tqdm.tqdm") -> int:
    """Moves the bar until the runner has ended or lost a worker.

    Returns 0 or that worker's number.
    """
    seen, tasks = set[int](), sum(1 for _ in folder.glob("task-*.json"))
    while True:
        ended = driver.poll() is not None
        done = {path.name for path in folder.glob("result-*.json")}
        if len(done) > bar.n:
            bar.update(len(done) - bar.n)
        if ended:
            return 0
        alive = _worker_processes(driver.pid)
        if seen - alive and len(done) < tasks and driver.poll() is None:
            return min(seen - alive)
        seen |= alive
        time.sleep(_POLL_S)


def _worker_processes(driver: int) -> set[int]:
    """Returns the worker processes of the local runner; other runners have none here."""
    import psutil

    parents: dict[int, int] = {}
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(driver).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                # Not the shell that starts it, which has the whole command as one word.
                if child.status() != psutil.STATUS_ZOMBIE and child.cmdline()[1:3] == _WORKER:
                    parents[child.pid] = child.ppid()
    # Until a process that a worker starts has become another program, it looks like a worker: on a busy machine it was
    # taken for one that was soon gone, and the job begun again.
    return {worker for worker, parent in parents.items() if parent not in parents}


def _result(path: pathlib.Path) -> Any:  # noqa: ANN401 - whatever the function gave
    """Returns the result of a task, or raises its error."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        # Dask's runner ends without an error when its scheduler is gone.
        problem = f"{path}: the runner has ended without this result."
        step = (
            "see that its scheduler runs and that all workers see this folder, and start again; what is finished stays"
        )
        raise errors.BeamError(problem, step) from error
    if "error" in found:
        name, problem, next_step = found["error"]
        raise getattr(errors, name)(problem, next_step)
    return found["value"]
