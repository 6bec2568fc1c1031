"""The page as text, and in a real browser."""

import base64
import functools
import json
import re

import checkout
import drawn_runs
import drawn_trees
import headless_browser
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from geods import errors
from geods.geo import partition
from trainers.plots import map_page, projection, thumbnails
from trainers.runs import predictions

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


def shapes_of(page):
    """Decodes the paths of the cells as a browser does: relative moves, even-odd."""

    def ring(text):
        return shapely.Polygon(
            np.cumsum(np.reshape([int(number) for number in re.findall(r"-?\d+", text)], (-1, 2)), 0)
        )

    paths = re.findall(r'<path d="([^"]*)"/>', page.split('<g id="cells">')[1].split("</g>")[0])
    rings = [[ring(text) for text in path.split("z")[:-1]] for path in paths]
    return [functools.reduce(shapely.symmetric_difference, of_cell, shapely.MultiPolygon()) for of_cell in rings]


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


def test_the_script_is_short():
    script = (checkout.REPO / "trainers" / "plots" / "assets" / "map.js").read_text(encoding="utf-8")
    assert script.count("\n") <= 250


def test_shared_borders_stay_shared_after_rounding(cells, page):
    shapes = np.array(shapes_of(page))
    assert shapely.is_valid(shapes).all()
    # A gap or an overlap anywhere would leave a hole or a wrong area.
    joined = shapely.union_all(shapes)
    assert joined.geom_type == "Polygon"
    assert not joined.interiors
    assert joined.area == pytest.approx(shapely.area(shapes).sum(), rel=1e-9)
    areas_km2 = shapely.area(shapes) * data_of(page)["km_per_unit"] ** 2
    np.testing.assert_allclose(areas_km2, cells.areas_km2, rtol=0.02, atol=20)


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
    assert first["true"] == list(by_distance[0].truth)
    length_km = np.linalg.norm(np.diff(first["line"], axis=0), axis=1).sum() * data["km_per_unit"]
    assert length_km == pytest.approx(by_distance[0].distance_km, rel=0.02)


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
    assert len(map_page.chosen(entries, 777, len(cells), 75)) == 75


def test_a_large_page_is_below_a_megabyte():
    # As many cells as the mainland US in boxes of 2 degrees, with more coast.
    cells = drawn_runs.island(20_000, 0.8)
    assert len(cells) > 243
    assert len(map_page.render(cells, drawn_runs.predict(cells, 250)).encode()) < 500_000


@pytest.mark.skipif(not CENSUS.exists(), reason="needs ../shared/data/census, which is not part of the project")
def test_the_census_page_is_below_a_megabyte():
    from geods.geo import boundary, fishnet

    cells = fishnet.make(boundary.load(str(CENSUS)))
    page = map_page.render(cells, drawn_runs.predict(cells, 200))
    assert len(page.encode()) < 600_000
    # Rounding may pinch a narrow bay, so that a ring touches itself; it may not move land from cell to cell.
    shapes = shapely.make_valid(np.array(shapes_of(page)))
    assert shapely.union_all(shapes).area == pytest.approx(shapely.area(shapes).sum(), rel=1e-7)


def test_names_from_the_data_cannot_become_markup(cells, entries):
    hostile = predictions.Prediction(HOSTILE, (40, -95), (41, -95), entries[0].probabilities)
    page = map_page.render(cells, [hostile], 0, HOSTILE)
    assert page.count("<script") == 2
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
    assert shapes_of(page)[1].is_empty


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


@headless_browser.needs_browser
class TestInTheBrowser:
    def test_it_draws_all_without_a_request_or_an_error(self, shown, cells, entries, tmp_path):
        assert shown.run(f"return {PATHS}.length") == len(cells)
        best = int(entries[3].probabilities.argmax())
        fills = shown.run(f"return {PATHS}.map(path => path.getAttribute('fill'))")
        assert fills[best] == "rgb(165,15,21)"
        assert len(set(fills)) > 10
        inside = "return ['true-mark', 'predicted-mark', 'way', 'borders'].map(id => {"
        inside += (
            "  const box = document.getElementById(id).getBoundingClientRect(); return box.width > 0 && box.x > 0 })"
        )
        assert shown.run(inside) == [True] * 4
        distance = projection.distance_text(entries[3].distance_km)
        assert shown.run(TEXT, "distance") == distance
        assert shown.run(TEXT, "length") == distance
        assert shown.requested() == [(tmp_path / "map.html").as_uri()]
        assert [entry["message"] for entry in shown.logs("browser")] == []

    def test_hovering_tells_the_cell_and_its_probability(self, shown, entries):
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

    def test_keys_step_through_the_locations(self, shown):
        assert shown.run("return document.querySelectorAll('#location option').length") == 7
        before = shown.run(TEXT, "distance"), int(shown.run(TEXT, "position").split(" of ")[0])
        shown.press("n")
        assert shown.run(TEXT, "position") == f"{before[1] % 7 + 1} of 7"
        shown.press("p")
        assert shown.run(TEXT, "distance") == before[0]

    def test_keys_move_and_zoom_the_map(self, shown):
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

    def test_the_mouse_moves_and_zooms_the_map_round_its_pointer(self, shown):
        before = shown.run(SCALE)
        corner = f"const box = {PATHS}[0].getBoundingClientRect(); return [box.x, box.y]"
        at = [round(number) for number in shown.run(corner)]
        shown.wheel(*at, -250)
        assert shown.run(SCALE) == pytest.approx(2 * before, rel=1e-4)
        np.testing.assert_allclose(shown.run(corner), at, atol=1)
        shown.drag(at, (at[0] + 30, at[1] + 20))
        np.testing.assert_allclose(shown.run(corner), [at[0] + 30, at[1] + 20], atol=1)

    def test_two_fingers_zoom_the_map_round_their_middle(self, shown):
        before = shown.run(SCALE)
        shown.pinch((400, 400), 50, 100)
        assert shown.run(SCALE) == pytest.approx(2 * before, rel=0.02)

    def test_a_tap_looks_a_cell_up(self, shown):
        shown.drag((436, 300), (436, 300))
        cell = shown.run("return document.getElementById('cell').value")
        assert shown.run(f"return {TIPS}").startswith(f"Cell {cell}: ")
        assert shown.run(
            f"return {PATHS}[{cell}].getAttribute('d') === document.getElementById('found-cell').getAttribute('d')"
        )

    def test_views_stand_beside_the_map(self, browser, cells, entries, tmp_path):
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
    def test_the_page_follows_the_colours_of_the_system(self, shown, entries, scheme):
        shown.prefer(scheme)
        best = int(entries[3].probabilities.argmax())
        fill = shown.run(f"return {PATHS}[{best}].getAttribute('fill')")
        assert fill == {"light": "rgb(165,15,21)", "dark": "rgb(255,208,196)"}[scheme]
        paper = shown.run("return getComputedStyle(document.body).backgroundColor")
        assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(28, 29, 31)"}[scheme]

    def test_a_cell_can_be_looked_up_without_a_mouse(self, shown, entries):
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
        assert min(boxes) > 100
