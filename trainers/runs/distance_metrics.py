"""Distance metrics of predictions: the content of metrics.json.

Those of a constant and a random guess on the same locations are beside them.

Distances are great circles in km from the true point to the predicted point; miles are km / 1.609344. The one
exception is `report_mean_miles`, the course report's own metric: centroid of the true cell to centroid of the predicted
cell, on its sphere of 3958.8 miles. The score is GeoGuessr's, 5000 exp(-10 d / D), with D the diagonal of the run's
map and of the world.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from geods.geo import geometry, partition

WITHIN_KM = (1, 25, 200, 750, 2500)
# 50 guesses of GeoGuessr players at locations in the mainland US, the only measured sample there is, and its bounds.
HUMAN_MEAN_MILES, HUMAN_MEDIAN_MILES = 587.0, 439.0
_MAINLAND_US, _BOUNDS_DIFFER_DEG = (24.5, 49.4, -124.8, -66.9), 2.0
TOP = 5
# Of the search for the best constant point: steps in degrees, and locations it looks at.
_COARSEST_DEG, _FINEST_DEG = 10.0, 1e-3
_COARSE_LOCATIONS, _FINE_LOCATIONS = 2048, 1 << 16
_BOOTSTRAP_SAMPLES = 1000
# For each location, but in all no more: with half a million chance moves their mean by less than a mile.
_RANDOM_GUESSES, _MOST_RANDOM_GUESSES = 20, 500_000
# Locations a piece, so that an array of one number each takes 0.5 MB.
_AT_ONCE = 1 << 16


@dataclasses.dataclass(frozen=True, eq=False)
class Guesses:
    """Truths and guesses for n locations.

    Attributes:
        truth: `[n, 2]` degrees, (lat, lon).
        cells: `[n]` int, cell of the truth, -1 outside every cell.
        points: `[n, 2]` degrees, the guessed points.
        top_cells: `[n, k]` int, the guessed cells, most probable first.
    """

    truth: np.ndarray
    cells: np.ndarray
    points: np.ndarray
    top_cells: np.ndarray

    def __len__(self) -> int:
        """Returns n."""
        return len(self.truth)


def top_cells(probabilities: np.ndarray, count: int = TOP) -> np.ndarray:
    """Returns the most probable cells of `[n, cells]`, `[n, min(count, cells)]`.

    Among equals the lowest number comes first.
    """
    return np.argsort(-probabilities, axis=1, kind="stable")[:, :count]


def evaluate(guesses: Guesses, cells: partition.Partition, seed: int = 0) -> dict[str, Any]:
    """Returns the content of metrics.json.

    Args:
        guesses: Of the model; at least one location.
        cells: The partition its cells belong to.
        seed: Of the random guess and the bootstrap.
    """
    rng = np.random.default_rng(seed)
    constant = constant_guess(guesses, cells)
    return {
        "locations": len(guesses),
        "score_map_diagonal_km": round(cells.diagonal_km, 3),
        "score_world_diagonal_km": geometry.WORLD_DIAGONAL_KM,
        **measure(guesses, cells),
        "constant_guess": {**measure(constant, cells), "point": constant.points[0].tolist()},
        "random_guess": measure(random_guess(guesses, cells, rng), cells),
        **_people(cells),
        "intervals": intervals(guesses, constant, cells, rng),
    }


def measure(guesses: Guesses, cells: partition.Partition) -> dict[str, Any]:
    """Returns the figures of one set of guesses."""
    distance_km = _in_pieces(geometry.haversine_km, guesses.truth, guesses.points)
    hits = guesses.top_cells == guesses.cells[:, None]
    return {
        "mean_miles": float(distance_km.mean() / geometry.KM_PER_MILE),
        "median_miles": float(np.median(distance_km) / geometry.KM_PER_MILE),
        "mean_km": float(distance_km.mean()),
        "median_km": float(np.median(distance_km)),
        "report_mean_miles": _report_mean_miles(guesses, cells),
        "within_km": {str(limit): float((distance_km <= limit).mean()) for limit in WITHIN_KM},
        "score_map": float(geometry.geoguessr_score(distance_km, cells.diagonal_km).mean()),
        "score_world": float(geometry.geoguessr_score(distance_km, geometry.WORLD_DIAGONAL_KM).mean()),
        "top1_cell": float(hits[:, :1].any(axis=1).mean()),
        "top5_cell": float(hits[:, :TOP].any(axis=1).mean()),
    }


def constant_guess(guesses: Guesses, cells: partition.Partition) -> Guesses:
    """Returns the best constant point for these locations and its nearest cells.

    It is chosen by the truths, so it is the hardest constant to beat; and by them alone, so that runs with other cells
    are compared with the same one.
    """
    point = best_constant(guesses.truth)
    order = np.argsort(geometry.haversine_km(cells.centroids, point), kind="stable")[:TOP]
    points = np.broadcast_to(point, (len(guesses), 2))
    return dataclasses.replace(guesses, points=points, top_cells=np.broadcast_to(order, (len(guesses), len(order))))


def best_constant(coords: np.ndarray) -> np.ndarray:
    """Returns the geometric median of locations on the sphere, to 0.001 degrees.

    The best point of a grid of 10 degrees over the Earth, then of ever finer steps around it. Of more than 65,536
    locations it looks at that many, evenly spaced.

    Args:
        coords: `[n, 2]` (lat, lon) degrees, at least one.

    Returns:
        `[2]` (lat, lon) degrees.
    """
    some = coords[:: -(-len(coords) // _COARSE_LOCATIONS)]
    lats, lons = np.arange(-90, 91, _COARSEST_DEG), np.arange(-180, 180, _COARSEST_DEG)
    best, step_deg = _best_of(np.stack(np.meshgrid(lats, lons, indexing="ij"), axis=-1).reshape(-1, 2), some), 10.0
    some = coords[:: -(-len(coords) // _FINE_LOCATIONS)]
    around = np.array([(0, 0), *((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x)], np.float64)
    while step_deg > _FINEST_DEG:
        found = best + step_deg * around
        found = np.stack([found[:, 0].clip(-90, 90), (found[:, 1] + 180) % 360 - 180], axis=1)
        better = _best_of(found, some)
        step_deg /= 1 if (better != found[0]).any() else 2
        best = better
    return best


def _best_of(points: np.ndarray, coords: np.ndarray) -> np.ndarray:
    """Returns the point of `[k, 2]` nearest on average to locations `[n, 2]`."""
    sums = [_in_pieces(geometry.haversine_km, coords, np.broadcast_to(point, coords.shape)).sum() for point in points]
    return points[int(np.argmin(sums))]


def _people(cells: partition.Partition) -> dict[str, Any]:
    """Returns what people reached, {} for a map on which nobody measured them."""
    if np.abs(np.subtract(cells.bounds, _MAINLAND_US)).max() > _BOUNDS_DIFFER_DEG:
        return {}
    return {"people": {"mean_miles": HUMAN_MEAN_MILES, "median_miles": HUMAN_MEDIAN_MILES}}


def random_guess(guesses: Guesses, cells: partition.Partition, rng: np.random.Generator) -> Guesses:
    """Returns guesses uniform by area over the map, many for each location.

    With so many, chance hardly moves the figures.

    They are 20 for each, fewer where there are more than 25,000 locations; of more than 500,000 locations every second,
    every third and so on is guessed once.
    """
    every = -(-len(guesses) // _MOST_RANDOM_GUESSES)
    truth, labels = guesses.truth[::every], guesses.cells[::every]
    times = max(1, min(_RANDOM_GUESSES, _MOST_RANDOM_GUESSES // len(guesses)))
    n = len(truth) * times
    share = cells.areas_km2 / cells.areas_km2.sum()
    top = np.empty((n, TOP), np.int32)
    top[:, 0] = rng.choice(len(cells), size=n, p=share)
    points = np.empty((n, 2))
    for cell in np.unique(top[:, 0]):
        here = top[:, 0] == cell
        points[here] = cells.sample(int(cell), int(here.sum()), rng)
    for start in range(0, n, _AT_ONCE):
        rows = top[start : start + _AT_ONCE, 1:]
        rows[:] = rng.choice(len(cells), size=rows.shape, p=share)
    return Guesses(np.tile(truth, (times, 1)), np.tile(labels, times), points, top)


def intervals(
    guesses: Guesses, constant: Guesses, cells: partition.Partition, rng: np.random.Generator
) -> dict[str, list[float]]:
    """Returns 95 % percentile-bootstrap intervals over locations for each figure.

    Each is [low, high]. `mean_miles_minus_constant_guess` is paired: both are resampled together, so below 0 the model
    is better.
    """
    distance_km = _in_pieces(geometry.haversine_km, guesses.truth, guesses.points)
    behind_km = distance_km - _in_pieces(geometry.haversine_km, constant.truth, constant.points)
    score = geometry.geoguessr_score(distance_km, cells.diagonal_km)
    sample = np.empty(len(guesses))
    draws: dict[str, list[float]] = {}
    for _ in range(_BOOTSTRAP_SAMPLES):
        chosen = rng.integers(len(guesses), size=len(guesses))
        for name, value in _resampled(distance_km, behind_km, score, chosen, sample).items():
            draws.setdefault(name, []).append(float(value))
    return {name: np.percentile(values, [2.5, 97.5]).tolist() for name, values in draws.items()}


def _resampled(
    distance_km: np.ndarray, behind_km: np.ndarray, score: np.ndarray, chosen: np.ndarray, sample: np.ndarray
) -> dict[str, float]:
    """Returns the figures of one bootstrap sample.

    The locations `chosen` `[n]` are gathered into `sample` `[n]`.
    """
    # Clipped, which changes nothing here, as NumPy would write to an array of its own before it checked.
    mean_score = np.take(score, chosen, out=sample, mode="clip").mean()
    mean_behind_km = np.take(behind_km, chosen, out=sample, mode="clip").mean()
    np.take(distance_km, chosen, out=sample, mode="clip")
    within = {f"within_{limit}_km": (sample <= limit).mean() for limit in WITHIN_KM}
    mean_km = sample.mean()
    median_km = np.median(sample, overwrite_input=True)
    return {
        "mean_miles": mean_km / geometry.KM_PER_MILE,
        "median_miles": median_km / geometry.KM_PER_MILE,
        "mean_km": mean_km,
        "median_km": median_km,
        "score_map": mean_score,
        "mean_miles_minus_constant_guess": mean_behind_km / geometry.KM_PER_MILE,
        **within,
    }


def table(metrics: dict[str, Any]) -> str:
    """Returns metrics.json's content as a table to read."""
    what = "images" if metrics.get("views") == "single" else "locations"
    found = [metrics, metrics["constant_guess"], metrics["random_guess"]]
    diagonal_km = metrics["score_map_diagonal_km"]
    lines = columns(f"{metrics['locations']:,} {what}", ("model", "constant", "random"), found, diagonal_km)
    return "\n".join([*lines, *_interval_lines(metrics["intervals"])])


