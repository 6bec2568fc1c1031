"""Kernel ridge regression of the cost of each cell on texture descriptors.

Nothing is trained step by step: the weights are the solution of one linear system.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import scipy.linalg
from keras import ops

from geods import errors
from geods.geo import geometry
from model import tensors
from model.encoders import second_order_pooling
from model.fusion import views

NAME = "kernel"
WIDTHS = (0.1, 0.25, 0.5, 1.0)
RIDGES = (1e-6, 1e-5, 1e-4, 1e-3)
SPREADS_KM = (50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 400.0, 600.0, 900.0)
# With more locations than --most_places all enter the regression, but it remembers so many: 100,000 fit in 10 minutes.
LANDMARKS = 5000
# Share of them that are means of neighbours: with 50 of 792 real locations 16 instead of 29 % above the exact solution,
# and with 100 11 instead of 19 %; with 2,000 of 10,000 drawn ones, which share less with their neighbours, a half gains
# 0.6 and a quarter 1.3 %.
_MEANS = 0.25
# With more locations all enter the regression, but width, ridge and spread are chosen on so many: 16 inverses.
CHOSEN_ON = 2000
_JITTER = 1e-10
_AT_ONCE = 1024


@keras.saving.register_keras_serializable(package="geods")
class KernelRegression(keras.layers.Layer):
    """Kernel regression of expected costs, as log-probabilities of cells.

    descriptors x `[b, d]` and view_mask bool `[b, v]` -> log-probabilities float32 `[b, cells]`,

        E(cell) = offset(cell) + sum over places i of (k(x, x_i) - centre) coefficient(i, cell),
        k(x, y) = exp(-rate |x - y|^2),
        p(cell) ~ exp(-E(cell) / spread_km).

    E is the ridge regression of what a guess in the cell costs at a place (`cost_km`), so the least E is the least
    expected cost without any assumption on how the probability lies round a cell (Ciliberto et al. 2016, A Consistent
    Regularization Approach for Structured Prediction, arXiv 1605.07588). Its weights on places may be negative, so it
    is no mean over a distribution; the softmax only gives it the form of the other classifiers' output.

    Args:
        places: Number of training locations it remembers; `remember` stores them.
        cells: Number of cells.
        centre: A usual k, which only rounding depends on: of 788 places the coefficients of a cell are 15 million km in
            all and add up to 4,000, so that float32 lost 1.5 km of E, 4e-3 of a log-probability, and now a tenth.

    Raises:
        OptionError: If one is below 1.
    """

    def __init__(self, places: int, cells: int, centre: float = 0.0, **options: object) -> None:
        options.setdefault("dtype", "float32")
        super().__init__(**options)
        if places < 1 or cells < 1:
            raise errors.OptionError(f"{places} locations and {cells} cells.", "give at least 1 of both")
        self.places, self.cells, self.centre = places, cells, centre

    # `looks` are the descriptors; model.keras files hold the name of this argument.
    def build(self, looks_shape: tuple[Any, ...], view_mask_shape: Any) -> None:  # noqa: ANN401 - a shape
        """Creates the weights of the solution."""
        options = {"initializer": "zeros", "trainable": False}
        self.descriptors = self.add_weight(name="descriptors", shape=(self.places, looks_shape[-1]), **options)
        self.coefficients = self.add_weight(name="coefficients", shape=(self.places, self.cells), **options)
        self.offset = self.add_weight(name="offset", shape=(self.cells,), **options)
        self.rate = self.add_weight(name="rate", shape=(), **options)
        self.spread_km = self.add_weight(name="spread_km", shape=(), initializer="ones", trainable=False)

    def remember(self, solution: "Solution") -> None:
        """Stores a solution."""
        # For locations as far apart as is usual.
        self.centre = math.exp(-solution.width)
        self.offset.assign(solution.offset + self.centre * solution.coefficients.sum(axis=0))
        for name in ("descriptors", "coefficients", "rate", "spread_km"):
            getattr(self, name).assign(np.asarray(getattr(solution, name), np.float32))

    def call(self, looks: tensors.Tensor, view_mask: tensors.Tensor) -> tensors.Tensor:
        """Returns log-probabilities `[b, cells]`."""
        known = ops.convert_to_tensor(self.descriptors)
        apart = (
            ops.sum(looks * looks, axis=1)[:, None]
            + ops.sum(known * known, axis=1)[None, :]
            - 2 * ops.matmul(looks, ops.transpose(known))
        )
        likeness = ops.exp(-self.rate * ops.maximum(apart, 0.0))
        expected_km = self.offset + ops.matmul(likeness - self.centre, self.coefficients)
        return views.or_uniform(ops.log_softmax(-expected_km / self.spread_km, axis=-1), views.seen_views(view_mask))

    def rounding(self) -> float:
        """Returns the rounding error of log-probabilities in float32.

        It is that of kernels which are all off by 2^-24: 1e-3 to 1e-2 for 788 real locations, of which two runtimes
        differed by up to 3e-3.
        """
        coefficients = ops.convert_to_numpy(self.coefficients).astype(np.float64)
        return float(2.0**-24 * np.abs(coefficients).sum(axis=0).max() / ops.convert_to_numpy(self.spread_km))

    def compute_output_spec(self, looks: tensors.Tensor, view_mask: tensors.Tensor) -> keras.KerasTensor:
        """Returns shape and dtype of the result without computing it."""
        return keras.KerasTensor((looks.shape[0], self.cells), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "places": self.places, "cells": self.cells, "centre": self.centre}


@dataclasses.dataclass(frozen=True, eq=False)
class Solution:
    """Result of a fit.

    Attributes:
        descriptors: `[places, d]` whose kernels it consists of.
        coefficients: `[places, cells]`.
        offset: `[cells]` km.
        rate: Of the kernel, per squared distance of descriptors.
        spread_km: Of the probabilities.
        width: Chosen of WIDTHS.
        ridge: Chosen of RIDGES; that of each location it was chosen on.
        held_out_km: Mean distance in cross-validation over the groups.
    """

    descriptors: np.ndarray
    coefficients: np.ndarray
    offset: np.ndarray
    rate: float
    spread_km: float
    width: float
    ridge: float
    held_out_km: float


def cost_km(distance_km: np.ndarray, nearness_km: float, mean_km: float | None = None) -> np.ndarray:
    """Returns the cost `[n, m]` in km of guesses at distances `[n, m]` km.

    The distance d itself, and with `nearness_km` also (1 - exp(-d / nearness_km)) times the mean distance: it grows
    ever more slowly, as the score of GeoGuessr falls, so that among equally probable places a guess near one costs less
    than a guess in the middle of all. `mean_km` is that mean if it is not the one of these distances.
    """
    if not nearness_km:
        return distance_km
    return distance_km - (distance_km.mean() if mean_km is None else mean_km) * np.expm1(-distance_km / nearness_km)


def fit(
    descriptors: np.ndarray,
    coords: np.ndarray,
    groups: np.ndarray,
    centroids: npt.ArrayLike,
    nearness_km: float = 0.0,
    chosen_on: int = CHOSEN_ON,
    landmarks: int = 0,
    further: Iterable[tuple[np.ndarray, np.ndarray]] = (),
) -> Solution:
    """Fits the regression, with width and ridge chosen by cross-validation.

    Leaving a group out of a ridge regression has a closed form: with G = (K + n ridge I)^-1 and A = G Y, the residual
    of group B is G_BB^-1 A_B. So choosing costs one inverse a candidate, and needs no validation split. The penalty
    n ridge stays that of the locations it was chosen on: growing with n, it cost 4 % of the mean distance at 10,000.

    Args:
        descriptors: `[n, d]`, one for each training location.
        coords: `[n, 2]` degrees, (lat, lon).
        groups: `[n]` int; locations of one group are held out together, such as those of a block of the map.
        centroids: `[cells, 2]` degrees, (lat, lon).
        nearness_km: As in `cost_km`.
        chosen_on: How many of the first locations cross-validate the candidates.
        landmarks: If not 0, the solution is sought among so many kernels (Nystroem; Rudi et al. 2015, Less is More,
            arXiv 1507.04717): those of the first locations, and of means of neighbours among the n.
        further: Descriptors `[k, d]` and coords `[k, 2]` of more locations, in batches; with landmarks only.

    Returns:
        Solution. n^3 work and n^2 memory; with landmarks, landmarks^2 work for each location.

    Raises:
        TrainingError: If those locations are of fewer than two groups, or all have one descriptor.
    """
    distance_km = geometry.pairwise_km(coords, np.asarray(centroids, np.float64))
    cost = cost_km(distance_km, nearness_km)
    first = slice(min(chosen_on, len(descriptors)))
    apart = _squared_distances((descriptors[first] if landmarks else descriptors).astype(np.float64))
    members = [np.flatnonzero(groups[first] == group) for group in np.unique(groups[first])]
    usual = float(np.median(apart[first, first]))
    if len(members) < 2 or usual <= 0:
        problem = f"{first.stop} locations in {len(members)} groups, whose descriptors are {usual:g} apart."
        raise errors.TrainingError(problem, "train on locations of at least two blocks with different images")
    apart /= usual
    tried = [
        (_mean_km(distance_km[first], _left_out(apart[first, first], cost[first], members, *choice)), *choice)
        for choice in itertools.product(WIDTHS, RIDGES)
    ]
    mean_km, width, ridge = min(tried)
    expected_km = _left_out(apart[first, first], cost[first], members, width, ridge)
    spread_km = _spread(expected_km, distance_km[first].argmin(axis=1))
    rate, penalty = width / usual, first.stop * ridge
    if landmarks:
        starts = range(0, len(descriptors), _AT_ONCE)
        batches = ((descriptors[start : start + _AT_ONCE], coords[start : start + _AT_ONCE]) for start in starts)
        costs = _costs(itertools.chain(batches, further), centroids, nearness_km, float(distance_km.mean()))
        remembered = _landmarks(descriptors, coords, landmarks)
        offset, coefficients = _projected(remembered, rate, penalty, costs)
    else:
        remembered, offset, coefficients = descriptors, cost.mean(axis=0), _solved(apart, cost, width, penalty)
    return Solution(remembered, coefficients, offset, rate, spread_km, width, ridge, mean_km)


def build_classifier(
    regression: KernelRegression, feature_shape: tuple[int, ...], encoders: Sequence[tuple[int, int]] = ()
) -> keras.Model:
    """Builds a classifier from pooling, descriptors and regression.

    Its inputs are those of `geolocator.build_classifier`; its layer "moment_roots" gives the descriptors.

    Args:
        regression: The layer behind the descriptors.
        feature_shape: Shape of one view's features: a map, or `(d,)` for second moments of maps.
        encoders: Of moments, the number of features and of input sizes of each encoder; one with one size if empty.
    """
    features = keras.Input((None, *feature_shape), name="features")
    view_mask = keras.Input((None,), dtype="bool", name="view_mask")
    pooled: Any = features
    channels: int | list[int] = feature_shape[-1]
    if len(feature_shape) == 1:
        channels = _channels(encoders or [(feature_shape[0], 1)])
    else:
        pooled = views.PerView(second_order_pooling.SecondOrderPooling(name="second_moments"), name="moments")(features)
    descriptors = second_order_pooling.MatrixSquareRoot(channels, name="moment_roots")(pooled, view_mask)
    found = regression(descriptors, view_mask)
    return keras.Model({"features": features, "view_mask": view_mask}, found, name="classifier")


def _channels(encoders: Sequence[tuple[int, int]]) -> int | list[int]:
    """Returns the channels of the matrices, one number for a single encoder."""
    counts = [sizes * len(second_order_pooling.REGIONS) for _, sizes in encoders]
    found = [second_order_pooling.channels_of(width, n) for (width, _), n in zip(encoders, counts, strict=True)]
    return found[0] if len(found) == 1 else list(np.repeat(found, counts).tolist())


def _squared_distances(descriptors: np.ndarray) -> np.ndarray:
    """Returns squared distances `[n, n]` of descriptors `[n, d]`."""
    squares = (descriptors * descriptors).sum(axis=1)
    # In place: of 10,000 places a matrix of all pairs is 0.8 GB.
    apart: np.ndarray = descriptors @ descriptors.T
    apart *= -2
    apart += squares[:, None]
    apart += squares
    return np.maximum(apart, 0, out=apart)


def _left_out(apart: np.ndarray, cost: np.ndarray, members: list[np.ndarray], width: float, ridge: float) -> np.ndarray:
    """Returns held-out expected costs, `[n, cells]` km."""
    inverse = np.linalg.inv(np.exp(-width * apart) + len(apart) * ridge * np.eye(len(apart)))
    coefficients = inverse @ (cost - cost.mean(axis=0))
    expected_km = cost.copy()
    for group in members:
        expected_km[group] -= np.linalg.solve(inverse[np.ix_(group, group)], coefficients[group])
    return expected_km


def _solved(apart: np.ndarray, cost: np.ndarray, width: float, penalty: float) -> np.ndarray:
    """Returns the coefficients `[n, cells]`; overwrites `apart` `[n, n]`."""
    apart *= -width
    np.exp(apart, out=apart)
    apart[np.diag_indices_from(apart)] += penalty
    found: np.ndarray = scipy.linalg.solve(apart, cost - cost.mean(axis=0), overwrite_a=True, assume_a="pos")
    return found


def _landmarks(descriptors: np.ndarray, coords: np.ndarray, count: int) -> np.ndarray:
    """Returns the first descriptors and means of neighbours, `[count, d]`."""
    means = max(1, round(_MEANS * count))
    groups = _neighbours(geometry.unit_vectors(coords), np.arange(len(coords)), means)
    averaged = [descriptors[group].mean(axis=0, dtype=np.float64) for group in groups]
    return np.concatenate([descriptors[: count - means], np.array(averaged, np.float32)])


def _neighbours(points: np.ndarray, rows: np.ndarray, count: int) -> list[np.ndarray]:
    """Returns the leaves of a k-d tree: groups of neighbouring rows, of like sizes."""
    if count == 1:
        return [rows]
    axis = np.ptp(points[rows], axis=0).argmax()
    ordered, end = rows[points[rows, axis].argsort()], len(rows) * (count // 2) // count
    halves = (ordered[:end], count // 2), (ordered[end:], count - count // 2)
    return [group for half, parts in halves for group in _neighbours(points, half, parts)]


def _costs(
    batches: Iterable[tuple[np.ndarray, np.ndarray]], centroids: npt.ArrayLike, nearness_km: float, mean_km: float
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields descriptors and costs of batches, with a column of ones."""
    for descriptors, coords in batches:
        distance_km = geometry.pairwise_km(coords, np.asarray(centroids, np.float64))
        yield descriptors, np.column_stack([cost_km(distance_km, nearness_km, mean_km), np.ones(len(coords))])


