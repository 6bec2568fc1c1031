"""The shards of a dataset, written by the workers of a Beam runner, byte for byte those that TFDS writes alone.

TFDS 4.9.10 orders examples by the hash of their keys, and cuts them into shards by number; on Beam it cuts by hash
instead, and sends every image through the runner twice. Here the program that starts the job decides which example goes
into which shard, and a worker reads the images of one shard and writes it.
"""

import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow_datasets as tfds
from tensorflow_datasets.core import example_serializer, file_adapters, hashing, naming, writer
from tensorflow_datasets.core.utils import shard_utils

from geods import beam_jobs, errors, examples, fact_table, files, plans, record_bytes, split_lists, survey, tree


def write(
    plan: plans.Plan,
    templates: Mapping[str, naming.ShardedFileTemplate],
    config: shard_utils.ShardConfig,
    file_format: file_adapters.FileFormat,
    crew: beam_jobs.Workers,
) -> list[tfds.core.SplitInfo]:
    """Writes all splits.

    Args:
        plan: What to write.
        templates: Names of the shards of each split.
        config: How many of them.
        file_format: What they are.
        crew: Who writes them.

    Raises:
        DatasetError: If an image is not any more what was checked.
        BeamError: If the runner fails.
    """
    tasks, numbers = [], {}
    for name, places in plan.by_split.items():
        of_split = list(_tasks(plan, name, places, templates[name], config))
        numbers[name] = len(of_split)
        tasks += of_split
    arguments = {
        "cells": plan.cell_count,
        "provenance": dataclasses.asdict(plan.provenance),
        "file_format": file_format.value,
    }
    sizes = crew.map("geods.beam_shards:write_shard", tasks, arguments, "writing shards")
    splits = []
    for name, count in numbers.items():
        written = [next(sizes) for _ in range(count)]
        lengths, size_bytes = [examples for examples, _ in written], sum(size for _, size in written)
        splits.append(
            tfds.core.SplitInfo(
                name=name, shard_lengths=lengths, num_bytes=size_bytes, filename_template=templates[name]
            )
        )
    return splits


def write_shard(
    task: Mapping[str, Any], cells: int, provenance: Mapping[str, str], file_format: str
) -> tuple[int, int]:
    """Writes one shard on a worker; returns the number of its examples and their bytes."""
    serialize, size_bytes = _serializer(cells), 0

    def records() -> Iterator[tuple[str, bytes]]:
        nonlocal size_bytes
        for row in task["places"]:
            place, cell, hashes = _from_row(row)
            record = serialize(examples.of_location(place, cell, survey.Provenance(**provenance), _Unchanged(hashes)))
            size_bytes += len(record)
            yield place.location_id, record

    path = pathlib.Path(task["path"])
    with files.atomic_path(path) as temporary:
        writer.ExampleWriter(file_adapters.FileFormat(file_format)).write(temporary, records())
    return len(task["places"]), size_bytes


class _Unchanged:
    """Reads images that must be what they were when they were checked."""

    def __init__(self, hashes: Mapping[str, str]) -> None:
        """Takes their SHA-256 by path."""
        self._hashes = hashes

    def __call__(self, view: tree.View) -> bytes:
        """Returns the bytes of one."""
        content = examples.content_of(view)
        if hashlib.sha256(content).hexdigest() != self._hashes[os.fspath(view.path)]:
            problem = f"{view.path}: has changed since it was checked, while the dataset was built."
            raise errors.DatasetError(problem, "build again when nobody writes into the tree")
        return content


def _tasks(
    plan: plans.Plan,
    split: str,
    places: Sequence[split_lists.Labelled],
    template: naming.ShardedFileTemplate,
    config: shard_utils.ShardConfig,
) -> Iterator[dict[str, Any]]:
    """Yields what each shard of a split holds, as TFDS' Writer would fill it."""
    hasher = hashing.Hasher(split)
    ordered = sorted(places, key=lambda item: hasher.hash_key(item[0].location_id))
    size_bytes = 0 if config.num_shards else _size_bytes(plan, ordered)
    count = config.get_number_shards(size_bytes, len(ordered))
    start = 0
    for number, end in enumerate(shard_utils.get_shard_boundaries(len(ordered), count)):
        path = template.sharded_filepath(shard_index=number, num_shards=count)
        yield {"path": os.fspath(path), "places": [_to_row(*item, plan.facts) for item in ordered[start:end]]}
        start = end


def _size_bytes(plan: plans.Plan, places: Sequence[split_lists.Labelled]) -> int:
    """Returns how long the records of locations will be, from the sizes of their images."""
    serialize = _serializer(plan.cell_count)

    def blank(view: tree.View) -> bytes:
        return bytes(plan.facts[view.row].size_bytes)

    return sum(len(serialize(examples.of_location(*item, plan.provenance, blank))) for item in places)


def _serializer(cells: int) -> Callable[[dict[str, Any]], bytes]:
    """Returns what makes the bytes of a record of an example."""
    features = examples.features()
    examples.name_cells(features, cells)
    serializer = example_serializer.ExampleSerializer(features.get_serialized_info())
    return lambda example: record_bytes.serialized(serializer, features.encode_example(example))


def _to_row(place: tree.Location, cell: int, facts: fact_table.FactTable) -> list[Any]:
    """Returns a location as JSON holds it."""
    views = [
        (os.fspath(view.path.absolute()), view.heading_deg, view.date, view.index, facts.sha256(view.row))
        for view in place.views
    ]
    return [place.location_id, place.lat_deg, place.lon_deg, cell, views]


def _from_row(row: Sequence[Any]) -> tuple[tree.Location, int, dict[str, str]]:
    """Returns a location, its cell, and the SHA-256 of its files by path."""
    location_id, lat_deg, lon_deg, cell, views = row
    found = tuple(tree.View(pathlib.Path(path), heading, date, index) for path, heading, date, index, _ in views)
    place = tree.Location(location_id, lat_deg, lon_deg, None, found)
    return place, cell, {path: sha256 for path, *_, sha256 in views}
