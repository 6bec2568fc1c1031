"""Reading evaluated runs, and finding a location in them."""

import drawn_runs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geods import errors
from trainers.runs import predictions


@pytest.fixture(scope="module")
def cells():
    return drawn_runs.fiji()


@pytest.fixture
def run(tmp_path, cells):
    return drawn_runs.write(tmp_path / "run", cells, drawn_runs.predict(cells, 5))


def test_what_was_written_is_read(run, cells):
    written, found = drawn_runs.predict(cells, 5), predictions.read(run, len(cells))
    for one, other in zip(written, found, strict=True):
        assert (one.location_id, one.truth, one.predicted) == (other.location_id, other.truth, other.predicted)
        np.testing.assert_array_equal(one.probabilities, other.probabilities)
    assert predictions.read_partition(run).fingerprint == cells.fingerprint


@pytest.mark.parametrize("name", ["predictions.csv", "probabilities.npy"])
def test_a_missing_file_names_the_command_that_makes_it(run, cells, name):
    (run / name).unlink()
    with pytest.raises(errors.RunError, match=rf"{name}: does not exist.\nNext: .*trainers.evaluate --run_dir="):
        predictions.read(run, len(cells))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "holds no prediction"),
        ("a,b\n1,2\n", r"not a table of predictions \(no column location_id\)"),
        (
            "location_id,lat_deg,lon_deg,predicted_lat_deg,predicted_lon_deg\nx,1,2,three,4\n",
            "could not convert string to float: 'three'",
        ),
        (
            "location_id,lat_deg,lon_deg,predicted_lat_deg,predicted_lon_deg\nx,1,2\n",
            "row 2 has 3 columns, the first 5",
        ),
        ("location_id,lat_deg,lon_deg,predicted_lat_deg,predicted_lon_deg\nx,-179,2,3,4\n", "swapped"),
    ],
)
def test_a_damaged_table_is_refused(run, cells, content, problem):
    (run / "predictions.csv").write_text(content, encoding="utf-8")
    with pytest.raises(errors.RunError, match=problem):
        predictions.read(run, len(cells))


def test_a_table_that_is_no_text_is_refused(run, cells):
    (run / "predictions.csv").write_bytes(b"\xff\xfe\x00location_id")
    with pytest.raises(errors.RunError, match="'utf-8' codec can't decode byte 0xff"):
        predictions.read(run, len(cells))


@pytest.mark.parametrize("content", [b"", b"<html>", b"\x93NUMPY\x01\x00"])
def test_damaged_probabilities_are_refused(run, cells, content):
    (run / "probabilities.npy").write_bytes(content)
    with pytest.raises(errors.RunError, match="not a whole"):
        predictions.read(run, len(cells))


def test_probabilities_of_other_cells_are_refused(run):
    with pytest.raises(errors.RunError, match=r"shape \(5, 3\); 5 locations and 4 cells"):
        predictions.read(run, 4)


def test_whole_numbers_are_no_probabilities(run, cells):
    np.save(run / "probabilities.npy", np.ones((5, 3), int))
    with pytest.raises(errors.RunError, match="int64, not probabilities"):
        predictions.read(run, len(cells))


def test_a_folder_without_partition_is_no_run(tmp_path):
    with pytest.raises(errors.RunError, match="no run folder"):
        predictions.read_partition(tmp_path)
    with pytest.raises(errors.RunError, match="no such folder"):
        predictions.read_partition(tmp_path / "absent")


@given(st.lists(st.floats(0, 80), min_size=1, max_size=9))
def test_the_median_row_has_the_median_error(latitudes):
    entries = [predictions.Prediction("x", (0, 0), (lat, 0), np.ones(1)) for lat in latitudes]
    distances_km = [entry.distance_km for entry in entries]
    row = predictions.median(entries)
    assert distances_km[row] == np.percentile(distances_km, 50, method="lower")


def entries_at(*places):
    return [predictions.Prediction(f"{lat},{lon}", (lat, lon), (0, 0), np.ones(1)) for lat, lon in places]


def test_a_location_is_found_by_id_place_and_row():
    entries = entries_at((40.5, -100.25), (41.0, -100.0), (-17.0, 180.0))
    assert predictions.find(entries, "40.5,-100.25") == 0
    assert predictions.find(entries, "41,-100") == 1
    assert predictions.find(entries, " 41.0 , -100.0000000001") == 1
    assert predictions.find(entries, "-17,-180") == 2
    assert predictions.find(entries, "2") == 2


def test_an_unknown_place_is_answered_by_the_nearest():
    entries = entries_at((10.0, 10.0), (40.0, -100.0), (40.0, -101.0), (41.0, -100.0), (60.0, 0.0))
    with pytest.raises(errors.RunError, match=r"nearest ones are 40.0,-100.0; 40.0,-101.0; 41.0,-100.0$"):
        predictions.find(entries, "40.01,-100.1")


def test_an_unknown_row_is_answered_by_the_range():
    with pytest.raises(errors.RunError, match="numbered from 0 to 1"):
        predictions.find(entries_at((1.0, 1.0), (2.0, 2.0)), "2")


@pytest.mark.parametrize("text", ["Denver", "40.5;-100.2", "1,2,3", "95,0", "40,nan"])
def test_another_word_is_answered_by_examples(text):
    with pytest.raises(
        errors.RunError, match=r"no such location.\nNext: give LAT,LNG or a row, such as .*40.5,-100.25"
    ):
        predictions.find(entries_at((40.5, -100.25)), text)


def test_a_folder_elsewhere_is_filled_by_another_command(tmp_path):
    with pytest.raises(errors.RunError, match=r"trainers.evaluate --run_dir=RUN --out="):
        predictions.read(tmp_path, 3)
