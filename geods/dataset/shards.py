"""Shards of a dataset, written here or by the workers of a Beam runner.

TFDS 4.9.10 orders examples by the hash of their keys and cuts them into shards by number; the same is done here, as its
readers expect. Its own writer keeps up to 1 GB of records in memory before it sorts them on disk, and its Beam sends
every image through the runner twice; here the order is known beforehand, so each image is read once, when it is
written.
"""

import dataclasses
import functools
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
import tqdm
from tensorflow_datasets.core import file_adapters, hashing, naming, writer
from tensorflow_datasets.core.utils import shard_utils

from geods import errors
from geods.beam import jobs
from geods.dataset import build_plan, examples
from geods.storage import files
from geods.tree import companions, imagery_tree, table

# Of a record, beside the JPEGs: names and the coordinates; heading, date and hash.
_LOCATION_BYTES, _VIEW_BYTES = 260, 90
# A location, its cell, and the SHA-256 of each of its images.
_Row = tuple[imagery_tree.Location, int, list[str]]


@dataclasses.dataclass(frozen=True, eq=False)
class Shard:
    """Content of one file.

    Attributes:
        path: The file.
        locations: Its locations with their cells, in order.
    """

    path: str
    locations: Sequence[table.Labelled]


def write(
    plan: build_plan.Plan,
    templates: Mapping[str, naming.ShardedFileTemplate],
    config: shard_utils.ShardConfig,
    file_format: file_adapters.FileFormat,
    workers: jobs.Workers | None,
    finished: Callable[[str], None],
) -> list[tfds.core.SplitInfo]:
    """Writes all splits.

    Args:
        plan: The build plan.
        templates: Names of the shards of each split.
        config: Their number.
        file_format: Their format.
        workers: Those that write them; None for this process.
        finished: Called with the name of each shard when it is written.

    Raises:
        DatasetError: If an image has changed since it was checked.
        BeamError: If the runner fails.
    """
    by_split = {name: shards_of(plan, name, templates[name], config) for name in plan.by_split}
    everything = [shard for shards in by_split.values() for shard in shards]
    sizes = _there(plan, everything, file_format, workers) if workers else _here(plan, everything, file_format)
    splits = []
    for name, shards in by_split.items():
        size_bytes = 0
        for shard in shards:
            size_bytes += next(sizes)
            finished(pathlib.Path(shard.path).name)
        lengths = [len(shard.locations) for shard in shards]
        splits.append(
            tfds.core.SplitInfo(
                name=name, shard_lengths=lengths, num_bytes=size_bytes, filename_template=templates[name]
            )
        )
    return splits


def shards_of(
    plan: build_plan.Plan, split: str, template: naming.ShardedFileTemplate, config: shard_utils.ShardConfig
) -> list[Shard]:
    """Returns the shards of a split, filled as TFDS' Writer fills them.

    Raises:
        OptionError: If there are more shards to fill than locations.
    """
    found = plan.by_split[split]
    order = _order(split, found)
    count = config.num_shards or _count(config, _size_bytes(plan, found), len(order))
    if count > len(order):
        problem = f"--num_shards={count}: split {split} has {len(order)} locations, and no shard may be empty."
        raise errors.OptionError(problem, f"give at most --num_shards={min(map(len, plan.by_split.values()))}")
    shards, start = [], 0
    for number, end in enumerate(shard_utils.get_shard_boundaries(len(order), count)):
        path = template.sharded_filepath(shard_index=number, num_shards=count)
        shards.append(Shard(os.fspath(path), found[order[start:end]]))
        start = end
    return shards


