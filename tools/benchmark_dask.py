"""Measures builds and extractions on Dask by number of locations and of workers.

    python -m tools.benchmark_dask --sizes=10000,100000 --workers=0,2 --rounds=1
    python -m tools.benchmark_dask --images=TREE --workers=1,2 --backbone=mobilenet_v2 --height_px=200 --width_px=400

Starts a scheduler and worker processes of one thread on this machine for each program, runs it, and ends them, so that
seconds of the processor and most memory are those of that program. The workers have imported Keras before it starts.
0 workers is one process without Beam. The second form takes the images of a tree; the first draws tiny ones. Appends a
line of JSON to WORK_DIR/dask.jsonl after each program, and prints medians of rounds that alternate.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence

from geods import errors
from geods.cli import flags, program
from tools.benchmarks import results, stages, trees

_COLUMNS = ("program", "locations", "workers", "s", "times", "driver MB", "worker MB", "driver CPU s", "worker CPU s")
_START_S = 300


@dataclasses.dataclass(frozen=True)
class Options(trees.EncoderImageOptions):
    """Images, encoder and numbers of workers."""

    sizes: tuple[int, ...] = flags.option((), "Numbers of locations of trees of tiny images that are drawn.")
    workers: tuple[int, ...] = flags.option((1, 2), "Numbers of worker processes; 0 is one process without Beam.")
    block_rows: int = flags.option(1024, "Images a block of the cache.")

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
            OptionError: If one is too small, or no number of workers is given.
        """
        super().__post_init__()
        flags.check_at_least(self, 1, ("block_rows",))
        if min(self.workers, default=-1) < 0 or min(self.sizes, default=100) < 100:
            problem = f"--workers={self.workers} --sizes={self.sizes}: cannot be measured."
            raise errors.OptionError(problem, "give workers of 0 or more, as --workers=1,2, and sizes of 100 or more")


@dataclasses.dataclass(frozen=True)
class Row:
    """One program on one cluster: itself, and its workers as one."""

    locations: int
    workers: int
    driver: stages.Measured
    worker_mb: float
    worker_s: float


def main(settings: Options) -> None:
    """Measures and prints."""
    work = pathlib.Path(settings.work_dir)
    work.mkdir(parents=True, exist_ok=True)
    measured: dict[tuple[str, int, int], list[Row]] = {}
    for _ in range(settings.rounds):
        for count in settings.sizes or (0,):
            for workers in settings.workers:
                for row in _programs(settings, work, count, workers):
                    line = dataclasses.asdict(row) | {"benchmark": "dask"}
                    results.append(work / "dask.jsonl", [line])
                    print(json.dumps(line), flush=True)
                    measured.setdefault((row.driver.name, count, workers), []).append(row)
    print(results.table(_COLUMNS, [_cells(measured, key, settings.workers[0]) for key in sorted(measured)]))
    print(f"wrote {work / 'dask.jsonl'}")


def _cells(measured: dict[tuple[str, int, int], list[Row]], key: tuple[str, int, int], least: int) -> list[str]:
    """Returns a row of the table: medians, and speed beside the first number."""
    name, count, workers = key
    rows, first = measured[key], measured[name, count, least]
    times = [one.driver.seconds / other.driver.seconds for one, other in zip(first, rows, strict=True)]
    driver_mb, worker_mb = max(row.driver.peak_rss_mb for row in rows), max(row.worker_mb for row in rows)
    medians = (statistics.median(row.driver.processor_s for row in rows), statistics.median(r.worker_s for r in rows))
    seconds = statistics.median(row.driver.seconds for row in rows)
    return [
        *(name, f"{rows[0].locations:,}", str(workers), f"{seconds:,.1f}", results.spread(times, 2)),
        *(f"{driver_mb:,.0f}", f"{worker_mb:,.0f}", f"{medians[0]:,.1f}", f"{medians[1]:,.1f}"),
    ]


def _programs(settings: Options, work: pathlib.Path, count: int, workers: int) -> Iterator[Row]:
    """Builds and extracts one tree on a cluster of its own each."""
    from geods.tree import layouts

    root = trees.tiny(work / f"tree{count}", count) if count else settings.tree()
    data, cache = str(work / f"data{count}-{workers}"), str(work / f"cache{count}-{workers}")
    encoder: tuple[str, ...] = trees.TINY_ENCODER
    if not count:
        sizes = (f"--height_px={settings.height_px}", f"--width_px={settings.width_px}")
        encoder = (*sizes, f"--backbone={settings.backbone}", f"--backbone_weights={settings.backbone_weights}")
        encoder = (*encoder, "--pooling=avg")
    extract = ("-m", "trainers.extract", f"--data_dir={data}", "--config=random", f"--cache_dir={cache}", "--overwrite")
    programs = {
        "build": trees.build_words(str(root), data, "random"),
        "extract": (*extract, *encoder, f"--block_rows={settings.block_rows}", "--splits=train"),
    }
    locations = count or len(layouts.read(root))
    for name, words in programs.items():
        with _cluster(work, workers) as (flag, ended):
            driver = stages.run(name, (*words, *flag), work / "log.txt")
        peaks = [usage.ru_maxrss / 1024 for usage in ended]
        seconds = sum(usage.ru_utime + usage.ru_stime for usage in ended)
        yield Row(locations, workers, driver, max(peaks, default=0.0), seconds)


@contextlib.contextmanager
def _cluster(work: pathlib.Path, workers: int) -> Iterator[tuple[Sequence[str], list[resource.struct_rusage]]]:
    """Gives the flag of a cluster, and a list of what its workers took."""
    ended: list[resource.struct_rusage] = []
    if not workers:
        yield (), ended
        return
    file = (work / "scheduler.json").absolute()
    file.unlink(missing_ok=True)
    common = ("--no-dashboard", f"--scheduler-file={file}")
    start = lambda kind, *words: subprocess.Popen(  # noqa: E731
        [sys.executable, "-m", f"distributed.cli.dask_{kind}", *common, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    scheduler = start("scheduler", "--host=127.0.0.1", "--port=0")
    one = ("worker", "--nthreads=1", "--no-nanny", f"--local-directory={work / 'dask'}", "--preload=keras")
    processes = [start(*one) for _ in range(workers)]
    try:
        address = _address(file, workers)
        yield (f"--beam_pipeline_options=runner=DaskRunner,dask_client_address={address}",), ended
    finally:
        # A worker that has lost its scheduler waits for another one, also after SIGTERM.
        for process in (*processes, scheduler):
            process.kill()
        for process in processes:
            # Not process.wait(), which forgets the memory.
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            ended.append(usage)
        scheduler.wait()


def _address(file: pathlib.Path, workers: int) -> str:
    """Returns the address of a scheduler that its workers have joined.

    Raises:
        BenchmarkError: If they do not start.
    """
    import distributed

    try:
        with distributed.Client(scheduler_file=str(file), timeout=_START_S) as client:
            client.wait_for_workers(workers, timeout=_START_S)
            return str(json.loads(file.read_text(encoding="utf-8"))["address"])
    except (OSError, TimeoutError) as error:
        problem = f"Dask's scheduler and workers did not start in {_START_S} s."
        raise errors.BenchmarkError(
            problem, 'pip install "geods[dask]", and try when the machine is less busy'
        ) from error


if __name__ == "__main__":
    program.run(Options, main)
