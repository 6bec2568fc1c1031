"""The process of one contender: reads its arguments as a line of JSON, then obeys a word a line: run, or facts.

    (echo '{"size": 9}'; echo run) | python -m trainers.benchmarks.worker trainers.benchmarks.references:MatrixProduct

Started by `harness.Worker`; answers each line on standard input with a line of JSON.
"""

import importlib
import json
import os
import sys
import time
from typing import Any

import psutil


def main(target: str) -> None:
    """Builds the contender, then obeys."""
    # What libraries print must not come between the lines of JSON.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    module, _, name = target.partition(":")
    contender = getattr(importlib.import_module(module), name)(**json.loads(sys.stdin.readline()))
    print(json.dumps({}), file=answers, flush=True)
    for line in sys.stdin:
        found = _facts(contender) if line.strip() == "facts" else _run(contender)
        print(json.dumps(found), file=answers, flush=True)


def _facts(contender: Any) -> dict[str, Any]:  # noqa: ANN401
    """Returns what the contender says of itself, if it says anything."""
    return contender.facts() if hasattr(contender, "facts") else {}


def _run(contender: Any) -> dict[str, float]:  # noqa: ANN401 - whatever is measured
    """Lets the contender work once."""
    cpu_s, started_s = _cpu_s(), time.perf_counter()
    items = contender.run()
    seconds = time.perf_counter() - started_s
    return {"items": items, "seconds": seconds, "cpu_s": _cpu_s() - cpu_s, "peak_rss_mb": _peak_rss_mb()}


def _family() -> list[psutil.Process]:
    """Returns this process and all that it has started and that still run."""
    me = psutil.Process()
    return [me, *me.children(recursive=True)]


def _cpu_s() -> float:
    """Returns the processor seconds of this process, of its children that have ended, and of those that run."""
    times = [process.cpu_times() for process in _family()]
    # Children that have ended are counted by whom they belonged to.
    return sum(one.user + one.system + one.children_user + one.children_system for one in times)


def _peak_rss_mb() -> float:
    """Returns the most memory that this process and those it has started have held, MB."""
    return sum(_peak_of(process) for process in _family()) / 2**20


def _peak_of(process: psutil.Process) -> int:
    """Returns the most memory that a process has held, bytes; what it holds now, where the system does not say."""
    try:
        with open(f"/proc/{process.pid}/status", encoding="ascii", errors="replace") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return int(process.memory_info().rss)


if __name__ == "__main__":
    main(*sys.argv[1:])
