"""The game as a program: no truth before a guess; a browser plays it."""

import contextlib
import http.client
import json
import os
import re
import signal

import drawn_runs
import headless_browser
import pytest
import starts

from geods import errors
from tools import play
from trainers.runs import human_guesses


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("game")
    return root, drawn_runs.write_with_tree(root, 40)


@pytest.fixture(scope="module")
def server(world):
    """The program, which cannot import TensorFlow."""
    words = ["tools.play", f"--run_dir={world[0] / 'run'}", "--port=0"]
    with starts.started(starts.LIGHT, words, dict(os.environ), absent=("tensorflow", "keras")) as process:
        process.wait_to_say("stop with Ctrl-C")
        yield process
        process.send(signal.SIGINT)
        assert process.wait(30) == 0
        assert process.stderr == ""
        guesses = world[0] / "run" / "guesses.csv"
        assert f"guesses added to {guesses}\n" in process.stdout
        assert process.stdout.endswith(f"trainers.evaluate --run_dir={world[0] / 'run'} --humans={guesses}\n")


@pytest.fixture(scope="module")
def url(server):
    return re.search(r"http://\S+:\d+", server.stdout)[0]


def ask(url, path, body=None, method=None):
    """Returns status, all bytes of the answer, and its body."""
    with contextlib.closing(http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)) as connection:
        method = method or ("GET" if body is None else "POST")
        connection.request(method, path, None if body is None else json.dumps(body))
        answer = connection.getresponse()
        content = answer.read()
        return answer.status, str(answer.headers).encode() + content, content


def test_nothing_that_is_sent_before_a_guess_says_where_a_location_is(url, world):
    sent = []

    def asked(*arguments):
        status, raw, body = ask(url, *arguments)
        assert status == 200
        sent.append(raw)
        return body

    for path in ("/", "/play.js", "/play.css"):
        asked(path)
    game = json.loads(asked("/games", {}))["game"]
    opened = json.loads(asked(f"/games/{game}/open", {}))
    assert [view["heading_deg"] for view in opened["views"]] == [0, 90, 180]
    for view in opened["views"]:
        assert asked(f"/{view['address']}").startswith(b"\xff\xd8\xff")
    asked(f"/games/{game}")
    before = b"\n".join(sent)
    for entry in world[1]:
        for number in (*entry.truth, *entry.predicted):
            assert str(number)[:6].encode() not in before
    assert b"Exif" not in before
    assert b"GPS" not in before
    guess = {"round": 1, "point": [0, 0], "views_seen": 2}
    result = json.loads(asked(f"/games/{game}/guess", guess))
    (entry,) = [one for one in world[1] if one.truth == (result["truth"]["lat_deg"], result["truth"]["lon_deg"])]
    assert str(entry.truth[0])[:6].encode() in sent[-1]
    # Sent twice, as after an answer that was lost, it counts once.
    assert json.loads(asked(f"/games/{game}/guess", guess)) == result
    assert sum(one.game == game[:8] for one in human_guesses.read(world[0] / "run" / "guesses.csv")) == 1
    assert json.loads(asked(f"/games/{game}"))["results"] == [result]


def test_wrong_requests_are_answered(url):
    game = json.loads(ask(url, "/games", {})[2])["game"]
    guess = {"round": 1, "point": [0, 0], "views_seen": 1}
    wrong = [
        (409, f"/games/{game}/guess", guess),
        (400, f"/games/{game}/guess", {"round": 1}),
        (400, f"/games/{game}/guess", {**guess, "point": [0, float("inf")]}),
        (400, f"/games/{game}/guess", {**guess, "point": ["a", 0]}),
        (400, f"/games/{game}/guess", {**guess, "round": 1.5}),
        (400, f"/games/{game}/guess", []),
        (404, f"/games/{game}/views/2/0", None),
        (404, f"/games/{game}/views/1/3", None),
        (404, f"/games/{'x' * 22}", None),
        (404, "/guesses.csv", None),
    ]
    for status, path, body in wrong:
        found, _, content = ask(url, path, body)
        assert (found, set(json.loads(content))) == (status, {"problem", "next_step"}), path
    assert ask(url, "/games", method="GET")[0] == 405


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "--run_dir: is empty"),
        ({"run_dir": "run", "out": "guesses.txt"}, "--out=guesses.txt: is no .csv"),
        ({"run_dir": "run", "port": -1}, "--port=-1"),
    ],
)
def test_wrong_options_are_refused(options, problem):
    with pytest.raises(errors.OptionError, match=problem):
        play.Options(**options)