def _projected(
    landmarks: np.ndarray, rate: float, penalty: float, batches: Iterable[tuple[np.ndarray, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns offset and coefficients of the kernels of landmarks, `[m, cells]`.

    With K the kernel of the landmarks `[m, d]`, C that of all locations to them, and L L^T = K, the coefficients are
    L^-T (L^-1 C^T C L^-T + penalty I)^-1 L^-1 C^T (cost - offset), whose inner matrix is well conditioned.
    """
    squares = (landmarks * landmarks).sum(axis=1)
    gram: Any = 0.0
    target: Any = 0.0
    totals: Any = 0.0
    for others, costs in batches:
        # In float32, in which the descriptors are: a product of float64 would take twice the time of the whole fit.
        likeness = others @ landmarks.T
        likeness *= -2
        likeness += (others * others).sum(axis=1)[:, None]
        likeness += squares
        np.maximum(likeness, 0, out=likeness)
        likeness *= np.float32(-rate)
        between = np.exp(likeness, out=likeness).astype(np.float64)
        gram += between.T @ between
        target += between.T @ costs
        totals += costs.sum(axis=0)
    offset = totals[:-1] / totals[-1]
    kernel = np.exp(-rate * _squared_distances(landmarks.astype(np.float64)))
    kernel[np.diag_indices_from(kernel)] += _JITTER * len(kernel)
    lower = functools.partial(scipy.linalg.solve_triangular, np.linalg.cholesky(kernel), lower=True)
    inner = lower(lower(gram).T)
    inner[np.diag_indices_from(inner)] += penalty
    aligned = lower(target[:, :-1] - target[:, -1:] * offset)
    return offset, lower(scipy.linalg.solve(inner, aligned, assume_a="pos"), trans=1)


def _mean_km(distance_km: np.ndarray, expected_km: np.ndarray) -> float:
    """Returns the mean distance of the cells of least expected cost."""
    return float(distance_km[np.arange(len(distance_km)), expected_km.argmin(axis=1)].mean())


def _spread(expected_km: np.ndarray, cells: np.ndarray) -> float:
    """Returns the spread of least negative log-likelihood of the true cells `[n]`."""
    rows = np.arange(len(cells))

    def surprise(spread_km: float) -> float:
        scores = -expected_km / spread_km
        scores -= scores.max(axis=1, keepdims=True)
        return float((np.log(np.exp(scores).sum(axis=1)) - scores[rows, cells]).mean())

    return min(SPREADS_KM, key=surprise)
