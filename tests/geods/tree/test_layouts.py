"""The report's layouts and CSV tables, read into the same records."""

import pathlib

import checkout
import drawn_trees
import pytest

from geods import errors
from geods.geo import partition
from geods.tree import imagery_tree, layouts
from tools import check_tree, convert_tree

SAMPLES = checkout.SHARED / "data" / "report_samples"
PLACES = {"40.529828,-124.2680351": 0, "41.5,-97.25": 132, "-33.9,18.4": -1}
COLUMNS = "file,latitude,longitude,heading,date\n"


def facts(locations: list[imagery_tree.Location]) -> list[tuple]:
    """Everything of a location but where its files lie."""
    return [
        (place.location_id, place.folder_cell, [(v.heading_deg, v.date, v.index) for v in place.views])
        for place in locations
    ]


@pytest.fixture
def standard(tmp_path) -> list[imagery_tree.Location]:
    for location_id, cell in PLACES.items():
        drawn_trees.write(tmp_path / "standard", [location_id], cell)
    return imagery_tree.read(tmp_path / "standard")


@pytest.mark.parametrize("layout", ["tree", "combined_files", "combined_folders"])
def test_layouts_hold_the_same_and_are_told_apart(tmp_path, standard, layout):
    for place in standard:
        for view in place.views:
            target = tmp_path / "other" / layouts.name(layout, place.folder_cell, place, view)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(view.path.read_bytes())
    assert layouts.detect(tmp_path / "other") == layout
    again = layouts.read(tmp_path / "other")
    assert facts(again) == facts(standard)
    assert again[0].views[1].path.read_bytes() == standard[0].views[1].path.read_bytes()
    assert facts(layouts.read(tmp_path / "other", layout)) == facts(standard)


def test_names_are_the_reports(standard):
    place = standard[1]
    names = [str(layouts.name(layout, 7, place, place.views[1])) for layout in ("combined_files", "combined_folders")]
    assert names == [
        "7+40.529828,-124.2680351+90_2012-05.jpg",
        "7+40.529828,-124.2680351/90_2012-05.jpg",
    ]
    assert layouts.split_name(names[0]) == ("40.529828,-124.2680351", "90_2012-05.jpg")
    assert layouts.split_name("7+40.5,-124") == ("40.5,-124", "")
    with pytest.raises(errors.TreeError, match="'holiday': is not <cell>"):
        layouts.split_name("holiday")


PRINTED = [
    [f"dataCombined/0 + 42.775957,-124.0667758 + {number} - 2009 - 07.jpg" for number in (0, 90, 180)],
    [f"0 + 42.775957,-124.0667758/{number}-2009-07.jpg" for number in (0, 90, 180)],
    [f"0 + 42.775957, -124.0667758/{number} - 2009 - 7.jpg" for number in (0, 90, 180)],
    [f"0/42.775957,-124.0667758/{number} - 2009 - 07.jpg" for number in (0, 90, 180)],
]


@pytest.mark.parametrize("names", PRINTED)
def test_names_as_the_report_prints_them_are_read_and_their_numbers_are_headings(tmp_path, names):
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(drawn_trees.jpeg(1))
    found = layouts.read(tmp_path / "dataCombined" if names == PRINTED[0] else tmp_path)
    assert facts(found) == [("42.775957,-124.0667758", 0, [(h, "2009-07", 0) for h in (0.0, 90.0, 180.0)])]
    assert found.has_heading_numbers
    assert {str(path.relative_to(tmp_path)) for path in found.paths} == set(names)
    assert [layouts.split_name(name)[0] for name in names] == ["42.775957,-124.0667758"] * 3


@pytest.mark.parametrize("others", [["1 - 2009 - 07.jpg"], ["90_2009-07.jpg"], []], ids=str)
def test_numbers_beside_others_or_of_first_views_alone_are_no_headings(tmp_path, others):
    names = ["0 - 2009 - 07.jpg", *(["90 - 2009 - 07.jpg"] if others else []), *others]
    folder = tmp_path / "0 + 42.7,-124.0"
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(drawn_trees.jpeg(1))
    found = layouts.read(tmp_path)
    assert not found.has_heading_numbers
    assert (None, "2009-07", 0) in facts(found)[0][2]


