"""Says where photographs were taken: one JSON object a line.

    python -m tools.predict --run_dir=runs/mlp photograph.jpg
    python -m tools.predict --run_dir=runs/mlp TREE --top=10 --all_cells

Each word is a JPEG, a folder of JPEGs (one prediction an image), or images in a layout that tools.convert_tree reads
(one prediction a location, from all its views, with its distance from the true point). The start takes about six
seconds; then 2 CPU cores do about 70 images of 150 x 300 pixels a second with MobileNetV2. A line holds:

    {"file": "photograph.jpg", "views": 1, "lat_deg": 39.7, "lon_deg": -104.9,
     "top_cells": [{"cell": 12, "probability": 0.31, "lat_deg": 39.0, "lon_deg": -105.0}, ...], "elsewhere": 0.2}

After trainers.calibrate it also holds "region": the level, area and number of cells of the credible region.
`lat_deg` and `lon_deg` are the predicted point, those of a cell its centroid. The probabilities of the top cells and
`elsewhere` add up to 1; --all_cells adds `probabilities`, one for each cell in order, which add up to 1 as well.
"""

import dataclasses
import json
import math
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tqdm

from geods import cli, errors, files, geometry, images, partition, tree, tree_layouts
from trainers import calibrate, calibration, runs

if TYPE_CHECKING:
    from trainers import predictor

# A model's points are float32, which near 124 degrees is good to 8e-6.
_PLACE_DIGITS, _PROBABILITY_DIGITS = 5, 6


@dataclasses.dataclass(frozen=True)
class Options:
    """What to predict, with which run."""

    run_dir: str = cli.option("", "Run folder that trainers.train wrote.")
    top: int = cli.option(5, "How many of the most probable cells to print.")
    all_cells: bool = cli.option(False, "Print the probability of every cell too.")
    batch_size: int = cli.option(16, "Images or locations at once.")
    images: tuple[str, ...] = cli.positional("IMAGE_OR_FOLDER", "JPEG files, folders of them, or imagery trees.")

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If one is missing or out of range.
        """
        if not self.run_dir:
            raise errors.OptionError("--run_dir: is empty.", "name a run folder: --run_dir=RUN")
        if not self.images:
            problem = "no image or folder is named."
            raise errors.OptionError(problem, f"python -m tools.predict --run_dir={self.run_dir} IMAGE_OR_FOLDER")
        if self.top < 1:
            raise errors.OptionError(f"--top={self.top}: is below 1.", "give 1 or more")
        if self.batch_size < 1:
            raise errors.OptionError(f"--batch_size={self.batch_size}: is below 1.", "give 1 or more")


def main(options: Options) -> None:
    """Prints the predictions."""
    runs.require(options.run_dir)
    locations = [location for word in options.images for location in find(word)]
    images.refuse_other_kinds(view.path for place in locations for view in place.views)
    cli.import_quietly("tensorflow")
    for line in predict(_load(options.run_dir), locations, options):
        print(json.dumps(line, allow_nan=False))


def predict(model: "predictor.Predictor", locations: Sequence[tree.Location], options: Options) -> list[dict[str, Any]]:
    """Returns one JSON object a location.

    Raises:
        ImageError: If an image is not a whole JPEG.
    """
    from geods import pipeline

    shape = pipeline.PipelineOptions(model.height_px, model.width_px, batch_size=options.batch_size)
    batches = pipeline.tree_batches(locations, shape)
    steps = math.ceil(len(locations) / options.batch_size)
    log_probabilities, points = model.predict(tqdm.tqdm(batches, total=steps, desc="predicting", unit=" batches"))
    fitted = calibrate.read(model.folder)
    lines = []
    for location, row, point in zip(locations, log_probabilities, points, strict=True):
        probabilities = probabilities_of(row)
        line = describe(location, probabilities, point, model.partition.centroids, options)
        lines.append(line | (_region(probabilities, model.partition, fitted) if fitted else {}))
    return lines


def _region(probabilities: np.ndarray, cells: partition.Partition, fitted: calibration.Calibration) -> dict[str, Any]:
    """Returns the credible region of a prediction: its level, its area, and how many cells it takes."""
    inside = calibration.region(probabilities[None], cells.areas_km2, fitted)[0]
    area_km2 = float(cells.areas_km2[inside].sum())
    return {"region": {"level": fitted.level, "area_km2": round(area_km2), "cells": int(inside.sum())}}


def probabilities_of(log_probabilities: np.ndarray) -> np.ndarray:
    """Returns probabilities `[cells]` float64 that add up to 1 beyond the precision of the model's numbers."""
    shares = np.exp(np.asarray(log_probabilities, np.float64) - np.max(log_probabilities))
    return shares / shares.sum()


