"""The page as text."""

import base64
import functools
import json
import re

import checkout
import drawn_runs
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geods import errors
from geods.geo import partition
from trainers.plots import map_page, projection
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