def test_images_that_no_row_names_are_counted(tmp_path, capsys):
    for name in ("a.jpg", "b.jpg", "d/c.jpg"):
        (tmp_path / "t" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "t" / name).write_bytes(drawn_trees.jpeg(1))
    path = tmp_path / "t" / "images.csv"
    path.write_text(COLUMNS + "a.jpg,41.5,-97.25,,\n")
    line = f"images that no row names: 2 (first: {tmp_path / 't' / 'b.jpg'})"
    assert (
        layouts.unnamed_line(path, layouts.read(path))
        == layouts.unnamed_line(path.parent, layouts.read(path))
        == [line]
    )
    check_tree.main(check_tree.Options(tree=str(path)))
    convert_tree.main(convert_tree.Options(source=str(path), out=str(tmp_path / "out"), partition=str(cells(tmp_path))))
    assert capsys.readouterr().out.count(line) == 2
    path.write_text(COLUMNS + "a.jpg,41.5,-97.25,,\nb.jpg,41.5,-97.25,,\nd/c.jpg,41.5,-97.25,,\n")
    assert layouts.unnamed_line(path, layouts.read(path)) == []


def cells(folder: pathlib.Path) -> pathlib.Path:
    partition.write(drawn_trees.cells(), folder / "cells.geojson")
    return folder / "cells.geojson"


