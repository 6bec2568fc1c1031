"""The shards of a dataset: which location goes into which, and writing them, here or by the workers of a Beam runner.

TFDS 4.9.10 orders examples by the hash of their keys, and cuts them into shards by number; so it is done here, and its
readers find what they expect. Its own writer keeps up to 1 GB of records in memory before it sorts them on disk, and
its Beam sends every image through the runner twice; here the order is known beforehand, so each image is read when it
is written.
"""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from geods.tree import companions, image_table, imagery_tree, labelled_table

# Of a record, beside the JPEGs: names and the coordinates; heading, date and hash.
_LOCATION_BYTES, _VIEW_BYTES = 260, 90


@dataclasses.dataclass(frozen=True, eq=False)
class Shard:
    """What one file will hold.

    Attributes:
        path: The file.
        places: Its locations with their cells, in order.
    """

    path: str
    places: Sequence[labelled_table.Labelled]


def write(
    plan: build_plan.Plan,
    templates: Mapping[str, naming.ShardedFileTemplate],
    config: shard_utils.ShardConfig,
    file_format: file_adapters.FileFormat,
    crew: jobs.Workers | None,
    finished: Callable[[str], None],
) -> list[tfds.core.SplitInfo]:
    """Writes all splits.

    Args:
        plan: What to write.
        templates: Names of the shards of each split.
        config: How many of them.
        file_format: What they are.
        crew: Who writes them; None for this process.
        finished: Is told the name of each shard when it is written.

    Raises:
        DatasetError: If an image is not any more what was checked.
        BeamError: If the runner fails.
    """
    by_split = {name: shards_of(plan, name, templates[name], config) for name in plan.by_split}
    everything = [shard for shards in by_split.values() for shard in shards]
    sizes = _there(plan, everything, file_format, crew) if crew else _here(plan, everything, file_format)
    splits = []
    for name, shards in by_split.items():
        size_bytes = 0
        for shard in shards:
            size_bytes += next(sizes)
            finished(pathlib.Path(shard.path).name)
        lengths = [len(shard.places) for shard in shards]
        splits.append(
            tfds.core.SplitInfo(
                name=name, shard_lengths=lengths, num_bytes=size_bytes, filename_template=templates[name]
            )
        )
    return splits


def shards_of(
    plan: build_plan.Plan, split: str, template: naming.ShardedFileTemplate, config: shard_utils.ShardConfig
) -> list[Shard]:
    """Returns the shards of a split, filled as TFDS' Writer would."""
    found = plan.by_split[split]
    order = _order(split, found)
    size_bytes = 0 if config.num_shards else _size_bytes(plan, found)
    count = config.get_number_shards(size_bytes, len(order))
    shards, start = [], 0
    for number, end in enumerate(shard_utils.get_shard_boundaries(len(order), count)):
        path = template.sharded_filepath(shard_index=number, num_shards=count)
        shards.append(Shard(os.fspath(path), labelled_table.take(found, order[start:end])))
        start = end
    return shards


def _order(split: str, found: Sequence[labelled_table.Labelled]) -> np.ndarray:
    """Returns the numbers of locations in the order of the hashes of their names, which TFDS calls keys."""
    hasher = hashing.Hasher(split)
    keys = map(hasher.hash_key, labelled_table.ids_of(found))
    halves = (half for key in keys for half in divmod(key, 1 << 64))
    upper, lower = np.fromiter(halves, np.uint64, 2 * len(found)).reshape(-1, 2).T
    return np.lexsort((lower, upper))


def write_shard(shard: Mapping[str, Any], provenance: Mapping[str, str], file_format: str) -> int:
    """Writes one shard on a worker, as `_there` tells it; returns the bytes of its records."""
    rows = [_from_row(row) for row in shard["places"]]
    hashes = {path: sha256 for *_, of_place in rows for path, sha256 in of_place.items()}
    found = Shard(shard["path"], [(place, cell) for place, cell, _ in rows])
    return _written(
        found,
        companions.Provenance(**provenance),
        file_adapters.FileFormat(file_format),
        lambda view: hashes[view.path],
    )


def _here(plan: build_plan.Plan, shards: Sequence[Shard], file_format: file_adapters.FileFormat) -> Iterator[int]:
    """Writes shards in this process, and yields the bytes of the records of each."""
    count = sum(len(shard.places) for shard in shards)
    with tqdm.tqdm(total=count, desc="writing shards", unit=" locations") as bar:
        for shard in shards:
            yield _written(shard, plan.provenance, file_format, lambda view: plan.facts.sha256(view.row), bar)


def _there(
    plan: build_plan.Plan, shards: Sequence[Shard], file_format: file_adapters.FileFormat, crew: jobs.Workers
) -> Iterator[int]:
    """Lets workers write shards, and yields the bytes of the records of each."""
    tasks = ({"path": shard.path, "places": [_to_row(*item, plan.facts) for item in shard.places]} for shard in shards)
    arguments = {"provenance": dataclasses.asdict(plan.provenance), "file_format": file_format.value}
    yield from crew.map("geods.dataset.shards:write_shard", tasks, arguments, "writing shards")


def _written(
    shard: Shard,
    provenance: companions.Provenance,
    file_format: file_adapters.FileFormat,
    sha256_of: Callable[[imagery_tree.View], str],
    bar: "tqdm.tqdm[Any] | None" = None,
) -> int:
    """Writes one shard of images that must be what they were when they were checked; returns its records' bytes."""
    size_bytes = 0

    def read(view: imagery_tree.View) -> tuple[bytes, str]:
        content, sha256 = examples.content_of(view)
        if sha256 != sha256_of(view):
            problem = f"{view.path}: has changed since it was checked, while the dataset was built."
            raise errors.DatasetError(problem, "build again when nobody writes into the tree")
        return content, sha256

    def records() -> Iterator[tuple[str, bytes]]:
        nonlocal size_bytes
        for place, cell in shard.places:
            record = examples.record_of(place, cell, provenance, read)
            size_bytes += len(record)
            yield place.location_id, record
            if bar is not None:
                bar.update()

    with files.atomic_path(pathlib.Path(shard.path)) as temporary:
        writer.ExampleWriter(file_format).write(temporary, records())
    return size_bytes


def _size_bytes(plan: build_plan.Plan, found: Sequence[labelled_table.Labelled]) -> int:
    """Returns about how long the records of locations will be, which decides how many shards they fill."""
    rows = labelled_table.view_rows(found)
    return _LOCATION_BYTES * len(found) + _VIEW_BYTES * len(rows) + int(plan.facts.sizes_bytes[rows].sum())


def _to_row(place: imagery_tree.Location, cell: int, facts: image_table.ImageTable) -> list[Any]:
    """Returns a location as JSON holds it."""
    views = [
        (os.fspath(view.path.absolute()), view.heading_deg, view.date, view.index, facts.sha256(view.row))
        for view in place.views
    ]
    return [place.location_id, place.lat_deg, place.lon_deg, cell, views]


def _from_row(row: Sequence[Any]) -> tuple[imagery_tree.Location, int, dict[pathlib.Path, str]]:
    """Returns a location, its cell, and the SHA-256 of its files by path."""
    location_id, lat_deg, lon_deg, cell, views = row
    found = tuple(
        imagery_tree.View(pathlib.Path(path), heading, date, index) for path, heading, date, index, _ in views
    )
    place = imagery_tree.Location(location_id, lat_deg, lon_deg, None, found)
    return place, cell, {view.path: row[-1] for view, row in zip(found, views, strict=True)}
