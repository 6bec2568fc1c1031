"""Temperature and credible regions, fitted to locations with known truth.

Probabilities are read in pieces, so they may stay in a file. trainers/evaluation/reliability.py measures the fit.
"""

import dataclasses
import math
import pathlib
from typing import Any

import numpy as np

from geods import errors
from geods.storage import files
from trainers.runs import run_folder, stored_probabilities

# Of 1 / T. A step of Newton's method that leaves what is still possible is replaced by its middle, so 100 always do.
_SEARCHED, _STEPS, _PRECISION = (0.05, 20.0), 100, 1e-9


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Fitted temperature and regions.

    Attributes:
        temperature: T that makes softmax(log p / T) likeliest.
        level: Share of truths that credible regions cover.
        mass: Cells belong to the region in order of density, up to this sum of their probabilities.
    """

    temperature: float
    level: float
    mass: float


def tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Returns softmax(log p / T) of `[n, cells]`, float64."""
    logits = _logits(probabilities) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def fit_temperature(
    probabilities: stored_probabilities.Rows, cells: np.ndarray, rows: np.ndarray | None = None
) -> float:
    """Returns the T with the least negative log-likelihood of the true cells.

    Guo et al. 2017, arXiv 1706.04599.

    The likelihood is concave in 1 / T, so its maximum is the one zero of its slope, which Newton's method finds.

    Args:
        probabilities: `[n, cells]`.
        cells: `[n]` true cells; -1, outside every cell, does not count.
        rows: Which locations to fit on, all if not given.

    Raises:
        RunError: If no location lies in a cell.
    """
    rows = np.arange(len(cells)) if rows is None else rows
    rows = rows[cells[rows] >= 0]
    if not rows.size:
        raise errors.RunError("no location lies in a cell.", "calibrate on locations inside the run's partition")
    low, high = _SEARCHED
    inverse = 1.0
    for _ in range(_STEPS):
        slope, curvature = _slope(probabilities, cells, rows, inverse)
        low, high = (inverse, high) if slope < 0 else (low, inverse)
        moved = inverse - slope / curvature if curvature > 0 else low
        moved = moved if low < moved < high else (low + high) / 2
        if abs(moved - inverse) <= _PRECISION * inverse:
            break
        inverse = moved
    return 1 / inverse


def mass_to_include(probabilities: np.ndarray, areas_km2: np.ndarray) -> np.ndarray:
    """Returns each cell's mass of all cells at least as dense, `[n, cells]`.

    Itself included.
    """
    order = np.argsort(-probabilities / areas_km2, axis=1, kind="stable")
    summed = np.cumsum(np.take_along_axis(probabilities, order, axis=1), axis=1)
    result = np.empty_like(summed)
    np.put_along_axis(result, order, summed, axis=1)
    return result


def fit(
    probabilities: stored_probabilities.Rows,
    cells: np.ndarray,
    areas_km2: np.ndarray,
    level: float = 0.9,
    rows: np.ndarray | None = None,
) -> Calibration:
    """Fits temperature and mass.

    The mass is the conformal quantile of the masses that include the true cells, rank ceil((n + 1) level) of n: on
    locations like these a region covers the truth with at least that probability (Romano et al. 2020, Classification
    with Valid and Adaptive Coverage, arXiv 2006.02544).

    Args:
        probabilities: `[n, cells]` as the model gives them.
        cells: `[n]` true cells, -1 outside every cell, which no region covers.
        areas_km2: `[cells]`.
        level: Share of truths to cover, above 0 and below 1.
        rows: Which locations to fit on, all if not given.

    Raises:
        RunError: If no location lies in a cell.
        OptionError: If the level is no such share.
    """
    if not 0 < level < 1:
        raise errors.OptionError(f"a credible region of level {level}.", "give a share between 0 and 1, such as 0.9")
    rows = np.arange(len(cells)) if rows is None else rows
    temperature = fit_temperature(probabilities, cells, rows)
    needed = np.concatenate(
        [
            _needed(tempered(probabilities[some], temperature), cells[some], areas_km2)
            for some in stored_probabilities.pieces(rows, probabilities.shape[1])
        ]
    )
    rank = min(len(needed), math.ceil((len(needed) + 1) * level))
    return Calibration(temperature, level, float(min(np.sort(needed)[rank - 1], 1.0)))


def region(probabilities: np.ndarray, areas_km2: np.ndarray, fitted: Calibration) -> np.ndarray:
    """Returns the credible regions of locations as a mask of cells, `[n, cells]`.

    The densest cell always belongs to it.
    """
    needed = mass_to_include(tempered(probabilities, fitted.temperature), areas_km2)
    # A sum that rounding brings over 1 is still everything.
    return (needed <= fitted.mass + 1e-12) | (needed == needed.min(axis=1, keepdims=True))


def read(folder: pathlib.Path) -> Calibration | None:
    """Reads the calibration of a run; None if it has none.

    Raises:
        RunError: If the file is damaged.
    """
    path = folder / run_folder.CALIBRATION
    if not path.is_file():
        return None
    try:
        found: dict[str, Any] = files.parse_json(path.read_bytes())
        return Calibration(*(float(found[name]) for name in ("temperature", "level", "mass")))
    except (ValueError, KeyError, TypeError) as error:
        problem = f"{path}: is damaged ({type(error).__name__}: {error})."
        raise errors.RunError(problem, f"python -m trainers.calibrate --run_dir={folder}") from error


def _slope(
    probabilities: stored_probabilities.Rows, cells: np.ndarray, rows: np.ndarray, inverse: float
) -> tuple[float, float]:
    """Returns two derivatives by 1 / T of the negative log-likelihood, a row's mean.

    The first and the second.
    """
    slope = curvature = 0.0
    for some in stored_probabilities.pieces(rows, probabilities.shape[1]):
        logits, weights = _logits(probabilities[some]), tempered(probabilities[some], 1 / inverse)
        mean = np.einsum("nc,nc->n", weights, logits)
        slope += float((mean - logits[np.arange(len(some)), cells[some]]).sum())
        curvature += float((np.einsum("nc,nc,nc->n", weights, logits, logits) - mean**2).sum())
    return slope / len(rows), curvature / len(rows)


def _logits(probabilities: np.ndarray) -> np.ndarray:
    """Returns log p, float64, of what is not 0; of that a very low number."""
    return np.log(np.maximum(np.asarray(probabilities, np.float64), 1e-12))


def _needed(probabilities: np.ndarray, cells: np.ndarray, areas_km2: np.ndarray) -> np.ndarray:
    """Returns the mass at which a region covers each truth, `[n]`.

    Infinite where none does.
    """
    needed = mass_to_include(probabilities, areas_km2)[np.arange(len(cells)), np.maximum(cells, 0)]
    return np.where(cells >= 0, needed, np.inf)
