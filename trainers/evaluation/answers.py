"""Predictions of photographs as JSON: point, cells, credible region."""

import math
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tqdm

from geods import errors
from geods.geo import geometry, partition
from geods.tree import imagery_tree, jpeg
from trainers.evaluation import calibration, run_predictor

_PLACE_DIGITS, _PROBABILITY_DIGITS = 5, 6


def predict(
    model: run_predictor.RunPredictor,
    locations: Sequence[imagery_tree.Location],
    batch_size: int,
    top: int,
    all_cells: bool,
    facts: Sequence[jpeg.ImageFacts] | None = None,
) -> Iterator[dict[str, Any]]:
    """Yields one JSON object a location, batch by batch.

    Args:
        model: The run.
        locations: What to predict.
        batch_size: Locations at once.
        top: How many of the most probable cells to name.
        all_cells: Whether to give the probability of every cell too.
        facts: Check of all their images; they are checked here if not given.

    Raises:
        ImageError: If an image is not a whole JPEG.
    """
    batches = model.tree_batches(locations, batch_size, facts)
    steps = math.ceil(len(locations) / batch_size)
    fitted, cells, rest = calibration_of(model), model.partition, iter(locations)
    # In a terminal the lines themselves show how far it is, and would begin behind the bar.
    bar = tqdm.tqdm(batches, total=steps, desc="predicting", unit=" batches", disable=sys.stdout.isatty())
    for found in model.pieces(bar):
        for row, point in zip(*found, strict=True):
            yield line_of(next(rest), probabilities_of(row), point, cells, fitted, top, all_cells)


def calibration_of(model: run_predictor.RunPredictor) -> calibration.Calibration | None:
    """Returns the calibration of a model; None if it has none, as a chunk's."""
    return None if model.checkpoint else calibration.read(model.folder)


def line_of(
    location: imagery_tree.Location,
    probabilities: np.ndarray,
    point: np.ndarray,
    cells: partition.Partition,
    fitted: calibration.Calibration | None,
    top: int,
    all_cells: bool,
) -> dict[str, Any]:
    """Returns the JSON object of one prediction with its region; arguments as above."""
    line = describe(location, probabilities, point, cells, top)
    if all_cells:
        line["probabilities"] = probabilities.tolist()
    return line | (_region(probabilities, cells, fitted) if fitted else {})


def _region(probabilities: np.ndarray, cells: partition.Partition, fitted: calibration.Calibration) -> dict[str, Any]:
    """Returns the credible region of a prediction: level, area, number of cells."""
    inside = calibration.region(probabilities[None], cells.areas_km2, fitted)[0]
    area_km2 = float(cells.areas_km2[inside].sum())
    return {"region": {"level": fitted.level, "area_km2": round(area_km2), "cells": int(inside.sum())}}


def probabilities_of(log_probabilities: np.ndarray) -> np.ndarray:
    """Returns probabilities `[cells]` float64 that add up to 1.

    Their sum is exact beyond the precision of the model's numbers.
    """
    shares = np.exp(np.asarray(log_probabilities, np.float64) - np.max(log_probabilities))
    return shares / shares.sum()


def describe(
    location: imagery_tree.Location, probabilities: np.ndarray, point: np.ndarray, cells: partition.Partition, top: int
) -> dict[str, Any]:
    """Returns the JSON object of one prediction.

    Args:
        location: What was predicted; its coordinates are NaN if they are not known.
        probabilities: `[cells]`, adding up to 1.
        point: (lat, lon) predicted, degrees.
        cells: The run's partition, whose cells may have names.
        top: How many of the most probable cells to name.
    """
    known = not math.isnan(location.lat_deg)
    line: dict[str, Any] = {_kind_of_name(location.location_id): location.location_id, "views": len(location.views)}
    line |= _place(point)
    best = np.argsort(-probabilities, kind="stable")[:top].tolist()
    line["top_cells"] = [
        {"cell": cell}
        | ({"name": cells.names[cell]} if cells.names else {})
        | {"probability": round(float(probabilities[cell]), _PROBABILITY_DIGITS), **_place(cells.centroids[cell])}
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


def _kind_of_name(name: str) -> str:
    """Returns "location" for a "<lat>,<lng>", else "file"."""
    try:
        imagery_tree.parse_location(name, name)
    except errors.GeodsError:
        return "file"
    return "location"


def _place(point: np.ndarray) -> dict[str, float]:
    """Returns (lat, lon) under the names they have everywhere."""
    return {"lat_deg": round(float(point[0]), _PLACE_DIGITS), "lon_deg": round(float(point[1]), _PLACE_DIGITS)}
