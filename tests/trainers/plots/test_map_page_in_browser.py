"""The map page in a real browser: drawing, mouse, fingers and keys."""

import dataclasses
import re

import drawn_runs
import drawn_trees
import headless_browser
import numpy as np
import pytest
from PIL import Image

from trainers.plots import map_page, projection, thumbnails
from trainers.runs import predictions

pytestmark = headless_browser.needs_browser

HOSTILE = "</script><script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\">&amp;$x"


@pytest.fixture(scope="module")
def cells():
    return drawn_runs.island()


@pytest.fixture(scope="module")
def entries(cells):
    return drawn_runs.predict(cells, 7)


@pytest.fixture(scope="module")
def page(cells, entries):
    return map_page.render(cells, entries, 3, "Run 1")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with headless_browser.browser(tmp_path_factory.mktemp("profile")) as window:
        yield window


@pytest.fixture
def shown(browser, page, tmp_path):
    (tmp_path / "map.html").write_text(page, encoding="utf-8")
    browser.open(tmp_path / "map.html")
    return browser


TEXT = "return document.getElementById(arguments[0]).textContent"
PATHS = "[...document.querySelectorAll('#cells path')]"
TIPS = "[...document.querySelectorAll('.tip:not([hidden])')].map(tip => tip.textContent).join('|')"
VIEW = "return document.getElementById('world').getAttribute('transform')"
SCALE = "return document.getElementById('world').getCTM().a"


def test_it_draws_all_without_a_request_or_an_error(shown, cells, entries, tmp_path):
    assert shown.run(f"return {PATHS}.length") == len(cells)
    best = int(entries[3].probabilities.argmax())
    fills = shown.run(f"return {PATHS}.map(path => path.getAttribute('fill'))")
    assert fills[best] == "rgb(165,15,21)"
    assert len(set(fills)) > 10
    inside = "return ['true-mark', 'predicted-mark', 'way', 'borders'].map(id => {"
    inside += "  const box = document.getElementById(id).getBoundingClientRect(); return box.width > 0 && box.x > 0 })"
    assert shown.run(inside) == [True] * 4
    distance = projection.distance_text(entries[3].distance_km)
    assert shown.run(TEXT, "distance") == distance
    assert shown.run(TEXT, "length") == distance
    assert shown.requested() == [(tmp_path / "map.html").as_uri()]
    assert [entry["message"] for entry in shown.logs("browser")] == []


def test_hovering_tells_the_cell_and_its_probability(shown, entries):
    # A cell whose middle nothing covers: the first from which a mouse event would come.
    cell, x, y = shown.run(
        f"const paths = {PATHS};"
        "for (const [i, path] of paths.entries()) {"
        "  const box = path.getBoundingClientRect(), x = box.x + box.width / 2, y = box.y + box.height / 2;"
        "  if (document.elementFromPoint(x, y) === path) return [i, Math.round(x), Math.round(y)];"
        "}"
    )
    shown.hover(x, y)
    text = shown.until(f"return {TIPS}")
    number = re.fullmatch(rf"Cell {cell}: (?:below )?([\d.]+) %", text)
    assert number, text
    assert float(number[1]) / 100 == pytest.approx(float(entries[3].probabilities[cell]), rel=0.06, abs=1e-4)


def test_keys_step_through_the_locations(shown):
    assert shown.run("return document.querySelectorAll('#location option').length") == 7
    before = shown.run(TEXT, "distance"), int(shown.run(TEXT, "position").split(" of ")[0])
    shown.press("n")
    assert shown.run(TEXT, "position") == f"{before[1] % 7 + 1} of 7"
    shown.press("p")
    assert shown.run(TEXT, "distance") == before[0]


def test_keys_move_and_zoom_the_map(shown):
    fitted = shown.run(VIEW)
    shown.run("document.getElementById('map').focus()")
    shown.press("+", "+")
    large = shown.run(SCALE)
    before = shown.run(VIEW)
    shown.press("\ue014")  # the right arrow
    assert shown.run(VIEW) != before
    assert shown.run(SCALE) == large
    shown.press("-")
    assert shown.run(SCALE) == pytest.approx(large / 1.4, rel=1e-4)
    shown.press("0")
    assert shown.run(VIEW) == fitted


def test_the_mouse_moves_and_zooms_the_map_round_its_pointer(shown):
    before = shown.run(SCALE)
    corner = f"const box = {PATHS}[0].getBoundingClientRect(); return [box.x, box.y]"
    at = [round(number) for number in shown.run(corner)]
    shown.wheel(*at, -250)
    assert shown.run(SCALE) == pytest.approx(2 * before, rel=1e-4)
    np.testing.assert_allclose(shown.run(corner), at, atol=1)
    shown.drag(at, (at[0] + 30, at[1] + 20))
    np.testing.assert_allclose(shown.run(corner), [at[0] + 30, at[1] + 20], atol=1)


def test_two_fingers_zoom_the_map_round_their_middle(shown):
    before = shown.run(SCALE)
    shown.pinch((400, 400), 50, 100)
    assert shown.run(SCALE) == pytest.approx(2 * before, rel=0.02)


