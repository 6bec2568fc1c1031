"""Draws a prediction on the map, or the mean errors of several runs.

    python -m tools.render --run_dir=runs/mlp
    python -m tools.render --run_dir=runs/mlp --location=39.7392,-104.9903
    python -m tools.render --compare=runs/linear,runs/mlp --out=comparison.png

The first two write map.png (one prediction: every cell as red as its share of the highest probability, the true point
green, the predicted one yellow, the great circle between them blue, its length) and map.html (the same for up to 200
locations, one file that needs no network; --images puts their views beside the map). Without --location it is the
location with the median error. The third writes bars of the mean miles with 95 % intervals, beside the best constant
guess and human players. Each takes about two seconds and prints what it drew.

The course report's own figures: --shading=minmax adds map_minmax.png (Figure 7: white at the lowest probability, from
centroid to centroid), --metric=report compares runs from centroid to centroid (Figure 9), --figure=cell and
--figure=input draw images of a cell and an example as arrays (Figures 4 and 6, of --imagery), --figure=layers prints
the layers of a run's network (Figures 5 and 8). tools.make_partition --figure draws Figure 3.
"""

import dataclasses
import math
import os
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from geods import errors
from geods.cli import flags, program
from geods.storage import files

if TYPE_CHECKING:
    import numpy as np

    from geods.geo import partition
    from trainers.plots import thumbnails
    from trainers.runs import predictions as runs_predictions

_LOCATIONS_DRAWN = 4


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
    data_dir: str = flags.option("", "Where the run's dataset is now, if it was moved, for --images.", path="in")
    figure: Literal["map", "cell", "input", "layers"] = flags.option(
        "map", "map, images of a cell, an example as arrays (both of --imagery), or the network's layers as text."
    )
    cell: int = flags.option(-1, "Cell of --figure=cell and --figure=input; -1: the one with the most locations.")
    shading: Literal["share", "minmax"] = flags.option("share", "minmax: also draw the map as the report did.")
    metric: Literal["miles", "report"] = flags.option("miles", "Metric of --compare; report: centroid to centroid.")
    human_miles: float | None = flags.option(
        None, "Mean miles of human players to draw in a comparison; 0: none; if not given, 587 on a map of the US."
    )

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If it is not clear what to draw, or a value is out of range.
        """
        of_tree = self.figure in ("cell", "input")
        if of_tree and not self.imagery:
            problem = f"--figure={self.figure}: is drawn from an imagery tree."
            raise errors.OptionError(problem, "name it: --imagery=TREE")
        if not of_tree and bool(self.run_dir) == bool(self.compare):
            problem = "--run_dir and --compare: give one of the two."
            raise errors.OptionError(problem, "name a run folder: --run_dir=RUN, or several: --compare=RUN1,RUN2")
        if self.compare and pathlib.Path(self.out or "comparison.png").suffix.lower() != ".png":
            raise errors.OptionError(f"--out={self.out}: a comparison is a .png file.", "write --out=comparison.png")
        if self.imagery and not (self.images or of_tree):
            problem = f"--imagery={self.imagery}: is read for --images and --figure alone."
            raise errors.OptionError(problem, "add --images")
        if self.human_miles is not None and not 0 <= self.human_miles < float("inf"):
            raise errors.OptionError(f"--human_miles={self.human_miles}: is not a distance.", "give miles, 0 for none")


def main(options: Options) -> None:
    """Draws the map, or the comparison."""
    if options.compare:
        draw_comparison(options)
    elif options.figure in ("cell", "input"):
        draw_tree(options)
    elif options.figure == "layers":
        write_layers(options)
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
    name = f"Predictions of {pathlib.Path(options.run_dir).resolve().name}, {len(cells):,} cells"
    page = map_page.render(cells, entries, row, name, (lambda ids: _views(options, ids)) if options.images else None)
    out = pathlib.Path(options.out or folder)
    if options.shading == "minmax":
        ends = _centroids(cells, shown)
        as_report = figures.location_map(
            cells, shown.probabilities, *ends, f"{title}, as the report drew it", minmax=True
        )
        _write(out / "map_minmax.png", figures.to_png(as_report))
    _write(out / "map.png", picture)
    _write(out / "map.html", page.encode())
    print(f"location   {shown.location_id} (row {row} of {len(entries):,}, {_standing(entries, row)})")
    print(f"distance   {projection.distance_text(shown.distance_km)}")
    print(f"top cells  {_top(shown)}")
    print(f"written    {out / 'map.png'}{', map_minmax.png' if options.shading == 'minmax' else ''}")
    print(f"written    {out / 'map.html'}")
    program.print_next(f"python -m tools.predict --run_dir={options.run_dir} PHOTOGRAPH.jpg")


def _views(options: Options, location_ids: Sequence[str]) -> "dict[str, list[thumbnails.View]]":
    """Returns the views of locations, for --images.

    Raises:
        RunError: If none of the locations is there.
    """
    from trainers.plots import view_source

    source = view_source.open_source(options.run_dir, options.predictions, options.imagery, options.data_dir)
    found = {name: views for name in location_ids if (views := source.views(name))}
    if not found:
        raise errors.RunError(
            f"{source.name}: holds none of the predicted locations.", "name their tree: --imagery=TREE"
        )
    print(f"images     of {len(found):,} of the page's {len(location_ids):,} locations, from {source.name}")
    return found


def draw_tree(options: Options) -> None:
    """Writes cell.png or input.png: images of a cell of --imagery.

    Raises:
        TreeError: If no location of the tree lies in the cell.
    """
    import numpy as np

    from geods.geo import partition
    from geods.tree import companions, layouts
    from trainers.plots import figures, report_figures, thumbnails

    cells = partition.read(companions.TreeFolder(options.imagery).find_partition())
    locations = layouts.read(options.imagery)
    labels = cells.label(*locations.coords().T)
    counts = np.bincount(labels[labels >= 0], minlength=len(cells))
    cell = int(counts.argmax()) if options.cell < 0 else options.cell
    rows = np.flatnonzero(labels == cell)[:_LOCATIONS_DRAWN].tolist()
    if not rows:
        step = f"name another; {int(counts.argmax())} has the most locations"
        raise errors.TreeError(f"--cell={cell}: {options.imagery} has no location there.", step)
    views = [[thumbnails.of_file(view) for view in thumbnails.some(locations[row].views)] for row in rows]
    images = [[np.asarray(thumbnails.decode(view)) for view in some] for some in views]
    if options.figure == "input":
        drawn = report_figures.model_input(images[0][0], cell, len(cells))
    else:
        captions = [[view.caption for view in some] for some in views]
        drawn = report_figures.cell_images(images, captions, f"Cell {cell}: {counts[cell]:,} locations")
    out = pathlib.Path(options.out or ".") / f"{options.figure}.png"
    _write(out, figures.to_png(drawn))
    print(f"written {out}")


def write_layers(options: Options) -> None:
    """Prints the layers of a run's network and writes them to layers.txt."""
    from trainers.runs import run_folder

    folder = run_folder.check_run(options.run_dir)
    program.import_quietly("tensorflow")
    from model import geolocator

    table = geolocator.layer_table(geolocator.load(folder / run_folder.MODEL))
    out = pathlib.Path(options.out or folder) / "layers.txt"
    _write(out, f"{table}\n".encode())
    print(f"{table}\nwritten {out}")


