"""Mistakes and properties at full size; `make soak` runs it.

    python tests/soak_mistakes.py --part=mistakes,properties --examples=1000000

Each part prints what it saw and ends with an error if that is not what is promised:

    mistakes     every mistake of tests/mistakes.py as a process of its own: cause and next step in at most 12 lines
    properties   the property tests of geometry, partitions and formats, over so many cases in all
"""

import argparse
import pathlib
import subprocess
import sys
import time

import mistakes
import road
import soak


def make_road(folder: pathlib.Path) -> pathlib.Path:
    """Makes the small road of the tests, by the fixtures that make it for them; returns its folder."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={folder}"]
    subprocess.run([*command, "tests/test_mistakes.py", "-k", "already"], cwd=road.REPO, check=True)
    return next(folder.glob("road*"))


def of_mistakes(folder: pathlib.Path, _: argparse.Namespace) -> dict:
    """Makes all mistakes."""
    wrong, slowest = {}, (0.0, "")
    with soak.service(folder) as running:
        places = {"road": make_road(folder / "made"), "service": running.url}
        table = mistakes.HERE | mistakes.ON_ROAD | mistakes.LATE
        for number, (name, mistake) in enumerate(table.items()):
            here = folder / str(number)
            here.mkdir()
            began = time.monotonic()
            if found := mistakes.problems(mistake, here, places, mistakes.as_user):
                wrong[name] = found
            slowest = max(slowest, (round(time.monotonic() - began, 1), name))
    seen = {"mistakes": len(table), "answered": len(table) - len(wrong), "slowest, s": slowest}
    assert not wrong, wrong
    return seen


PARTS = {"mistakes": of_mistakes}


def main() -> None:
    """Runs the parts named at the sizes given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", default=",".join(PARTS))
    parser.add_argument("--examples", type=int, default=1_000_000)
    sizes = parser.parse_args()
    soak.run_parts(PARTS, sizes)


if __name__ == "__main__":
    main()
