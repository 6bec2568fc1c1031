"""Cross-validates a recipe over cell sizes, locations and images.

    python -m tools.sweep --data_dir=data --cache_dir=cache --recipe=mlp --cell_deg=1,2,4 --places_per_cell=1,2,4 \
        --views_per_place=1,2 --out=sweep

These are the course report's hyper-parameters. One is changed at a time; the others are as the recipe has them, with
all locations and images of the cache. Fewer are taken of what is there: of locations in training, of images in the test
too. Folds are whole 1-degree blocks and the same for all settings. Prints a table with 95 % intervals and writes it to
sweep.md and sweep.json, and a picture to sweep.png. Finished work is kept: the same command resumes. Costs a
cross-validation for each value.
"""

import dataclasses
import pathlib
from typing import TYPE_CHECKING

from geods import errors
from geods.cli import flags, program
from geods.storage import files
from trainers.options import train_options

if TYPE_CHECKING:
    from trainers.evaluation import comparison

_NAMES = {
    "cell_deg": "cell size, degrees",
    "places_per_cell": "locations a cell",
    "views_per_place": "images a location",
}


@dataclasses.dataclass(frozen=True)
class Options:
    """Recipe, cache and the values to try."""

    data_dir: str = flags.option("data", "Folder given to tfds build as --data_dir.", path="in")
    config: str = flags.option("blocked", "Config of the dataset.")
    cache_dir: str = flags.option("cache", "Folder that trainers.extract wrote.", path="in")
    recipe: str = flags.option("mlp", "Recipe by name, or PATH.cfg.", path="in")
    cell_deg: tuple[str, ...] = flags.option((), "Sides of cells to try, degrees; none if empty.")
    places_per_cell: tuple[int, ...] = flags.option((), "Numbers of training locations a cell to try; none if empty.")
    views_per_place: tuple[int, ...] = flags.option((), "Numbers of images a location to try; none if empty.")
    folds: int = flags.option(5, "Parts to cross-validate over.")
    seed: int = flags.option(0, "Seed of every training, and of the choice of locations and images that are left out.")
    out: str = flags.option("sweep", "Folder to write to.", path="out")

    def __post_init__(self) -> None:
        """Checks that there is something to try.

        Raises:
            OptionError: If there is not, or a value is no number above 0.
        """
        if not self.out or not self.values:
            step = "such as --cell_deg=1,2,4 --places_per_cell=1,2 --views_per_place=1,2"
            raise errors.OptionError("--out is empty, or there is no value to try.", step)
        for name, value in self.values:
            if not value > 0:
                raise errors.OptionError(f"--{name}={value:g}: must be above 0.", "leave it out to take all")

    @property
    def values(self) -> list[tuple[str, float]]:
        """Name and value of each setting, without the recipe's own."""
        try:
            sides = [float(side) for side in self.cell_deg]
        except ValueError as error:
            raise errors.OptionError(f"--cell_deg={','.join(self.cell_deg)}: {error}.", "give degrees") from error
        counts = [(name, count) for name in list(_NAMES)[1:] for count in getattr(self, name)]
        return [*(("cell_deg", side) for side in sides), *counts]


def main(settings: Options) -> None:
    """Cross-validates every setting, and makes table and picture."""
    out = pathlib.Path(settings.out)
    base = _measure(settings, "all", {})
    found = [(name, value, _measure(settings, f"{name}_{value:g}", {name: value})) for name, value in settings.values]
    text = _table(base, found)
    files.write_text(out / "sweep.md", text + "\n")
    files.write_json(out / "sweep.json", {one.name: one.metrics for one in (base, *(run for _, _, run in found))})
    _draw(base, found, out / "sweep.png")
    print(text)
    print(f"wrote {out / 'sweep.md'}, sweep.json and sweep.png")


def _measure(settings: Options, name: str, changes: dict[str, float]) -> "comparison.RunSummary":
    """Returns the cross-validated figures of a setting."""
    from trainers.evaluation import comparison, cross_validation
    from trainers.features import named_features

    path = program.recipe_path(settings.recipe)
    given = {key: getattr(settings, key) for key in ("data_dir", "config", "cache_dir", "folds", "seed")}
    given |= {**changes, "run_dir": pathlib.Path(settings.out, name)}
    run = flags.from_flagfile(train_options.TrainOptions, path, *(f"--{key}={value}" for key, value in given.items()))
    print(f"setting {name}", flush=True)
    cross_validation.cross_validate(flags.replace(run, cache_dir=named_features.find(run.data)))
    return comparison.read(name, pathlib.Path(run.run.run_dir), 0, 0.0)


def _table(base: "comparison.RunSummary", found: "list[tuple[str, float, comparison.RunSummary]]") -> str:
    """Returns the settings as a Markdown table, each beside the recipe's own."""
    from trainers.evaluation import comparison

    lines = ["| setting | value | mean miles (95 %) | median | against all (95 %) |", "| --- | --- | --- | --- | --- |"]
    for name, value, run in [("the recipe's own", None, base), *found]:
        low, high = run.metrics["intervals"]["mean_miles"]
        against = "" if run is base else "{:+,.0f} ({:+,.0f} to {:+,.0f})".format(*comparison.difference(run, base))
        cells = [_NAMES.get(name, name), "all" if value is None else f"{value:g}"]
        mean, median = run.metrics["mean_miles"], run.metrics["median_miles"]
        cells += [f"{mean:,.1f} ({low:,.0f} to {high:,.0f})", f"{median:,.1f}", against]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _draw(
    base: "comparison.RunSummary", found: "list[tuple[str, float, comparison.RunSummary]]", path: pathlib.Path
) -> None:
    """Draws mean miles over each hyper-parameter."""
    from trainers.plots import figures

    curves = {
        _NAMES[name]: [(value, run.metrics) for own, value, run in found if own == name]
        for name in dict.fromkeys(name for name, _, _ in found)
    }
    files.write_bytes(path, figures.to_png(figures.sweep(curves, base.metrics)))


if __name__ == "__main__":
    program.run(Options, main)
