"""The page as text, and in a real browser."""

import base64
import json
import re

import checkout
import drawn_runs
import headless_browser
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geods import errors
from geods.geo import partition
from trainers.plots import map_page, projection
from trainers.runs import predictions

ASSETS = checkout.REPO / "trainers" / "plots" / "assets"
CENSUS = checkout.SHARED / "data" / "census" / "cb_2018_us_nation_5m.zip"
HOSTILE = "</script><script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\">&amp;$x"
DISTANCES = st.lists(st.floats(0, 20_000), min_size=1, max_size=30)


@pytest.fixture(scope="module")
def cells():
    return drawn_runs.island()


@pytest.fixture(scope="module")
def entries(cells):
    return drawn_runs.predict(cells, 7)


@pytest.fixture(scope="module")
def page(cells, entries):
    return map_page.render(cells, entries, 3, "Run 1")


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


def shapes_of(data):
    """Decodes the cells as map.js does."""

    def ring(steps):
        return np.cumsum(np.reshape(steps, (-1, 2)), axis=0) * data["unit_deg"]

    return [
        shapely.MultiPolygon([shapely.Polygon(ring(piece[0]), [ring(hole) for hole in piece[1:]]) for piece in pieces])
        for pieces in data["cells"]
    ]


def test_the_page_names_nothing_outside_itself(page):
    assert re.findall(r"""\b(?:src|href|action|srcset)\s*=\s*["']?([^\s"'>]+)""", page.split("<body>")[0]) == ["data:,"]
    markup = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    assert not re.search(r"\b(src|href)\s*=", markup.split("<body>")[1])
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)[1]
    assert "url(" not in style
    assert "@import" not in style
    assert "sourceMappingURL" not in page
    assert "default-src 'none'" in page
    assert "unsafe-inline" not in page


