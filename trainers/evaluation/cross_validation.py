"""Cross-validation: each fold in its own process, their predictions joined."""

import contextlib
import ctypes
import hashlib
import json
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from geods import errors
from geods.cli import flags, program
from geods.dataset import dataset_folder
from geods.geo import partition
from geods.remote import urls
from geods.storage import files
from geods.tree import string_array
from trainers.features import joined_cache
from trainers.options import train_options
from trainers.runs import (
    distance_metrics,
    prediction_writer,
    predictions,
    preflight,
    run_folder,
    stored_probabilities,
)

_DEFAULT_FOLDS = 5
_PR_SET_PDEATHSIG = 1
# Last lines of a failed program: the error and its next step.
_LINES_SHOWN = 6


def cross_validate(settings: train_options.TrainOptions) -> None:
    """Trains and evaluates unfinished folds, joins the predictions, prints the table."""
    count, folder = settings.data.folds or _DEFAULT_FOLDS, pathlib.Path(settings.run.run_dir)
    settings = flags.with_absolute_paths(flags.replace(settings, folds=count, fold=0))
    runs = [flags.replace(settings, fold=n, run_dir=str(folder / f"fold{n}"), overwrite=True) for n in range(count)]
    preflight.check_train(runs[0])
    with run_folder.claim(folder):
        _keep_flags(flags_of(flags.replace(settings, overwrite=False)), folder, settings.run.overwrite)
        started_s, seconds = time.monotonic(), 0.0
        for fold, own in enumerate(runs):
            metrics = train_and_evaluate(own)
            seconds += metrics["seconds"]
            print(
                f"fold{fold}, {fold + 1} of {count}: {metrics['locations']} locations, "
                f"{metrics['mean_miles']:,.1f} mean miles, {metrics['median_miles']:,.1f} median, "
                f"{time.monotonic() - started_s:,.0f} s",
                flush=True,
            )
        program.import_quietly("tensorflow")
        print(distance_metrics.table(_joined(settings.cells, settings.data, folder, seconds)))
    print(f"wrote {folder / run_folder.METRICS}, {run_folder.PREDICTIONS} and {run_folder.PROBABILITIES}")
    program.print_next(f"python -m tools.render --run_dir={folder}")


def flags_of(settings: train_options.TrainOptions) -> str:
    """Returns the flag file of a training.

    Its last line, a comment, changes with the features and the cells.
    """
    data, cells = settings.data, settings.cells
    parts = [str(joined_cache.open_all(data.cache_dir, number).key) for number in range(data.variants + 1)]
    if cells.partition:
        parts.append(partition.read(cells.partition).fingerprint)
    else:
        built = dataset_folder.check_built(data.data_dir, data.config)
        parts.append(str(dataset_folder.metadata_in(built).get("partition")))
    return f"{flags.to_flagfile(settings)}# data {hashlib.sha256(repr(parts).encode()).hexdigest()}\n"


def _keep_flags(text: str, folder: pathlib.Path, overwrite: bool) -> None:
    """Writes the flags down.

    Folds of other flags or data are an error, or are removed with --overwrite.

    Raises:
        RunError: If the folder holds a cross-validation with other flags or of other data.
    """
    path = folder / run_folder.FLAGS
    if overwrite:
        run_folder.clear(folder)
        files.discard(path)
    _check_same(path, text)
    files.write_text(path, text)


def _check_same(path: pathlib.Path, text: str) -> None:
    """Raises RunError if a flag file, where it exists, holds others than `text`."""
    # In any order: that of the lines has changed between versions.
    kept = path.read_text("utf-8") if path.is_file() else text
    if run_folder.settings_in(kept.splitlines()) != run_folder.settings_in(text.splitlines()):
        problem = f"{path}: is of a training with other flags or of other data."
        raise errors.RunError(problem, "name another --run_dir, or start again with --overwrite")


