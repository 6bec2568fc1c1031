"""Records of single locations of a dataset, found by their ids without TensorFlow.

records = location_records.Records("data", "blocked")
records.find("39.7392,-104.9903")["views/image"]    # list of JPEGs, or KeyError
"""

import bisect
import itertools
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from geods.dataset import dataset_folder, record_files
from geods.storage import files


class Records:
    """Records of a dataset by location.

    Args:
        data_dir: Folder given to tfds build.
        config: Config of the dataset.
        first: Splits whose rows are numbered, and which are looked through before the others.

    Raises:
        DatasetError: If there is no such dataset, or it is damaged.
    """

    def __init__(self, data_dir: str | os.PathLike[str], config: str, first: Sequence[str] = ()) -> None:
        folder = dataset_folder.check_built(data_dir, config)
        try:
            self._shards = _shards(folder, first)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise dataset_folder.damaged(folder, f"{folder / dataset_folder.INFO}: is damaged ({error}).") from error
        self._ends = list(itertools.accumulate(count for _, count in self._shards))
        self._unread, self._places = iter(self._shards), dict[str, tuple[pathlib.Path, int]]()

    def find(self, location_id: str, row: int = -1) -> dict[str, list[Any]]:
        """Returns the values of a location's record by feature.

        Args:
            location_id: Its id.
            row: Its row in the first splits, if it is known; elsewhere shards are read until it is found.

        Raises:
            KeyError: If the dataset does not hold it.
            DatasetError: If a shard is damaged.
        """
        if 0 <= row < sum(count for _, count in self._shards):
            shard = bisect.bisect_right(self._ends, row)
            path, count = self._shards[shard]
            found = self._read(path, row - self._ends[shard] + count)
            if _id_of(found) == location_id:
                return found
        while location_id not in self._places:
            unread = next(self._unread, None)
            if unread is None:
                raise KeyError(location_id)
            ids = (_id_of(record_files.parse(record)) for record in record_files.read(unread[0]))
            self._places |= {name: (unread[0], number) for number, name in enumerate(ids)}
        return self._read(*self._places[location_id])

    def _read(self, path: pathlib.Path, number: int) -> dict[str, list[Any]]:
        return record_files.parse(next(iter(record_files.read(path, number, number + 1))))


def _id_of(record: dict[str, list[Any]]) -> str:
    return str(record["location_id"][0].decode())


def _shards(folder: pathlib.Path, first: Sequence[str]) -> list[tuple[pathlib.Path, int]]:
    """Returns the shards with their numbers of records, those of the first splits before the others."""
    info = files.parse_json((folder / dataset_folder.INFO).read_bytes())
    kind = record_files.format_of(info.get("fileFormat", "")) or record_files.FORMATS[0]
    found = []
    for split in sorted(info["splits"], key=lambda split: split["name"] not in first):
        counts = [int(count) for count in split.get("shardLengths", ())]
        stem = f"{dataset_folder.NAME}-{split['name']}.{kind}"
        found += [(folder / f"{stem}-{at:05}-of-{len(counts):05}", count) for at, count in enumerate(counts)]
    return found
