"""Contents and refusals of the figures."""

import dataclasses
import io

import drawn_runs
import numpy as np
import pytest
from matplotlib import collections, colors
from PIL import Image

from geods import errors
from trainers.plots import figures, projection, report_figures


@pytest.fixture(scope="module")
def island():
    return drawn_runs.island()


@pytest.fixture(scope="module")
def shown(island):
    return drawn_runs.predict(island, 1)[0]


def texts_of(figure):
    found = [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]
    return [text for text in found if text]


def pixels_near(png, colour):
    """Counts the pixels of nearly a colour."""
    picture = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=int)
    wanted = np.round(255 * np.array(colors.to_rgb(colour)))
    return int((np.abs(picture - wanted).max(axis=-1) <= 6).sum())


def test_each_cell_is_as_red_as_its_rescaled_probability(island, shown):
    figure = figures.location_map(island, shown.probabilities, shown.truth, shown.predicted)
    drawn = figure.findobj(collections.PathCollection)[0]
    assert len(drawn.get_paths()) == len(island)
    faces = drawn.get_facecolors()
    best, worst = shown.probabilities.argmax(), shown.probabilities.argmin()
    assert colors.to_hex(faces[best]) == projection.REDS[-1]
    # The less green and blue in it, the redder.
    np.testing.assert_array_equal(np.argsort(faces[:, 1], kind="stable")[0], best)
    assert faces[worst, 1] > 0.9


def test_the_most_probable_regions_are_named(island, shown):
    named = dataclasses.replace(island, names=tuple(f"Region ${cell}" for cell in range(len(island))))
    figure = figures.location_map(named, shown.probabilities, shown.truth, shown.predicted)
    best = np.argsort(-shown.probabilities, kind="stable")[:3]
    assert {text for text in texts_of(figure) if text.startswith("Region")} == {f"Region ${cell}" for cell in best}
    figures.to_png(figure)


def test_both_points_the_line_and_the_distance_are_drawn(island, shown):
    figure = figures.location_map(island, shown.probabilities, shown.truth, shown.predicted, "Location 1")
    texts = texts_of(figure)
    assert projection.distance_text(shown.distance_km) in texts
    assert {"Location 1", "True point", "Predicted point", "Distance (great circle)", "Probability of the cell"} <= set(
        texts
    )
    png = figures.to_png(figure)
    for colour in (projection.TRUE_COLOUR, projection.PREDICTED_COLOUR, projection.LINE_COLOUR):
        assert pixels_near(png, colour) > 100


def test_the_same_figure_gives_the_same_bytes(island, shown):
    def draw():
        return figures.to_png(figures.location_map(island, shown.probabilities, shown.truth, shown.predicted))

    assert draw() == draw()


@pytest.mark.parametrize("truth", [(40.0, -95.0), (40.01, -95.01), (48.85, 2.35), (-40.0, 85.0)])
def test_points_anywhere_can_be_drawn(island, shown, truth):
    assert figures.to_png(figures.location_map(island, shown.probabilities, truth, (40.0, -95.0)))


def test_a_map_over_the_antimeridian_is_as_compact_as_any():
    figure = figures.location_map(drawn_runs.fiji(), [0.2, 0.3, 0.5], (-17, -179), (-18, 177))
    left, right = figure.axes[0].get_xlim()
    assert right - left < 7


def test_a_bad_point_is_refused(island, shown):
    with pytest.raises(errors.CoordinateError, match="latitude"):
        figures.location_map(island, shown.probabilities, (91, 0), (40, -95))


def test_probabilities_of_another_partition_are_refused(island):
    with pytest.raises(errors.RunError, match=r"do not fit \d+ cells"):
        figures.location_map(island, [1.0], (40, -95), (40, -95))


def test_error_map_says_the_mean(island):
    figure = figures.error_map(island, [[40, -95], [41, -95]], [[40, -95], [42, -95]])
    assert "2 locations: mean error 35 miles" in texts_of(figure)
    assert figures.to_png(figure)


def test_error_map_of_many_draws_some_from_everywhere_and_says_the_mean_of_all(island):
    lats_deg = np.linspace(40, 41, 4999)
    truths = np.stack([lats_deg, np.full(4999, -95.0)], axis=1)
    figure = figures.error_map(island, truths, truths + np.where(lats_deg[:, None] > 40.5, [1, 0], [0, 0]))
    assert "4,999 locations: mean error 35 miles; 2,000 of them drawn" in texts_of(figure)
    (dots,) = [shape for shape in figure.axes[0].collections if len(shape.get_offsets()) > 1]
    assert len(dots.get_offsets()) == len(np.unique(dots.get_offsets(), axis=0)) == 2000


def test_error_map_of_nothing_is_a_map(island):
    assert "0 locations: none" in texts_of(figures.error_map(island, np.empty((0, 2)), []))


def test_comparison_draws_bars_intervals_and_both_lines():
    names = ["report_75k", "a name of $more_than$ twelve letters"]
    figure = figures.comparison(names, [844, 520], [(800, 880), (480, 560)], [769, 769])
    axes = figure.axes[0]
    assert [bar.get_height() for bar in axes.patches] == [844, 520]
    texts = texts_of(figure)
    assert {*names, "844", "520", "Best constant guess (769)", "Human players (587)"} <= set(texts)
    assert figures.to_png(figure)


def test_comparison_of_runs_on_other_locations_draws_a_line_for_each():
    figure = figures.comparison(["a", "b"], [844, 520], [(800, 880), (480, 560)], [769, 640], human_miles=0)
    assert "Best constant guess" in texts_of(figure)
    assert not any("Human" in text for text in texts_of(figure))


def test_comparison_needs_a_figure_for_each_run():
    with pytest.raises(errors.RunError, match=r"2, 1, 1 and 1 names, means"):
        figures.comparison(["a", "b"], [1.0], [(0.5, 1.5)], [2.0])


def test_minmax_shading_is_white_at_the_lowest_probability(island, shown):
    drawn = figures.location_map(island, shown.probabilities, shown.truth, shown.predicted, minmax=True)
    assert "True centroid" in [text.get_text() for legend in drawn.legends for text in legend.get_texts()]
    faces = drawn.findobj(collections.PathCollection)[0].get_facecolors()
    assert colors.to_hex(faces[shown.probabilities.argmin()]) == projection.REDS[0]
    assert colors.to_hex(faces[shown.probabilities.argmax()]) == projection.REDS[-1]


def test_equal_probabilities_can_be_shaded_by_minmax(island):
    assert figures.to_png(figures.location_map(island, np.ones(len(island)), (40, -95), (41, -95), minmax=True))


@pytest.mark.parametrize(("cell_deg", "panels"), [(2.0, 3), (None, 2)])
def test_the_steps_of_a_partition_stand_side_by_side(island, cell_deg, panels):
    figure = report_figures.partition_steps(island, cell_deg)
    assert [axes.get_title(loc="left") for axes in figure.axes][-1] == f"{len(island)} cells"
    assert len(figure.axes) == panels
    assert figures.to_png(figure)
    assert figures.to_png(report_figures.partition_steps(drawn_runs.fiji(), cell_deg))


def test_layer_table_has_the_parameters_of_the_report():
    from model import geolocator
    from model.heads import classifiers

    table = geolocator.layer_table(classifiers.build("report_75k", (10, 19, 2048), 243))
    assert "(8, 17, 4)" in table
    assert table.endswith("trainable 75,463, others 0, all 75,463")
