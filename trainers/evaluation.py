"""A run on locations it has never seen: what it predicts there, and how good that is."""

import pathlib
from typing import Any

import numpy as np
import tqdm

from geods import datasets, errors, pipeline, splits, tree, tree_layouts
from trainers import cache_files, features, folds, options, predictions, predictor, scoring


def evaluate(settings: options.EvaluateOptions, out: pathlib.Path) -> dict[str, Any]:
    """Predicts, measures, and writes the three files of an evaluation.

    Args:
        settings: Which run, on what.
        out: Folder to write to; whoever calls has claimed it.

    Returns:
        The content of metrics.json.
    """
    model = predictor.Predictor.load(settings.run_dir)
    names, truth, log_probabilities, points = (
        _on_tree(model, settings) if settings.imagery else _on_split(model, settings)
    )
    probabilities = np.exp(log_probabilities.astype(np.float64))
    cells = model.partition.label(truth[:, 0], truth[:, 1])
    guesses = scoring.Guesses(truth, cells, points, scoring.top_cells(probabilities))
    metrics = scoring.evaluate(guesses, model.partition, settings.seed)
    metrics = {"run": str(settings.run_dir), "on": settings.imagery or settings.split, **metrics}
    predictions.write(out, names, guesses, probabilities, metrics)
    return metrics


def _on_split(
    model: predictor.Predictor, settings: options.EvaluateOptions
) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Predicts a split; returns location ids, truths, log-probabilities, points."""
    if model.options.folds:
        return _on_fold(model, settings)
    folder = pathlib.Path(model.options.cache_dir, settings.split)
    if model.options.cache_dir and not settings.from_images and (folder / cache_files.INDEX).exists():
        cache = features.FeatureCache(folder)
        log_probabilities, points = model.predict_features(cache, settings.batch_size)
        return cache.rows.location_ids.tolist(), cache.rows.coords, log_probabilities, points
    builder = datasets.open_builder(model.options.data_dir, model.options.config)
    index = datasets.index(builder, settings.split)
    shape = pipeline.PipelineOptions(model.height_px, model.width_px, batch_size=settings.batch_size)
    batches = pipeline.batches(builder, settings.split, shape)
    steps = -(-len(index) // settings.batch_size)
    log_probabilities, points = model.predict(tqdm.tqdm(batches, total=steps, desc=settings.split, unit=" batches"))
    return index.location_ids.tolist(), index.coords, log_probabilities, points


def _on_fold(
    model: predictor.Predictor, settings: options.EvaluateOptions
) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Predicts a part of the run's fold of all splits: "test" is what was held out."""
    if settings.from_images or settings.split not in splits.NAMES:
        problem = f"{settings.run_dir}: was trained on fold {model.options.fold} of a cache's rows."
        step = f"evaluate it on its cache, with --split as one of {', '.join(splits.NAMES)}"
        raise errors.RunError(problem, step)
    cache = folds.open_all(model.options.cache_dir)
    chosen = folds.parts(model.options, cache.rows.coords)[settings.split]
    log_probabilities, points = model.predict_features(cache, settings.batch_size, chosen)
    return cache.rows.location_ids[chosen].tolist(), cache.rows.coords[chosen], log_probabilities, points


def _on_tree(
    model: predictor.Predictor, settings: options.EvaluateOptions
) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Predicts an imagery tree; returns location ids, truths, log-probabilities, points."""
    locations = tree_layouts.read(settings.imagery)
    shape = pipeline.PipelineOptions(model.height_px, model.width_px, batch_size=settings.batch_size)
    batches = pipeline.tree_batches(locations, shape)
    steps = -(-len(locations) // settings.batch_size)
    log_probabilities, points = model.predict(tqdm.tqdm(batches, total=steps, desc="imagery", unit=" batches"))
    return [place.location_id for place in locations], tree.coords(locations), log_probabilities, points
