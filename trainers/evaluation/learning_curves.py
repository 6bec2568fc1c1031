"""Learning curves: mean distance by training locations, with a power law."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SAMPLES = 1000
_INTERVAL = (2.5, 97.5)


@dataclasses.dataclass(frozen=True, eq=False)
class Curve:
    """Mean distances by number of training locations, and the power law through them.

    Attributes:
        counts: `[k]` training locations, ascending.
        miles: `[k]` mean distance.
        samples: `[bootstrap, k]` of the same.
    """

    counts: np.ndarray
    miles: np.ndarray
    samples: np.ndarray

    def law(self) -> tuple[float, float]:
        """Returns a and b of miles = a n^-b, least squares of the logarithms."""
        return _law(self.counts, self.miles)

    def law_interval(self) -> tuple[float, float]:
        """Returns the 95 % interval of b."""
        low, high = np.percentile([_law(self.counts, each)[1] for each in self.samples], _INTERVAL)
        return float(low), float(high)

    def interval(self, number: int) -> tuple[float, float]:
        """Returns the 95 % interval of a measured mean distance."""
        low, high = np.percentile(self.samples[:, number], _INTERVAL)
        return float(low), float(high)

    def predict(self, count: float) -> tuple[float, float, float]:
        """Returns the law's mean miles with so many locations, and its 95 % interval."""
        found = [a * count**-b for a, b in (_law(self.counts, each) for each in self.samples)]
        a, b = self.law()
        low, high = np.percentile(found, _INTERVAL)
        return a * count**-b, float(low), float(high)


def curve_of(found: dict[tuple[float, int], tuple[float, np.ndarray]]) -> Curve:
    """Returns the curve of (training locations, miles `[n]`) by (share, draw)."""
    shares = sorted({share for share, _ in found})
    counts = [next(count for (each, _), (count, _) in found.items() if each == share) for share in shares]
    drawn = [np.array([miles for (each, _), (_, miles) in found.items() if each == share]) for share in shares]
    rng, locations = np.random.default_rng(0), drawn[0].shape[1]
    samples = np.empty((_SAMPLES, len(shares)))
    for number in range(_SAMPLES):
        # The same locations for all shares, and draws anew: both differ from one survey to the next.
        chosen = rng.integers(locations, size=locations)
        samples[number] = [miles[rng.integers(len(miles), size=len(miles))][:, chosen].mean() for miles in drawn]
    return Curve(np.array(counts), np.array([miles.mean() for miles in drawn]), samples)


def drawn(curve: Curve, name: str) -> "Figure":
    """Draws the measured points and the law with its interval."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 5.0), layout="constrained")
    axes = figure.add_subplot()
    counts = np.geomspace(curve.counts[0], 10 * curve.counts[-1], 50)
    law = np.array([curve.predict(count) for count in counts])
    axes.fill_between(counts, law[:, 1], law[:, 2], color="#8fbbdc", alpha=0.5, label="Power law, 95 % interval")
    axes.plot(counts, law[:, 0], color="#222222", linewidth=1)
    limits = np.abs(np.percentile(curve.samples, _INTERVAL, axis=0) - curve.miles)
    axes.errorbar(curve.counts, curve.miles, limits, fmt="o", color="#222222", capsize=3, label="Measured")
    axes.set_xscale("log")
    ticks = [*curve.counts, *(curve.counts[-1] * np.array([2, 4, 10]))]
    axes.set_xticks(ticks, [f"{count:,.0f}" for count in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("Training locations")
    axes.set_ylabel("Mean distance from the true point (miles)")
    axes.set_title(f"Learning curve of {name}", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


def _law(counts: np.ndarray, miles: np.ndarray) -> tuple[float, float]:
    slope, start = np.polyfit(np.log(counts), np.log(miles), 1)
    return float(np.exp(start)), -float(slope)
