"""Rates compared fairly on a machine whose speed changes.

Every reading stands between two bursts of a reference.

A virtual machine gives its cores less time after seconds of load, unreported. So each contender runs in a
process of its own that stays, each of its readings is divided by the mean of the reference bursts before and after it,
and a reading whose bursts are below 0.85 of the best burst of all is dropped. Every other round goes in reverse order.
Where neighbours slow the cores most of the time, few readings are left; those whose two bursts at least agree, at
whatever speed, are kept apart as steady.
"""

import contextlib
import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import IO, Any, cast

from geods import errors

CLEAN = 0.85
_TICK_S = 0.01
_END_S = 30
_TRIES = 3
_SAID_LINES = 5


@dataclasses.dataclass(frozen=True)
class Contender:
    """Something to be measured.

    Attributes:
        name: What the table calls it.
        target: "module:callable"; the callable takes `arguments` by name and returns an object whose `run()` does the
            work once and returns how many items it did. Its `facts()`, if it has any, is asked for where the caller
            of `measure` wants them and returns a dict fit for JSON. Its `close()`, if it has any, is called at the end.
        arguments: For the callable, fit for JSON.
        items: How many items a run must do; 0 if that is not known.
    """

    name: str
    target: str
    arguments: dict[str, Any]
    items: int = 0


@dataclasses.dataclass(frozen=True)
class Reading:
    """One run between two bursts.

    Attributes:
        rate: Items a second.
        bursts: Items a second of the reference, before and after.
        per_cpu_s: Items a second of processor time.
        bursts_per_cpu_s: The same of the reference, before and after.
    """

    rate: float
    bursts: tuple[float, float]
    per_cpu_s: float
    bursts_per_cpu_s: tuple[float, float]

    @property
    def cpu_ratio(self) -> float:
        """Share of the reference's items a processor second, on a busy machine too."""
        return self.per_cpu_s / statistics.fmean(self.bursts_per_cpu_s)

    @property
    def ratio(self) -> float:
        """Rate as a share of the reference's."""
        return self.rate / statistics.fmean(self.bursts)

    @property
    def is_steady(self) -> bool:
        """Whether the machine was as fast after it as before, which may be slow."""
        return min(self.bursts) >= CLEAN * max(self.bursts)


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """All readings of a contender.

    Attributes:
        contender: The contender.
        first: The first run, with all that starts only once; not among the readings.
        readings: Clean readings.
        dropped: Number of readings beside a slow burst.
        steady: All readings, clean or not, between bursts that agree.
        items_per_cpu_s: Items a second of processor time, median.
        cpu_ratios: Shares by processor time of all readings, clean or not.
        peak_rss_mb: Most memory the process and those it started had held after the first run.
        facts: Facts the contender reported, if it was asked.
    """

    contender: Contender
    first: float
    readings: Sequence[Reading]
    dropped: int
    steady: Sequence[Reading]
    items_per_cpu_s: float
    cpu_ratios: Sequence[float]
    peak_rss_mb: float
    facts: dict[str, Any]

    @property
    def ratios(self) -> list[float]:
        """Ratios of the clean readings, in order."""
        return [reading.ratio for reading in self.readings]

    @property
    def steady_ratios(self) -> list[float]:
        """Ratios of the steady readings, in order."""
        return [reading.ratio for reading in self.steady]


