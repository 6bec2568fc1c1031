"""Guesses of people: written, read back, and measured beside a model."""

import concurrent.futures
import dataclasses

import drawn_runs
import numpy as np
import pytest

from geods import errors
from geods.geo import geometry
from geods.tree import string_array
from trainers.runs import distance_metrics, human_guesses

GUESS = human_guesses.Guess("a1b2", 1, "40.5,-95.25", 41.0, -95.0, 12.5, 3, 59.4)
HEAD = ",".join(human_guesses.COLUMNS)
LINE = 'a1b2,1,"40.5,-95.25",41.0,-95.0,12.5,3,59.4'


def test_guesses_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "guesses.csv"
    others = [dataclasses.replace(GUESS, round=number) for number in range(2, 6)]
    human_guesses.append(path, GUESS)
    assert path.read_text() == f"{HEAD}\n{LINE}\n"
    # Of a process that was killed while it wrote.
    with path.open("a") as file:
        file.write('a1b2,2,"40.5,-9')
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda guess: human_guesses.append(path, guess), others))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())  # as a spreadsheet
    found = human_guesses.read(path)
    assert found[0] == GUESS
    assert sorted(found, key=lambda guess: guess.round) == [GUESS, *others]
    assert [entry.name for entry in tmp_path.iterdir()] == ["guesses.csv"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "holds no guess"),
        (HEAD, "holds no guess"),
        (f"location_id,distance_km\n{LINE}", "line 1: the table has no column 'game'"),
        (f"{HEAD}\n{LINE}\n{LINE[:-12]}", "line 3: seconds is '', not a number"),
        (f"{HEAD}\n{LINE.replace('41.0', '91')}", "line 2: guess.*91"),
        (f"{HEAD}\n{LINE.replace('12.5', '-1')}", "line 2: seconds is -1.0"),
        (f"{HEAD}\n{LINE.replace('59.4', 'nan')}", "line 2: distance_km is nan"),
        (f"{HEAD}\n{LINE.replace('b2,1', 'b2,one')}", "line 2: round is 'one', not a number"),
        (b"\xff\xfe", "line 1: .*codec can't decode"),
    ],
)
def test_files_that_are_none_are_answered_by_name_and_line(tmp_path, content, problem):
    path = tmp_path / "guesses.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(errors.RunError, match=rf"guesses.csv: {problem}(.|\n)*Next: .*tools.play"):
        human_guesses.read(path)


@pytest.fixture(scope="module")
def world():
    """Cells, names of 60 locations, and a model's guesses 300 km north of each."""
    cells = drawn_runs.island()
    entries = drawn_runs.predict(cells, 60)
    truth = np.array([entry.truth for entry in entries])
    points = geometry.destination(truth, 0, 300)
    top = np.zeros((60, 5), np.int32)
    model = distance_metrics.Guesses(truth, cells.label(*truth.T), points, top)
    return cells, string_array.Texts.of(entry.location_id for entry in entries), model


def guesses_at(names, points, rows):
    return [dataclasses.replace(GUESS, location_id=names[row], **_point(points[row])) for row in rows]


def _point(coords):
    return dict(zip(("guessed_lat_deg", "guessed_lon_deg"), coords.tolist(), strict=True))


def test_people_stand_beside_the_model_on_the_locations_they_guessed(world):
    cells, names, model = world
    rows = range(40)
    found = guesses_at(names, geometry.destination(model.truth, 90, 100), rows)
    # The second guess of a location may know the answer.
    found += [*guesses_at(names, model.truth, [0, 1]), dataclasses.replace(GUESS, location_id="elsewhere")]
    measured = human_guesses.measure(found, names, model, (40, -95), cells)
    assert (measured["locations"], measured["guesses"], measured["guesses_elsewhere"]) == (40, 43, 1)
    players, machine = measured["players"], measured["model"]
    assert players["mean_km"] == pytest.approx(100)
    assert machine["mean_km"] == pytest.approx(300)
    assert players["score_map"] == pytest.approx(float(geometry.geoguessr_score(100, cells.diagonal_km)))
    between = players["intervals"]["mean_miles_minus_model"]
    assert between == pytest.approx([-200 / geometry.KM_PER_MILE] * 2)
    assert 0 < players["top1_cell"] < 1
    text = human_guesses.table(measured)
    assert text.startswith("40 played ")
    assert "players minus model -124.3 miles (-124.3 to -124.3)" in text
    assert "note: 1 guesses are of other locations" in text
    few = human_guesses.table(human_guesses.measure(found[:5], names, model, (40, -95), cells))
    assert "below 30 locations" in few


def test_guesses_outside_every_cell_are_no_hits_of_truths_outside(world):
    cells, names, model = world
    outside = dataclasses.replace(model, cells=np.full(60, -1, np.int32))
    found = guesses_at(names, np.full((60, 2), [0.0, 0.0]), range(60))
    assert human_guesses.measure(found, names, outside, (40, -95), cells)["players"]["top1_cell"] == 0


def test_guesses_of_other_locations_alone_are_refused(world):
    cells, names, model = world
    with pytest.raises(errors.RunError, match=r"none of the 1 guesses is of these 60 locations(.|\n)*--split"):
        human_guesses.measure([GUESS], names, model, (40, -95), cells)
