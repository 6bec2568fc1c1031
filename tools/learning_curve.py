"""Estimates the accuracy of a recipe with more locations, and their price.

    python -m tools.learning_curve --recipe=best --data_dir=data --cache_dir=cache --out=curve

Cross-validates the recipe over blocked folds with 1/8, 1/4, 1/2 and all of the training locations, smaller shares drawn
several times, and fits a power law, miles = a n^-b, to the mean distances. Prints each share, then what 2, 4 and 10
times as many locations would bring, with 95 % intervals and the price of the images; writes learning_curve.json and
.png. The intervals are a bootstrap over locations: they say how well the law is known, not whether it holds beyond the
data. Finished folds are kept, and the same command resumes. It trains 10 times what one cross-validation trains; a
kernel regression of 990 locations takes 10 minutes on 2 cores.
"""

import dataclasses
import pathlib
from typing import TYPE_CHECKING

import numpy as np

from geods import errors
from geods.cli import flags, program
from geods.storage import files
from tools.benchmarks import results
from trainers.options import train_options

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_RECIPES = pathlib.Path(train_options.__file__).parents[1] / "recipes"
_SAMPLES = 1000
_INTERVAL = (2.5, 97.5)
_HEAD = ("training locations", "mean miles (95 %)", "new images", "USD")


@dataclasses.dataclass(frozen=True)
class Options:
    """The recipe, its features, and the price of more locations."""

    recipe: str = flags.option("best", "Recipe by name, or the path of a .cfg.", path="in")
    data_dir: str = flags.option("data", "Folder given to tfds build as --data_dir.", path="in")
    config: str = flags.option("blocked", "Config of the dataset.")
    cache_dir: tuple[str, ...] = flags.option(
        ("cache",), "Features the recipe stands on, as of trainers.train.", path="in"
    )
    shares: tuple[str, ...] = flags.option(("1/8", "1/4", "1/2"), "Shares of the training locations besides all.")
    draws: int = flags.option(3, "Times each share is drawn.")
    folds: int = flags.option(5, "Parts to cross-validate over.")
    views: int = flags.option(3, "Images a new location.")
    price_per_1000: float = flags.option(7.0, "Price of 1,000 images, USD; as of tools.scrape.")
    hit_rate: float = flags.option(1.0, "Share of the paid images that are kept, as tools.scrape prints it.")
    out: str = flags.option("learning_curve", "Folder to write to.", path="out")

    def __post_init__(self) -> None:
        """Checks the numbers, and that two points of the curve are asked for."""
        flags.check_at_least(self, 1, ("draws", "views"))
        flags.check_at_least(self, 2, ("folds",))
        flags.check_at_least(self, 0, ("price_per_1000",))
        if not 0 < self.hit_rate <= 1:
            raise errors.OptionError(f"--hit_rate={self.hit_rate}: must be above 0 and at most 1.", "1 is the default")
        if not self.shares or not all(0 < share_of(text) < 1 for text in self.shares):
            problem = f"--shares={','.join(self.shares)}: must be between 0 and 1."
            raise errors.OptionError(problem, "give such as --shares=1/8,1/4,1/2")


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

    def predict(self, count: float) -> tuple[float, float, float]:
        """Returns the law's mean miles with so many locations, and its 95 % interval."""
        found = [a * count**-b for a, b in (_law(self.counts, each) for each in self.samples)]
        a, b = self.law()
        low, high = np.percentile(found, _INTERVAL)
        return a * count**-b, float(low), float(high)


def share_of(text: str) -> float:
    """Returns a share such as "1/8" or "0.125", NaN if it is none."""
    try:
        over, _, under = text.partition("/")
        return float(over) / float(under or 1)
    except (ValueError, ZeroDivisionError):
        return float("nan")