def columns(head: str, names: Sequence[str], found: Sequence[dict[str, Any]], diagonal_km: float) -> list[str]:
    """Returns the lines of a table with a column for each result of `measure`.

    Args:
        head: Of the first column.
        names: Of the others.
        found: Their figures.
        diagonal_km: Of the map, for the score.
    """
    rows: list[tuple[str, list[str]]] = [
        ("mean miles", [f"{column['mean_miles']:,.1f}" for column in found]),
        ("median miles", [f"{column['median_miles']:,.1f}" for column in found]),
        ("mean km", [f"{column['mean_km']:,.1f}" for column in found]),
        ("median km", [f"{column['median_km']:,.1f}" for column in found]),
        ("report's mean miles", [f"{column['report_mean_miles']:,.1f}" for column in found]),
        *((f"within {k} km", [f"{column['within_km'][str(k)]:.1%}" for column in found]) for k in WITHIN_KM),
        (f"score, D = {diagonal_km:,.0f} km", [f"{column['score_map']:,.0f}" for column in found]),
        ("score, world", [f"{column['score_world']:,.0f}" for column in found]),
        ("top-1 cell", [f"{column['top1_cell']:.1%}" for column in found]),
        ("top-5 cells", [f"{column['top5_cell']:.1%}" for column in found]),
    ]
    width = max(len(name) for name, _ in rows)
    lines = ["  ".join([head.ljust(width), *(f"{name:>10}" for name in names)])]
    return lines + [f"{name.ljust(width)}  " + "  ".join(f"{value:>10}" for value in values) for name, values in rows]


