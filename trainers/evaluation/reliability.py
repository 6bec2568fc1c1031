"""Reliability of probabilities: calibration error, coverage, risk by confidence.

Everything is fitted on some locations and measured on others; `cross_fitted` does both on one set of predictions, by
whole blocks of 1 degree, or smaller ones in small areas.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from geods.dataset import splits
from geods.geo import geometry, partition
from trainers.evaluation import calibration
from trainers.runs import predictions, stored_probabilities

_BINS, _SAMPLES = 15, 1000
_SHARES = tuple(share / 100 for share in range(10, 101, 10))


@dataclasses.dataclass(frozen=True, eq=False)
class ReliabilityReport:
    """Calibrated probabilities of n locations, beside their truth.

    Attributes:
        confidence: `[n]`, probability of the most probable cell as the model gives it.
        tempered: `[n]`, the same tempered.
        right: `[n]` bool, whether the most probable cell is the true one.
        expected_km: `[n]`, tempered mean of the distances from the guess to the cells.
        covered: `[n]` bool, whether the credible region covers the truth.
        area_km2: `[n]`, of the region.
    """

    confidence: np.ndarray
    tempered: np.ndarray
    right: np.ndarray
    expected_km: np.ndarray
    covered: np.ndarray
    area_km2: np.ndarray


def cross_fitted(
    found: predictions.Predictions, labels: np.ndarray, cells: partition.Partition, level: float, parts: int
) -> ReliabilityReport:
    """Measures each part of the locations with a calibration of the other parts.

    Args:
        found: Predictions.
        labels: `[n]` true cells, -1 outside every cell.
        cells: The partition.
        level: Of the regions.
        parts: Into how many parts to divide the locations, by blocks.

    Raises:
        DatasetError: If there are fewer blocks than parts.
    """
    part_of = splits.folds(found.truth, parts)
    columns = {field.name: np.zeros(len(found)) for field in dataclasses.fields(ReliabilityReport)}
    for part in range(parts):
        rows = np.flatnonzero(part_of != part)
        fitted = calibration.fit(found.probabilities, labels, cells.areas_km2, level, rows)
        for some in stored_probabilities.pieces(np.flatnonzero(part_of == part), len(cells)):
            for name, values in vars(_measure(found[some], labels[some], cells, fitted)).items():
                columns[name][some] = values
    columns |= {name: columns[name].astype(bool) for name in ("right", "covered")}
    return ReliabilityReport(**columns)


def measure(
    found: Sequence[predictions.Prediction], cells: partition.Partition, level: float, parts: int
) -> dict[str, Any]:
    """Calibrates predictions, and cross-validates the calibration over their parts.

    Args:
        found: Predictions of one run.
        cells: Its partition.
        level: Share of truths that a credible region is to cover.
        parts: Into how many parts to divide the locations, by blocks.

    Returns:
        The content of calibration.json.
    """
    found = predictions.Predictions.of(found)
    labels = cells.label(found.truth[:, 0], found.truth[:, 1])
    fitted = calibration.fit(found.probabilities, labels, cells.areas_km2, level)
    measured = cross_fitted(found, labels, cells, level, parts)
    return {
        **dataclasses.asdict(fitted),
        "locations": len(found),
        "calibration_error_before": expected_calibration_error(measured.confidence, measured.right),
        "calibration_error_after": expected_calibration_error(measured.tempered, measured.right),
        **_of_regions(measured, cells),
        "risk_by_coverage": risk_by_coverage(measured.expected_km, found.distance_km),
    }


def expected_calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Returns the mean gap between confidence and accuracy over 15 equal bins.

    Confidence in the most probable cell.

    Args:
        confidence: `[n]`, probability of that cell.
        right: `[n]` bool, whether it is the true one.
    """
    bins = np.array_split(np.argsort(confidence, kind="stable"), min(_BINS, len(confidence)))
    return float(sum(len(rows) * abs(confidence[rows].mean() - right[rows].mean()) for rows in bins) / len(confidence))


def risk_by_coverage(expected_km: np.ndarray, distance_km: np.ndarray) -> list[tuple[float, float]]:
    """Returns (share, mean miles) of the most confident 10 to 100 % of locations.

    Args:
        expected_km: `[n]`, error that the model expects.
        distance_km: `[n]`, its error.
    """
    order = np.argsort(expected_km, kind="stable")
    counts = [max(1, round(share * len(order))) for share in _SHARES]
    miles = distance_km[order] / geometry.KM_PER_MILE
    return [(share, float(miles[:count].mean())) for share, count in zip(_SHARES, counts, strict=True)]


def _measure(
    found: predictions.Predictions, labels: np.ndarray, cells: partition.Partition, fitted: calibration.Calibration
) -> ReliabilityReport:
    """Returns the report of one calibration on some locations."""
    probabilities, each = np.asarray(found.probabilities), np.arange(len(found))
    scaled = calibration.tempered(probabilities, fitted.temperature)
    regions = calibration.region(probabilities, cells.areas_km2, fitted)
    probable = probabilities.argmax(axis=1)
    return ReliabilityReport(
        confidence=probabilities[each, probable].astype(np.float64),
        tempered=scaled[each, probable],
        right=probable == labels,
        expected_km=np.einsum("nc,nc->n", scaled, geometry.pairwise_km(found.predicted, cells.centroids)),
        covered=regions[each, np.maximum(labels, 0)] & (labels >= 0),
        area_km2=regions @ cells.areas_km2,
    )


def _of_regions(measured: ReliabilityReport, cells: partition.Partition) -> dict[str, Any]:
    """Returns the regions' coverage with a 95 % bootstrap interval and median size."""
    rng, covered = np.random.default_rng(0), measured.covered
    means = [covered[rng.integers(len(covered), size=len(covered))].mean() for _ in range(_SAMPLES)]
    median_km2 = float(np.median(measured.area_km2))
    return {
        "coverage": float(covered.mean()),
        "coverage_interval": np.percentile(means, [2.5, 97.5]).tolist(),
        "median_region_km2": median_km2,
        "median_region_share": median_km2 / float(cells.areas_km2.sum()),
    }
