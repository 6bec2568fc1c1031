"""Games of five rounds, in which a player and a model locate the same views.

    games = game.Games(found, cells, source, "guesses.csv")
    one = games.start()
    one.open().views                    # headings and JPEGs of the first round
    one.guess((x, y), views_seen=3)     # the truth, and the distances of player, model and constant guess

Names of locations are coordinates, and metadata of images may hold them. So a game has a random name, its views are
encoded again without metadata, and nothing else about a location leaves the server before it was guessed.
"""

import collections
import dataclasses
import io
import os
import secrets
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from geods import errors
from geods.geo import geometry, partition
from trainers.plots import svg_map, thumbnails, view_source
from trainers.runs import distance_metrics, human_guesses, predictions

ROUNDS = 5
# One open round each, of about 1 MB.
_MOST_GAMES = 64
_MOST_PX, _QUALITY = 1600, 90


@dataclasses.dataclass(frozen=True, eq=False)
class Round:
    """A location that is shown and not yet guessed.

    Attributes:
        row: Its prediction.
        headings: Of its views, degrees; None where not known.
        views: JPEGs without metadata.
        started_s: When it was first shown, `time.monotonic()`.
    """

    row: int
    headings: list[float | None]
    views: list[bytes]
    started_s: float


class Games:
    """Games on the locations of predictions.

    Args:
        found: Predictions of a run.
        cells: Its partition.
        source: Images of their locations.
        out: guesses.csv to add to; locations that are in it come last.
        seed: Of the order of locations; another one each time if None.

    Attributes:
        drawn: The map.
        diagonal_km: D of the score.
        guesses: How many were made.

    Raises:
        RunError: If `out` is no table of guesses, or no location has images.
    """

    def __init__(
        self,
        found: predictions.Predictions,
        cells: partition.Partition,
        source: view_source.Source,
        out: str | os.PathLike[str],
        seed: int | None = None,
    ) -> None:
        self.found, self.diagonal_km, self.out, self.guesses = found, cells.diagonal_km, out, 0
        self._source, self._rng = source, np.random.default_rng(seed)
        self.constant = distance_metrics.best_constant(found.truth)
        self.drawn = svg_map.SvgMap(cells, np.concatenate([found.truth, found.predicted, self.constant[None]]))
        earlier = human_guesses.read(out, may_be_empty=True) if os.path.exists(out) else []  # noqa: PTH110
        self._shown = {view_source.location_of(guess.location_id) for guess in earlier}
        self._games: collections.OrderedDict[str, Game] = collections.OrderedDict()
        # A first game that nobody plays, so that missing images are known before a player waits for them.
        if next((row for row in self.rows() if self.views(row)), None) is None:
            problem = f"{source.name}: holds no usable image of the {len(found):,} predicted locations."
            raise errors.RunError(problem, "name their tree: --imagery=TREE")

    def start(self) -> "Game":
        """Starts a game; the oldest is forgotten when there are more than 64."""
        name = secrets.token_urlsafe(16)
        self._games[name] = Game(self, name)
        if len(self._games) > _MOST_GAMES:
            self._games.popitem(last=False)
        return self._games[name]

    def __getitem__(self, name: str) -> "Game":
        """Returns a game by its name; KeyError if there is none."""
        return self._games[name]

    def rows(self) -> Iterator[int]:
        """Yields rows of different locations at random, those shown before at the end."""
        order, passed = self._rng.permutation(len(self.found)), set[str]()
        for again in (False, True):
            for row in map(int, order):
                location = view_source.location_of(self.found.names[row])
                if location not in passed and (location in self._shown) == again:
                    passed.add(location)
                    yield row

    def show(self, row: int) -> Round | None:
        """Returns a round on a location; None if it has no usable image."""
        found = self.views(row)
        if not found:
            return None
        self._shown.add(view_source.location_of(self.found.names[row]))
        return Round(row, [view.heading_deg for view in found], [_plain(view) for view in found], time.monotonic())

    def views(self, row: int) -> list[thumbnails.View]:
        """Returns the views of a location from north on; none if one cannot be used."""
        try:
            found = self._source.views(self.found.names[row], row)
            for view in found:
                thumbnails.decode(view, 1)
        except (errors.ImageError, OSError):
            return []
        return sorted(found, key=lambda view: 360 if view.heading_deg is None else view.heading_deg % 360)


