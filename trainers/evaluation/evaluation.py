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

from geods import errors
from geods.dataset import dataset_reader, splits
from geods.geo import partition
from geods.input import pipeline
from geods.remote import session, urls
from geods.tree import layouts, string_array
from trainers.evaluation import predictor
from trainers.features import feature_cache, joined_cache
from trainers.options import evaluate_options
from trainers.runs import distance_metrics, prediction_writer, run_folder
from trainers.training import folds

_Pieces = Iterator[tuple[np.ndarray, np.ndarray]]


@dataclasses.dataclass(frozen=True, eq=False)
class _EvaluationSet:
    """What is to be predicted.

    Attributes:
        names: `[n]` location ids.
        truth: `[n, 2]` degrees, (lat, lon).
        pieces: Begins to predict; yields log-probabilities and points of the next locations.
    """

    names: string_array.Texts
    truth: np.ndarray
    pieces: Callable[[], _Pieces]


def report(settings: evaluate_options.EvaluateOptions) -> None:
    """Evaluates a run into its folder or --out, and prints the table of its figures."""
    out = pathlib.Path(settings.out or settings.run_dir)
    with run_folder.claim(out):
        metrics = evaluate(settings, out)
    print(distance_metrics.table(metrics))
    print(f"wrote {out / run_folder.METRICS}, {run_folder.PREDICTIONS} and {run_folder.PROBABILITIES}")
    where = f" --predictions={out}" if settings.out else ""
    print(f"next: python -m tools.render --run_dir={settings.run_dir}{where}")


def evaluate(settings: evaluate_options.EvaluateOptions, out: pathlib.Path) -> dict[str, Any]:
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
        metrics = distance_metrics.evaluate(guesses, model.partition, settings.seed)
        metrics = {
            "run": urls.with_urls(str(settings.run_dir)),
            "on": urls.with_urls(settings.imagery) or settings.split,
            **metrics,
        }
        writer.metrics = metrics
    return metrics


def _guess(
    places: _EvaluationSet, cells: partition.Partition, writer: prediction_writer.Writer
) -> distance_metrics.Guesses:
    """Predicts all places and writes each down; returns what the figures need."""
    count = len(places.truth)
    points, labels = np.empty((count, 2)), np.empty(count, np.int32)
    top = np.empty((count, min(distance_metrics.TOP, len(cells))), np.int32)
    end = 0
    for log_probabilities, found in places.pieces():
        piece = slice(end, end + len(found))
        end = piece.stop
        probabilities = np.exp(log_probabilities.astype(np.float64))
        truth = places.truth[piece]
        guesses = distance_metrics.Guesses(
            truth, cells.label(truth[:, 0], truth[:, 1]), found, distance_metrics.top_cells(probabilities)
        )
        writer.add(places.names[piece].tolist(), guesses, probabilities)
        labels[piece], points[piece], top[piece] = guesses.cells, guesses.points, guesses.top_cells
    return distance_metrics.Guesses(places.truth, labels, points, top)


def _on_split(model: predictor.Predictor, settings: evaluate_options.EvaluateOptions) -> _EvaluationSet:
    """Returns the places of a split."""
    if model.options.folds:
        return _on_fold(model, settings)
    if folder := run_folder.cache_of(model.options, settings):
        cache = feature_cache.FeatureCache(folder)
        return _EvaluationSet(
            cache.rows.location_ids, cache.rows.coords, lambda: model.feature_pieces(cache, settings.batch_size)
        )
    builder = dataset_reader.open_builder(session.local_path(model.options.data_dir), model.options.config)
    index = dataset_reader.index(builder, settings.split)
    shape = pipeline.PipelineOptions(model.height_px, model.width_px, batch_size=settings.batch_size)
    batches = pipeline.batches(builder, settings.split, shape)
    bar = tqdm.tqdm(batches, total=-(-len(index) // settings.batch_size), desc=settings.split, unit=" batches")
    return _EvaluationSet(index.location_ids, index.coords, lambda: model.pieces(bar))


def _on_fold(model: predictor.Predictor, settings: evaluate_options.EvaluateOptions) -> _EvaluationSet:
    """Returns the places of a part of the run's fold of all splits: "test" is what was held out."""
    if settings.from_images or settings.split not in splits.NAMES:
        problem = f"{settings.run_dir}: was trained on fold {model.options.fold} of a cache's rows."
        step = f"evaluate it on its cache, with --split as one of {', '.join(splits.NAMES)}"
        raise errors.RunError(problem, step)
    cache = joined_cache.open_all(str(session.local_path(model.options.cache_dir)))
    chosen = folds.parts(model.options, cache.rows.coords)[settings.split]
    return _EvaluationSet(
        cache.rows.location_ids[chosen],
        cache.rows.coords[chosen],
        lambda: model.feature_pieces(cache, settings.batch_size, chosen),
    )


def _on_tree(model: predictor.Predictor, settings: evaluate_options.EvaluateOptions) -> _EvaluationSet:
    """Returns the places of an imagery tree."""
    locations = layouts.read(settings.imagery)
    shape = pipeline.PipelineOptions(model.height_px, model.width_px, batch_size=settings.batch_size)
    batches = pipeline.tree_batches(locations, shape)
    bar = tqdm.tqdm(batches, total=-(-len(locations) // settings.batch_size), desc="imagery", unit=" batches")
    return _EvaluationSet(locations.ids, locations.coords(), lambda: model.pieces(bar))