def test_a_tap_looks_a_cell_up(shown):
    shown.drag((436, 300), (436, 300))
    cell = shown.run("return document.getElementById('cell').value")
    assert shown.run(f"return {TIPS}").startswith(f"Cell {cell}: ")
    assert shown.run(
        f"return {PATHS}[{cell}].getAttribute('d') === document.getElementById('found-cell').getAttribute('d')"
    )


def test_views_stand_beside_the_map(browser, cells, entries, tmp_path):
    def views(location_ids):
        assert set(location_ids) == {entry.location_id for entry in entries}
        jpeg = drawn_trees.encoded(Image.new("RGB", (80, 40), "red"), "JPEG")
        return {entries[3].location_id: [thumbnails.View(jpeg, "a", 90.0, "2012-05")] * 2}

    (tmp_path / "map.html").write_text(map_page.render(cells, entries, 3, views=views), encoding="utf-8")
    browser.open(tmp_path / "map.html")
    pictures = "return [...document.querySelectorAll('#views img')].map(i => [i.naturalWidth, i.alt])"
    browser.until("return [...document.images].every(image => image.complete)")
    assert browser.run(pictures) == [[80, "View: 90°, 2012-05"]] * 2
    assert [address for address in browser.requested() if not address.startswith("data:")] == [
        (tmp_path / "map.html").as_uri()
    ]
    assert browser.logs("browser") == []
    browser.press("n")
    assert browser.run(pictures) == []


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_the_page_follows_the_colours_of_the_system(shown, entries, scheme):
    shown.prefer(scheme)
    best = int(entries[3].probabilities.argmax())
    wanted = {"light": "rgb(165,15,21)", "dark": "rgb(255,208,196)"}[scheme]
    shown.until(f"return {PATHS}[{best}].getAttribute('fill') === arguments[0]", wanted)
    paper = shown.run("return getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(28, 29, 31)"}[scheme]


def test_a_cell_can_be_looked_up_without_a_mouse(shown, entries):
    shown.run("document.querySelector('#top button').click()")
    best = int(entries[3].probabilities.argmax())
    assert shown.run("return document.getElementById('cell').value") == str(best)
    assert shown.run(f"return {TIPS}").startswith(f"Cell {best}: ")
    shown.run("document.getElementById('cell').value = ''; document.getElementById('cell').focus()")
    shown.press("0")
    assert re.fullmatch(r"Cell 0: [^|]*", shown.run(f"return {TIPS}"))
    assert shown.run(TEXT, "found").endswith(" %")
    # Letters typed elsewhere are no commands.
    assert shown.run("return document.activeElement.id") == "cell"


def test_everything_that_can_be_focused_has_a_name(shown):
    nameless = shown.run(
        "return [...document.querySelectorAll('button, select, input, a, [tabindex=\"0\"]')].filter(element =>"
        "  !(element.getAttribute('aria-label') || element.textContent.trim() || element.labels?.length)"
        ").map(element => element.outerHTML)"
    )
    assert nameless == []
    assert shown.run("return document.documentElement.lang") == "en"


def test_hostile_names_are_shown_as_they_are(browser, cells, entries, tmp_path):
    hostile = predictions.Prediction(HOSTILE, (40, -95), (41, -95), entries[0].probabilities)
    (tmp_path / "map.html").write_text(map_page.render(cells, [hostile], 0, HOSTILE), encoding="utf-8")
    browser.open(tmp_path / "map.html")
    assert browser.run("return document.title") == HOSTILE
    assert browser.run("return document.querySelector('option').textContent").endswith(HOSTILE)
    assert browser.run("return document.images.length") == 0
    assert browser.requested() == [(tmp_path / "map.html").as_uri()]
    assert browser.logs("browser") == []


def test_cells_with_names_show_them(browser, tmp_path):
    cells = dataclasses.replace(drawn_runs.fiji(), names=("West", HOSTILE, "East"))
    entry = predictions.Prediction("a", (-17, -179), (-18, 177), np.array([0.2, 0.5, 0.3]))
    (tmp_path / "map.html").write_text(map_page.render(cells, [entry]), encoding="utf-8")
    browser.open(tmp_path / "map.html")
    browser.run("document.querySelector('#top button').click()")
    assert browser.run(f"return {TIPS}") == f"Cell 1 {HOSTILE}: 50 %"
    assert browser.run("return [...document.querySelectorAll('#top button')].map(b => b.textContent)[1]") == "2 East"


def test_a_map_over_the_antimeridian_fits_the_window(browser, tmp_path):
    entry = predictions.Prediction("a", (-17, -179), (-18, 177), np.array([0.2, 0.3, 0.5]))
    (tmp_path / "map.html").write_text(map_page.render(drawn_runs.fiji(), [entry]), encoding="utf-8")
    browser.open(tmp_path / "map.html")
    boxes = browser.run(f"return {PATHS}.map(path => path.getBoundingClientRect().width)")
    assert min(boxes) > 100
