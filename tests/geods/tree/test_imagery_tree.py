"""Names of the standard tree, to records and back."""

import pathlib

import checkout
import drawn_trees
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from geods import errors
from geods.tree import imagery_tree

HEADINGS = st.none() | st.floats(0, 360).map(lambda value: round(value, 4))
DATES = st.none() | st.dates().filter(lambda date: date.year >= 1000).map(lambda date: f"{date:%Y-%m}")


def test_locations_come_sorted_with_views_by_heading(tmp_path):
    drawn_trees.write(tmp_path, ["41.5,-97.25"], cell=132, headings=[180, 0, 90])
    drawn_trees.write(tmp_path, ["40.529828,-124.2680351"], cell=0)
    first, second = imagery_tree.read(tmp_path)
    assert (first.location_id, first.lat_deg, first.lon_deg, first.folder_cell) == (
        "40.529828,-124.2680351",
        40.529828,
        -124.2680351,
        0,
    )
    assert second.folder_cell == 132
    assert [view.heading_deg for view in second.views] == [0, 90, 180]
    assert {view.date for view in second.views} == {"2012-05"}
    assert second.views[2].path == tmp_path / "132" / "41.5,-97.25" / "180_2012-05.jpg"
    assert imagery_tree.coords([first, second]).tolist() == [[40.529828, -124.2680351], [41.5, -97.25]]
    assert imagery_tree.coords([]).shape == (0, 2)


def test_other_files_hidden_folders_and_empty_locations_are_left_out(tmp_path):
    drawn_trees.write(tmp_path, ["41.5,-97.25"])
    (tmp_path / "partition.geojson").touch()
    (tmp_path / "journal.sqlite").touch()
    (tmp_path / ".cache").mkdir()
    (tmp_path / "0" / "41.5,-97.25" / "note.txt").touch()
    (tmp_path / "0" / "41.5,-97.25" / ".90_2012-05.ab12.tmp.jpg").touch()
    (tmp_path / "7" / "41.6,-97.25").mkdir(parents=True)
    (location,) = imagery_tree.read(tmp_path)
    assert len(location.views) == 3


@pytest.mark.parametrize(
    ("name", "heading_deg", "date", "index"),
    [
        ("90_2012-05.jpg", 90, "2012-05", 0),
        ("12.5_2012-05.JPG", 12.5, "2012-05", 0),
        ("90.jpeg", 90, None, 0),
        ("2 - 2012 - 5.jpg", None, "2012-05", 2),
        ("10 - 2012 - 11.jpg", None, "2012-11", 10),
        ("view3_2012-05.jpg", None, "2012-05", 3),
        ("view3.jpg", None, None, 3),
    ],
)
def test_view_names(name, heading_deg, date, index):
    path = pathlib.Path("tree", name)
    assert imagery_tree.parse_view(name, path) == imagery_tree.View(path, heading_deg, date, index)


@settings(deadline=None)
@given(HEADINGS, DATES, st.integers(0, 99))
@example(0.000001, None, 0)
def test_view_name_reads_back(heading_deg, date, index):
    index = index if heading_deg is None else 0
    name = imagery_tree.view_name(heading_deg, date, index)
    assert imagery_tree.parse_view(name, pathlib.Path(name)) == imagery_tree.View(
        pathlib.Path(name), heading_deg, date, index
    )


def test_views_of_unknown_heading_sort_by_number(tmp_path):
    for index in (10, 2, 0):
        path = tmp_path / "3" / "41.5,-97.25" / f"{index} - 2012 - 05.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(drawn_trees.jpeg(index))
    (location,) = imagery_tree.read(tmp_path)
    assert [view.index for view in location.views] == [0, 2, 10]


@settings(deadline=None)
@given(st.floats(-90, 90), st.floats(-180, 180))
def test_coordinates_read_back_exactly(lat_deg, lon_deg):
    assert imagery_tree.parse_location(f"{lat_deg},{lon_deg}", "name") == (lat_deg, lon_deg)