def test_no_placeholder_is_left(page):
    markup = re.sub(r"<script\b.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"\$\w+", markup)


def test_leaflet_is_whole_and_its_licence_is_with_it(page):
    leaflet = (ASSETS / "leaflet" / "leaflet.js").read_text(encoding="utf-8")
    assert leaflet.startswith("/* @preserve\n * Leaflet 1.9.4")
    assert leaflet in page
    assert "</script" not in leaflet
    licence = (ASSETS / "leaflet" / "LICENSE").read_text(encoding="utf-8")
    assert licence.startswith("BSD 2-Clause License")
    assert licence in page


def test_shared_borders_stay_shared_after_rounding(cells, page):
    shapes = np.array(shapes_of(data_of(page)))
    assert shapely.is_valid(shapes).all()
    # A gap or an overlap anywhere would leave a hole or a wrong area.
    joined = shapely.union_all(shapes)
    assert joined.geom_type == "Polygon"
    assert not joined.interiors
    assert joined.area == pytest.approx(shapely.area(shapes).sum(), rel=1e-9)
    assert joined.area == pytest.approx(shapely.area(np.array(cells.shapes)).sum(), rel=1e-3)


def test_probabilities_come_back(entries, page):
    data = data_of(page)
    for row, shown in zip(map_page.chosen(entries, 3, 60), data["entries"], strict=True):
        steps = np.frombuffer(base64.b64decode(shown["probabilities"]), "<u2")
        np.testing.assert_allclose(steps / data["probability_steps"], entries[row].probabilities, atol=0.51 / 65535)


def test_entries_are_in_order_of_distance_and_the_selected_one_is_first_shown(entries, page):
    data = data_of(page)
    names = [entry["name"] for entry in data["entries"]]
    by_distance = sorted(entries, key=lambda entry: entry.distance_km)
    assert names == [entry.location_id for entry in by_distance]
    assert names[data["selected"]] == entries[3].location_id
    first = data["entries"][0]
    assert first["distance"] == projection.distance_text(by_distance[0].distance_km)
    np.testing.assert_allclose([first["line"][0], first["line"][-1]], [first["truth"], first["predicted"]], atol=6e-4)


@given(st.data(), DISTANCES, st.sampled_from([1, 60_000, 250_000]))
def test_chosen_takes_the_selected_and_spans_the_rest(data, distances, cells):
    entries = [predictions.Prediction("x", (0, 0), (0, km / 112), np.ones(1)) for km in distances]
    selected = data.draw(st.integers(0, len(entries) - 1))
    rows = map_page.chosen(entries, selected, cells)
    assert selected in rows
    assert len(set(rows)) == len(rows) == min(len(entries), max(1, 200_000 // cells))
    shown = [entries[row].distance_km for row in rows]
    assert shown == sorted(shown)


def test_at_most_200_locations_are_shown(cells):
    entries = drawn_runs.predict(cells, 1) * 1000
    rows = map_page.chosen(entries, 777, len(cells))
    assert len(rows) == 200
    assert 777 in rows


def test_a_large_page_is_below_a_megabyte():
    # As many cells as the mainland US in boxes of 2 degrees, with more coast.
    cells = drawn_runs.island(20_000, 0.8)
    assert len(cells) > 243
    assert len(map_page.render(cells, drawn_runs.predict(cells, 250)).encode()) < 800_000


@pytest.mark.skipif(not CENSUS.exists(), reason="needs ../shared/data/census, which is not part of the project")
def test_the_census_page_is_below_a_megabyte():
    from geods.geo import boundary, fishnet

    cells = fishnet.make(boundary.load(str(CENSUS)))
    page = map_page.render(cells, drawn_runs.predict(cells, 200))
    assert len(page.encode()) < 600_000
    # Rounding may pinch a narrow bay, so that a ring touches itself; it may not move land from cell to cell.
    shapes = shapely.make_valid(np.array(shapes_of(data_of(page))))
    assert shapely.union_all(shapes).area == pytest.approx(shapely.area(shapes).sum(), rel=1e-7)


def test_names_from_the_data_cannot_become_markup(cells, entries):
    hostile = predictions.Prediction(HOSTILE, (40, -95), (41, -95), entries[0].probabilities)
    page = map_page.render(cells, [hostile], 0, HOSTILE)
    assert page.count("<script") == 3
    assert "<img" not in page
    assert data_of(page)["entries"][0]["name"] == HOSTILE


@pytest.mark.parametrize("selected", [-1, 7])
def test_an_entry_that_is_not_there_cannot_be_shown(cells, entries, selected):
    with pytest.raises(errors.RunError, match=rf"entry {selected} of 7"):
        map_page.render(cells, entries, selected)


def test_probabilities_of_another_partition_are_refused(entries):
    with pytest.raises(errors.RunError, match="do not fit 3 cells"):
        map_page.render(drawn_runs.fiji(), entries)


def test_tiny_cells_are_left_out_of_the_drawing_alone():
    cells = partition.Partition((shapely.box(0, 0, 10, 10), shapely.box(10, 0, 10 + 1e-5, 1e-5)))
    page = map_page.render(cells, [predictions.Prediction("a", (5, 5), (5, 5), np.array([0.5, 0.5]))])
    assert data_of(page)["cells"][1] == []


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
PATHS = "[...document.querySelectorAll('.leaflet-overlay-pane path')]"
TIPS = "[...document.querySelectorAll('.leaflet-tooltip:not(.way-length)')].map(tip => tip.textContent).join('|')"


@headless_browser.needs_browser
class TestInTheBrowser:
    def test_it_draws_all_without_a_request_or_an_error(self, shown, cells, entries, tmp_path):
        # The cells, and the blue line with its white rim.
        assert shown.run(f"return {PATHS}.length") == len(cells) + 2
        best = int(entries[3].probabilities.argmax())
        fills = shown.run(f"return {PATHS}.map(path => path.getAttribute('fill'))")
        assert fills[best] == "rgb(165,15,21)"
        assert len(set(fills[: len(cells)])) > 10
        assert shown.run("return document.querySelectorAll('.leaflet-marker-icon svg').length") == 2
        distance = projection.distance_text(entries[3].distance_km)
        assert shown.run(TEXT, "distance") == distance
        assert shown.run("return document.querySelector('.way-length').textContent") == distance
        assert shown.requested() == [(tmp_path / "map.html").as_uri()]
        assert [entry["message"] for entry in shown.logs("browser")] == []

    def test_hovering_tells_the_cell_and_its_probability(self, shown, entries):
        # A cell whose middle nothing covers: the first from which a mouse event would come.
        cell, x, y = shown.run(
            f"const paths = {PATHS}.slice(0, -2);"
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

    def test_keys_step_through_the_locations(self, shown):
        assert shown.run("return document.querySelectorAll('#location option').length") == 7
        before = shown.run(TEXT, "distance"), int(shown.run(TEXT, "position").split(" of ")[0])
        shown.press("n")
        assert shown.run(TEXT, "position") == f"{before[1] % 7 + 1} of 7"
        shown.press("p")
        assert shown.run(TEXT, "distance") == before[0]

    def test_keys_move_and_zoom_the_map(self, shown):
        transform = "return document.querySelector('.leaflet-map-pane').style.transform"
        width = f"return {PATHS}[0].getBoundingClientRect().width"
        before, narrow = shown.run(transform), shown.run(width)
        shown.run("document.getElementById('map').focus()")
        shown.press("\ue014")  # the right arrow
        shown.until(f"{transform} !== arguments[0]", before)
        shown.press("+")
        shown.until(f"{width} > 1.2 * arguments[0]", narrow)

    def test_a_cell_can_be_looked_up_without_a_mouse(self, shown, entries):
        shown.run("document.querySelector('#top button').click()")
        best = int(entries[3].probabilities.argmax())
        assert shown.run("return document.getElementById('cell').value") == str(best)
        assert shown.run(f"return {TIPS}").startswith(f"Cell {best}: ")
        shown.run("document.getElementById('cell').value = ''; document.getElementById('cell').focus()")
        shown.press("0")
        # The former one fades.
        shown.until(f"return /^Cell 0: [^|]*$/.test({TIPS})")
        assert shown.run(TEXT, "found").endswith(" %")
        # Letters typed elsewhere are no commands.
        assert shown.run("return document.activeElement.id") == "cell"

    def test_everything_that_can_be_focused_has_a_name(self, shown):
        nameless = shown.run(
            "return [...document.querySelectorAll('button, select, input, a, [tabindex=\"0\"]')].filter(element =>"
            "  !(element.getAttribute('aria-label') || element.textContent.trim() || element.labels?.length)"
            ").map(element => element.outerHTML)"
        )
        assert nameless == []
        assert shown.run("return document.documentElement.lang") == "en"

    def test_hostile_names_are_shown_as_they_are(self, browser, cells, entries, tmp_path):
        hostile = predictions.Prediction(HOSTILE, (40, -95), (41, -95), entries[0].probabilities)
        (tmp_path / "map.html").write_text(map_page.render(cells, [hostile], 0, HOSTILE), encoding="utf-8")
        browser.open(tmp_path / "map.html")
        assert browser.run("return document.title") == HOSTILE
        assert browser.run("return document.querySelector('option').textContent").endswith(HOSTILE)
        assert browser.run("return document.images.length") == 0
        assert browser.requested() == [(tmp_path / "map.html").as_uri()]
        assert browser.logs("browser") == []

    def test_a_map_over_the_antimeridian_fits_the_window(self, browser, tmp_path):
        entry = predictions.Prediction("a", (-17, -179), (-18, 177), np.array([0.2, 0.3, 0.5]))
        (tmp_path / "map.html").write_text(map_page.render(drawn_runs.fiji(), [entry]), encoding="utf-8")
        browser.open(tmp_path / "map.html")
        boxes = browser.run(f"return {PATHS}.map(path => path.getBoundingClientRect().width)")
        assert min(boxes[:3]) > 100
