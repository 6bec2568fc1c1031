"""Looks for leaks in a dataset: what a model could know of held-out places without having learnt their looks.

    python -m tools.audit --data_dir=data
    python -m tools.audit --data_dir=data --tree=tree --out=audit.json

Prints, for validation and test: how far each place is from the nearest training place, the share with an image or a
panorama (from the tree's views.csv) that is in training too, and how well places are guessed from the capture date
alone. Reads the dataset once without decoding; 1,000 places take 5 s. --out writes the same as JSON.

What a dataset could tell a model besides the looks of a place: near neighbours, the same images, capture dates.
"""

import collections
import csv
import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from geods import errors
from geods.cli import flags, program
from geods.geo import geometry, partition
from geods.storage import files

if TYPE_CHECKING:
    from tensorflow_datasets.core import DatasetBuilder

    from geods.dataset import dataset_reader


@dataclasses.dataclass(frozen=True)
class Options:
    """What to look at."""

    data_dir: str = flags.option("data", "Folder given to tfds build as --data_dir.", path="in")
    config: str = flags.option("blocked", "Config of the dataset.")
    tree: str = flags.option("", "Imagery tree it was built of, whose views.csv names panoramas.", path="in")
    out: str = flags.option("", "JSON file to write.", path="out")


def main(settings: Options) -> None:
    """Prints the audit."""
    program.import_quietly("tensorflow")
    from geods.dataset import dataset_reader, splits

    builder = dataset_reader.open_builder(settings.data_dir, settings.config)
    panoramas = _panoramas(settings.tree)
    train = read(builder, splits.TRAIN, panoramas)
    cells = dataset_reader.partition_of(builder)
    found = {}
    for split in (splits.VALIDATION, splits.TEST):
        if split in builder.info.splits and len(held := read(builder, split, panoramas)):
            dates = by_date(held, train, cells)
            found[split] = {
                "locations": len(held),
                **neighbours(held, train),
                **shared(held, train),
                "by_date": dates,
            }
            _tell(split, found[split])
    if settings.out:
        files.write_json(settings.out, {"dataset": dataset_reader.fingerprint_of(builder), **found})
        print(f"wrote {settings.out}")


def _panoramas(tree_dir: str) -> dict[str, frozenset[str]]:
    """Reads views.csv of a tree; nothing without a tree.

    Raises:
        MissingFileError: If the tree has none.
    """
    if not tree_dir:
        return {}
    path = files.check_file(pathlib.Path(tree_dir, "views.csv"), "only trees that tools.scrape made have one")
    with open(path, newline="", encoding="utf-8") as source:
        try:
            return panoramas_by_location(list(csv.DictReader(source)))
        except (KeyError, IndexError, csv.Error) as error:
            problem = f"{path}: is not a table of views ({type(error).__name__}: {error})."
            raise errors.TreeError(problem, "name the tree itself, or leave --tree out") from error


def _tell(split: str, found: dict[str, Any]) -> None:
    """Prints what was found of a split."""
    print(f"{split}: {found['locations']:,} locations")
    quantiles = ", ".join(f"{share} {km:,.1f}" for share, km in found["nearest_km"].items())
    print(f"  nearest training place, km: {quantiles}")
    print("  share within: " + ", ".join(f"{limit} km {share:.1%}" for limit, share in found["within_km"].items()))
    same = found["same_panorama"]
    print(f"  an image of the same bytes in training: {found['same_bytes']:.1%}")
    print(f"  a panorama that is in training: {'not known; give --tree' if same is None else f'{same:.1%}'}")
    if dates := found["by_date"]:
        low, high = dates["difference_interval"]
        miles = f"{dates['mean_miles']:,.1f} mean miles, a constant {dates['constant_mean_miles']:,.1f}"
        print(f"  by capture date alone: {miles} (difference {low:+,.1f} to {high:+,.1f})")
    else:
        print("  by capture date alone: no dates")


if __name__ == "__main__":
    program.run(Options, main)