def test_a_run_without_predictions_names_the_command_that_makes_them(world, tmp_path):
    drawn_runs.write(tmp_path, drawn_runs.island(), world[1][:1])
    (tmp_path / "predictions.csv").unlink()
    with pytest.raises(errors.RunError, match=r"predictions.csv: does not exist(.|\n)*trainers.evaluate --run_dir="):
        play.main(play.Options(run_dir=str(tmp_path), port=0))


def test_the_next_command_evaluates_on_the_locations_that_were_shown(world, tmp_path):
    root, _ = world
    options = play.Options(run_dir="r", predictions=str(root / "run"))
    command = f"python -m trainers.evaluate --run_dir=r --imagery={root / 'tree'} --out={root / 'run'} --humans=g.csv"
    assert play.evaluate_command(options, "g.csv") == command
    (tmp_path / "metrics.json").write_text('{"on": "validation"}')
    options = play.Options(run_dir="r", predictions=str(tmp_path))
    assert play.evaluate_command(options, "g.csv").startswith(
        "python -m trainers.evaluate --run_dir=r --split=validation"
    )


STATE = "return document.body.className === arguments[0]"
MIDDLE = "const box = document.getElementById('map').getBoundingClientRect();"
MIDDLE += "return [Math.round(box.x + box.width / 2), Math.round(box.y + box.height / 2)]"
LOADED = "return document.images.length === 3 && [...document.images].every(image => image.complete)"
ARROW_RIGHT, ENTER, TAB = "\ue014", "\ue007", "\ue004"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with headless_browser.browser(tmp_path_factory.mktemp("profile")) as window:
        yield window


@headless_browser.needs_browser
def test_a_location_of_one_view_shows_no_keys_to_look_round(page, tmp_path):
    drawn_runs.write_with_tree(tmp_path, 5)
    for path in (tmp_path / "tree").rglob("*.jpg"):
        if not path.name.startswith("0_"):
            path.unlink()
    with starts.started(
        starts.LIGHT, ["tools.play", f"--run_dir={tmp_path / 'run'}", "--port=0"], dict(os.environ)
    ) as one:
        one.wait_to_say("stop with Ctrl-C")
        page.open(f"{re.search(r'http://[^ ;]+:[0-9]+', one.stdout)[0]}/")
        page.press(ENTER)
        page.until(STATE, "guess")
        hidden = "return ['turns', 'headings'].map(id => document.getElementById(id).hidden)"
        assert page.run(hidden) == [True, True]
        assert page.run("return document.images.length") == 1


@headless_browser.needs_browser
@pytest.mark.parametrize("width", [1200, 390])
def test_a_browser_plays_from_the_first_click_to_the_summary(page, url, world, width):
    path = world[0] / "run" / "guesses.csv"
    before = len(human_guesses.read(path)) if path.exists() else 0
    page.resize(width, 844)
    page.open(f"{url}/")
    page.press(ENTER)
    for number in range(5):
        page.until(STATE, "guess")
        page.until(LOADED)
        if number % 2:
            # By keys alone: two views to the right, then a pin left of the middle of the map.
            page.press(ARROW_RIGHT, "3")
            pressed = "return [...document.querySelectorAll('#headings button')].map(one => one.ariaPressed)"
            assert page.run(pressed) == ["false", "false", "true"]
            page.press(*[TAB] * 4)
            assert page.run("return document.activeElement.id") == "map"
            page.press(ARROW_RIGHT, ENTER, "g")
        else:
            place = page.run(MIDDLE)
            page.drag(place, place)
            page.until("return !document.getElementById('act').disabled")
            page.run("document.getElementById('act').click()")
        page.until(STATE, "result")
        assert page.run("return document.querySelectorAll('#marks .mark').length") == 4
        if number == 2:
            # A page that is loaded again goes on with its game.
            page.run("location.reload()")
            page.until(STATE, "result")
            assert page.run("return document.getElementById('position').textContent") == "Round 3 of 5"
        assert page.run("return document.documentElement.scrollWidth <= innerWidth")
        page.press("g")
    page.until(STATE, "summary")
    assert page.run("return document.querySelectorAll('#results tbody tr').length") == 5
    assert all(address.startswith((url, "data:")) for address in page.requested())
    assert page.logs("browser") == []
    nameless = "return [...document.querySelectorAll('button, img, [tabindex]')].filter(one =>"
    nameless += " !(one.getAttribute('aria-label') || one.textContent.trim() || one.alt)).length"
    assert page.run(nameless) == 0
    found = human_guesses.read(path)[before:]
    assert [one.round for one in found] == [1, 2, 3, 4, 5]
    assert [one.views_seen for one in found] == [1, 3, 1, 3, 1]