def _interval_lines(limits: dict[str, list[float]]) -> list[str]:
    """Returns the lines under the table that say how sure its first column is."""
    mean, paired = limits["mean_miles"], limits["mean_miles_minus_constant_guess"]
    return [
        f"95 % intervals: mean miles {mean[0]:,.1f} to {mean[1]:,.1f}; "
        f"against the best constant guess {paired[0]:+,.1f} to {paired[1]:+,.1f} miles"
    ]


def _report_mean_miles(guesses: Guesses, cells: partition.Partition) -> float:
    """Returns the report's metric, over the locations that lie in a cell.

    It is NaN if none does.
    """
    inside = guesses.cells >= 0
    if not inside.any():
        return float("nan")
    true, guessed = guesses.cells[inside], guesses.top_cells[inside, 0]

    def miles(start: np.ndarray, end: np.ndarray) -> np.ndarray:
        return geometry.haversine_miles_report(cells.centroids[start], cells.centroids[end])

    return float(_in_pieces(miles, true, guessed).mean())


def _in_pieces(
    function: Callable[[np.ndarray, np.ndarray], np.ndarray], first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """Returns a function of the rows of two arrays, `[n]`, piece by piece."""
    found = np.empty(len(first))
    for start in range(0, len(first), _AT_ONCE):
        piece = slice(start, start + _AT_ONCE)
        found[piece] = function(first[piece], second[piece])
    return found