def _count(config: shard_utils.ShardConfig, size_bytes: int, locations: int) -> int:
    """Returns the number of shards of a split of some bytes, as TFDS means it.

    TFDS 4.9.10 reads the limits of its class, not those of the object, so that --max_shard_size_mb does nothing there.
    """
    # The number is a power of two between both limits: with a maximum near the minimum of 64 MB there would be none.
    least = min(config.min_shard_size, config.max_shard_size // 4)
    limits = {"max_shard_size": config.max_shard_size, "min_shard_size": least}
    counted: Any = type("Limits", (shard_utils.ShardConfig,), limits)
    return int(counted.calculate_number_shards(size_bytes, locations))


def _order(split: str, found: table.LabelledLocations) -> np.ndarray:
    """Returns the numbers of locations in the order of their ids' hashes.

    TFDS calls these keys.
    """
    hasher = hashing.Hasher(split)
    keys = map(hasher.hash_key, found.ids())
    halves = (half for key in keys for half in divmod(key, 1 << 64))
    upper, lower = np.fromiter(halves, np.uint64, 2 * len(found)).reshape(-1, 2).T
    return np.lexsort((lower, upper))


def write_shard(shard: Mapping[str, str], provenance: Mapping[str, Any], file_format: str) -> int:
    """Writes one shard of `_there` on a worker; returns the bytes of its records."""
    with open(shard["rows"], encoding="utf-8") as lines:
        rows = map(_from_line, lines)
        made_by = companions.Provenance(**provenance)
        return _written(shard["path"], rows, made_by, file_adapters.FileFormat(file_format))


def _here(plan: build_plan.Plan, shards: Sequence[Shard], file_format: file_adapters.FileFormat) -> Iterator[int]:
    """Writes shards in this process and yields the bytes of the records of each."""
    count = sum(len(shard.locations) for shard in shards)
    with tqdm.tqdm(total=count, desc="writing shards", unit=" locations") as bar:
        for shard in shards:
            yield _written(shard.path, _rows(plan, shard, bar), plan.provenance, file_format)


def _there(
    plan: build_plan.Plan, shards: Sequence[Shard], file_format: file_adapters.FileFormat, workers: jobs.Workers
) -> Iterator[int]:
    """Writes shards by workers and yields the bytes of the records of each."""

    def tasks() -> Iterator[dict[str, str]]:
        for number, shard in enumerate(shards):
            # A line each, in a file of its own: 80,000 locations in one text took 80 MB of the worker, and here too.
            rows = workers.folder / f"shard-{number:06d}.jsonl"
            with files.atomic_path(rows) as temporary, open(temporary, "w", encoding="utf-8") as lines:
                lines.writelines(map(_to_line, _rows(plan, shard)))
            yield {"path": shard.path, "rows": str(rows)}

    arguments = {"provenance": dataclasses.asdict(plan.provenance), "file_format": file_format.value}
    yield from workers.map("geods.dataset.shards:write_shard", tasks(), arguments, "writing shards")


def _rows(plan: build_plan.Plan, shard: Shard, bar: "tqdm.tqdm[Any] | None" = None) -> Iterator[_Row]:
    """Yields the rows of a shard, and moves a bar after each."""
    for location, cell in shard.locations:
        yield location, cell, [plan.facts.sha256(view.row) for view in location.views]
        if bar is not None:
            bar.update()


def _written(
    path: str, rows: Iterable[_Row], provenance: companions.Provenance, file_format: file_adapters.FileFormat
) -> int:
    """Writes one shard; returns the bytes of its records.

    Its images must not have changed since their check.
    """
    size_bytes = 0

    def records() -> Iterator[tuple[str, bytes]]:
        nonlocal size_bytes
        for location, cell, hashes in rows:
            checked = dict(zip((view.path for view in location.views), hashes, strict=True))
            record = examples.record_of(location, cell, provenance, functools.partial(_unchanged, checked))
            size_bytes += len(record)
            yield location.location_id, record

    with files.atomic_path(path) as temporary:
        writer.ExampleWriter(file_format).write(temporary, records())
    return size_bytes


def _unchanged(checked: Mapping[pathlib.Path, str], view: imagery_tree.View) -> tuple[bytes, str]:
    """Returns an image and its SHA-256; raises DatasetError if it has changed."""
    content, sha256 = examples.content_of(view)
    if sha256 != checked[view.path]:
        problem = f"{view.path}: has changed since it was checked, while the dataset was built."
        raise errors.DatasetError(problem, "build again when no program writes into the tree")
    return content, sha256


def _size_bytes(plan: build_plan.Plan, found: table.LabelledLocations) -> int:
    """Returns the estimated bytes of records, which decide the number of shards."""
    rows = found.rows()
    return _LOCATION_BYTES * len(found) + _VIEW_BYTES * len(rows) + int(plan.facts.sizes_bytes[rows].sum())


def _to_line(row: _Row) -> str:
    """Returns a row as a line of JSON."""
    location, cell, hashes = row
    views = [(os.fspath(view.path.absolute()), view.heading_deg, view.date, view.index) for view in location.views]
    return json.dumps([location.location_id, location.lat_deg, location.lon_deg, cell, views, hashes]) + "\n"


def _from_line(line: str) -> _Row:
    """Returns the row of a line."""
    location_id, lat_deg, lon_deg, cell, of_views, hashes = json.loads(line)
    views = tuple(imagery_tree.View(pathlib.Path(path), *others) for path, *others in of_views)
    return imagery_tree.Location(location_id, lat_deg, lon_deg, None, views), cell, hashes