def test_views_named_as_in_the_reports_text_are_read_in_each_layout(tmp_path):
    for name in (
        "t/7/41.5,-97.25/1 - 2012 - 05.jpg",
        "d/7+41.5,-97.25/1 - 2012 - 05.jpg",
        "f/7+41.5,-97.25+1 - 2012 - 05.jpg",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    read = [facts(layouts.read(tmp_path / root)) for root in "tdf"]
    assert read == [[("41.5,-97.25", 7, [(None, "2012-05", 1)])]] * 3


def test_location_folders_without_cells_are_read(tmp_path):
    drawn_trees.write(tmp_path, ["41.5,-97.25"], cell=5)
    (location,) = layouts.read(tmp_path / "5")
    assert (location.location_id, location.folder_cell) == ("41.5,-97.25", None)


def table(folder: pathlib.Path, rows: str, columns: str = COLUMNS) -> pathlib.Path:
    folder.mkdir(exist_ok=True)
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (folder / name).write_bytes(drawn_trees.jpeg(1))
    path = folder / "places.csv"
    path.write_text(columns + rows, encoding="utf-8")
    return path


def test_csv_is_read_by_itself_and_as_its_folder(tmp_path):
    rows = "a.jpg,41.5,-97.25,180,2012-05\nb.jpg, 41.5 ,-97.25,,\n\nc.jpg,40.1,-97.0,12.5,\n"
    path = table(tmp_path / "t", rows)
    expected = [("40.1,-97.0", None, [(12.5, None, 0)]), ("41.5,-97.25", None, [(180, "2012-05", 0), (None, None, 0)])]
    assert facts(layouts.read(path)) == expected
    assert facts(layouts.read(tmp_path / "t")) == expected
    assert layouts.read(path)[1].views[1].path == tmp_path / "t" / "b.jpg"


def test_csv_needs_only_file_and_place_and_numbers_unknown_headings(tmp_path):
    path = table(tmp_path / "t", "-97.25,41.5,a.jpg\n-97.25,41.5,b.jpg\n", "\ufeffLongitude,Latitude,File\n")
    assert facts(layouts.read(path)) == [("41.5,-97.25", None, [(None, None, 0), (None, None, 1)])]
    path = table(tmp_path / "t", "-97.250,41.5,a.jpg\n-97.25,41.50,b.jpg\n", "longitude,latitude,file\n")
    assert facts(layouts.read(path)) == [("41.5,-97.250", None, [(None, None, 0), (None, None, 1)])]


@pytest.mark.parametrize(
    ("row", "error", "rule"),
    [
        ("a.jpg,-97.25,41.5,0,", errors.CoordinateError, r"places.csv line 2.*swapped"),
        ("a.jpg,x,41.5,0,", errors.TreeError, r"line 2: 'x,41.5' is not <lat>,<lng>"),
        ("a.jpg", errors.TreeError, r"line 2: ',' is not <lat>,<lng>"),
        ("gone.jpg,41.5,-97,0,", errors.TreeError, r"line 2: 'gone.jpg' is not a file below"),
        ("../t/a.jpg,41.5,-97,0,", errors.TreeError, r"line 2: '../t/a.jpg' is not a file below"),
        ("/etc/hosts,41.5,-97,0,", errors.TreeError, r"line 2: '/etc/hosts' is not a file below"),
        ("a.jpg,41.5,-97,north,", errors.TreeError, r"line 2: heading 'north' or date '' "),
        ("a.jpg,41.5,-97,400,", errors.TreeError, r"line 2: .*heading 400 is above 360 degrees"),
        ("a.jpg,41.5,-97,0,May", errors.TreeError, r"line 2: heading '0' or date 'May' "),
        ("a.jpg,41.5,-97,0,2012-13", errors.TreeError, r"line 2: .*2012-13 is not a month"),
        ("a.jpg,41.5,-97,0,\na.jpg,41.5,-97,90,", errors.TreeError, r"line 3: 'a.jpg' is listed twice"),
        ("", errors.TreeError, "holds no image"),
    ],
)
def test_bad_rows_are_named(tmp_path, row, error, rule):
    path = table(tmp_path / "t", row + "\n")
    with pytest.raises(error, match=rule):
        layouts.read(path)


def test_csv_without_its_columns_is_refused(tmp_path):
    path = table(tmp_path / "t", "a.jpg,1,2\n", "file,lat,lng\n")
    with pytest.raises(errors.TreeError, match="has no column latitude, longitude"):
        layouts.read(path)
    with pytest.raises(errors.TreeError, match="holds no CSV file with the columns file, latitude, longitude"):
        layouts.read(tmp_path / "t", "csv")
    path.write_bytes(b"file,latitude,longitude\n\xff\xfe,1,2\n")
    with pytest.raises(errors.TreeError, match="is not a CSV file in UTF-8"):
        layouts.read(path)


def test_folders_in_no_layout_are_refused_with_a_hint(tmp_path):
    with pytest.raises(errors.MissingFileError, match="nowhere: does not exist"):
        layouts.read(tmp_path / "nowhere")
    with pytest.raises(errors.TreeError, match=r"is not an imagery tree\.\nNext: name a folder with <cell>/"):
        layouts.read(tmp_path)
    (tmp_path / "beach.jpg").touch()
    with pytest.raises(errors.TreeError, match=r"tools.import_images --source=.* --out=tree$"):
        layouts.read(tmp_path)
    drawn_trees.write(tmp_path / "inner", ["41.5,-97.25"])
    with pytest.raises(errors.TreeError, match=r"its subfolder .*inner looks like one; name that"):
        layouts.read(tmp_path)


def test_two_layouts_in_one_folder_are_refused(tmp_path):
    drawn_trees.write(tmp_path, ["41.5,-97.25"])
    (tmp_path / "3+41.6,-97").mkdir()
    with pytest.raises(errors.TreeError, match="holds images in several layouts: tree, combined_folders"):
        layouts.read(tmp_path)


@pytest.mark.parametrize("layout", ["combined_files", "combined_folders"])
def test_stray_names_in_combined_layouts_are_refused(tmp_path, layout):
    name = "3+41.6,-97+0_2012-05.jpg" if layout == "combined_files" else "3+41.6,-97/0_2012-05.jpg"
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    stray = tmp_path / ("beach.jpg" if layout == "combined_files" else "beach")
    stray.mkdir() if layout == "combined_folders" else stray.touch()
    with pytest.raises(errors.TreeError, match=r"beach(\.jpg)?: its name is not <cell>\+<lat>,<lng>"):
        layouts.read(tmp_path)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"{SAMPLES} is not here")
def test_real_samples_read():
    combined = layouts.read(SAMPLES / "combined_files")
    folders = layouts.read(SAMPLES / "combined_folders")
    assert (len(combined), sum(len(place.views) for place in combined)) == (11, 20)
    assert (len(folders), sum(len(place.views) for place in folders)) == (10, 30)
    assert {view.heading_deg for place in folders for view in place.views} == {0, 90, 180}
    with pytest.raises(errors.TreeError, match=r"its subfolder .*combined_files looks like one"):
        layouts.read(SAMPLES)


def test_csv_with_a_column_of_hemispheres_is_refused_by_its_name(tmp_path):
    (tmp_path / "t.csv").write_text("file,latitude,longitude,GPSLongitudeRef\na.jpg,51.5,0.5,W\n")
    with pytest.raises(errors.TreeError, match=r"column gpslongituderef of hemispheres(.|\n)*tools\.import_images"):
        layouts.read(tmp_path / "t.csv")