def describe(
    location: tree.Location, probabilities: np.ndarray, point: np.ndarray, centroids: np.ndarray, options: Options
) -> dict[str, Any]:
    """Returns the JSON object of one prediction.

    Args:
        location: What was predicted; its coordinates are NaN if they are not known.
        probabilities: `[cells]`, adding up to 1.
        point: (lat, lon) predicted, degrees.
        centroids: `[cells, 2]`, (lat, lon) degrees.
        options: What to print.
    """
    known = not math.isnan(location.lat_deg)
    line: dict[str, Any] = {"location" if known else "file": location.location_id, "views": len(location.views)}
    line |= _place(point)
    best = np.argsort(-probabilities, kind="stable")[: options.top].tolist()
    line["top_cells"] = [
        {"cell": cell, "probability": round(float(probabilities[cell]), _PROBABILITY_DIGITS), **_place(centroids[cell])}
        for cell in best
    ]
    printed = sum(cell["probability"] for cell in line["top_cells"])
    line["elsewhere"] = max(0.0, round(1 - printed, _PROBABILITY_DIGITS))
    if known:
        truth = (location.lat_deg, location.lon_deg)
        distance_km = float(geometry.haversine_km(truth, point))
        line |= {"true_lat_deg": truth[0], "true_lon_deg": truth[1], "distance_km": round(distance_km, 3)}
        line["distance_miles"] = round(distance_km / geometry.KM_PER_MILE, 3)
    if options.all_cells:
        line["probabilities"] = probabilities.tolist()
    return line


def find(word: str) -> list[tree.Location]:
    """Returns what an argument names: locations of a tree, or images, each as a location at no known place.

    Raises:
        MissingFileError: If there is no such file or folder.
        TreeError: If it is a folder with neither.
    """
    path = pathlib.Path(word)
    if path.is_dir():
        return _find_in_folder(path)
    if path.suffix.lower() == ".csv":
        return tree_layouts.read(path)
    return [_image(files.require_file(path, "name a JPEG, a folder of JPEGs or an imagery tree"))]


def _load(run_dir: str) -> "predictor.Predictor":
    """Loads the run; only here, because a word that names nothing is to be answered at once."""
    from trainers import predictor

    return predictor.Predictor.load(run_dir)


def _find_in_folder(folder: pathlib.Path) -> list[tree.Location]:
    """Returns the locations of a tree, or the images in a plain folder."""
    try:
        layout = tree_layouts.detect(folder)
    except errors.TreeError as error:
        found = tree.image_files(folder)
        if not found:
            raise errors.TreeError(f"{folder}: holds no image and is no imagery tree.", error.next_step) from error
        # With such a folder beside them the images are part of a tree in two layouts.
        if any(tree.is_cell_name(path.name) or "," in path.name for path in tree.subfolders(folder)):
            raise
        return [_image(path) for path in found]
    return tree_layouts.read(folder, layout)


def _image(path: pathlib.Path) -> tree.Location:
    """Returns an image as a location of one view; its name is its path."""
    return tree.Location(str(path), math.nan, math.nan, None, (tree.View(path, None, None),))


def _place(point: np.ndarray) -> dict[str, float]:
    """Returns (lat, lon) under the names they have everywhere."""
    return {"lat_deg": round(float(point[0]), _PLACE_DIGITS), "lon_deg": round(float(point[1]), _PLACE_DIGITS)}


if __name__ == "__main__":
    cli.run(Options, main)