def main(settings: Options) -> None:
    """Measures, fits, prints and draws the curve."""
    recipe = _RECIPES / f"{settings.recipe}.cfg"
    path = pathlib.Path(settings.recipe) if settings.recipe.endswith(".cfg") else recipe
    shares = sorted({share_of(text) for text in settings.shares} | {1.0})
    runs = [(share, draw) for share in shares for draw in range(1 if share == 1 else settings.draws)]
    found = {run: _measure(settings, path, *run) for run in runs}
    curve = curve_of(found)
    text = table(curve, settings)
    a, b = curve.law()
    low, high = np.percentile([_law(curve.counts, each)[1] for each in curve.samples], _INTERVAL)
    law = f"miles = {a:,.0f} n^-{b:.3f} (exponent {low:.3f} to {high:.3f}); twice as many: {1 - 2**-b:.1%} less"
    out = pathlib.Path(settings.out)
    columns = {"training_locations": curve.counts, "mean_miles": curve.miles}
    law_json = {"a": a, "b": b, "b_interval": [low, high]}
    files.write_json(out / "learning_curve.json", {name: list(map(float, v)) for name, v in columns.items()} | law_json)
    from trainers.plots import figures

    files.write_bytes(out / "learning_curve.png", figures.to_png(_drawn(curve, path.stem)))
    print(f"{text}\n{law}\nwrote {out / 'learning_curve.json'} and learning_curve.png")


def _measure(settings: Options, recipe: pathlib.Path, share: float, draw: int) -> tuple[float, np.ndarray]:
    """Returns training locations a fold with a share, and miles sorted by id."""
    from trainers.evaluation import comparison, cross_validation
    from trainers.features import named_features

    folder = pathlib.Path(settings.out, f"share{share:g}_draw{draw}")
    given = {name: getattr(settings, name) for name in ("data_dir", "config", "folds")}
    given |= {"cache_dir": ",".join(settings.cache_dir), "run_dir": folder, "train_share": share, "train_draw": draw}
    run = flags.from_flagfile(train_options.TrainOptions, recipe, *(f"--{k}={v}" for k, v in given.items()))
    print(f"share {share:g}, draw {draw}", flush=True)
    cross_validation.cross_validate(flags.replace(run, cache_dir=named_features.find(run.data)))
    miles = comparison.read(folder.name, folder, -1, 0.0).distance_miles
    # All other folds, on average.
    count = share * len(miles) * (settings.folds - 1) / settings.folds
    return count, np.array([miles[name] for name in sorted(miles)])


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


def table(curve: Curve, settings: Options) -> str:
    """Returns measured and predicted accuracies with their price."""
    rows, now = [], curve.counts[-1]
    for number, (count, miles) in enumerate(zip(curve.counts, curve.miles, strict=True)):
        low, high = np.percentile(curve.samples[:, number], _INTERVAL)
        rows.append([f"{count:,.0f}", f"{miles:,.1f} ({low:,.0f} to {high:,.0f})", "", ""])
    for factor in (2, 4, 10):
        miles, low, high = curve.predict(factor * now)
        # Of all locations, and not only of those that a fold trains on.
        images = (factor - 1) * now * settings.folds / (settings.folds - 1) * settings.views
        usd = images / settings.hit_rate * settings.price_per_1000 / 1000
        predicted = f"{miles:,.0f} ({low:,.0f} to {high:,.0f}), predicted"
        rows.append([f"{factor} x {now:,.0f}", predicted, f"{images:,.0f}", f"{usd:,.2f}"])
    return results.table(list(_HEAD), rows)


def _law(counts: np.ndarray, miles: np.ndarray) -> tuple[float, float]:
    slope, start = np.polyfit(np.log(counts), np.log(miles), 1)
    return float(np.exp(start)), -float(slope)


def _drawn(curve: Curve, name: str) -> "Figure":
    """Draws the measured points and the law with its interval, on logarithmic axes."""
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
    axes.set_xlabel("Training locations")
    axes.set_ylabel("Mean distance from the true point (miles)")
    axes.set_title(f"Learning curve of {name}", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


if __name__ == "__main__":
    program.run(Options, main)
