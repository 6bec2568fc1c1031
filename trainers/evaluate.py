"""Measures a run on locations it has never seen, beside the best constant and a random guess.

    python -m trainers.evaluate --run_dir=runs/mlp
    python -m trainers.evaluate --run_dir=runs/mlp --imagery=tree --out=runs/mlp/on_tree

The first uses the test split, from the run's feature cache if that has it (seconds) or else from the images. The
second runs the whole network on any imagery tree (about 30 images/s for MobileNetV2 at 200x400 on 2 cores). Prints a
table; writes metrics.json, predictions.csv (a line a location) and probabilities.npy (float16, a row a line) to the run
folder or --out.
"""

import csv
import io
import pathlib
from typing import TYPE_CHECKING

import numpy as np
import tqdm

from geods import cli, errors, files, geometry, splits
from trainers import early, options, runs, scoring

if TYPE_CHECKING:
    from trainers import predictor

_DIGITS = 6


def main(settings: options.EvaluateOptions) -> None:
    """Evaluates one run."""
    early.of_evaluate(settings)
    cli.import_quietly("tensorflow")
    from trainers import predictor

    out = pathlib.Path(settings.out or settings.run_dir)
    with runs.claim(out):
        model = predictor.Predictor.load(settings.run_dir)
        names, truth, log_probabilities, points = (
            _on_tree(model, settings) if settings.imagery else _on_split(model, settings)
        )
        probabilities = np.exp(log_probabilities.astype(np.float64))
        cells = model.partition.label(truth[:, 0], truth[:, 1])
        guesses = scoring.Guesses(truth, cells, points, scoring.top_cells(probabilities))
        metrics = scoring.evaluate(guesses, model.partition, settings.seed)
        metrics = {"run": str(settings.run_dir), "on": settings.imagery or settings.split, **metrics}
        write(out, names, guesses, probabilities, metrics)
    print(scoring.table(metrics))
    print(f"wrote {out / runs.METRICS}, {runs.PREDICTIONS} and {runs.PROBABILITIES}")
    where = f" --predictions={out}" if settings.out else ""
    print(f"next: python -m tools.render --run_dir={settings.run_dir}{where}")


def write(
    out: pathlib.Path,
    names: list[str],
    guesses: scoring.Guesses,
    probabilities: np.ndarray,
    metrics: dict[str, object],
) -> None:
    """Writes the three files of an evaluation; metrics.json last, so that it speaks of the others.

    Args:
        out: Folder to write to.
        names: `[n]` location ids.
        guesses: Truths and guesses.
        probabilities: `[n, cells]`.
        metrics: Content of metrics.json.
    """
    with runs.resealing(out, runs.PREDICTIONS, runs.PROBABILITIES, runs.METRICS):
        files.write_text(out / runs.PREDICTIONS, _csv(names, guesses, probabilities))
        stored = probabilities.astype(np.float16)
        with files.atomic_path(out / runs.PROBABILITIES, stored.nbytes) as temporary:
            np.save(temporary, stored, allow_pickle=False)
        files.write_json(out / runs.METRICS, metrics)


def _on_split(
    model: "predictor.Predictor", settings: options.EvaluateOptions
) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Predicts a split; returns location ids, truths, log-probabilities, points."""
    from geods import datasets, pipeline
    from trainers import cache_files, features

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
    model: "predictor.Predictor", settings: options.EvaluateOptions
) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Predicts a part of the run's fold of all splits: "test" is what was held out."""
    from trainers import folds

    if settings.from_images or settings.split not in splits.NAMES:
        problem = f"{settings.run_dir}: was trained on fold {model.options.fold} of a cache's rows."
        step = f"evaluate it on its cache, with --split as one of {', '.join(splits.NAMES)}"
        raise errors.RunError(problem, step)
    cache = folds.open_all(model.options.cache_dir)
    chosen = folds.parts(model.options, cache.rows.coords)[settings.split]
    log_probabilities, points = model.predict_features(cache, settings.batch_size, chosen)
    return cache.rows.location_ids[chosen].tolist(), cache.rows.coords[chosen], log_probabilities, points


def _on_tree(
    model: "predictor.Predictor", settings: options.EvaluateOptions
) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Predicts an imagery tree; returns location ids, truths, log-probabilities, points."""
    from geods import pipeline, tree, tree_layouts

    locations = tree_layouts.read(settings.imagery)
    shape = pipeline.PipelineOptions(model.height_px, model.width_px, batch_size=settings.batch_size)
    batches = pipeline.tree_batches(locations, shape)
    steps = -(-len(locations) // settings.batch_size)
    log_probabilities, points = model.predict(tqdm.tqdm(batches, total=steps, desc="imagery", unit=" batches"))
    return [place.location_id for place in locations], tree.coords(locations), log_probabilities, points


def _csv(names: list[str], guesses: scoring.Guesses, probabilities: np.ndarray) -> str:
    """Returns predictions.csv: one line a location, truth, guess, distance, and the most probable cells."""
    distance_km = geometry.haversine_km(guesses.truth, guesses.points)
    count = guesses.top_cells.shape[1]
    header = ["location_id", "lat_deg", "lon_deg", "predicted_lat_deg", "predicted_lon_deg"]
    header += ["distance_km", "distance_miles", "cell"]
    header += [f"top{k + 1}_{what}" for k in range(count) for what in ("cell", "probability")]
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(header)
    for row, name in enumerate(names):
        top = guesses.top_cells[row].tolist()
        numbers = [*guesses.truth[row].tolist(), *guesses.points[row].round(_DIGITS).tolist()]
        numbers += [round(float(distance_km[row]), 3), round(float(distance_km[row] / geometry.KM_PER_MILE), 3)]
        cells = [value for cell in top for value in (cell, round(float(probabilities[row, cell]), _DIGITS))]
        lines.writerow([name, *numbers, int(guesses.cells[row]), *cells])
    return text.getvalue()


if __name__ == "__main__":
    cli.run(options.EvaluateOptions, main)
