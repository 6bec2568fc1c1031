"""Output of the benchmarks: a table to read, a line of JSON a contender."""

import json
import os
import pathlib
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from geods import errors
from geods.storage import files
from tools.benchmarks import harness
from trainers.features import processor

_PACKAGES = (
    *("geods", "tensorflow", "tensorflow-datasets", "keras", "numpy", "pillow", "simplejpeg", "openvino"),
    *("torch", "grain", "webdataset", "datasets"),
)


def versions() -> dict[str, str]:
    """Returns the versions of Python and of all packages, and the processor."""
    import importlib.metadata

    found = {"python": platform.python_version(), "cores": str(os.cpu_count()), "processor": processor_name()}
    found["bfloat16"] = "in the processor" if processor.has_bfloat16() else "emulated"
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def as_json(benchmark: str, result: harness.Result, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - what JSON takes
    """Returns a result as a line of JSON has it."""
    ratios = result.ratios
    return {
        "benchmark": benchmark,
        "contender": result.contender.name,
        "median": statistics.median(ratios) if ratios else None,
        "least": min(ratios, default=None),
        "most": max(ratios, default=None),
        "rounds": len(ratios),
        "dropped": result.dropped,
        "steady_median": statistics.median(result.steady_ratios) if result.steady else None,
        "steady_rounds": len(result.steady),
        "items_per_s": statistics.median(reading.rate for reading in result.readings) if ratios else None,
        "first_items_per_s": result.first,
        "items_per_cpu_s": result.items_per_cpu_s,
        "cpu_median": statistics.median(result.cpu_ratios),
        "peak_rss_mb": result.peak_rss_mb,
        **more,
    }


def append(path: pathlib.Path, rows: Sequence[dict[str, Any]]) -> None:
    """Adds lines of JSON to a file, each with the time and the versions."""
    stamp = {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "versions": versions()}
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    files.write_text(path, before + "".join(json.dumps({**row, **stamp}) + "\n" for row in rows))


def chosen(contenders: Sequence[harness.Contender], names: Sequence[str]) -> list[harness.Contender]:
    """Returns the contenders of some names; all if there is none.

    Raises:
        OptionError: If no contender has one of the names.
    """
    known = [one.name for one in contenders]
    if strange := [name for name in names if name not in known]:
        raise errors.OptionError(f"--only={','.join(strange)}: there is no such.", f"choose from {', '.join(known)}")
    return [one for one in contenders if not names or one.name in names]


def report(
    benchmark: str,
    work: pathlib.Path,
    measured: Sequence[harness.Result],
    columns: Sequence[str],
    describe: Callable[[harness.Result], tuple[list[str], dict[str, Any]]],
) -> None:
    """Prints a table of all results and appends a line of JSON each to a file.

    Args:
        benchmark: Name of the benchmark and of its file.
        work: Folder of the file.
        measured: The results.
        columns: Titles between the first, which names the contender, and the last two, which all benchmarks have.
        describe: Returns the cells of these columns and further fields for JSON.
    """
    described = [describe(result) for result in measured]
    rows = [
        [one.contender.name, *cells, f"{one.peak_rss_mb:,.0f}", rounds(one)]
        for one, (cells, _) in zip(measured, described, strict=True)
    ]
    path = work / f"{benchmark}.jsonl"
    append(path, [as_json(benchmark, one, **more) for one, (_, more) in zip(measured, described, strict=True)])
    print(table([*columns, "peak MB", "clean, dropped, steady"], rows))
    print(f"{legend(measured)}wrote {path}")


def rate(result: harness.Result, digits: int = 0) -> str:
    """Returns the median of items a second, "" if there is no clean round."""
    if not result.readings:
        return ""
    return f"{statistics.median(reading.rate for reading in result.readings):,.{digits}f}"


def rounds(result: harness.Result) -> str:
    """Returns how many rounds count, were dropped, and were steady."""
    return f"{len(result.readings)}, {result.dropped}, {len(result.steady)}"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table whose columns line up."""
    cells = [list(columns), *map(list, rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(columns))]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    return "\n".join([lines[0], "| " + " | ".join("-" * width for width in widths) + " |", *lines[1:]])


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Returns a median with the least and the greatest value, or that there is none."""
    if not values:
        return "no clean round"
    least, most = min(values), max(values)
    return f"{statistics.median(values):,.{digits}f} [{least:,.{digits}f}..{most:,.{digits}f}]"


def shares(result: harness.Result, scale: float = 1.0) -> str:
    """Returns the spread of a result's ratios, times `scale`.

    Where none is clean, it is that of the steady ones, after "~".
    """
    found = result.ratios or result.steady_ratios
    mark = "~" if found and not result.ratios else ""
    return mark + spread([ratio * scale for ratio in found])


def against(ours: harness.Result, other: harness.Result) -> str:
    """Returns how many times as fast ours is: the ratio of the medians.

    The ratios are those that `shares` shows; the text is empty if one has none.
    """
    for mark, mine, theirs in (("", ours.ratios, other.ratios), ("~", ours.steady_ratios, other.steady_ratios)):
        if mine and theirs:
            return f"{mark}{statistics.median(mine) / statistics.median(theirs):.2f}"
    return ""


def legend(results: Sequence[harness.Result]) -> str:
    """Returns a line that explains "~", "" where it does not occur."""
    if all(result.ratios for result in results):
        return ""
    return "~: the cores were never as fast as at their best, but as fast before as after the reading\n"


def processor_name() -> str:
    """Returns Linux' name of the processor, "" elsewhere."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
