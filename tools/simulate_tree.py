"""Renders an imagery tree of a simulated world.

    python -m tools.simulate_tree --partition=partition.geojson --out=TREE --locations_per_cell=12

Locations are drawn uniformly by area inside each cell, from the seed; location k of a cell does not depend on how many
are asked for. 1,000 locations with 3 views of 600 x 300 pixels take about 20 s on 2 cores. Locations
that are already there are kept, so an interrupted run resumes where it stopped. Prints what the tree holds.
"""

import contextlib
import dataclasses
import functools
import json
import multiprocessing
import os
import pathlib
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent import futures
from typing import TYPE_CHECKING, Any

from geods import errors
from geods.cli import flags, program

if TYPE_CHECKING:
    from geods.geo import partition as partitions
    from geods.simulation import worlds


_LOCATIONS_AT_ONCE = 16


@dataclasses.dataclass(frozen=True)
class Options:
    """Partition, size and world of the tree."""

    partition: str = flags.option("partition.geojson", "Partition file.", path="in")
    out: str = flags.option("", "Folder of the tree.", path="out")
    locations_per_cell: int = flags.option(12, "Locations in each cell.")
    headings: tuple[int, ...] = flags.option((0, 90, 180), "Headings of the views, degrees clockwise from north.")
    height_px: int = flags.option(300, "Height of the images in pixels.")
    width_px: int = flags.option(600, "Width of the images in pixels.")
    seed: int = flags.option(0, "Seed of the world.")
    difficulty: float = flags.option(0.5, "0 to 1: how much a scene deviates from the one its coordinates determine.")
    processes: int = flags.option(0, "Processes that draw; 0 for one on each core.")

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If one is missing or out of range.
        """
        flags.check_given(self, out="name a folder for the tree: --out=TREE")
        if self.locations_per_cell < 1:
            raise errors.OptionError(f"--locations_per_cell={self.locations_per_cell}: is below 1.", "give 1 or more")
        if not self.headings or len(set(self.headings)) < len(self.headings):
            raise errors.OptionError(f"--headings={self.headings}: must be different ones.", "give --headings=0,90,180")
        if not all(0 <= heading < 360 for heading in self.headings):
            raise errors.OptionError(f"--headings={self.headings}: not all are 0 to 359.", "give --headings=0,90,180")
        if self.processes < 0:
            raise errors.OptionError(f"--processes={self.processes}: is below 0.", "give 0 or more")


def main(options: Options) -> None:
    """Renders the missing locations."""
    from geods.geo import partition as partitions
    from geods.simulation import worlds
    from geods.tree import labelling, layouts

    worlds.check(options.difficulty, options.height_px, options.width_px)
    cells = partitions.read(options.partition)
    root = pathlib.Path(options.out)
    _claim(root, options, cells)
    drawn = _draw_all(options, len(cells))
    locations = layouts.read(root, "tree")
    print(f"tree {root}: {drawn:,} locations drawn, {len(cells) * options.locations_per_cell - drawn:,} were there")
    print(labelling.summary(labelling.label(locations, cells), len(cells)))
    program.print_next(f"python -m tools.check_tree --tree={options.out}")


def location(cells: "partitions.Partition", cell: int, ordinal: int, seed: int) -> tuple[float, float]:
    """Returns (lat_deg, lon_deg) of location `ordinal` of a cell.

    Raises:
        PartitionError: If the cell is too small for that.
    """
    from geods.simulation.scenery import fields

    rng = fields.generator(seed, "location", cell, ordinal)
    points = cells.sample(cell, 8, rng).round(6)
    # Rounding moves a point by 5 cm, over the border of the cell if it lies that near.
    inside = points[cells.label(points[:, 0], points[:, 1]) == cell]
    if not len(inside):
        raise errors.PartitionError(f"cell {cell} is smaller than a metre.", "leave it out of the partition")
    lat_deg, lon_deg = inside[0].tolist()
    return lat_deg, lon_deg


def _claim(root: pathlib.Path, options: Options, cells: "partitions.Partition") -> None:
    """Creates the folder of the tree, or checks that its options are the same.

    Raises:
        TreeError: If it holds something else, or cannot be written.
    """
    from geods.geo import partition as partitions
    from geods.storage import files
    from geods.tree import companions

    note = root / companions.PROVENANCE_NAME
    drawn_with = {
        name: getattr(options, name) for name in ("seed", "difficulty", "headings", "height_px", "width_px")
    } | {"partition_sha256": cells.fingerprint}
    drawn_with = json.loads(json.dumps(drawn_with))
    if note.is_file():
        _check_same(note, drawn_with)
        return
    if root.is_dir() and any(root.iterdir()):
        problem = f"{root}: is not empty, and not a tree of this program."
        raise errors.TreeError(problem, "name a new folder; simulated and real images must not mix")
    try:
        partitions.write(cells, root / companions.PARTITION_NAME)
        text = {"source": "geods simulated world", "licence": "Apache-2.0", "drawn_with": drawn_with}
        files.write_json(note, text)
    except OSError as error:
        raise errors.TreeError(f"{root}: cannot be written ({error.strerror}).", "name another folder") from error


def _check_same(note: pathlib.Path, drawn_with: dict[str, Any]) -> None:
    """Checks that a tree was rendered with the same options."""
    try:
        there = json.loads(note.read_text(encoding="utf-8"))["drawn_with"]
        differing = [name for name, value in drawn_with.items() if there[name] != value]
    except (ValueError, KeyError, TypeError) as error:
        problem = f"{note.parent}: is not a tree of this program."
        raise errors.TreeError(problem, "name a new folder; simulated and real images must not mix") from error
    if differing:
        changes = ", ".join(f"{name} was {there[name]}, is {drawn_with[name]}" for name in differing)
        raise errors.TreeError(f"{note.parent}: was drawn with other options ({changes}).", "name a new folder")


def _draw_all(options: Options, cells: int) -> int:
    """Renders the missing locations in several processes; returns their number."""
    from tqdm import tqdm

    tasks = [(cell, ordinal) for cell in range(cells) for ordinal in range(options.locations_per_cell)]
    batches = [tasks[start : start + _LOCATIONS_AT_ONCE] for start in range(0, len(tasks), _LOCATIONS_AT_ONCE)]
    processes = min(options.processes or os.cpu_count() or 1, len(batches))
    drawn = 0
    with tqdm(total=len(tasks), unit="location", desc="draw") as bar, _mapper(processes) as spread:
        for batch, count in zip(batches, spread(functools.partial(_draw, options), batches), strict=True):
            bar.update(len(batch))
            drawn += count
    return drawn


@contextlib.contextmanager
def _mapper(processes: int) -> Iterator[Callable[..., Iterable[int]]]:
    """Yields a `map` over several processes; on exit pending work is dropped."""
    if processes == 1:
        yield map
        return
    # Forking would copy the locks of the bar's thread.
    context = multiprocessing.get_context("spawn")
    pool = futures.ProcessPoolExecutor(processes, context, _leave_interrupts_to_the_parent)
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_interrupts_to_the_parent() -> None:
    """Ignores Ctrl-C, which would print a traceback of every process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _draw(options: Options, tasks: Sequence[tuple[int, int]]) -> int:
    """Renders the missing ones of locations (cell, ordinal); returns their number."""
    from geods.tree import imagery_tree

    cells, world = _cells(options.partition), _world(options.seed, options.difficulty)
    drawn = 0
    for cell, ordinal in tasks:
        lat_deg, lon_deg = location(cells, cell, ordinal, options.seed)
        location_id = f"{lat_deg:.6f},{lon_deg:.6f}"
        place = world.place(lat_deg, lon_deg)
        folder = pathlib.Path(options.out, str(cell), location_id)
        missing = [
            heading
            for heading in options.headings
            if not (folder / imagery_tree.view_name(heading, place.date)).is_file()
        ]
        for heading in missing:
            content = world.render(lat_deg, lon_deg, heading, options.height_px, options.width_px)
            imagery_tree.write_view(options.out, cell, location_id, heading, place.date, content)
        drawn += bool(missing)
    return drawn


@functools.lru_cache(maxsize=1)
def _cells(path: str) -> "partitions.Partition":
    """Returns the partition, read once per process."""
    from geods.geo import partition as partitions

    return partitions.read(path)


@functools.lru_cache(maxsize=1)
def _world(seed: int, difficulty: float) -> "worlds.World":
    """Returns the world, created once per process."""
    from geods.simulation import worlds

    return worlds.World(seed, difficulty)


if __name__ == "__main__":
    program.run(Options, main)