class Worker:
    """A process that does a contender's work on demand."""

    def __init__(self, contender: Contender) -> None:
        """Starts it and waits until it is ready.

        Raises:
            BenchmarkError: If it ends before; what it said is in the message.
        """
        self.contender, self.peak_rss_mb = contender, 0.0
        command = [sys.executable, "-m", "tools.benchmarks.worker", contender.target]
        # A file and not a pipe, which would block a talkative library once it is full.
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said)
        self._ask(json.dumps(contender.arguments))

    def facts(self) -> dict[str, Any]:
        """Returns the facts that the contender reports.

        Raises:
            BenchmarkError: If the process ends.
        """
        return self._ask("facts")

    def run(self) -> tuple[float, float]:
        """Runs once; returns items a second and items a processor second.

        Raises:
            BenchmarkError: If the process ends, or does another number of items than it should.
        """
        found = self._ask("run")
        self.peak_rss_mb = found["peak_rss_mb"]
        if self.contender.items and found["items"] != self.contender.items:
            problem = f"{self.contender.name}: did {found['items']} items instead of {self.contender.items}."
            raise errors.BenchmarkError(problem, "its figure would be wrong; leave it out, or fix it")
        # The clock of processor time is coarse: a run too short for it counts as one tick.
        return found["items"] / found["seconds"], found["items"] / max(found["cpu_s"], _TICK_S)

    def close(self) -> None:
        """Ends the process, which may end others first."""
        try:
            self._process.communicate(timeout=_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        self._said.close()

    def _ask(self, question: str) -> dict[str, Any]:
        """Sends a line and waits for a line of JSON."""
        ours = cast(IO[bytes], self._process.stdin)
        with contextlib.suppress(BrokenPipeError):
            ours.write(question.encode() + b"\n")
            ours.flush()
        line = cast(IO[bytes], self._process.stdout).readline()
        if not line:
            self._process.wait()
            self._said.seek(0)
            said = self._said.read().strip().splitlines()[-_SAID_LINES:]
            self.close()
            raise errors.BenchmarkError(f"{self.contender.name}: ended: {' | '.join(said)}", "fix it, or leave it out")
        found: dict[str, Any] = json.loads(line)
        return found


def measure(
    reference: Contender,
    contenders: Sequence[Contender],
    rounds: int,
    check: Callable[[Contender, dict[str, Any]], None] | None = None,
    rest_s: float = 0.5,
) -> list[Result]:
    """Measures contenders against a reference.

    Args:
        reference: Does a burst of about 0.15 s a run.
        contenders: The contenders; their processes run side by side, one working at a time.
        rounds: Clean readings wanted of each; at most three times as many are taken.
        check: Given, it is called once with the facts of each contender before anything counts, and may refuse it.
        rest_s: Pause before each reading, in which a throttled machine recovers.

    Raises:
        BenchmarkError: If a contender fails, or is refused.
    """
    import tqdm

    with contextlib.ExitStack() as stack:
        burst, *workers = [
            stack.enter_context(contextlib.closing(Worker(contender))) for contender in (reference, *contenders)
        ]
        firsts = [worker.run()[0] for worker in workers]
        # Before the facts, for which some contenders hold more than for their work.
        peaks = [worker.peak_rss_mb for worker in workers]
        facts = [_checked(worker, check) for worker in workers] if check else [{}] * len(workers)
        burst.run()
        readings: list[list[Reading]] = [[] for _ in workers]
        with tqdm.tqdm(total=rounds * len(workers), desc="clean readings", unit="") as bar:
            for number in range(_TRIES * rounds):
                order = range(len(workers)) if number % 2 == 0 else reversed(range(len(workers)))
                best = _best(readings)
                for index in order:
                    if len(_clean(readings[index], best)) < rounds:
                        readings[index].append(_reading(burst, workers[index], rest_s))
                best = _best(readings)
                bar.update(sum(len(_clean(some, best)) for some in readings) - bar.n)
        best = _best(readings)
        about = zip(workers, firsts, peaks, facts, readings, strict=True)
        return [_result(*each, best) for each in about]


def _checked(worker: Worker, check: Callable[[Contender, dict[str, Any]], None]) -> dict[str, Any]:
    """Returns a contender's facts if it passes the check."""
    facts = worker.facts()
    check(worker.contender, facts)
    return facts


def _reading(burst: Worker, worker: Worker, rest_s: float) -> Reading:
    """Takes one reading."""
    time.sleep(rest_s)
    (before, cpu_before), (rate, per_cpu_s), (after, cpu_after) = burst.run(), worker.run(), burst.run()
    return Reading(rate, (before, after), per_cpu_s, (cpu_before, cpu_after))


def _best(readings: Sequence[Sequence[Reading]]) -> float:
    """Returns the best burst of all."""
    return max((burst for some in readings for reading in some for burst in reading.bursts), default=0.0)


def _clean(readings: Sequence[Reading], best: float) -> list[Reading]:
    """Returns the readings beside good bursts."""
    return [reading for reading in readings if min(reading.bursts) >= CLEAN * best]


def _result(
    worker: Worker, first: float, peak_mb: float, facts: dict[str, Any], readings: Sequence[Reading], best: float
) -> Result:
    """Sums up a contender."""
    clean = _clean(readings, best)
    per_cpu_s = statistics.median(reading.per_cpu_s for reading in readings)
    steady = [reading for reading in readings if reading.is_steady]
    cpu_ratios = [reading.cpu_ratio for reading in readings]
    dropped = len(readings) - len(clean)
    return Result(worker.contender, first, clean, dropped, steady, per_cpu_s, cpu_ratios, peak_mb, facts)