class Game:
    """One game: its rounds one after the other.

    Attributes:
        name: Random letters.
        rounds: How many it has.
        results: Of the rounds that were guessed.
    """

    def __init__(self, games: Games, name: str) -> None:
        self.name, self.rounds, self.results = name, min(ROUNDS, len(games.found)), list[dict[str, Any]]()
        self._games, self._rows = games, games.rows()
        self._open: Round | None = None

    def open(self) -> Round | None:
        """Returns the round that is to be guessed, None after the last."""
        if not self._open and len(self.results) < self.rounds:
            self._open = next((shown for row in self._rows if (shown := self._games.show(row))), None)
            if not self._open:
                self.rounds = len(self.results)
        return self._open

    @property
    def is_closed(self) -> bool:
        """Whether no round is open."""
        return self._open is None

    def guess(self, point: tuple[float, float], views_seen: int) -> dict[str, Any]:
        """Ends the open round, once its guess is in the file.

        Args:
            point: On the map, in the units of `Games.drawn`.
            views_seen: Views looked at.

        Returns:
            The true point, and point, line, distance and score of player, model and constant guess.

        Raises:
            DiskFullError: If guesses.csv takes no more; the round stays open.
            UnwritableError: If it must not be written.
        """
        games, shown = self._games, self._open
        if shown is None:
            raise ValueError("no round is open")
        truth = games.found.truth[shown.row]
        guessed = games.drawn.to_coords(np.array([point]))[0].round(6)
        points = {"player": guessed, "model": games.found.predicted[shown.row], "constant": games.constant}
        results = {name: self._result(truth, coords) for name, coords in points.items()}
        seconds = round(time.monotonic() - shown.started_s, 1)
        number, seen = len(self.results) + 1, min(max(views_seen, 1), len(shown.views))
        line = (games.found.names[shown.row], *guessed.tolist(), seconds, seen, results["player"]["distance_km"])
        human_guesses.append(games.out, human_guesses.Guess(self.name[:8], number, *line))
        games.guesses += 1
        self._open = None
        self.results.append({"round": number, "truth": self._at(truth), "seconds": seconds, **results})
        return self.results[-1]

    def _result(self, truth: np.ndarray, guessed: np.ndarray) -> dict[str, Any]:
        distance_km = float(geometry.haversine_km(truth, guessed))
        line = self._games.drawn.to_units(self._games.drawn.atlas.great_circle(truth, guessed)).tolist()
        return {
            **self._at(guessed),
            "point": line[-1],
            "line": line,
            "distance_km": round(distance_km, 3),
            "distance_miles": round(distance_km / geometry.KM_PER_MILE, 3),
            "score": round(float(geometry.geoguessr_score(distance_km, self._games.diagonal_km))),
        }

    def _at(self, coords: np.ndarray) -> dict[str, Any]:
        """Returns a point in degrees and on the map."""
        point = self._games.drawn.to_units(self._games.drawn.atlas.beside(coords))[0].tolist()
        lat_deg, lon_deg = coords.round(6).tolist()
        return {"lat_deg": lat_deg, "lon_deg": lon_deg, "point": point}


def _plain(view: thumbnails.View) -> bytes:
    """Returns a view upright and without metadata."""
    image, content = thumbnails.decode(view, _MOST_PX), io.BytesIO()
    image.thumbnail((_MOST_PX, _MOST_PX))
    # Pillow leaves out EXIF unless it is asked for it, but keeps a comment.
    image.info.clear()
    image.save(content, "JPEG", quality=_QUALITY)
    return content.getvalue()
