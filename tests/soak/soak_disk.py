"""Soak of writers and programs on full and read-only disks.

    python tests/soak/soak_disk.py --part=writers,programs,tools --step_kb=64

In a namespace of its own it mounts a small disk in memory and fills it, each time with 64 kB more of it free, until
what is to be written fits. `writers` are the functions that write a file, `programs` building, extracting, training and
evaluating, `tools` those that make trees and pictures. Each says which file does not fit, how many bytes are needed and
how many are free; what was there before stays as it was, and nothing is left beside it; with room again, the same
program ends as an undisturbed one.
"""

import argparse
import itertools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import _support_path  # noqa: F401 - before the modules it makes known
from namespaces import NAMESPACE

from geods import errors

_SIZE_KB, _TIMES = 8192, 100
_INSIDE = "--inside"
_NEEDED = r"[\d,]+ bytes are needed, [\d,]+ are free"


def mount(place: pathlib.Path, *options: str) -> None:
    """Mounts a disk in memory, or changes one."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "none", place], check=True)


def fill(place: pathlib.Path, free_kb: int) -> None:
    """Fills a disk so far that so much is free."""
    status = os.statvfs(place)
    size = status.f_bavail * status.f_frsize - free_kb * 1024
    (place / "filler").write_bytes(bytes(max(0, size)))


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    """Returns all files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def empty(place: pathlib.Path) -> pathlib.Path:
    """Removes all from a disk, and returns a new folder on it."""
    (place / "filler").unlink(missing_ok=True)
    shutil.rmtree(place / "work", ignore_errors=True)
    (place / "work").mkdir()
    return place / "work"


def refused(write: Callable[[], object], folder: pathlib.Path, said: str) -> bool:
    """Writes; returns whether that ended in one message with path and next step."""
    told = None
    try:
        write()
    except errors.GeodsError as error:
        told = error
    if told:
        assert re.search(said, told.problem), told
        assert str(folder) in told.problem, told
        assert told.next_step, told
    return told is not None


def writers(place: pathlib.Path, step_kb: int) -> dict:
    """Runs each function that writes."""
    import writers as functions

    seen = {}
    for name, write in functions.WRITERS.items():
        folder, free_kb = empty(place), 0
        written = write(folder, _TIMES)
        new = written.read_bytes()
        while True:
            old = write(empty(place), 1).read_bytes()
            before = set(contents(folder))
            fill(place, free_kb)
            if not refused(lambda: write(folder, _TIMES), folder, _NEEDED):  # noqa: B023
                break
            assert written.read_bytes() in (old, new), name
            assert set(contents(folder)) <= before | {"index.json"}, name
            free_kb += step_kb
        before = contents(folder)
        mount(place, "remount", "ro")
        assert refused(lambda: write(folder, _TIMES), folder, "cannot be written"), name  # noqa: B023
        mount(place, "remount", "rw")
        assert contents(folder) == before, name
        seen[name] = free_kb // step_kb
    return {"refusals": seen}


def programs(place: pathlib.Path, step_kb: int) -> dict:
    """Runs each program."""
    import kill_works
    import killing

    seen, folder = {}, place / "work"
    with tempfile.TemporaryDirectory() as scratch:
        made, whole = kill_works.Road(pathlib.Path(scratch)), pathlib.Path(scratch, "whole")
        for part in ("build", "extract", "train", "evaluate"):
            work = made.work(part)

            def begin(work: Any = work) -> None:
                empty(place).rmdir()
                work.prepare(folder)

            def judge_end(work: Any = work) -> None:
                kill_works.judge_end(folder, whole, work)

            begin()
            killing.run(lambda: work.do(folder), made.log)  # noqa: B023
            shutil.copytree(folder, whole)
            do = lambda: work.do(folder)  # noqa: B023, E731
            seen[part] = _refusals(do, begin, lambda: None, judge_end, place, step_kb, made.log)
            shutil.rmtree(whole)
    return {"refusals": seen, "that went on with room as if undisturbed": sum(seen.values())}


