"""How far a model's probabilities can be trusted: temperature, calibration error, credible regions, risk by confidence.

Everything is fitted on some locations and measured on others; `cross_fitted` does both on one set of predictions, by
whole blocks of 1 degree.
"""

import dataclasses
import math
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from geods import errors, files, geometry, partition, splits
from trainers import predictions, runs

_BINS, _SAMPLES = 15, 1000
_GOLDEN = (math.sqrt(5) - 1) / 2
# Of log T: from 0.05 to 20. 40 steps of golden section narrow it to 1e-8.
_SEARCHED, _STEPS = 3.0, 40
_SHARES = tuple(share / 100 for share in range(10, 101, 10))


@dataclasses.dataclass(frozen=True)
class Calibration:
    """What was fitted.

    Attributes:
        temperature: T that makes softmax(log p / T) likeliest.
        level: Share of truths a credible region is to hold.
        mass: Cells belong to the region in order of density, up to this sum of their probabilities.
    """

    temperature: float
    level: float
    mass: float


def tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Returns softmax(log p / T) of `[n, cells]`, float64."""
    logits = np.log(np.maximum(np.asarray(probabilities, np.float64), 1e-12)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def fit_temperature(probabilities: np.ndarray, cells: np.ndarray) -> float:
    """Returns the T with the least negative log-likelihood of the true cells (Guo et al. 2017, arXiv 1706.04599).

    Args:
        probabilities: `[n, cells]`.
        cells: `[n]` true cells; -1, outside every cell, does not count.

    Raises:
        RunError: If no location lies in a cell.
    """
    inside = cells >= 0
    if not inside.any():
        raise errors.RunError("no location lies in a cell.", "calibrate on locations inside the run's partition")
    some, truth = probabilities[inside], cells[inside]

    def loss(log_temperature: float) -> float:
        return float(-np.log(tempered(some, math.exp(log_temperature))[np.arange(len(truth)), truth] + 1e-300).mean())

    low, high = -_SEARCHED, _SEARCHED
    for _ in range(_STEPS):
        # The likelihood is concave in 1/T, so it has one maximum and golden section finds it.
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        low, high = (low, right) if loss(left) <= loss(right) else (left, high)
    return math.exp((low + high) / 2)


def mass_to_include(probabilities: np.ndarray, areas_km2: np.ndarray) -> np.ndarray:
    """Returns, for each cell, the probability of all cells at least as dense, itself included, `[n, cells]`."""
    order = np.argsort(-probabilities / areas_km2, axis=1, kind="stable")
    summed = np.cumsum(np.take_along_axis(probabilities, order, axis=1), axis=1)
    result = np.empty_like(summed)
    np.put_along_axis(result, order, summed, axis=1)
    return result


def fit(probabilities: np.ndarray, cells: np.ndarray, areas_km2: np.ndarray, level: float = 0.9) -> Calibration:
    """Fits temperature and mass.

    The mass is the conformal quantile of what the true cells would have needed, rank ceil((n + 1) level) of n: on
    locations like these a region holds the truth with at least that probability (Romano et al. 2020, Classification
    with Valid and Adaptive Coverage, arXiv 2006.02544).

    Args:
        probabilities: `[n, cells]` as the model gives them.
        cells: `[n]` true cells, -1 outside every cell, which no region can hold.
        areas_km2: `[cells]`.
        level: Share of truths to hold, above 0 and below 1.

    Raises:
        RunError: If no location lies in a cell.
        OptionError: If the level is no such share.
    """
    if not 0 < level < 1:
        raise errors.OptionError(f"a credible region of level {level}.", "give a share between 0 and 1, such as 0.9")
    temperature = fit_temperature(probabilities, cells)
    needed = _needed(tempered(probabilities, temperature), cells, areas_km2)
    rank = min(len(needed), math.ceil((len(needed) + 1) * level))
    return Calibration(temperature, level, float(min(np.sort(needed)[rank - 1], 1.0)))


def region(probabilities: np.ndarray, areas_km2: np.ndarray, fitted: Calibration) -> np.ndarray:
    """Returns which cells belong to the credible region of locations, bool `[n, cells]`; the densest always."""
    needed = mass_to_include(tempered(probabilities, fitted.temperature), areas_km2)
    # A sum that rounding brings over 1 is still everything.
    return (needed <= fitted.mass + 1e-12) | (needed == needed.min(axis=1, keepdims=True))


def expected_calibration_error(probabilities: np.ndarray, cells: np.ndarray) -> float:
    """Returns the mean gap between confidence in the most probable cell and its accuracy, over 15 equal bins."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == cells
    bins = np.array_split(np.argsort(confidence, kind="stable"), min(_BINS, len(confidence)))
    return float(sum(len(rows) * abs(confidence[rows].mean() - right[rows].mean()) for rows in bins) / len(confidence))


