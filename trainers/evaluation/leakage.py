"""Leakage between splits: dates, image sizes, panoramas, near neighbours."""

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from geods.geo import geometry, partition
from geods.tree import layouts

if TYPE_CHECKING:
    from tensorflow_datasets.core import DatasetBuilder

    from geods.dataset import dataset_reader


NEAR_KM = (0.1, 1, 10, 50)
_QUANTILES = (0.0, 0.05, 0.5, 0.95)
_CLUES_NEAREST = 30
_SAMPLES = 1000
_ROWS_AT_ONCE = 1024


@dataclasses.dataclass(frozen=True, eq=False)
class Side:
    """The locations of one side of a split.

    Attributes:
        coords: `[n, 2]` (lat, lon) degrees.
        hashes: `[n]` sets of the SHA-256 of their images.
        panoramas: `[n]` sets of their panorama ids; empty where not known.
        months: `[n]` months since year 0 of their first date, NaN where not known.
        pixels: `[n]` pixels of their first image.
    """

    coords: np.ndarray
    hashes: Sequence[frozenset[str]]
    panoramas: Sequence[frozenset[str]]
    months: np.ndarray
    pixels: np.ndarray

    def __len__(self) -> int:
        """Returns the number of locations."""
        return len(self.coords)


def read(builder: "DatasetBuilder", split: str, panoramas: Mapping[str, frozenset[str]]) -> Side:
    """Reads the facts of a split besides its scenes.

    Args:
        builder: A dataset that is there.
        split: One of its splits.
        panoramas: Panorama ids by location; {} if not known.
    """
    from geods.dataset import dataset_reader

    found = dataset_reader.index(builder, split)
    return Side(
        found.coords,
        [frozenset(hashes) for hashes in dataset_reader.hashes(builder, split)],
        [panoramas.get(name, frozenset()) for name in found.location_ids],
        np.array([months_of(date) for date in _first_dates(found)]),
        dataset_reader.image_pixels(builder, split),
    )


def _first_dates(found: "dataset_reader.Index") -> list[str]:
    """Returns the first date that is known of each location, "" where none is."""
    of_location = np.split(np.asarray(found.dates), np.cumsum(found.views)[:-1])
    return [next((str(date) for date in dates if date), "") for dates in of_location]


def nearest_km(coords: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns the distance of each location to the nearest of the others, `[n]` km.

    Locations `[n, 2]`, others `[m, 2]`.
    """
    starts = range(0, len(coords), _ROWS_AT_ONCE)
    return np.concatenate(
        [geometry.pairwise_km(coords[start : start + _ROWS_AT_ONCE], others).min(axis=1) for start in starts]
    )


def neighbours(held: Side, train: Side) -> dict[str, object]:
    """Returns distances from held-out locations to training ones.

    Quantiles in km, and the shares within NEAR_KM.
    """
    distances = nearest_km(held.coords, train.coords)
    return {
        "nearest_km": {f"{share:.0%}": float(np.quantile(distances, share)) for share in _QUANTILES},
        "within_km": {f"{limit:g}": float((distances <= limit).mean()) for limit in NEAR_KM},
    }


def shared(held: Side, train: Side) -> dict[str, float | None]:
    """Returns the shares of held-out locations with a training image or panorama.

    A share is None if it is not known.
    """
    hashes, panoramas = frozenset().union(*train.hashes), frozenset().union(*train.panoramas)
    known = [one for one in held.panoramas if one]
    return {
        "same_bytes": float(np.mean([bool(one & hashes) for one in held.hashes])),
        "same_panorama": float(np.mean([bool(one & panoramas) for one in known])) if known and panoramas else None,
    }


def months_of(date: str) -> float:
    """Returns "YYYY-MM" as months since year 0; NaN for anything else."""
    year, _, month = date.partition("-")
    return 12.0 * int(year) + int(month) - 1 if year.isdigit() and month[:2].isdigit() else float("nan")


def by_clue(
    held: Side, train: Side, clue: Literal["months", "pixels"], cells: partition.Partition, seed: int = 0
) -> dict[str, object] | None:
    """Returns the mean miles of guesses by date or image size, and their gain.

    The guess is the centroid with the least mean distance to the 30 training places nearest in the clue, or all that
    share it if they are more; the constant is the one for all training places. The interval of the paired difference is
    a percentile bootstrap over locations. None if no clue is known.
    """
    known, asked = getattr(train, clue), getattr(held, clue)
    usable, clued = np.flatnonzero(~np.isnan(known)), np.flatnonzero(~np.isnan(asked))
    if not len(usable) or not len(clued):
        return None
    cost_km = geometry.pairwise_km(train.coords[usable], cells.centroids)
    constant = cells.centroids[cost_km.mean(axis=0).argmin()]
    guesses = {value: _guess(value, known[usable], cost_km) for value in np.unique(asked[clued])}
    points = cells.centroids[[guesses[value] for value in asked[clued]]]
    truth = held.coords[clued]
    by_guess = geometry.haversine_km(truth, points) / geometry.KM_PER_MILE
    by_constant = geometry.haversine_km(truth, constant) / geometry.KM_PER_MILE
    rng = np.random.default_rng(seed)
    paired = by_guess - by_constant
    means = [paired[rng.integers(len(paired), size=len(paired))].mean() for _ in range(_SAMPLES)]
    return {
        "locations": len(clued),
        "mean_miles": float(by_guess.mean()),
        "constant_mean_miles": float(by_constant.mean()),
        "difference_interval": np.percentile(means, [2.5, 97.5]).tolist(),
    }


def same_size(held: Side, train: Side, held_features: np.ndarray, train_features: np.ndarray) -> dict[str, float]:
    """Returns the share of nearest neighbours in features of the same image size.

    Also the share by chance. Features `[n, d]`, one row a location; the nearest has the greatest cosine.
    """
    unit = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (held_features, train_features)]
    nearest = (unit[0] @ unit[1].T).argmax(axis=1)
    return {
        "share": float((train.pixels[nearest] == held.pixels).mean()),
        "by_chance": float((train.pixels[None] == held.pixels[:, None]).mean()),
    }


def _guess(value: float, known: np.ndarray, cost_km: np.ndarray) -> int:
    """Returns the centroid nearest to the training places that are near in a clue."""
    apart = np.abs(known - value)
    limit = np.sort(apart)[min(_CLUES_NEAREST, len(apart)) - 1]
    return int(cost_km[apart <= limit].mean(axis=0).argmin())


def panoramas_by_location(rows: Sequence[dict[str, str]]) -> dict[str, frozenset[str]]:
    """Returns the panorama ids of each location from the rows of a tree's views.csv."""
    found: dict[str, set[str]] = collections.defaultdict(set)
    for row in rows:
        if row.get("pano_id"):
            found[layouts.split_name(row["file"])[0]].add(row["pano_id"])
    return {name: frozenset(ids) for name, ids in found.items()}
