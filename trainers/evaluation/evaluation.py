"""Evaluation of a run on locations it has never seen: predictions and metrics.

Predictions are written as they come. What stays in memory of a location is its truth, its point and its first cells,
44 bytes, whatever the number of cells.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import tensorflow as tf
import tqdm

from geods import errors
from geods.cli import program
from geods.dataset import dataset_reader, splits
from geods.geo import partition
from geods.input import pipeline
from geods.remote import urls
from geods.tree import imagery_tree, layouts, named_images, string_array
from trainers.evaluation import keras_predictor, run_predictor, seen_locations
from trainers.features import joined_cache
from trainers.options import evaluate_options, train_options
from trainers.runs import distance_metrics, events, human_guesses, prediction_writer, run_folder
from trainers.training import folds, inputs

# With 30 locations a 95 % interval of the mean is about a third of it to either side (docs/evaluation.md).
_FEW = 30
_Pieces = Iterator[tuple[np.ndarray, np.ndarray]]


@dataclasses.dataclass(frozen=True, eq=False)
class _EvaluationSet:
    """Locations or single images to predict.

    Attributes:
        names: `[n]` location ids, or those of `_names_of_views`.
        truth: `[n, 2]` degrees, (lat, lon).
        pieces: Starts to predict; yields log-probabilities and points of the next locations.
        seen: How many the run was trained on, for metrics.json.
    """

    names: string_array.Texts
    truth: np.ndarray
    pieces: Callable[[], _Pieces]
    seen: dict[str, Any] = dataclasses.field(default_factory=dict)


def report(settings: evaluate_options.EvaluateOptions) -> None:
    """Evaluates a run into its folder or --out, and prints the table of its figures."""
    out = pathlib.Path(settings.out or settings.run_dir)
    with run_folder.claim(out):
        metrics = evaluate(settings, out)
        events.write_evaluation(out, metrics)
    print("".join(f"{line}\n" for line in _notes(metrics)), end="")
    print(distance_metrics.table(metrics))
    if settings.humans:
        print(f"\n{human_guesses.table(metrics['humans'])}")
    print(f"wrote {out / run_folder.METRICS}, {run_folder.PREDICTIONS} and {run_folder.PROBABILITIES}")
    where = f" --predictions={out}" if settings.out else ""
    program.print_next(f"python -m tools.render --run_dir={settings.run_dir}{where}")


def _notes(metrics: dict[str, Any]) -> list[str]:
    """Returns the lines above the table, on seen and on too few locations."""
    notes = seen_locations.lines(metrics["seen"]) if "seen" in metrics else []
    if metrics["locations"] < _FEW:
        few = f"note: {metrics['locations']} locations are few: below {_FEW} each figure is mostly chance"
        notes.append(f"{few}; trainers.cross_validate measures on all locations of a dataset")
    return notes


def evaluate(settings: evaluate_options.EvaluateOptions, out: pathlib.Path) -> dict[str, Any]:
    """Predicts, measures, and writes the three files of an evaluation.

    Args:
        settings: The run, the locations to evaluate it on, and the seed of the random guess and the bootstrap.
        out: Folder to write to, locked by the caller.

    Returns:
        The content of metrics.json.
    """
    locations, run = settings.locations, (settings.run_dir, settings.checkpoint)
    model: run_predictor.RunPredictor
    if locations.imagery:
        # The run's graph, where there is one: nothing has to be traced, and the network takes less time.
        model = run_predictor.open_run(*run, exact_pixels=locations.exact_pixels)
        chosen = _on_tree(model, locations)
    else:
        model = whole = keras_predictor.KerasPredictor(*run, locations.exact_pixels)
        chosen = _on_split(whole, locations)
    is_single = model.options.data.is_single(locations.views)
    with prediction_writer.writing(out, len(chosen.truth), len(model.partition)) as writer:
        guesses = _guess(chosen, model.partition, writer)
        seen = chosen.seen or seen_locations.on_split(model.folder, chosen.truth)
        names = chosen.names
        # The features and their rows are not needed any more, and figures need memory of their own.
        del chosen
        metrics = distance_metrics.evaluate(guesses, model.partition, settings.seed)
        if settings.humans:
            found, constant = human_guesses.read(settings.humans), metrics["constant_guess"]["point"]
            metrics["humans"] = human_guesses.measure(found, names, guesses, constant, model.partition, settings.seed)
        on = urls.with_urls(locations.imagery) or locations.split
        views = {"views": "single"} if is_single else {}
        writer.metrics = {"run": urls.with_urls(settings.run_dir), "on": on, **views, **metrics}
        writer.metrics |= {"seen": seen} if seen else {}
    return writer.metrics


def _guess(
    chosen: _EvaluationSet, cells: partition.Partition, writer: prediction_writer.Writer
) -> distance_metrics.Guesses:
    """Predicts all locations and writes each down.

    Returns the guesses for the metrics.
    """
    count = len(chosen.truth)
    points, labels = np.empty((count, 2)), np.empty(count, np.int32)
    top = np.empty((count, min(distance_metrics.TOP, len(cells))), np.int32)
    end = 0
    for log_probabilities, predicted in chosen.pieces():
        piece = slice(end, end + len(predicted))
        end = piece.stop
        probabilities = np.exp(log_probabilities.astype(np.float64))
        truth = chosen.truth[piece]
        guesses = distance_metrics.Guesses(
            truth, cells.label(truth[:, 0], truth[:, 1]), predicted, prediction_writer.top_cells(probabilities)
        )
        writer.add(chosen.names[piece].tolist(), guesses, probabilities)
        labels[piece], points[piece], top[piece] = guesses.cells, guesses.points, guesses.top_cells
    return distance_metrics.Guesses(chosen.truth, labels, points, top)


def _on_split(model: keras_predictor.KerasPredictor, locations: evaluate_options.LocationOptions) -> _EvaluationSet:
    is_single = model.options.data.is_single(locations.views)
    data = run_folder.data_of(model.folder, locations)
    if data.folds:
        return _on_fold(model, data, locations, is_single)
    if run_folder.is_cached(data, locations):
        cache = joined_cache.open_split(run_folder.caches_of(data, locations.split), locations.split)
        if problem := inputs.staleness(cache, data):
            print(f"note: {problem}")
        return _on_cache(model, cache, locations.batch_size, is_single)
    builder = dataset_reader.open_builder(run_folder.dataset_of(data), data.config)
    index = dataset_reader.index(builder, locations.split)
    shape = pipeline.PipelineOptions(
        model.height_px,
        model.width_px,
        locations.batch_size,
        views="single" if is_single else "all",
        exact_pixels=model.exact_pixels,
    )
    batches = pipeline.batches(builder, locations.split, shape, _with_one_view if is_single else None)
    names, truth = index.location_ids, index.coords
    if is_single:
        names, truth = _of_views(names, truth, index.views, index.headings)
    bar = tqdm.tqdm(batches, total=-(-len(truth) // locations.batch_size), desc=locations.split, unit=" batches")
    return _EvaluationSet(names, truth, lambda: model.pieces(bar))


def _on_fold(
    model: keras_predictor.KerasPredictor,
    data: train_options.DataOptions,
    locations: evaluate_options.LocationOptions,
    is_single: bool,
) -> _EvaluationSet:
    """Returns a part of the run's fold of all splits.

    "test" is the part that was held out.
    """
    if locations.from_images or locations.split not in splits.NAMES:
        problem = f"{model.folder}: was trained on fold {data.fold} of a cache's rows."
        step = f"evaluate it on its cache, with --split as one of {', '.join(splits.NAMES)}"
        raise errors.RunError(problem, step)
    cache = joined_cache.open_all(run_folder.caches_of(data))
    rows = folds.parts(data, cache.rows.coords)[locations.split]
    return _on_cache(model, cache, locations.batch_size, is_single, rows)


def _on_cache(
    model: keras_predictor.KerasPredictor,
    cache: joined_cache.Cache,
    batch_size: int,
    is_single: bool,
    locations: np.ndarray | None = None,
) -> _EvaluationSet:
    """Returns locations `[n]` of a cache, all if not given, or their single views."""
    rows = cache.rows
    chosen = slice(None) if locations is None else locations
    names, truth = rows.location_ids[chosen], rows.coords[chosen]
    if is_single:
        counts = rows.views[chosen]
        of_views = np.repeat(rows.starts[:-1][chosen] - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
        names, truth = _of_views(names, truth, counts, rows.headings[of_views])
    views: Literal["single", "all"] = "single" if is_single else "all"
    return _EvaluationSet(names, truth, lambda: model.feature_pieces(cache, batch_size, locations, views))


def _on_tree(model: run_predictor.RunPredictor, locations: evaluate_options.LocationOptions) -> _EvaluationSet:
    table = layouts.read(locations.imagery)
    seen = seen_locations.find(model.folder, table, locations)
    if seen.found.any() and not locations.include_seen:
        if seen.found.all():
            problem = f"{locations.imagery}: {model.folder} was trained on all of its {len(table):,} locations."
            raise errors.RunError(problem, "evaluate it on other images, or count them with --include_seen")
        table = table.keep(np.repeat(~seen.found, table.counts_of(np.ones(table.views, bool))))
    names, truth = table.ids, table.coords()
    rows: Sequence[imagery_tree.Location] = table
    if model.options.data.is_single(locations.views):
        rows = named_images.single_views(table)
        counts = np.array([len(location.views) for location in table])
        headings = [view.heading_deg for location in table for view in location.views]
        names, truth = _of_views(names, truth, counts, np.array(headings, np.float32))
    batches = model.tree_batches(rows, locations.batch_size)
    bar = tqdm.tqdm(batches, total=-(-len(rows) // locations.batch_size), desc="imagery", unit=" batches")
    return _EvaluationSet(names, truth, lambda: model.pieces(bar), seen.counts(locations.include_seen))


def _with_one_view(batch: dict[str, Any]) -> dict[str, Any]:
    """Returns a batch of single images as locations of one view."""
    return {"image": batch["image"][:, None], "view_mask": tf.ones((tf.shape(batch["image"])[0], 1), tf.bool)}


def _of_views(
    names: string_array.Texts, truth: np.ndarray, counts: np.ndarray, headings: np.ndarray
) -> tuple[string_array.Texts, np.ndarray]:
    """Returns names and coordinates of single views, as rows of their own.

    A view is named `<location_id>+<heading>`, or +view<number> where no heading is known or two views have it.

    Args:
        names: `[n]` location ids.
        truth: `[n, 2]` degrees, (lat, lon).
        counts: `[n]`, the views of each.
        headings: `[counts.sum()]` degrees, NaN where not known.
    """
    words, end = [], 0
    for name, count in zip(names, counts.tolist(), strict=True):
        own = [f"{heading:g}" for heading in headings[end : end + count].tolist()]
        is_clear = len(set(own)) == count and "nan" not in own
        words += [f"{name}+{heading if is_clear else f'view{number}'}" for number, heading in enumerate(own)]
        end += count
    return string_array.Texts.of(words), np.repeat(truth, counts, axis=0)