def _centroids(cells: "partition.Partition", shown: "runs_predictions.Prediction") -> "tuple[np.ndarray, np.ndarray]":
    """Returns the centroids of the true and of the most probable cell.

    Outside every cell, the true point.
    """
    import numpy as np

    true = int(cells.label([shown.truth[0]], [shown.truth[1]])[0])
    return cells.centroids[true] if true >= 0 else np.array(shown.truth), cells.centroids[shown.probabilities.argmax()]


def draw_comparison(options: Options) -> None:
    """Writes the bar chart of several runs."""
    from trainers.plots import figures

    found = [_read_metrics(pathlib.Path(folder), options.metric) for folder in options.compare]
    names, out = _names(options.compare), options.out or "comparison.png"
    means, intervals, constants, humans = zip(*found, strict=True)
    human_miles = humans[0] if options.human_miles is None else options.human_miles
    metric = {"miles": "Mean distance from the true point", "report": "Mean distance from centroid to centroid"}
    drawn = figures.comparison(names, means, intervals, constants, human_miles, metric[options.metric])
    _write(pathlib.Path(out), figures.to_png(drawn))
    width = max(map(len, names))
    for name, (mean, (low, high), constant, _) in zip(names, found, strict=True):
        certain = "" if options.metric == "report" else f" (95 %: {low:,.1f} to {high:,.1f})"
        print(f"{name:<{width}}  {mean:7,.1f} miles{certain}, constant guess {constant:,.1f}")
    if options.metric == "miles" and len(set(constants)) > 1:
        print("note: these runs were not evaluated on the same locations, so their figures cannot be compared")
    print(f"written {out}")


def _read_metrics(folder: pathlib.Path, metric: str) -> tuple[float, tuple[float, float], float, float]:
    """Returns mean miles of a run, their interval, the constant guess's and people's.

    People's are 0 where they are not known.
    """
    from trainers.runs import run_folder

    path = folder / run_folder.METRICS
    evaluate = f"evaluate the run: python -m trainers.evaluate --run_dir={folder}"
    if not path.is_file():
        raise errors.RunError(f"{path}: does not exist.", evaluate)
    name = "mean_miles" if metric == "miles" else "report_mean_miles"
    try:
        metrics: dict[str, Any] = files.parse_json(path.read_bytes())
        # The report's metric has no interval.
        low, high = metrics["intervals"][name] if metric == "miles" else (math.nan, math.nan)
        people = float(metrics.get("people", {}).get("mean_miles", 0.0))
        return float(metrics[name]), (float(low), float(high)), float(metrics["constant_guess"][name]), people
    except (KeyError, TypeError, ValueError) as error:
        problem = f"{path}: holds no {name} with interval and constant guess ({type(error).__name__}: {error})."
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
