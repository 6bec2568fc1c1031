"""Estimates the accuracy of a recipe with more locations, and their price.

    python -m tools.learning_curve --recipe=best --data_dir=data --cache_dir=cache --out=curve

Cross-validates the recipe over blocked folds with 1/8, 1/4, 1/2 and all of the training locations, smaller shares drawn
several times, and fits a power law, miles = a n^-b, to the mean distances. Prints each share, then the accuracy with 2,
4 and 10 times as many locations, with 95 % intervals and the price of the images; writes learning_curve.json and .png.
The intervals are a bootstrap over locations: they say how well the law is known, not whether it holds beyond the data.
Finished folds are kept, and the same command resumes. It trains 10 times what one cross-validation trains; a kernel
regression of 990 locations takes 10 minutes on 2 cores.
"""

import dataclasses
import pathlib
from typing import TYPE_CHECKING

from geods import errors
from geods.cli import flags, program
from geods.storage import files
from trainers.options import train_options

if TYPE_CHECKING:
    import numpy as np

    from trainers.evaluation import learning_curves

_HEAD = ("training locations", "mean miles (95 %)", "new images", "USD")


@dataclasses.dataclass(frozen=True)
class Options:
    """The recipe, its features, and the price of more locations."""

    recipe: str = flags.option("best", "Recipe by name, or the path of a .cfg.", path="in")
    data_dir: str = flags.option("data", "Folder given to tfds build as --data_dir.", path="in")
    config: str = flags.option("blocked", "Config of the dataset.")
    cache_dir: tuple[str, ...] = flags.option(
        ("cache",), "Folders that trainers.extract wrote, as for trainers.train.", path="in"
    )
    shares: tuple[str, ...] = flags.option(("1/8", "1/4", "1/2"), "Shares of training locations, besides all.")
    draws: int = flags.option(3, "Times each share is drawn.")
    folds: int = flags.option(5, "Parts to cross-validate over.")
    views: int = flags.option(3, "Images of each further location.")
    price_per_1000: float = flags.option(7.0, "Price of 1,000 images, USD.")
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


def share_of(text: str) -> float:
    """Returns a share such as "1/8" or "0.125", NaN if it is none."""
    try:
        over, _, under = text.partition("/")
        return float(over) / float(under or 1)
    except (ValueError, ZeroDivisionError):
        return float("nan")


def main(settings: Options) -> None:
    """Measures, fits, prints and draws the curve."""
    from trainers.evaluation import learning_curves
    from trainers.plots import figures

    path = program.recipe_path(settings.recipe)
    shares = sorted({share_of(text) for text in settings.shares} | {1.0})
    runs = [(share, draw) for share in shares for draw in range(1 if share == 1 else settings.draws)]
    found = {run: _measure(settings, path, *run) for run in runs}
    curve = learning_curves.curve_of(found)
    text = table(curve, settings)
    a, b = curve.law()
    low, high = curve.law_interval()
    law = f"miles = {a:,.0f} n^-{b:.3f} (exponent {low:.3f} to {high:.3f}); twice as many: {1 - 2**-b:.1%} less"
    out = pathlib.Path(settings.out)
    columns = {"training_locations": curve.counts, "mean_miles": curve.miles}
    law_json = {"a": a, "b": b, "b_interval": [low, high]}
    files.write_json(out / "learning_curve.json", {name: list(map(float, v)) for name, v in columns.items()} | law_json)
    files.write_bytes(out / "learning_curve.png", figures.to_png(learning_curves.drawn(curve, path.stem)))
    print(f"{text}\n{law}\nwrote {out / 'learning_curve.json'} and learning_curve.png")


def _measure(settings: Options, recipe: pathlib.Path, share: float, draw: int) -> "tuple[float, np.ndarray]":
    """Returns training locations a fold with a share, and miles sorted by id."""
    import numpy as np

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


def table(curve: "learning_curves.Curve", settings: Options) -> str:
    """Returns measured and predicted accuracies with their price."""
    from tools.benchmarks import results

    rows, now = [], curve.counts[-1]
    for number, (count, miles) in enumerate(zip(curve.counts, curve.miles, strict=True)):
        low, high = curve.interval(number)
        rows.append([f"{count:,.0f}", f"{miles:,.1f} ({low:,.0f} to {high:,.0f})", "", ""])
    for factor in (2, 4, 10):
        miles, low, high = curve.predict(factor * now)
        # Of all locations, and not only of those that a fold trains on.
        images = (factor - 1) * now * settings.folds / (settings.folds - 1) * settings.views
        usd = images / settings.hit_rate * settings.price_per_1000 / 1000
        predicted = f"{miles:,.0f} ({low:,.0f} to {high:,.0f}), predicted"
        rows.append([f"{factor} x {now:,.0f}", predicted, f"{images:,.0f}", f"{usd:,.2f}"])
    return results.table(list(_HEAD), rows)


if __name__ == "__main__":
    program.run(Options, main)
