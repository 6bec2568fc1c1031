"""Mistakes of users: cause, command line and expected answer.

A command line is that of a real program. In it and in what is expected, {here} stands for a folder that `materials` has
filled and `prepare` has added to, {road} for one with a dataset, a cache and a run of the small road (conftest.py), and
{service} for the address of a simulated Street View.

The mistakes are in mistakes_from_nothing.py and mistakes_later.py.
"""

import dataclasses
import json
import pathlib
import re
import subprocess
import sys
from collections.abc import Callable, Mapping

import canary
import drawn_trees
import road
import shapely

from geods.geo import partition

LONGEST_ANSWER = 12
SCRAPE = "tools.scrape --partition={here}/partition.geojson --out={here}/scraped --locations_per_cell=1 --accept_terms"
WITH_KEY = f"{SCRAPE} --api_key_file={{here}}/key"
SQUARE = [[-100, 30], [-90, 30], [-90, 40], [-100, 40], [-100, 30]]


@dataclasses.dataclass(frozen=True)
class Mistake:
    """One mistake.

    Attributes:
        words: Module and flags.
        says: Regular expression of the cause in what the program prints.
        next: Regular expression of the next step, looked for after the cause.
        prepare: Adds to the materials.
        status: Exit status.
    """

    words: str
    says: str
    next: str
    prepare: Callable[[pathlib.Path], object] = lambda here: None
    status: int = 2


def materials(here: pathlib.Path) -> None:
    """Fills a folder with the files that most mistakes need."""
    drawn_trees.write(here / "tree", drawn_trees.location_ids(3))
    partition.write(drawn_trees.cells(), here / "partition.geojson")
    image("photographs/a.jpg", drawn_trees.jpeg(0))(here)
    boundary("square.geojson", SQUARE)(here)


def both(*steps: Callable[[pathlib.Path], object]) -> Callable[[pathlib.Path], None]:
    """Prepares several things."""

    def prepare(here: pathlib.Path) -> None:
        for step in steps:
            step(here)

    return prepare


def boundary(name: str, ring: list, kind: str = "Polygon") -> Callable[[pathlib.Path], None]:
    """Writes a GeoJSON boundary of one feature."""
    geometry = {"type": kind, "coordinates": [ring] if kind == "Polygon" else ring}
    feature = {"type": "Feature", "properties": {"NAME": "France"}, "geometry": geometry}
    return text(name, json.dumps({"type": "FeatureCollection", "features": [feature]}))


def text(name: str, content: str, mode: int = 0o644) -> Callable[[pathlib.Path], None]:
    """Writes a file."""

    def write(here: pathlib.Path) -> None:
        image(name, content.encode())(here)
        (here / name).chmod(mode)

    return write


def image(name: str, content: bytes) -> Callable[[pathlib.Path], None]:
    """Writes a file and the folders it is in."""

    def write(here: pathlib.Path) -> None:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_bytes(content)

    return write


def elsewhere(here: pathlib.Path) -> None:
    """Writes a partition of another country."""
    partition.write(
        partition.Partition((shapely.box(2, 44, 5, 50), shapely.box(5, 44, 8, 50))), here / "france.geojson"
    )


WRONG_KEY = "abcdefgh12345678"
BROKEN = image("tree/0/35.1,-95.1/0.jpg", b"")
KEY = text(canary.KEY_FILE, canary.CANARY, 0o600)


def as_user(words: list[str], output: pathlib.Path) -> tuple[int, str]:
    """Runs a program as a user does."""
    environment = road.without_keys()
    with output.open("w") as file:
        command = [sys.executable, "-m", *words]
        done = subprocess.run(
            command, cwd=road.REPO, env=environment, stdout=file, stderr=subprocess.STDOUT, check=False
        )
    return done.returncode, output.read_text()


def problems(
    mistake: Mistake,
    here: pathlib.Path,
    places: Mapping[str, object],
    run: Callable[[list[str], pathlib.Path], tuple[int, str]],
) -> list[str]:
    """Makes a mistake in an empty folder; returns the faults of the answer.

    With the answer; empty if there are none.
    """
    materials(here)
    mistake.prepare(here)
    places = {"here": here, **places}
    # A mistake may change a flag of the words it begins with, which no command line may give twice.
    words = {word.partition("=")[0].replace("--no", "--"): word.format(**places) for word in mistake.words.split()}
    status, said = run(list(words.values()), here / "output.txt")
    canary.assert_clean(said)
    # A bar is one line on a terminal, whatever was written over it.
    lines = [line.rpartition("\r")[2] for line in said.splitlines() if line.strip()]
    found = [f"status {status}"] if status != mistake.status else []
    if "Traceback" in said:
        found.append("a traceback")
    cause = next((number for number, line in enumerate(lines) if re.search(mistake.says, line)), None)
    if cause is None:
        return [*found, f"no {mistake.says}", said]
    answer = lines[cause:]
    if len(answer) > LONGEST_ANSWER:
        found.append(f"{len(answer)} lines")
    if not re.search(f"Next: .*({mistake.next})", "\n".join(answer)):
        found.append(f"no next step {mistake.next}")
    return [*found, said] if found else []
