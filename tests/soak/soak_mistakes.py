"""Mistakes and properties at full size; `make soak` runs it.

    python tests/soak/soak_mistakes.py --part=mistakes,properties,environments --cases=1000000

Each part prints what it saw and ends with an error if that is not what is promised:

    mistakes     mistakes of tests/support/bad_input, each a process of its own: cause and next step in at most 12 lines
    properties   the property tests of geometry, partitions and formats, so many cases in all; 2 hours for a million
    environments geods with each extra in a fresh environment: pip check (3 GB each, 9 with gpu)
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

import _support_path  # noqa: F401 - before the modules it makes known
import mistakes
import mistakes_from_nothing
import mistakes_later
import road
import scraper_soak

PROPERTY_FILES = [
    f"tests/test_geods_{name}.py" for name in ("geometry", "partition", "polygons", "tree", "cli", "round_trips")
]


def make_road(folder: pathlib.Path) -> pathlib.Path:
    """Makes the small pipeline of the tests by their fixtures; returns its folder."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={folder}"]
    subprocess.run([*command, "tests/system/test_mistakes.py", "-k", "already"], cwd=road.REPO, check=True)
    return next(folder.glob("road*"))


def of_mistakes(folder: pathlib.Path, _: argparse.Namespace) -> dict:
    """Makes all mistakes."""
    wrong, slowest = {}, (0.0, "")
    with scraper_soak.service(folder) as running:
        places = {"road": make_road(folder / "made"), "service": running.url}
        table = mistakes_from_nothing.HERE | mistakes_later.ON_ROAD | mistakes_later.LATE
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


def properties(_: pathlib.Path, sizes: argparse.Namespace) -> dict:
    """Tries the properties on this many cases in all; returns hypothesis' count."""
    names = _property_tests({}, "--collect-only", "-q").stdout.count("::")
    done = _property_tests({"GEODS_CASES": str(-(-sizes.cases // names))}, "--hypothesis-show-statistics")
    tried = [int(number) for number in re.findall(r"- (\d+) passing, 0 failing", done.stdout)]
    assert done.returncode == 0, done.stdout[-3000:]
    return {"properties": names, "cases": sum(tried), "fewest of one": min(tried)}


def _property_tests(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess:
    """Runs the property tests of geometry, partitions and formats.

    Hypothesis itself marks them.
    """
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "hypothesis", *PROPERTY_FILES, *words]
    return subprocess.run(
        command, cwd=road.REPO, env=os.environ | environment, capture_output=True, text=True, check=False
    )


def environments(folder: pathlib.Path, sizes: argparse.Namespace) -> dict:
    """Installs geods with each extra into its own environment and runs pip check."""
    seen = {}
    for extra in sizes.extras.split(","):
        home = folder / extra
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        python, what = home / "bin" / "python", "." if extra == "none" else f".[{extra}]"
        install = ["pip", "install", "--quiet", "--no-cache-dir", "--constraint=constraints.txt", what]
        for words in (install, ["pip", "check"]):
            done = subprocess.run([python, "-m", *words], cwd=road.REPO, capture_output=True, text=True, check=False)
            if done.returncode:
                break
        seen[extra] = f"{len(list(home.glob('lib/python*/site-packages/*.dist-info')))} packages"
        if done.returncode:
            seen[extra] += f", {' '.join(words)} failed: {(done.stdout + done.stderr)[-500:]}"
        print(f"  {extra}: {seen[extra]}", flush=True)
        shutil.rmtree(home)
    assert not any("failed" in said for said in seen.values()), seen
    return seen


PARTS = {"mistakes": of_mistakes, "properties": properties, "environments": environments}


def main() -> None:
    """Runs the parts named at the sizes given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", default=",".join(PARTS))
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--extras", default="none,fast,openvino,int8,jax,hub,cloud,dev,gpu")
    sizes = parser.parse_args()
    scraper_soak.run_parts(PARTS, sizes)


if __name__ == "__main__":
    main()
