"""A run on locations it has never seen: what it predicts there, and how good that is.

Predictions are written as they come. What stays in memory of a location is its truth, its point and its first cells,
44 bytes, whatever the number of cells.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tqdm

from geods import datasets, errors, partition, pipeline, splits, texts, tree_layouts
from geods.mirror import fields, urls
from trainers import features, folds, options, prediction_writer, predictor, runs, scoring

_Pieces = Iterator[tuple[np.ndarray, np.ndarray]]


@dataclasses.dataclass(frozen=True, eq=False)
class _Places:
    """What is to be predicted.

    Attributes:
        names: `[n]` location ids.
        truth: `[n, 2]` degrees, (lat, lon).
        pieces: Begins to predict; yields log-probabilities and points of the next locations.
    """

    names: texts.Texts
    truth: np.ndarray
    pieces: Callable[[], _Pieces]


def evaluate(settings: options.EvaluateOptions, out: pathlib.Path) -> dict[str, Any]:
    """Predicts, measures, and writes the three files of an evaluation.

    Args:
        settings: Which run, on what.
        out: Folder to write to; whoever calls has claimed it.

    Returns:
        The content of metrics.json.
    """
    model = predictor.Predictor.load(settings.run_dir)
    places = _on_tree(model, settings) if settings.imagery else _on_split(model, settings)
    with prediction_writer.writing(out, len(places.truth), len(model.partition)) as writer:
        guesses = _guess(places, model.partition, writer)
        # The features and their rows are not needed any more, and figures need memory of their own.
        del places
        metrics = scoring.evaluate(guesses, model.partition, settings.seed)
        metrics = {
            "run": urls.shown(str(settings.run_dir)),
            "on": urls.shown(settings.imagery) or settings.split,
            **metrics,
        }
        writer.metrics = metrics
    return metrics


def _guess(places: _Places, cells: partition.Partition, writer: prediction_writer.Writer) -> scoring.Guesses:
    """Predicts all places and writes each down; returns what the figures need."""
    count = len(places.truth)
    points, labels = np.empty((count, 2)), np.empty(count, np.int32)
    top = np.empty((count, min(scoring.TOP, len(cells))), np.int32)
    end = 0
    for log_probabilities, found in places.pieces():
        piece = slice(end, end + len(found))
        end = piece.stop
        probabilities = np.exp(log_probabilities.astype(np.float64))
        truth = places.truth[piece]
        guesses = scoring.Guesses(truth, cells.label(truth[:, 0], truth[:, 1]), found, scoring.top_cells(probabilities))
        writer.add(places.names[piece].tolist(), guesses, probabilities)
        labels[piece], points[piece], top[piece] = guesses.cells, guesses.points, guesses.top_cells
    return scoring.Guesses(places.truth, labels, points, top)


def _on_split(model: predictor.Predictor, settings: options.EvaluateOptions) -> _Places:
    """Returns the places of a split."""
    if model.options.folds:
        return _on_fold(model, settings)
    if folder := runs.cache_of(model.options, settings):
        cache = features.FeatureCache(folder)
        return _Places(
            cache.rows.location_ids, cache.rows.coords, lambda: model.feature_pieces(cache, settings.batch_size)
        )
    builder = datasets.open_builder(fields.here(model.options.data_dir), model.options.config)
    index = datasets.index(builder, settings.split)
    shape = pipeline.PipelineOptions(model.height_px, model.width_px, batch_size=settings.batch_size)
    batches = pipeline.batches(builder, settings.split, shape)
    bar = tqdm.tqdm(batches, total=-(-len(index) // settings.batch_size), desc=settings.split, unit=" batches")
    return _Places(index.location_ids, index.coords, lambda: model.pieces(bar))


def _on_fold(model: predictor.Predictor, settings: options.EvaluateOptions) -> _Places:
    """Returns the places of a part of the run's fold of all splits: "test" is what was held out."""
    if settings.from_images or settings.split not in splits.NAMES:
        problem = f"{settings.run_dir}: was trained on fold {model.options.fold} of a cache's rows."
        step = f"evaluate it on its cache, with --split as one of {', '.join(splits.NAMES)}"
        raise errors.RunError(problem, step)
    cache = folds.open_all(str(fields.here(model.options.cache_dir)))
    chosen = folds.parts(model.options, cache.rows.coords)[settings.split]
    return _Places(
        cache.rows.location_ids[chosen],
        cache.rows.coords[chosen],
        lambda: model.feature_pieces(cache, settings.batch_size, chosen),
    )


def _on_tree(model: predictor.Predictor, settings: options.EvaluateOptions) -> _Places:
    """Returns the places of an imagery tree."""
    locations = tree_layouts.read_compact(settings.imagery)
    shape = pipeline.PipelineOptions(model.height_px, model.width_px, batch_size=settings.batch_size)
    batches = pipeline.tree_batches(locations, shape)
    bar = tqdm.tqdm(batches, total=-(-len(locations) // settings.batch_size), desc="imagery", unit=" batches")
    return _Places(locations.ids, locations.coords(), lambda: model.pieces(bar))