NEAR_KM = (0.1, 1, 10, 50)
_QUANTILES = (0.0, 0.05, 0.5, 0.95)
_DATES_NEAREST = 30
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
    """

    coords: np.ndarray
    hashes: Sequence[frozenset[str]]
    panoramas: Sequence[frozenset[str]]
    months: np.ndarray

    def __len__(self) -> int:
        """Returns the number of locations."""
        return len(self.coords)


def read(builder: "DatasetBuilder", split: str, panoramas: Mapping[str, frozenset[str]]) -> Side:
    """Reads what there is to know of a split without its pixels.

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
    )


def _first_dates(found: "dataset_reader.Index") -> list[str]:
    """Returns the first date that is known of each location, "" where none is."""
    of_location = np.split(np.asarray(found.dates), np.cumsum(found.views)[:-1])
    return [next((str(date) for date in dates if date), "") for dates in of_location]


def nearest_km(coords: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns the distance of each location `[n, 2]` to the nearest of the others `[m, 2]`, `[n]` km."""
    starts = range(0, len(coords), _ROWS_AT_ONCE)
    return np.concatenate(
        [geometry.pairwise_km(coords[start : start + _ROWS_AT_ONCE], others).min(axis=1) for start in starts]
    )


def neighbours(held: Side, train: Side) -> dict[str, object]:
    """Returns how far held-out locations are from training: quantiles in km, and the shares within NEAR_KM."""
    distances = nearest_km(held.coords, train.coords)
    return {
        "nearest_km": {f"{share:.0%}": float(np.quantile(distances, share)) for share in _QUANTILES},
        "within_km": {f"{limit:g}": float((distances <= limit).mean()) for limit in NEAR_KM},
    }


def shared(held: Side, train: Side) -> dict[str, float | None]:
    """Returns the shares of held-out locations with an image, or a panorama, that is in training; None if not known."""
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


def by_date(held: Side, train: Side, cells: partition.Partition, seed: int = 0) -> dict[str, object] | None:
    """Returns what the capture date alone tells: mean miles of guessing by it, and how much better than a constant.

    The guess for a date is the centroid with the least mean distance to the 30 training places nearest in time, or all
    of the same month if they are more; the constant is the one for all training places. The interval of the paired
    difference is a percentile bootstrap over locations. None if no date is known.
    """
    usable, dated = np.flatnonzero(~np.isnan(train.months)), np.flatnonzero(~np.isnan(held.months))
    if not len(usable) or not len(dated):
        return None
    cost_km = geometry.pairwise_km(train.coords[usable], cells.centroids)
    constant = cells.centroids[cost_km.mean(axis=0).argmin()]
    guesses = {month: _guess(month, train.months[usable], cost_km) for month in np.unique(held.months[dated])}
    points = cells.centroids[[guesses[month] for month in held.months[dated]]]
    truth = held.coords[dated]
    by_month = geometry.haversine_km(truth, points) / geometry.KM_PER_MILE
    by_constant = geometry.haversine_km(truth, constant) / geometry.KM_PER_MILE
    rng = np.random.default_rng(seed)
    paired = by_month - by_constant
    means = [paired[rng.integers(len(paired), size=len(paired))].mean() for _ in range(_SAMPLES)]
    return {
        "locations": len(dated),
        "mean_miles": float(by_month.mean()),
        "constant_mean_miles": float(by_constant.mean()),
        "difference_interval": np.percentile(means, [2.5, 97.5]).tolist(),
    }


def _guess(month: float, months: np.ndarray, cost_km: np.ndarray) -> int:
    """Returns the centroid nearest on average to the training places nearest in time."""
    apart = np.abs(months - month)
    limit = np.sort(apart)[min(_DATES_NEAREST, len(apart)) - 1]
    return int(cost_km[apart <= limit].mean(axis=0).argmin())


def panoramas_by_location(rows: Sequence[dict[str, str]]) -> dict[str, frozenset[str]]:
    """Returns the panorama ids of each location from the rows of a tree's views.csv."""
    found: dict[str, set[str]] = collections.defaultdict(set)
    for row in rows:
        if row.get("pano_id"):
            found[row["file"].split("/")[-2]].add(row["pano_id"])
    return {name: frozenset(ids) for name, ids in found.items()}
