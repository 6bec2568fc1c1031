"""Country, region and city accuracy of predictions, by the nearest towns.

A point is in the country, region and city of the town nearest to it on the sphere, as OSV-5M (arXiv 2404.18873, 5.1)
and others count it, but found by unit vectors: reverse_geocoder, which they use, takes degrees for distances
(findings/reverse_geocoder_nearest.sh). So a point at sea counts as where the nearest town is; how many points are far
from any town is part of the figures.
"""

import csv
import dataclasses
import os
import pathlib
from typing import Any

import numpy as np

from geods import errors
from geods.geo import geometry
from geods.storage import files

FAR_KM = 100.0
# Levels from the largest to the smallest, and the names of their columns.
LEVELS = {
    "country": ("cc", "country", "country_code"),
    "region": ("admin1", "region"),
    "sub_region": ("admin2", "sub-region", "sub_region"),
    "city": ("name", "city"),
}
_LAT, _LON = ("lat", "latitude", "lat_deg"), ("lon", "lng", "longitude", "lon_deg")
# Columns of the tables of GeoNames, such as cities1000.txt, which have no header.
_GEONAMES = {1: "name", 4: "lat", 5: "lon", 8: "cc", 10: "admin1", 11: "admin2"}
_NEXT_STEP = "give cities1000.txt of GeoNames, or a CSV with lat, lon and some of cc, admin1, admin2, name"


@dataclasses.dataclass(frozen=True, eq=False)
class Towns:
    """Towns with the regions they are in.

    Attributes:
        coords: `[n, 2]` (lat, lon) degrees.
        regions: For each level of the table a number `[n]`, the same for towns in the same region of that level and of
            all larger ones: names of regions repeat from country to country.
    """

    coords: np.ndarray
    regions: dict[str, np.ndarray]


def read(path: str | os.PathLike[str]) -> Towns:
    """Reads a table of towns: a CSV with a header, or one of GeoNames.

    Raises:
        MissingFileError: If there is none.
        OptionError: If it is no such table, or has no level.
        CoordinateError: If a town is not on Earth.
    """
    found = files.check_file(path, _NEXT_STEP)
    try:
        columns = _columns(found)
        lat, lon = (np.array(_first(columns, names), np.float64) for names in (_LAT, _LON))
        named = {level: _first(columns, names) for level, names in LEVELS.items() if set(names) & set(columns)}
    except (ValueError, KeyError, csv.Error) as error:
        raise errors.OptionError(f"{found}: is no table of towns ({error}).", _NEXT_STEP) from error
    if not named or not lat.size:
        raise errors.OptionError(f"{found}: has no towns with a country or region.", _NEXT_STEP)
    regions, larger = {}, np.zeros(len(lat), np.int64)
    for level, names in named.items():
        codes = np.unique(names, return_inverse=True)[1]
        larger = np.unique(larger * len(lat) + codes, return_inverse=True)[1]
        regions[level] = larger
    return Towns(geometry.check_coords(np.column_stack([lat, lon]), f"{found}: town"), regions)


def _columns(path: pathlib.Path) -> dict[str, tuple[str, ...]]:
    """Returns the columns of a table by their names in lower case."""
    with open(path, newline="", encoding="utf-8") as lines:
        if path.suffix != ".txt":
            header, *rows = csv.reader(lines)
            return dict(zip([name.strip().lower() for name in header], zip(*rows, strict=True), strict=True))
        rows = list(csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    columns = dict(enumerate(zip(*rows, strict=True)))
    return {name: columns[number] for number, name in _GEONAMES.items()}


def accuracy(towns: Towns, truth: np.ndarray, predicted: np.ndarray) -> dict[str, Any]:
    """Returns the share of predictions in the true country, region and so on.

    Args:
        towns: The table.
        truth: `[n, 2]` (lat, lon) degrees.
        predicted: `[n, 2]`, likewise.

    Returns:
        One share for each level of the table, and `true_far_from_towns` and `predicted_far_from_towns`, the shares of
        points more than `FAR_KM` from any town.
    """
    from scipy import spatial

    tree = spatial.KDTree(geometry.unit_vectors(towns.coords))
    at_truth, true_km = _nearest(tree, truth)
    at_guess, guess_km = _nearest(tree, predicted)
    shares = {level: float((codes[at_truth] == codes[at_guess]).mean()) for level, codes in towns.regions.items()}
    far = {"true_far_from_towns": true_km, "predicted_far_from_towns": guess_km}
    return shares | {name: float((km > FAR_KM).mean()) for name, km in far.items()}


def _nearest(tree: Any, coords: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # noqa: ANN401 - scipy has no types
    """Returns the town nearest to each point, and its distance in km."""
    chord, at = tree.query(geometry.unit_vectors(coords))
    return at, 2 * geometry.EARTH_RADIUS_KM * np.arcsin(np.minimum(chord / 2, 1))


def _first(columns: dict[str, tuple[str, ...]], names: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the first of these columns that a table has.

    Raises:
        KeyError: If it has none.
    """
    for name in names:
        if name in columns:
            return columns[name]
    raise KeyError(f"no column {names[0]}")
