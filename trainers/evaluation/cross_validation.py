"""Cross-validation: trains and evaluates every fold in a process of its own, and joins what they predict."""

import contextlib
import ctypes
import dataclasses
import json
import pathlib
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np

from geods import errors
from geods.cli import flags as cli_flags
from geods.cli import program
from geods.geo import partition
from geods.remote import urls
from geods.storage import files, locks
from trainers.evaluation import joined_folds
from trainers.options import train_options
from trainers.runs import distance_metrics, prediction_writer, run_folder

_DEFAULT_FOLDS = 5
_PR_SET_PDEATHSIG = 1
# Of what a failed program said: the error and its next step.
_LINES_SHOWN = 6


def cross_validate(settings: train_options.TrainOptions) -> None:
    """Trains and evaluates all folds that are not finished, joins what they predict, and prints the table."""
    settings = dataclasses.replace(settings, folds=settings.folds or _DEFAULT_FOLDS, fold=0)
    with run_folder.claim(settings.run_dir):
        _validate(settings, pathlib.Path(settings.run_dir))


def _validate(settings: train_options.TrainOptions, folder: pathlib.Path) -> None:
    """Does what `cross_validate` says, in a folder that no other process writes to."""
    _keep_flags(settings, folder)
    started_s = time.monotonic()
    for fold, own in enumerate(_folds(settings)):
        metrics = train_and_evaluate(own)
        print(
            f"fold {fold + 1}/{settings.folds}: {metrics['locations']} locations, "
            f"{metrics['mean_miles']:,.1f} mean miles, {metrics['median_miles']:,.1f} median, "
            f"{time.monotonic() - started_s:,.0f} s",
            flush=True,
        )
    program.import_quietly("tensorflow")
    print(distance_metrics.table(_joined(settings, folder)))
    print(f"wrote {folder / run_folder.METRICS}, {run_folder.PREDICTIONS} and {run_folder.PROBABILITIES}")


def _folds(settings: train_options.TrainOptions) -> list[train_options.TrainOptions]:
    """Returns the options of each fold's run."""
    folder = pathlib.Path(settings.run_dir)
    return [
        dataclasses.replace(settings, fold=fold, run_dir=str(folder / f"fold{fold}"), overwrite=True)
        for fold in range(settings.folds)
    ]


def _keep_flags(settings: train_options.TrainOptions, folder: pathlib.Path) -> None:
    """Writes the flags down; what other flags have left is an error, or goes with --overwrite.

    Raises:
        RunError: If the folder holds a cross-validation with other flags.
    """
    text = cli_flags.to_flagfile(dataclasses.replace(settings, overwrite=False))
    path = folder / run_folder.FLAGS
    if settings.overwrite:
        for found in folder.iterdir():
            if found.name != locks.NAME:
                files.discard(found)
    if path.is_file() and path.read_text(encoding="utf-8") != text:
        problem = f"{folder}: holds folds that were trained with other flags ({path})."
        raise errors.RunError(problem, "name another --run_dir, or begin anew with --overwrite")
    files.write_text(path, text)


def train_and_evaluate(own: train_options.TrainOptions) -> dict[str, Any]:
    """Trains a run and evaluates it, unless that is done; returns its metrics, with the seconds it took.

    Raises:
        TrainingError: If a program fails.
    """
    folder = pathlib.Path(own.run_dir)
    path = folder / run_folder.METRICS
    if not path.is_file():
        started_s = time.monotonic()
        flags = folder.with_suffix(".cfg")
        files.write_text(flags, cli_flags.to_flagfile(own))
        _run("trainers.evaluation.fold", f"--flagfile={flags}")
        measured = json.loads(path.read_text(encoding="utf-8"))
        with run_folder.resealing(folder, run_folder.METRICS):
            files.write_json(path, measured | {"seconds": round(time.monotonic() - started_s, 1)})
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _run(*words: str) -> None:
    """Runs a program in a process of its own: what a fold leaves in Keras and in memory must not change the next.

    Raises:
        TrainingError: If it fails; what it said comes with it.
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
        raise errors.TrainingError(problem, "mend that; the same command goes on with the folds that are left")


def _end_with_parent() -> None:
    """Lets a process end when its parent is killed, or it would hold its folder while the parent is started again."""
    # Linux alone knows it.
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _joined(settings: train_options.TrainOptions, folder: pathlib.Path) -> dict[str, Any]:
    """Joins the predictions of all folds, by location, and measures them; writes what trainers.evaluate writes."""
    from trainers.training import cells as training_cells

    common = partition.read(folder / "fold0" / run_folder.PARTITION)
    own = [partition.read(folder / f"fold{fold}" / run_folder.PARTITION) for fold in range(settings.folds)]
    if any(cells.fingerprint != common.fingerprint for cells in own):
        common = training_cells.given(settings)
    found = joined_folds.Joined([folder / f"fold{fold}" for fold in range(settings.folds)], own, common)
    labels = common.label(found.truth[:, 0], found.truth[:, 1])
    seconds = sum(train_and_evaluate(own)["seconds"] for own in _folds(settings))
    top = []
    with prediction_writer.writing(folder, len(found), len(common)) as writer:
        for some in found.pieces():
            probabilities = found.probabilities(some)
            top.append(distance_metrics.top_cells(probabilities))
            guesses = distance_metrics.Guesses(found.truth[some], labels[some], found.predicted[some], top[-1])
            writer.add(found.names[some].tolist(), guesses, probabilities)
        guesses = distance_metrics.Guesses(found.truth, labels, found.predicted, np.concatenate(top))
        writer.metrics = {
            "run": urls.with_urls(str(folder)),
            "on": f"{settings.folds} folds",
            **distance_metrics.evaluate(guesses, common),
            "seconds": round(seconds, 1),
        }
    partition.write(common, folder / run_folder.PARTITION)
    return writer.metrics
