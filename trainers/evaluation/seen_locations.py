"""Locations of an imagery tree that a run has seen, and near neighbours of them."""

import dataclasses
import hashlib
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from geods import errors
from geods.dataset import dataset_reader, splits
from geods.geo import geometry
from geods.tree import layouts, table
from trainers.evaluation import leakage
from trainers.options import evaluate_options, train_options
from trainers.runs import learned_locations, run_folder

# Two names of one location may be rounded differently.
_SAME_KM = 0.001
_KM_PER_DEG = 111.0
_ROWS_AT_ONCE = 1024


@dataclasses.dataclass(frozen=True, eq=False)
class SeenLocations:
    """Comparison of a tree's locations with those of a run.

    Attributes:
        found: `[n]` bool, whether the run was trained or validated on the location, by id, coordinates or image.
        nearest_km: `[n]`, distance to the nearest of the run's locations; infinite beyond 50 km.
        without: What could not be compared, "" if nothing.
    """

    found: np.ndarray
    nearest_km: np.ndarray
    without: str = ""

    def counts(self, include: bool) -> dict[str, Any]:
        """Returns the counts for metrics.json.

        Args:
            include: Whether the seen locations are measured too.
        """
        near_km = self.nearest_km[~self.found]
        return {
            "trained_on": int(self.found.sum()),
            "included": include,
            "others": len(near_km),
            "near_within_km": {f"{limit:g}": int((near_km <= limit).sum()) for limit in leakage.NEAR_KM},
            "not_compared": self.without,
        }


def find(run: pathlib.Path, locations: table.LocationTable, options: evaluate_options.LocationOptions) -> SeenLocations:
    """Compares a tree with the locations of a run's training and validation.

    Args:
        run: The run folder.
        locations: Those of the tree.
        options: Names the run's dataset if it was moved.

    Raises:
        RunError: If the run's list of locations is damaged.
    """
    learned = learned_locations.read(run)
    if learned is None:
        none = np.zeros(len(locations), bool)
        return SeenLocations(none, np.full(len(none), np.inf), "the run is older than its list of training locations")
    nearest_km = distance_to_nearest_km(locations.coords(), learned.coords)
    found = np.isin(locations.ids.encoded, learned.location_ids.encoded) | (nearest_km <= _SAME_KM)
    try:
        hashes = _hashes(run_folder.options_of(run), run_folder.data_of(run, options), learned)
    except errors.GeodsError as error:
        return SeenLocations(found, nearest_km, f"bytes of images ({error.problem.removesuffix('.')})")
    paths = locations.files()
    for number, count in enumerate(_views(locations).tolist()):
        same = [_sha256(next(paths)) in hashes for _ in range(count)]
        found[number] |= any(same)
    return SeenLocations(found, nearest_km)


def on_split(run: pathlib.Path, coords: np.ndarray) -> dict[str, Any]:
    """Returns the counts of a split's locations that a run has seen; empty if none.

    They are those of --split=train, of the config `report`, and of a dataset that was built again.

    Args:
        run: The run folder.
        coords: `[n, 2]` degrees, (lat, lon), as the dataset holds them.

    Raises:
        RunError: If the run's list of locations is damaged.
    """
    learned = learned_locations.read(run)
    if learned is None:
        return {}
    points, known = (np.ascontiguousarray(part, np.float64).view(np.complex128) for part in (coords, learned.coords))
    found = np.isin(points[:, 0], known[:, 0])
    return SeenLocations(found, np.full(len(found), np.inf)).counts(include=True) if found.any() else {}


def lines(counts: dict[str, Any]) -> list[str]:
    """Returns the lines above the table of an evaluation."""
    seen, others, said = counts["trained_on"], counts["others"], []
    if seen:
        counted = "counted; on others its error is larger"
        what = counted if counts["included"] else "left out; --include_seen counts them"
        said.append(f"{seen:,} of {seen + others:,} locations are ones the run was trained or validated on: {what}")
    near = ", ".join(f"{count:,} within {limit} km" for limit, count in counts["near_within_km"].items() if count)
    if near:
        said.append(f"of the {'others' if seen else 'locations'}, {others:,}, near one it was trained on: {near}")
    if counts["not_compared"]:
        said.append(f"note: not compared with the training: {counts['not_compared']}")
    return said


def distance_to_nearest_km(coords: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns each location's distance to the nearest of the others, `[n]` km.

    It is infinite beyond 50 km. Only others of about the same latitude are compared, so that a million of them need no
    million distances.
    """
    limit_km = max(leakage.NEAR_KM)
    others = others[np.argsort(others[:, 0], kind="stable")]
    order, found = np.argsort(coords[:, 0], kind="stable"), np.full(len(coords), np.inf)
    for start in range(0, len(order), _ROWS_AT_ONCE):
        rows = order[start : start + _ROWS_AT_ONCE]
        lats = coords[rows, 0]
        low, high = np.searchsorted(others[:, 0], (lats[0] - limit_km / _KM_PER_DEG, lats[-1] + limit_km / _KM_PER_DEG))
        for first in range(low, high, _ROWS_AT_ONCE):
            some = others[first : min(high, first + _ROWS_AT_ONCE)]
            found[rows] = np.minimum(found[rows], geometry.pairwise_km(coords[rows], some).min(axis=1))
    return np.where(found <= limit_km, found, np.inf)


def _hashes(
    options: train_options.TrainOptions, data: train_options.DataOptions, learned: learned_locations.LearnedLocations
) -> frozenset[str]:
    """Returns the SHA-256 of the images that a run was trained and validated on.

    Raises:
        GeodsError: If the dataset or tree is missing.
    """
    wanted = set(learned.location_ids.tolist())
    if imagery := options.streaming.imagery:
        trained = layouts.read(imagery)
        rows = np.repeat(np.isin(trained.ids.encoded, learned.location_ids.encoded), _views(trained))
        return frozenset(_sha256(path) for path, is_wanted in zip(trained.files(), rows, strict=True) if is_wanted)
    builder = dataset_reader.open_builder(run_folder.dataset_of(data), data.config)
    names = splits.NAMES if data.folds else [data.train_split, data.validation_split]
    return frozenset(_of_splits(builder, [name for name in names if name in builder.info.splits], wanted))


def _of_splits(builder: Any, names: Sequence[str], wanted: set[str]) -> Iterator[str]:  # noqa: ANN401 - TFDS' own
    for split in names:
        ids = dataset_reader.index(builder, split).location_ids
        for name, hashes in zip(ids, dataset_reader.hashes(builder, split), strict=True):
            yield from hashes if name in wanted else ()


def _views(locations: table.LocationTable) -> np.ndarray:
    return locations.counts_of(np.ones(locations.views, bool))


def _sha256(path: str) -> str:
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
