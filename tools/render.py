"""Draws a prediction on the map, or the mean errors of several runs.

    python -m tools.render --run_dir=runs/mlp
    python -m tools.render --run_dir=runs/mlp --location=39.7392,-104.9903
    python -m tools.render --compare=runs/linear,runs/mlp --out=comparison.png

The first two write map.png (one prediction: every cell as red as its share of the highest probability, the true point
green, the predicted one yellow, the great circle between them blue, its length) and map.html (the same for up to 200
locations, one file that needs no network; --images puts their views beside the map). Without --location it is the
location with the median error. The third writes bars of the mean miles with 95 % intervals, beside the best constant
guess and human players. Each takes about two seconds and prints what it drew.
"""

import dataclasses
import os
import pathlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from geods import errors
from geods.cli import flags, program
from geods.storage import files

if TYPE_CHECKING:
    from trainers.plots import thumbnails
    from trainers.runs import predictions as runs_predictions


@dataclasses.dataclass(frozen=True)
class Options:
    """Run, location and output of the figures."""

    run_dir: str = flags.option("", "Run folder that trainers.evaluate has written predictions to.", path="may")
    location: str = flags.option(
        "", "LAT,LNG of a location, or its row in predictions.csv from 0; empty: median error."
    )
    predictions: str = flags.option(
        "", "Folder of other predictions by the same run (evaluate --out); empty: run_dir.", path="may"
    )
    out: str = flags.option(
        "", "Folder for map.png and map.html; empty: where the predictions are. Of --compare: file.", path="out"
    )
    compare: tuple[str, ...] = flags.option((), "R1,R2,...: run folders to compare.", path="in")
    images: bool = flags.option(False, "Whether map.html shows the views of each location: of 75 at most.")
    imagery: str = flags.option(
        "", "Imagery tree that --images takes the views from; empty: what the run was evaluated on.", path="in"
    )
    human_miles: float = flags.option(587.0, "Mean miles of human players to draw in a comparison; 0: none.")

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If it is not clear what to draw, or a value is out of range.
        """
        if bool(self.run_dir) == bool(self.compare):
            problem = "--run_dir and --compare: give one of the two."
            raise errors.OptionError(problem, "name a run folder: --run_dir=RUN, or several: --compare=RUN1,RUN2")
        if self.compare and pathlib.Path(self.out or "comparison.png").suffix.lower() != ".png":
            raise errors.OptionError(f"--out={self.out}: a comparison is a .png file.", "write --out=comparison.png")
        if self.imagery and not self.images:
            problem = f"--imagery={self.imagery}: is read for --images alone."
            raise errors.OptionError(problem, "add --images")
        if not 0 <= self.human_miles < float("inf"):
            raise errors.OptionError(f"--human_miles={self.human_miles}: is not a distance.", "give miles, 0 for none")


def main(options: Options) -> None:
    """Draws the map, or the comparison."""
    if options.compare:
        draw_comparison(options.compare, options.out or "comparison.png", options.human_miles)
    else:
        draw_map(options)


def draw_map(options: Options) -> None:
    """Writes map.png and map.html."""
    from trainers.plots import figures, map_page, projection
    from trainers.runs import predictions as runs_predictions

    cells = runs_predictions.read_partition(options.run_dir)
    folder = options.predictions or options.run_dir
    entries = runs_predictions.read(folder, len(cells))
    row = runs_predictions.find(entries, options.location) if options.location else runs_predictions.median(entries)
    shown = entries[row]
    title = f"Location {shown.location_id}"
    picture = figures.to_png(figures.location_map(cells, shown.probabilities, shown.truth, shown.predicted, title))
    name = f"Predictions of {pathlib.Path(options.run_dir).resolve().name}"
    page = map_page.render(cells, entries, row, name, (lambda ids: _views(options, ids)) if options.images else None)
    out = pathlib.Path(options.out or folder)
    _write(out / "map.png", picture)
    _write(out / "map.html", page.encode())
    print(f"location   {shown.location_id} (row {row} of {len(entries):,}, {_standing(entries, row)})")
    print(f"distance   {projection.distance_text(shown.distance_km)}")
    print(f"top cells  {_top(shown)}")
    print(f"written    {out / 'map.png'}")
    print(f"written    {out / 'map.html'}")


def _views(options: Options, location_ids: Sequence[str]) -> "dict[str, list[thumbnails.View]]":
    """Returns the views of locations, for --images.

    Raises:
        RunError: If none of the locations is there.
    """
    from geods.remote import session
    from trainers.plots import thumbnails
    from trainers.runs import run_folder

    source = options.imagery or _evaluated_tree(pathlib.Path(options.predictions or options.run_dir))
    if source:
        found = thumbnails.from_tree(session.local_path(source), location_ids)
    else:
        program.import_quietly("tensorflow")
        trained = run_folder.options_of(pathlib.Path(options.run_dir))
        source = trained.data_dir
        found = thumbnails.from_dataset(session.local_path(source), trained.config, location_ids)
    if not found:
        raise errors.RunError(f"{source}: holds none of the predicted locations.", "name their tree: --imagery=TREE")
    print(f"images     of {len(found):,} of the page's {len(location_ids):,} locations, from {source}")
    return found


def _evaluated_tree(folder: pathlib.Path) -> str:
    """Returns the tree that predictions are of; "" for a dataset's split."""
    from geods.dataset import splits
    from trainers.runs import run_folder

    path = folder / run_folder.METRICS
    on = str(files.parse_json(path.read_bytes()).get("on", "")) if path.is_file() else ""
    return "" if re.split(r"[\[+]", on)[0] in splits.NAMES else on


