"""Reading a scraper's journal, also while it is written.

status = journal.read_status(tree_dir)
for arrival in journal.complete_locations(tree_dir, after=0): ...
"""

import dataclasses
import itertools
import operator
import os
import pathlib
from typing import Literal

from geods import locks, tree
from geods.scraping import records


@dataclasses.dataclass(frozen=True)
class Status:
    """How far a scrape is.

    Attributes:
        state: "running" while its process lives, "done" when nothing is left to do, else "stopped".
        detail: One line on it; of one that stopped, why, and the command that goes on with it.
        locations: Complete locations.
        units: Billable units of all requests that were sent, or were about to be.
    """

    state: Literal["running", "stopped", "done"]
    detail: str
    locations: int
    units: int


@dataclasses.dataclass(frozen=True)
class Arrival:
    """A complete location.

    Attributes:
        number: 1, 2, 3 ... in the order of completion.
        location: The location; its images are in place.
    """

    number: int
    location: tree.Location


def read_status(tree_dir: str | os.PathLike[str]) -> Status | None:
    """Returns the status of the scrape that makes a tree, or None if it has no journal.

    Raises:
        TreeError: If its journal is none.
    """
    path = records.path_in(tree_dir)
    if not path.is_file():
        return None
    # Asked before the journal is read: one that ends in between is then read as it ended.
    running = locks.is_held(pathlib.Path(tree_dir, records.LOCK_NAME))
    with records.open_to_read(path) as connection:
        told = dict(connection.execute("SELECT name, value FROM run WHERE name IN ('state', 'detail')"))
        (locations,) = connection.execute("SELECT COUNT(*) FROM arrival").fetchone()
        (units,) = connection.execute("SELECT TOTAL(units) FROM image").fetchone()
    if running:
        return Status("running", f"{locations:,} locations so far", locations, int(units))
    if told.get("state") == "done":
        return Status("done", told.get("detail", ""), locations, int(units))
    return Status("stopped", told.get("detail", ""), locations, int(units))


def complete_locations(tree_dir: str | os.PathLike[str], after: int = 0) -> list[Arrival]:
    """Returns the locations that were completed after number `after`, in that order; none without a journal.

    Raises:
        TreeError: If the journal is none.
    """
    path = records.path_in(tree_dir)
    if not path.is_file():
        return []
    with records.open_to_read(path) as connection:
        rows = connection.execute(
            "SELECT number, cell, location_id, date, heading_deg FROM arrival JOIN panorama USING (pano_id)"
            " JOIN image USING (pano_id) WHERE number > ? ORDER BY number, heading_deg",
            (after,),
        ).fetchall()
    groups = itertools.groupby(rows, key=operator.itemgetter(0))
    return [Arrival(number, _location(tree_dir, [row[1:] for row in group])) for number, group in groups]


def canonical(tree_dir: str | os.PathLike[str]) -> str:
    """Returns all of a journal that depends on the options alone: the same text for every way a scrape went.

    Left out are requests sent, which a killed run repeats, and the order of arrival, which threads decide.
    """
    with records.open_to_read(records.path_in(tree_dir)) as connection:
        lines = [f"{name} {value}" for name, value in connection.execute("SELECT * FROM run WHERE name = 'config'")]
        for question in (
            "SELECT * FROM query ORDER BY cell, ordinal",
            "SELECT * FROM panorama ORDER BY pano_id",
            "SELECT pano_id, heading_deg, bytes, sha256 FROM image ORDER BY pano_id, heading_deg",
            "SELECT pano_id FROM arrival ORDER BY pano_id",
        ):
            lines += [repr(row) for row in connection.execute(question)]
    return "\n".join(lines) + "\n"


def _location(tree_dir: str | os.PathLike[str], rows: list[tuple[int, str, str | None, int]]) -> tree.Location:
    """Returns the location of its rows (cell, location_id, date, heading_deg)."""
    cell, location_id = rows[0][:2]
    folder = pathlib.Path(tree_dir, str(cell), location_id)
    lat_deg, lon_deg = tree.parse_location(location_id, str(folder))
    views = [tree.View(folder / tree.view_name(heading, date), float(heading), date) for _, _, date, heading in rows]
    return tree.Location(location_id, lat_deg, lon_deg, cell, tree.sort_views(views))