def train_and_evaluate(settings: train_options.TrainOptions) -> dict[str, Any]:
    """Trains a run on a cache and evaluates it, unless that is done.

    Returns:
        The content of its metrics.json, and the seconds it took.

    Raises:
        RunError: If that was done with other flags or of other data.
        TrainingError: If a program fails.
    """
    folder, text = pathlib.Path(settings.run.run_dir), flags_of(settings)
    path, flagfile = folder / run_folder.METRICS, folder.with_suffix(".cfg")
    if path.is_file():
        _check_same(flagfile, text)
    else:
        started_s = time.monotonic()
        files.write_text(flagfile, text)
        _run("trainers.evaluation.fold", f"--flagfile={flagfile}")
        measured = json.loads(path.read_text(encoding="utf-8"))
        with run_folder.resealing(folder, run_folder.METRICS):
            files.write_json(path, measured | {"seconds": round(time.monotonic() - started_s, 1)})
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _run(*words: str) -> None:
    """Runs a program in its own process.

    The state of Keras after one fold must not change the next.

    Raises:
        TrainingError: If it fails, with its last lines.
    """
    done = subprocess.run(
        [sys.executable, "-m", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
        preexec_fn=_end_with_parent,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-_LINES_SHOWN:]
        problem = f"{' '.join(words)}: failed: {' | '.join(said) or f'exit code {done.returncode}'}"
        raise errors.TrainingError(problem, "fix that; the same command resumes with the folds that are left")


def _end_with_parent() -> None:
    """Ends a process with its parent.

    Otherwise a killed parent could not lock the folder when it is started again.
    """
    # Linux only.
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _joined(
    cells: train_options.CellOptions, data: train_options.DataOptions, folder: pathlib.Path, seconds: float
) -> dict[str, Any]:
    """Joins the predictions of all folds, by location, and measures them.

    Writes the files of trainers.evaluate.
    """
    from trainers.training import cells as training_cells

    folders = [folder / f"fold{fold}" for fold in range(data.folds)]
    own = [partition.read(each / run_folder.PARTITION) for each in folders]
    common = own[0]
    if any(fold_cells.fingerprint != common.fingerprint for fold_cells in own):
        common = training_cells.given(cells, data)
    joined = JoinedFolds(folders, own, common)
    labels = common.label(joined.truth[:, 0], joined.truth[:, 1])
    top = []
    with prediction_writer.writing(folder, len(joined), len(common)) as writer:
        for rows in joined.pieces():
            probabilities = joined.probabilities(rows)
            top.append(distance_metrics.top_cells(probabilities))
            guesses = distance_metrics.Guesses(joined.truth[rows], labels[rows], joined.predicted[rows], top[-1])
            writer.add(joined.names[rows].tolist(), guesses, probabilities)
        guesses = distance_metrics.Guesses(joined.truth, labels, joined.predicted, np.concatenate(top))
        writer.metrics = {
            "run": urls.with_urls(str(folder)),
            "on": f"{data.folds} folds",
            **({"views": "single"} if data.is_single("auto") else {}),
            **distance_metrics.evaluate(guesses, common),
            "seconds": round(seconds, 1),
        }
    partition.write(common, folder / run_folder.PARTITION)
    return writer.metrics


class JoinedFolds:
    """The predictions of all folds as one table, sorted by location.

    Probabilities stay in the files of the folds.

    Args:
        folders: Run folders of the folds, evaluated.
        own: The partition of each.
        common: The partition whose cells all probabilities are given for. A fold with cells of its own gives the
            probability of each to the common cell that its centroid lies in.

    Attributes:
        names: `[n]` location ids, sorted.
        truth: `[n, 2]` (lat, lon) degrees.
        predicted: `[n, 2]` (lat, lon) degrees.

    Raises:
        RunError: If a file of a fold is missing or damaged.
    """

    def __init__(
        self, folders: Sequence[pathlib.Path], own: Sequence[partition.Partition], common: partition.Partition
    ) -> None:
        found = [predictions.read(folder, len(cells)) for folder, cells in zip(folders, own, strict=True)]
        self._folds, self._cells = found, len(common)
        self._into = [None if cells.fingerprint == common.fingerprint else _into(cells, common) for cells in own]
        names = string_array.Texts.joined([one.names for one in found])
        order = names.order()
        self.names = names[order]
        self.truth = np.concatenate([one.truth for one in found])[order]
        self.predicted = np.concatenate([one.predicted for one in found])[order]
        self._fold_of = np.repeat(np.arange(len(found)), [len(one) for one in found])[order]
        self._row_of = np.concatenate([np.arange(len(one)) for one in found])[order]

    def __len__(self) -> int:
        """Returns n."""
        return len(self.names)

    def pieces(self) -> Iterator[np.ndarray]:
        """Yields the numbers of all locations in pieces.

        See `stored_probabilities.pieces`.
        """
        return stored_probabilities.pieces(np.arange(len(self)), self._cells)

    def probabilities(self, rows: np.ndarray) -> np.ndarray:
        """Returns the probabilities of some locations, float64 `[k, cells]`."""
        result = np.zeros((len(rows), self._cells))
        for fold, (found, into) in enumerate(zip(self._folds, self._into, strict=True)):
            here = self._fold_of[rows] == fold
            values = found.probabilities[self._row_of[rows[here]]].astype(np.float64)
            result[here] = values if into is None else self._moved(values, into)
        return result

    def _moved(self, values: np.ndarray, into: np.ndarray) -> np.ndarray:
        """Returns probabilities `[k, own cells]` over the common cells."""
        inside = into >= 0
        moved = [np.bincount(into[inside], weights=row[inside], minlength=self._cells) for row in values]
        return np.array(moved).reshape(len(values), self._cells)


def _into(cells: partition.Partition, common: partition.Partition) -> np.ndarray:
    """Returns the common cell that each centroid lies in, -1 for none."""
    return common.label(cells.centroids[:, 0], cells.centroids[:, 1])