def draw_comparison(run_dirs: Sequence[str], out: str, human_miles: float) -> None:
    """Writes the bar chart of several runs."""
    from trainers.plots import figures

    found = [_read_metrics(pathlib.Path(folder)) for folder in run_dirs]
    names = _names(run_dirs)
    means, intervals, constants = zip(*found, strict=True)
    _write(pathlib.Path(out), figures.to_png(figures.comparison(names, means, intervals, constants, human_miles)))
    width = max(map(len, names))
    for name, (mean, (low, high), constant) in zip(names, found, strict=True):
        print(f"{name:<{width}}  {mean:7,.1f} miles (95 %: {low:,.1f} to {high:,.1f}), constant guess {constant:,.1f}")
    print(f"written {out}")


def _read_metrics(folder: pathlib.Path) -> tuple[float, tuple[float, float], float]:
    """Returns a run's mean miles, their interval, and the constant guess's."""
    from trainers.runs import run_folder

    path = folder / run_folder.METRICS
    evaluate = f"evaluate the run: python -m trainers.evaluate --run_dir={folder}"
    if not path.is_file():
        raise errors.RunError(f"{path}: does not exist.", evaluate)
    try:
        metrics: dict[str, Any] = files.parse_json(path.read_bytes())
        low, high = metrics["intervals"]["mean_miles"]
        return float(metrics["mean_miles"]), (float(low), float(high)), float(metrics["constant_guess"]["mean_miles"])
    except (KeyError, TypeError, ValueError) as error:
        problem = f"{path}: holds no mean_miles with interval and constant guess ({type(error).__name__}: {error})."
        raise errors.RunError(problem, evaluate) from error


def _names(run_dirs: Sequence[str]) -> list[str]:
    """Returns the folders' names, or their paths where two are equal."""
    names = [pathlib.Path(folder).resolve().name for folder in run_dirs]
    return names if len(set(names)) == len(names) else [os.path.normpath(folder) for folder in run_dirs]


def _standing(entries: "runs_predictions.Predictions", row: int) -> str:
    """Returns how many predictions are better than one, as text."""
    return f"{(entries.distance_km < entries.distance_km[row]).sum():,} better"


def _top(shown: "runs_predictions.Prediction", count: int = 3) -> str:
    best = shown.probabilities.argsort()[::-1][:count]
    return ", ".join(f"{cell} ({shown.probabilities[cell]:.1%})" for cell in best)


def _write(path: pathlib.Path, content: bytes) -> None:
    try:
        files.write_bytes(path, content)
    except OSError as error:
        raise errors.RunError(f"{path}: cannot be written ({error.strerror}).", "name another place: --out=") from error


if __name__ == "__main__":
    program.run(Options, main)