def risk_by_coverage(expected_km: np.ndarray, distance_km: np.ndarray) -> list[tuple[float, float]]:
    """Returns (share of locations, their mean miles) for the most confident 10 to 100 %.

    Args:
        expected_km: `[n]`, how far off the model expects to be.
        distance_km: `[n]`, how far off it is.
    """
    order = np.argsort(expected_km, kind="stable")
    counts = [max(1, round(share * len(order))) for share in _SHARES]
    miles = distance_km[order] / geometry.KM_PER_MILE
    return [(share, float(miles[:count].mean())) for share, count in zip(_SHARES, counts, strict=True)]


def cross_fitted(
    probabilities: np.ndarray, truth: np.ndarray, cells: partition.Partition, level: float, parts: int
) -> tuple[np.ndarray, np.ndarray]:
    """Tempers each location with what was fitted on the other parts, and says whether its region holds the truth.

    Args:
        probabilities: `[n, cells]`.
        truth: `[n, 2]` (lat, lon) degrees.
        cells: The partition.
        level: Of the regions.
        parts: Into how many parts to divide the locations, by blocks.

    Returns:
        Tempered probabilities `[n, cells]`, and regions, bool `[n, cells]`.

    Raises:
        DatasetError: If there are fewer blocks than parts.
    """
    labels, part_of = cells.label(truth[:, 0], truth[:, 1]), splits.folds(truth, parts)
    scaled, regions = np.empty(probabilities.shape), np.zeros(probabilities.shape, bool)
    for part in range(parts):
        here = part_of == part
        fitted = fit(probabilities[~here], labels[~here], cells.areas_km2, level)
        scaled[here] = tempered(probabilities[here], fitted.temperature)
        regions[here] = region(probabilities[here], cells.areas_km2, fitted)
    return scaled, regions


def measure(
    found: Sequence[predictions.Prediction], cells: partition.Partition, level: float, parts: int
) -> dict[str, Any]:
    """Calibrates predictions, and measures on each part of them what was fitted on the others.

    Args:
        found: Predictions of one run.
        cells: Its partition.
        level: Share of truths that a credible region is to hold.
        parts: Into how many parts to divide the locations, by blocks.

    Returns:
        The content of calibration.json.
    """
    probabilities = np.array([one.probabilities for one in found], dtype=np.float64)
    truth, guessed = np.array([one.truth for one in found]), np.array([one.predicted for one in found])
    labels = cells.label(truth[:, 0], truth[:, 1])
    fitted = fit(probabilities, labels, cells.areas_km2, level)
    scaled, regions = cross_fitted(probabilities, truth, cells, level, parts)
    expected_km = np.einsum("nc,nc->n", scaled, geometry.pairwise_km(guessed, cells.centroids))
    distance_km = geometry.haversine_km(truth, guessed)
    return {
        **dataclasses.asdict(fitted),
        "locations": len(found),
        "calibration_error_before": expected_calibration_error(probabilities, labels),
        "calibration_error_after": expected_calibration_error(scaled, labels),
        **_of_regions(regions, labels, cells),
        "risk_by_coverage": risk_by_coverage(expected_km, distance_km),
    }


def read(folder: pathlib.Path) -> Calibration | None:
    """Reads what was fitted for a run; None if nothing was.

    Raises:
        RunError: If the file is damaged.
    """
    path = folder / runs.CALIBRATION
    if not path.is_file():
        return None
    try:
        found: dict[str, Any] = files.parse_json(path.read_bytes())
        return Calibration(*(float(found[name]) for name in ("temperature", "level", "mass")))
    except (ValueError, KeyError, TypeError) as error:
        problem = f"{path}: is damaged ({type(error).__name__}: {error})."
        raise errors.RunError(problem, f"python -m trainers.calibrate --run_dir={folder}") from error


def _of_regions(regions: np.ndarray, labels: np.ndarray, cells: partition.Partition) -> dict[str, Any]:
    """Returns how many truths the regions hold, with a 95 % bootstrap interval, and how large they are."""
    held = regions[np.arange(len(labels)), np.maximum(labels, 0)] & (labels >= 0)
    rng = np.random.default_rng(0)
    means = [held[rng.integers(len(held), size=len(held))].mean() for _ in range(_SAMPLES)]
    area_km2 = regions @ cells.areas_km2
    return {
        "coverage": float(held.mean()),
        "coverage_interval": np.percentile(means, [2.5, 97.5]).tolist(),
        "median_region_km2": float(np.median(area_km2)),
        "median_region_share": float(np.median(area_km2) / cells.areas_km2.sum()),
    }


def _needed(probabilities: np.ndarray, cells: np.ndarray, areas_km2: np.ndarray) -> np.ndarray:
    """Returns the mass a region must reach to hold each truth, `[n]`; infinite where no region can."""
    needed = mass_to_include(probabilities, areas_km2)[np.arange(len(cells)), np.maximum(cells, 0)]
    return np.where(cells >= 0, needed, np.inf)
