"""Comparison of runs on the same locations: figures, intervals, differences."""

import csv
import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from geods import errors
from geods.storage import files
from trainers.runs import run_folder

_SAMPLES = 1000
_WITHIN_KM = ("25", "200", "750")
_HEAD = ("", "mean miles (95 %)", "median", *(f"<{limit} km" for limit in _WITHIN_KM), "score", "world")
_HEAD_END = ("to the constant guess (95 %)", "to {}", "parameters", "seconds")


@dataclasses.dataclass(frozen=True, eq=False)
class RunSummary:
    """One run of the table.

    Attributes:
        name: Its name in the table.
        metrics: Content of its metrics.json.
        distance_miles: By location id.
        parameters: Trainable parameters; -1 if not known.
        seconds: Time of training and evaluation.
    """

    name: str
    metrics: dict[str, Any]
    distance_miles: dict[str, float]
    parameters: int
    seconds: float


def read(name: str, folder: pathlib.Path, parameters: int, seconds: float) -> RunSummary:
    """Reads the evaluation in a folder.

    Raises:
        RunError: If a file of it is missing or damaged.
    """
    try:
        metrics = files.parse_json((folder / run_folder.METRICS).read_bytes())
        with open(folder / run_folder.PREDICTIONS, newline="", encoding="utf-8") as source:
            miles = {row["location_id"]: float(row["distance_miles"]) for row in csv.DictReader(source)}
    except (OSError, ValueError, KeyError) as error:
        problem = f"{folder}: holds no finished evaluation ({type(error).__name__}: {error})."
        raise errors.RunError(problem, f"evaluate it: python -m trainers.evaluate --run_dir={folder}") from error
    return RunSummary(name, metrics, miles, parameters, seconds)


def difference(one: RunSummary, other: RunSummary, seed: int = 0) -> tuple[float, float, float]:
    """Returns the mean difference of two runs, miles, and its 95 % interval.

    Both were evaluated on the same locations.

    The interval is a percentile bootstrap over locations, both runs resampled together.

    Raises:
        RunError: If they were not measured on the same locations.
    """
    if one.distance_miles.keys() != other.distance_miles.keys():
        problem = f"{one.name} and {other.name} were not measured on the same locations."
        raise errors.RunError(problem, "evaluate both on the same split or folds")
    paired = np.array([miles - other.distance_miles[name] for name, miles in one.distance_miles.items()])
    rng = np.random.default_rng(seed)
    means = [paired[rng.integers(len(paired), size=len(paired))].mean() for _ in range(_SAMPLES)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(paired.mean()), float(low), float(high)


def table(runs: Sequence[RunSummary], reference: RunSummary) -> str:
    """Returns the runs as a Markdown table, the best first, with guesses and people.

    Args:
        runs: At least one.
        reference: The run that the others are compared with.
    """
    first = runs[0].metrics
    rows = [_row(one, reference) for one in sorted(runs, key=lambda one: one.metrics["mean_miles"])]
    blank = [""] * (len(_HEAD) + len(_HEAD_END) - 3)
    if people := first.get("people"):
        measured = [f"{people['mean_miles']:,.1f}", f"{people['median_miles']:,.1f}"]
        rows.append(["people (50 guesses elsewhere)", *measured, *blank])
    rows += [_guess("constant guess", first["constant_guess"]), _guess("random guess", first["random_guess"])]
    head = [*_HEAD, *(text.format(reference.name) for text in _HEAD_END)]
    return "\n".join(_line(cells) for cells in [head, ["---"] * len(head), *rows])


def as_json(runs: Sequence[RunSummary], reference: RunSummary) -> list[dict[str, Any]]:
    """Returns the table for other programs.

    The content of each metrics.json, and the added columns.
    """
    return [
        {
            "name": one.name,
            **one.metrics,
            "parameters": one.parameters,
            "seconds": round(one.seconds, 1),
            f"mean_miles_minus_{reference.name}": difference(one, reference),
        }
        for one in runs
    ]


def _row(one: RunSummary, reference: RunSummary) -> list[str]:
    low, high = one.metrics["intervals"]["mean_miles"]
    to_constant = one.metrics["intervals"]["mean_miles_minus_constant_guess"]
    figures = _figures(one.metrics)
    figures[0] += f" ({low:,.0f} to {high:,.0f})"
    against = ""
    if one is not reference:
        mean, least, most = difference(one, reference)
        against = f"{mean:+,.0f} ({least:+,.0f} to {most:+,.0f})"
    known = f"{one.parameters:,}" if one.parameters >= 0 else ""
    between = one.metrics["mean_miles"] - one.metrics["constant_guess"]["mean_miles"]
    to_guess = f"{between:+,.0f} ({to_constant[0]:+,.0f} to {to_constant[1]:+,.0f})"
    return [one.name, *figures, to_guess, against, known, f"{one.seconds:,.0f}"]


def _guess(name: str, metrics: dict[str, Any]) -> list[str]:
    return [name, *_figures(metrics), *[""] * len(_HEAD_END)]


def _figures(metrics: dict[str, Any]) -> list[str]:
    """Returns the figures that all rows have."""
    within = [f"{metrics['within_km'][limit]:.1%}" for limit in _WITHIN_KM]
    scores = [f"{metrics['score_map']:,.0f}", f"{metrics['score_world']:,.0f}"]
    return [f"{metrics['mean_miles']:,.1f}", f"{metrics['median_miles']:,.1f}", *within, *scores]


def _line(cells: Sequence[str]) -> str:
    """Returns one line of a Markdown table."""
    return f"| {' | '.join(cells)} |"
