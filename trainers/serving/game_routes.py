"""The game over HTTP.

GET  /                             the page
POST /games                        starts a game: its name and number of rounds
POST /games/GAME/open              views of the round to guess, from which its seconds count
GET  /games/GAME/views/ROUND/N     a view of that round
POST /games/GAME/guess             {"round": 1, "point": [x, y], "views_seen": 3}: the truth, and all three distances
GET  /games/GAME                   the rounds that were guessed
"""

import html
import math
import pathlib
from typing import Any

from geods import errors
from geods.storage import files
from trainers.plots import svg_map
from trainers.serving import game, web

_PAGE = pathlib.Path(__file__).parent / "assets" / "play.html"
_BODY = '{"round": 1, "point": [0, 0], "views_seen": 1}'


class _Handler(web.Handler):
    """Handler with the games."""

    def initialize(self, games: game.Games) -> None:
        """Takes the games; nothing of them is kept by a browser."""
        self.games = games
        self.set_header("Cache-Control", "no-store")

    def game(self, name: str) -> game.Game:
        """Returns a game by its name."""
        try:
            return self.games[name]
        except KeyError as error:
            problem = "there is no such game; the server keeps the last 64 until it ends."
            raise web.Problem(404, problem, "start another: POST /games") from error


class _Start(_Handler):
    """Handler of POST /games."""

    def post(self) -> None:
        """Starts a game."""
        one = self.games.start()
        self.reply({"game": one.name, "rounds": one.rounds})


class _Game(_Handler):
    """Handler of GET /games/GAME."""

    def get(self, name: str) -> None:
        """Answers with the rounds that were guessed."""
        one = self.game(name)
        self.reply({"rounds": one.rounds, "results": one.results})


class _Open(_Handler):
    """Handler of POST /games/GAME/open."""

    def post(self, name: str) -> None:
        """Answers with the views of the open round, without any after the last."""
        one = self.game(name)
        shown, number = one.open(), len(one.results) + 1
        if shown is None:
            self.reply({"rounds": one.rounds, "views": None})
            return
        views = [
            {"heading_deg": heading_deg, "address": f"games/{name}/views/{number}/{at}"}
            for at, heading_deg in enumerate(shown.headings)
        ]
        self.reply({"rounds": one.rounds, "round": number, "views": views})


class _View(_Handler):
    """Handler of GET /games/GAME/views/ROUND/N."""

    def get(self, name: str, number: str, at: str) -> None:
        """Sends a view of the open round."""
        one = self.game(name)
        shown = one.open() if int(number) == len(one.results) + 1 else None
        if shown is None or int(at) >= len(shown.views):
            raise web.Problem(404, "there is no such view in the open round.", "POST /games/GAME/open lists its views")
        self.set_header("Content-Type", "image/jpeg")
        self.finish(shown.views[int(at)])


class _Guess(_Handler):
    """Handler of POST /games/GAME/guess."""

    def post(self, name: str) -> None:
        """Takes the guess of a round; repeats the answer for one that was guessed."""
        one = self.game(name)
        number, point, views_seen = self._guess()
        if number <= len(one.results):
            self.reply(one.results[number - 1])
            return
        if number != len(one.results) + 1 or one.is_closed:
            problem = f"round {number} is not open."
            raise web.Problem(409, problem, "POST /games/GAME/open opens the next round")
        try:
            self.reply(one.guess(point, views_seen))
        except errors.GeodsError as error:
            raise web.Problem(507, error.problem, error.next_step) from error

    def _guess(self) -> tuple[int, tuple[float, float], int]:
        """Returns round, point and views of the body."""
        try:
            content: Any = files.parse_json(bytes(self.body))
            (x, y), number, views_seen = content["point"], content["round"], content["views_seen"]
            if not (math.isfinite(x) and math.isfinite(y) and number >= 1 and number == int(number)):
                raise web.Problem(400, "the point or the round is no number of this game.", f"send {_BODY}")
            return int(number), (float(x), float(y)), int(views_seen)
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            problem = f"the body is no guess ({errors.in_short(error)})."
            raise web.Problem(400, problem, f"send JSON such as {_BODY}") from error


def routes(games: game.Games, title: str) -> list[web.Route]:
    """Returns the routes of games.

    Args:
        games: The games.
        title: Name of the run.
    """
    style, script = svg_map.style_and_script(_PAGE)
    page = svg_map.filled(
        _PAGE,
        title=html.escape(title),
        rounds=str(game.ROUNDS),
        diagonal=f"{games.diagonal_km:,.0f}",
        cells=games.drawn.cells,
        data=svg_map.json_in_html(games.drawn.units),
    )
    with_games = {"games": games}
    return [
        web.content("/", page, "text/html"),
        web.content("/play.css", style, "text/css"),
        web.content("/play.js", script, "text/javascript"),
        ("/games", _Start, with_games),
        (r"/games/([\w-]{22})", _Game, with_games),
        (r"/games/([\w-]{22})/open", _Open, with_games),
        (r"/games/([\w-]{22})/guess", _Guess, with_games),
        (r"/games/([\w-]{22})/views/(\d{1,2})/(\d{1,3})", _View, with_games),
    ]
