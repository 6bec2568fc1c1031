"""Guesses of people in guesses.csv, which tools.play writes, beside a model's.

A line is one guess: game, round, location_id, guessed_lat_deg, guessed_lon_deg, seconds, views_seen, distance_km. It
does not say whose it is. Of a location that was guessed more often, the first guess counts here: whoever guesses again
may have seen the answer.
"""

import csv
import dataclasses
import io
import math
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from geods import errors
from geods.geo import geometry, partition
from geods.storage import disk_errors, files, locks
from geods.tree import string_array
from trainers.runs import distance_metrics

NAME = "guesses.csv"
_FEW = 30


@dataclasses.dataclass(frozen=True)
class Guess:
    """One guess.

    Attributes:
        game: Name of the game, drawn at random.
        round: Number in the game, from 1.
        location_id: Row of predictions.csv.
        guessed_lat_deg: Latitude of the guess, degrees.
        guessed_lon_deg: Longitude, degrees.
        seconds: From the first view to the guess.
        views_seen: Views looked at.
        distance_km: From the truth.
    """

    game: str
    round: int
    location_id: str
    guessed_lat_deg: float
    guessed_lon_deg: float
    seconds: float
    views_seen: int
    distance_km: float

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            CoordinateError: If the point is none.
            ValueError: If a number is negative or not finite.
        """
        geometry.check_coords([self.guessed_lat_deg, self.guessed_lon_deg], "guess")
        for name in ("round", "seconds", "views_seen", "distance_km"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}")


COLUMNS = tuple(field.name for field in dataclasses.fields(Guess))
_TYPES = {"game": str, "location_id": str, "round": int, "views_seen": int}


def append(path: str | os.PathLike[str], guess: Guess) -> None:
    """Adds a guess to a file, which is made if need be; several processes may.

    Half a line that a killed process has left is removed.

    Raises:
        DiskFullError: If it does not fit.
        UnwritableError: If the file must not be written.
    """
    final = pathlib.Path(path)
    lock = locks.exclusive(final.with_name(f".{final.name}.lock"), keep_file=False)
    with lock, disk_errors.translate_disk_errors(final), open(final, "ab+") as file:
        file.seek(0)
        end = file.read().rfind(b"\n") + 1
        file.truncate(end)
        file.write(_line(COLUMNS) * (not end) + _line(dataclasses.astuple(guess)))
        file.flush()
        os.fsync(file.fileno())


def read(path: str | os.PathLike[str], may_be_empty: bool = False) -> list[Guess]:
    """Reads a file of guesses, of which there must be one unless it `may_be_empty`.

    Raises:
        MissingFileError: If there is no such file.
        RunError: If it is no table of guesses; the message names the line.
    """
    final = files.check_file(path, "play a game: python -m tools.play --run_dir=RUN")
    step = "correct or remove that line; python -m tools.play writes such files"
    found, line = [], 1
    try:
        # A spreadsheet begins its tables with a byte order mark.
        with open(final, newline="", encoding="utf-8-sig") as source:
            rows = csv.DictReader(source)
            for row in rows:
                line = rows.line_num
                found.append(Guess(**{name: _value(name, row[name] or "") for name in COLUMNS}))
    except KeyError as error:
        raise errors.RunError(f"{final}: line 1: the table has no column {error}.", step) from error
    except (ValueError, csv.Error) as error:
        text = error.problem if isinstance(error, errors.GeodsError) else f"{errors.in_short(error)}."
        raise errors.RunError(f"{final}: line {line}: {text}", step) from error
    if not (found or may_be_empty):
        raise errors.RunError(f"{final}: holds no guess.", "play a game: python -m tools.play --run_dir=RUN")
    return found


def _value(name: str, text: str) -> Any:  # noqa: ANN401 - of the column's type
    try:
        return _TYPES.get(name, float)(text)
    except ValueError as error:
        raise ValueError(f"{name} is {text!r}, not a number") from error


def measure(
    found: Sequence[Guess],
    names: string_array.Texts,
    model: distance_metrics.Guesses,
    constant: Sequence[float],
    cells: partition.Partition,
    seed: int = 0,
) -> dict[str, Any]:
    """Returns figures of people and of a model on the locations that people guessed.

    Args:
        found: Guesses of people.
        names: `[n]` location ids, of which some were guessed.
        model: `[n]` guesses of the model.
        constant: (lat, lon) degrees of the constant guess.
        cells: The partition.
        seed: Of the bootstrap.

    Returns:
        `locations`, `guesses` in all, `guesses_elsewhere` on other locations, and figures as in metrics.json under
        `players`, `model` and `constant_guess`; the intervals of players have `mean_miles_minus_model`, paired.

    Raises:
        RunError: If nobody guessed one of the locations.
    """
    first: dict[str, Guess] = {}
    for guess in found:
        first.setdefault(guess.location_id, guess)
    rows = [row for row, name in enumerate(names) if name in first]
    if not rows:
        problem = f"none of the {len(found):,} guesses is of these {len(names):,} locations."
        raise errors.RunError(problem, "evaluate on those that were shown: --split or --imagery, --views")
    here = {names[row] for row in rows}
    played = [first[names[row]] for row in rows]
    points = np.array([(guess.guessed_lat_deg, guess.guessed_lon_deg) for guess in played])
    truth, labels = model.truth[rows], model.cells[rows]
    people = distance_metrics.Guesses(truth, labels, points, _cells_of(points, cells)[:, None])
    machine = distance_metrics.Guesses(truth, labels, model.points[rows], model.top_cells[rows])
    always = np.broadcast_to(np.asarray(constant, np.float64), points.shape)
    same = distance_metrics.Guesses(truth, labels, always, _cells_of(always, cells)[:, None])
    limits = distance_metrics.intervals(people, machine, cells, np.random.default_rng(seed))
    limits["mean_miles_minus_model"] = limits.pop("mean_miles_minus_constant_guess")
    of_model = distance_metrics.intervals(machine, same, cells, np.random.default_rng(seed))
    return {
        "locations": len(rows),
        "guesses": len(found),
        "guesses_elsewhere": sum(guess.location_id not in here for guess in found),
        "score_map_diagonal_km": round(cells.diagonal_km, 3),
        "players": {**distance_metrics.measure(people, cells), "intervals": limits},
        "model": {**distance_metrics.measure(machine, cells), "intervals": of_model},
        "constant_guess": distance_metrics.measure(same, cells),
    }


def table(measured: dict[str, Any]) -> str:
    """Returns the figures of `measure` as a table to read."""
    players, model = (measured[name]["intervals"] for name in ("players", "model"))
    between = measured["players"]["mean_miles"] - measured["model"]["mean_miles"]
    (low, high), (least, most) = players["mean_miles"], players["mean_miles_minus_model"]
    columns = [measured[name] for name in ("players", "model", "constant_guess")]
    head, diagonal_km = f"{measured['locations']:,} played", measured["score_map_diagonal_km"]
    lines = [
        *distance_metrics.columns(head, ("players", "model", "constant"), columns, diagonal_km),
        f"95 % intervals: mean miles of players {low:,.1f} to {high:,.1f}, "
        f"of the model {model['mean_miles'][0]:,.1f} to {model['mean_miles'][1]:,.1f}",
        f"players minus model {between:+,.1f} miles ({least:+,.1f} to {most:+,.1f})",
    ]
    if measured["guesses_elsewhere"]:
        lines.append(f"note: {measured['guesses_elsewhere']:,} guesses are of other locations and do not count")
    if measured["locations"] < _FEW:
        lines.append(f"note: below {_FEW} locations each figure is mostly chance; play on")
    return "\n".join(lines)


def _cells_of(points: np.ndarray, cells: partition.Partition) -> np.ndarray:
    """Returns the cell of each point `[n]`, outside all the one of nearest centroid."""
    labels = cells.label(points[:, 0], points[:, 1])
    outside = labels < 0
    labels[outside] = geometry.pairwise_km(points[outside], cells.centroids).argmin(axis=1)
    return labels


def _line(values: Sequence[Any]) -> bytes:
    """Returns a line of a CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue().encode()
