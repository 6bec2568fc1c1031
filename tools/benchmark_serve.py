"""Measures a server's rate against its network's own.

    python -m tools.benchmark_serve --run_dir=runs/mlp --images=tree --work_dir=benchmark

Starts tools.serve once for each number of --clients, and lets so many clients send JPEGs over persistent connections;
the network alone predicts batches of the same images, decoded before. Readings alternate, between bursts of a matrix
product. Prints images a second, the share of the network's own rate, and the median and 99th percentile of the time an
answer takes. The clients use the same cores. Appends a line of JSON each to WORK_DIR/serve.jsonl.

With --views=1 it measures the loop of tools.predict on files instead, with --views=3 that of evaluation --imagery on
locations of three views, beside the network alone and an extraction of the same files, after their starts.
"""

import dataclasses
import json
import pathlib
from typing import Any

from geods import errors
from geods.cli import flags, program
from geods.storage import files
from tools.benchmarks import harness, results, trees

_CONTENDERS, _PRODUCT = "tools.benchmarks.contenders_serve", "tools.benchmarks.worker:MatrixProduct"
_NETWORK = "network alone"


@dataclasses.dataclass(frozen=True)
class Options(trees.ImageOptions):
    """Run, images and clients to measure."""

    run_dir: str = flags.option("", "Run folder that trainers.train wrote.", path="in")
    clients: tuple[int, ...] = flags.option((8, 32), "Numbers of clients that send requests at once.")
    batch_size: int = flags.option(32, "Images a batch, at most.")
    count: int = flags.option(256, "Images a reading.")
    views: int = flags.option(0, "Images a location, to measure files instead of a server; 0: a server.")

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If one is missing or out of range.
        """
        super().__post_init__()
        flags.check_given(self, run_dir="name a run folder: --run_dir=RUN")
        flags.check_at_least(self, 1, ("batch_size", "count"))
        flags.check_at_least(self, 0, ("views",))
        if not self.clients or min(self.clients) < 1 or max(self.clients) > self.count:
            problem = f"--clients={','.join(map(str, self.clients))}: are not from 1 to --count={self.count}."
            raise errors.OptionError(problem, "give --clients=8,32")


def main(settings: Options) -> None:
    """Measures and prints."""
    from trainers.runs import run_folder

    run = run_folder.check_run(settings.run_dir)
    work = pathlib.Path(settings.work_dir)
    work.mkdir(parents=True, exist_ok=True)
    # Any folder of JPEGs will do; the tree that is drawn without one is such a folder.
    folder = files.check_folder(settings.images, "name a folder of JPEGs") if settings.images else settings.tree()
    paths = sorted(folder.rglob("*.jpg"))[: settings.count]
    if not paths:
        raise errors.MissingFileError(f"{folder}: holds no .jpg file.", "name a folder of JPEGs")
    given: dict[str, Any] = {"run_dir": str(run), "images": list(map(str, paths)), "count": settings.count}
    given["batch_size"] = settings.batch_size
    found = [harness.Contender(_NETWORK, f"{_CONTENDERS}:Network", given)]
    counts = () if settings.views else settings.clients
    if settings.views:
        files_given = given | {"views": settings.views}
        found.append(harness.Contender(f"files, {settings.views} a location", f"{_CONTENDERS}:Files", files_given))
        found.append(harness.Contender("extraction", f"{_CONTENDERS}:Extraction", given))
    times = {f"{clients} clients": work / f"serve_{clients}.jsonl" for clients in counts}
    for (name, path), clients in zip(times.items(), counts, strict=True):
        path.unlink(missing_ok=True)
        arguments = given | {"clients": clients, "latencies": str(path)}
        found.append(harness.Contender(name, f"{_CONTENDERS}:Served", arguments, settings.count))
    measured = harness.measure(harness.Contender("peak", _PRODUCT, {}), found, settings.rounds)
    network = measured[0]

    def describe(result: harness.Result) -> tuple[list[str], dict[str, Any]]:
        name = result.contender.name
        share = results.against(result, network)
        p50_ms, p99_ms = percentiles(times[name]) if name in times else ("", "")
        cpu_share = result.items_per_cpu_s / network.items_per_cpu_s
        cells = [results.rate(result, 1), "1" if result is network else share, f"{result.items_per_cpu_s:.1f}"]
        cells.append(f"{cpu_share:.2f}")
        return [*cells, p50_ms, p99_ms], {"share_of_network": share, "p50_ms": p50_ms, "p99_ms": p99_ms}

    columns = (
        "predicted by",
        "images/s",
        "share of the network's",
        "a processor second",
        "by processor time",
        "median ms",
        "p99 ms",
    )
    results.report("serve", work, measured, columns, describe)


def percentiles(path: pathlib.Path) -> tuple[str, str]:
    """Returns the median and the 99th percentile of answers' times, ms.

    The first run's do not count.
    """
    import numpy as np

    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    p50, p99 = np.percentile(np.concatenate(rows) * 1000, (50, 99))
    return f"{p50:.0f}", f"{p99:.0f}"


if __name__ == "__main__":
    program.run(Options, main)
