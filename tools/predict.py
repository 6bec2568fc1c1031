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

What a user names to have it predicted: an image, a folder of images, or an imagery tree.

What a run says of photographs, one JSON object each; tools.predict prints them, and its docstring shows one.
"""

import dataclasses
import json
import math
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import tqdm

from geods import errors
from geods.cli import flags, program
from geods.geo import geometry, partition
from geods.input import pipeline
from geods.storage import files
from geods.tree import imagery_tree, layouts
from trainers.evaluation import calibration, predictor


@dataclasses.dataclass(frozen=True)
class Options:
    """What to predict, with which run."""

    run_dir: str = flags.option("", "Run folder that trainers.train wrote.", path="in")
    top: int = flags.option(5, "How many of the most probable cells to print.")
    all_cells: bool = flags.option(False, "Print the probability of every cell too.")
    batch_size: int = flags.option(16, "Images or locations at once.")
    images: tuple[str, ...] = flags.positional(
        "IMAGE_OR_FOLDER", "JPEG files, folders of them, or imagery trees.", path="in"
    )

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
    from geods.tree import jpeg
    from trainers.runs import run_folder

    run_folder.check_run(options.run_dir)
    # Before TensorFlow, because a word that names nothing is to be answered at once.
    locations = [location for word in options.images for location in find(word)]
    jpeg.check_kinds(view.path for place in locations for view in place.views)
    program.import_quietly("tensorflow")
    from trainers.evaluation import predictor

    model = predictor.Predictor.load(options.run_dir)
    for line in predict(model, locations, options.batch_size, options.top, options.all_cells):
        print(json.dumps(line, allow_nan=False))


if __name__ == "__main__":
    program.run(Options, main)


def find(word: str) -> list[imagery_tree.Location]:
    """Returns what a word names: locations of a tree, or images, each as a location at no known place.

    Raises:
        MissingFileError: If there is no such file or folder.
        TreeError: If it is a folder with neither.
    """
    path = pathlib.Path(word)
    if path.is_dir():
        return _find_in_folder(path)
    if path.suffix.lower() == ".csv":
        return layouts.read(path)
    return [_image(files.check_file(path, "name a JPEG, a folder of JPEGs or an imagery tree"))]


def _find_in_folder(folder: pathlib.Path) -> list[imagery_tree.Location]:
    """Returns the locations of a tree, or the images in a plain folder."""
    try:
        layout = layouts.detect(folder)
    except errors.TreeError as error:
        found = imagery_tree.image_files(folder)
        if not found:
            raise errors.TreeError(f"{folder}: holds no image and is no imagery tree.", error.next_step) from error
        # With such a folder beside them the images are part of a tree in two layouts.
        if any(imagery_tree.is_cell_name(path.name) or "," in path.name for path in imagery_tree.subfolders(folder)):
            raise
        return [_image(path) for path in found]
    return layouts.read(folder, layout)


def _image(path: pathlib.Path) -> imagery_tree.Location:
    """Returns an image as a location of one view; its name is its path."""
    return imagery_tree.Location(str(path), math.nan, math.nan, None, (imagery_tree.View(path, None, None),))


# A model's points are float32, which near 124 degrees is good to 8e-6.
_PLACE_DIGITS, _PROBABILITY_DIGITS = 5, 6


def predict(
    model: predictor.Predictor, locations: Sequence[imagery_tree.Location], batch_size: int, top: int, all_cells: bool
) -> list[dict[str, Any]]:
    """Returns one JSON object a location.

    Args:
        model: The run.
        locations: What to predict.
        batch_size: Locations at once.
        top: How many of the most probable cells to name.
        all_cells: Whether to give the probability of every cell too.

    Raises:
        ImageError: If an image is not a whole JPEG.
    """
    shape = pipeline.PipelineOptions(model.height_px, model.width_px, batch_size=batch_size)
    batches = pipeline.tree_batches(locations, shape)
    steps = math.ceil(len(locations) / batch_size)
    log_probabilities, points = model.predict(tqdm.tqdm(batches, total=steps, desc="predicting", unit=" batches"))
    fitted = calibration.read(model.folder)
    lines = []
    for location, row, point in zip(locations, log_probabilities, points, strict=True):
        probabilities = probabilities_of(row)
        line = describe(location, probabilities, point, model.partition.centroids, top)
        if all_cells:
            line["probabilities"] = probabilities.tolist()
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
    location: imagery_tree.Location, probabilities: np.ndarray, point: np.ndarray, centroids: np.ndarray, top: int
) -> dict[str, Any]:
    """Returns the JSON object of one prediction.

    Args:
        location: What was predicted; its coordinates are NaN if they are not known.
        probabilities: `[cells]`, adding up to 1.
        point: (lat, lon) predicted, degrees.
        centroids: `[cells, 2]`, (lat, lon) degrees.
        top: How many of the most probable cells to name.
    """
    known = not math.isnan(location.lat_deg)
    line: dict[str, Any] = {"location" if known else "file": location.location_id, "views": len(location.views)}
    line |= _place(point)
    best = np.argsort(-probabilities, kind="stable")[:top].tolist()
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
    return line


def _place(point: np.ndarray) -> dict[str, float]:
    """Returns (lat, lon) under the names they have everywhere."""
    return {"lat_deg": round(float(point[0]), _PLACE_DIGITS), "lon_deg": round(float(point[1]), _PLACE_DIGITS)}