def tools(place: pathlib.Path, step_kb: int) -> dict:
    """Runs each program that makes a tree or a picture."""
    import disk_works
    import kill_works
    import killing

    seen, folder = {}, place / "work"
    with tempfile.TemporaryDirectory() as scratch:
        made = kill_works.Road(pathlib.Path(scratch))
        for name, work in disk_works.works(made).items():
            empty(place).rmdir()
            killing.run(lambda: work(folder), made.log)  # noqa: B023
            whole = disk_works.contents(folder)

            def judge(whole: dict = whole) -> None:
                assert disk_works.contents(folder).items() <= whole.items()

            def judge_end(whole: dict = whole) -> None:
                assert disk_works.contents(folder) == whole

            do = lambda: work(folder)  # noqa: B023, E731
            seen[name] = _refusals(do, lambda: empty(place).rmdir(), judge, judge_end, place, step_kb, made.log)
    return {"refusals": seen, "that went on with room as if undisturbed": sum(seen.values())}


def _refusals(
    do: Callable[[], object],
    begin: Callable[[], object],
    judge: Callable[[], object],
    judge_end: Callable[[], object],
    place: pathlib.Path,
    step_kb: int,
    log: pathlib.Path,
) -> int:
    """Gives a program more room until it ends well; returns the number of refusals.

    Args:
        do: Runs the program.
        begin: Makes its folder as it is before.
        judge: Fails if a refused program left what it should not.
        judge_end: Fails if one that has ended, at once or after a refusal with room again, differs from an undisturbed.
        place: The disk.
        step_kb: How much room there is more each time.
        log: What the program says.
    """
    import killing

    for number in itertools.count():
        begin()
        if _goes(do, place, number * step_kb, log):
            judge_end()
            return number
        judge()
        (place / "filler").unlink()
        killing.run(do, log)
        judge_end()
    raise AssertionError


def _goes(do: Callable[[], object], place: pathlib.Path, free_kb: int, log: pathlib.Path) -> bool:
    """Fills the disk up to some bytes and runs a program; returns whether it fitted."""
    import killing

    fill(place, free_kb)
    log.unlink(missing_ok=True)
    child = killing.Child(do, log)
    if child.wait() == 0:
        return True
    said = log.read_text(encoding="utf-8")
    # TensorFlow does not say how large its events and shards are.
    assert re.search(rf"errors\.\w+Error: {place / 'work'}\S*: .*({_NEEDED}|more bytes)", said), said[-3000:]
    return False


def _run(place: pathlib.Path, part: str, step_kb: int) -> None:
    """Runs one part on a disk."""
    began = time.monotonic()
    seen = PARTS[part](place, step_kb)
    print(f"{part}: {json.dumps(seen)} in {time.monotonic() - began:,.0f} s", flush=True)


PARTS = {"writers": writers, "programs": programs, "tools": tools}


def main() -> None:
    """Runs all writers on disks of every size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", default=",".join(PARTS))
    parser.add_argument("--step_kb", type=int, default=64)
    parser.add_argument(_INSIDE, action="store_true", help=argparse.SUPPRESS)
    sizes = parser.parse_args()
    if not sizes.inside:
        # Each in a process of its own: the writers leave TensorFlow's threads behind, in whose forks locks stay closed.
        for part in sizes.part.split(","):
            subprocess.run([*NAMESPACE, sys.executable, *sys.argv, f"--part={part}", _INSIDE], check=True)
        return
    with tempfile.TemporaryDirectory() as scratch:
        place = pathlib.Path(scratch)
        mount(place, f"size={_SIZE_KB}k")
        try:
            _run(place, sizes.part, sizes.step_kb)
        finally:
            subprocess.run(["umount", place], check=True)


if __name__ == "__main__":
    main()