@pytest.mark.parametrize(
    "text", ["", "41.5", "41.5;-97", "41.5,-97,2", "nan,0", "41.5, -97", "../x,1", "4\uff11.5,-97"]
)
def test_names_that_are_not_coordinates_are_refused(text):
    with pytest.raises(errors.TreeError, match=r"^there: .* is not <lat>,<lng> in degrees"):
        imagery_tree.parse_location(text, "there")


@pytest.mark.parametrize(("text", "rule"), [("-97.25,41.5", "swapped"), ("95,200", "latitude"), ("0,1e999", "inf")])
def test_impossible_coordinates_are_refused(text, rule):
    with pytest.raises(errors.CoordinateError, match=rf"there.*{rule}"):
        imagery_tree.parse_location(text, "there")


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("IMG_1234.jpg", "its name is not <heading>_<YYYY-MM>.jpg"),
        ("90_2012-05.png", "its name is not"),
        ("90_2012.jpg", "its name is not"),
        ("400_2012-05.jpg", "heading 400 is above 360 degrees"),
        ("90_2012-13.jpg", "2012-13 is not a month"),
        ("0 - 2012 - 0.jpg", "2012-00 is not a month"),
    ],
)
def test_image_with_another_name_is_refused(tmp_path, name, rule):
    drawn_trees.write(tmp_path, ["41.5,-97.25"])
    (tmp_path / "0" / "41.5,-97.25" / name).touch()
    with pytest.raises(errors.TreeError, match=f"{name}: {rule}"):
        imagery_tree.read(tmp_path)


def test_folders_that_are_no_tree_are_refused(tmp_path):
    with pytest.raises(errors.MissingFileError, match=r"nowhere: does not exist\.\nNext: name an imagery tree"):
        imagery_tree.read(tmp_path / "nowhere")
    with pytest.raises(errors.TreeError, match="holds no image of an imagery tree"):
        imagery_tree.read(tmp_path)
    (tmp_path / "holiday").mkdir()
    with pytest.raises(errors.TreeError, match="holiday: is not a cell folder"):
        imagery_tree.read(tmp_path)


@pytest.mark.parametrize("folder", ["", "0"])
def test_image_outside_a_location_folder_is_refused(tmp_path, folder):
    drawn_trees.write(tmp_path, ["41.5,-97.25"])
    (tmp_path / folder / "90_2012-05.jpg").touch()
    with pytest.raises(errors.TreeError, match=r"90_2012-05\.jpg: is not in a location folder"):
        imagery_tree.read(tmp_path)


def test_location_in_two_cells_is_refused(tmp_path):
    for cell in (3, 4):
        drawn_trees.write(tmp_path, ["41.5,-97.25"], cell=cell)
    with pytest.raises(errors.TreeError, match=r"4/41.5,-97.25/0_2012-05.jpg: this location is also in another cell"):
        imagery_tree.read(tmp_path)


def test_written_views_read_back(tmp_path):
    content = drawn_trees.jpeg(1)
    path = imagery_tree.write_view(tmp_path, 12, "41.5,-97.25", 90.0, "2012-05", content)
    assert path == tmp_path / "12" / "41.5,-97.25" / "90_2012-05.jpg"
    imagery_tree.write_view(tmp_path, 12, "41.5,-97.25", None, None, content, index=1)
    (location,) = imagery_tree.read(tmp_path)
    assert [view.path.name for view in location.views] == ["90_2012-05.jpg", "view1.jpg"]
    assert path.read_bytes() == content


def test_writing_below_a_name_that_is_no_location_is_refused(tmp_path):
    with pytest.raises(errors.TreeError, match="is not <lat>,<lng>"):
        imagery_tree.write_view(tmp_path, 0, "../../outside", 0.0, None, b"")
    assert list(tmp_path.iterdir()) == []


def test_real_tree_reads():
    folder = checkout.SHARED / "data" / "us_street_view"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here")
    locations = imagery_tree.read(folder)
    assert len(locations) == 990
    assert {tuple(view.heading_deg for view in place.views) for place in locations} == {(0, 90, 180)}
    assert np.ptp(imagery_tree.coords(locations), axis=0).tolist() > [20, 50]
