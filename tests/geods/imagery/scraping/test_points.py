"""Lists of points: the formats they come in, and a scrape of one, row by row."""

import csv
import json

import drawn_source
import pytest
from drawn_scrape import CELLS, run

from geods import errors
from geods.imagery.scraping import points, scrape_journal, tables
from geods.tree import imagery_tree

# On the drawn source's grid of 0.02 degrees; the second has no panorama, the last lies in no cell.
PLACES = [(40.02, -99.96), (40.02, -99.98), (40.62, -99.4), (40.06, -99.9), (10.0, 10.0)]


def listed(*rows):
    return [points.Point(number, *row) for number, row in enumerate(rows, 1)]


def write(tmp_path, content, name="points"):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


FORMATS = {
    "csv": "lat,lon,heading,pano_id\n40.5,-99.5,270.4,\n1,2,,abc\n",
    "csv of numbered rows": "id,lat,lon,heading,pano_id\n1,40.5,-99.5,270.4,\n2,1,2,,abc\n",
    "csv of other names": "name, Longitude, Latitude, Heading, panoId\na, -99.5, 40.5, 270.4,\nb, 2, 1, , abc\n",
    "geojson": {
        "type": "FeatureCollection",
        "features": [
            {"geometry": {"type": "Point", "coordinates": [-99.5, 40.5]}, "properties": {"heading": 270.4}},
            {"geometry": {"type": "Point", "coordinates": [2, 1, 30]}, "properties": {"pano_id": "abc"}},
        ],
    },
    "GeoGuessr map": {
        "name": "a map",
        "customCoordinates": [
            {"lat": 40.5, "lng": -99.5, "heading": 270.4, "pitch": 0, "panoId": None},
            {"lat": 1, "lng": 2, "heading": None, "panoId": "abc"},
        ],
    },
    "GeoGuessr list": [{"lat": 40.5, "lng": -99.5, "heading": 270.4}, {"lat": 1, "lng": 2, "panoId": "abc"}],
}


@pytest.mark.parametrize("content", FORMATS.values(), ids=FORMATS)
def test_formats(tmp_path, content):
    assert points.read(write(tmp_path, content)) == listed(((40.5, -99.5), 270), ((1.0, 2.0), None, "abc"))


def test_panorama_ids_alone(tmp_path):
    picture = (40.5, -99.5), None, "123456789012345"
    assert points.read(write(tmp_path, "id,lat,lon\n123456789012345,40.5,-99.5\n")) == listed(picture)
    assert points.read(write(tmp_path, "pano_id\nabc\ndef\n")) == listed((None, None, "abc"), (None, None, "def"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("lat,lon\n", "has no points"),
        ("town,people\na,3\n", "has no columns lat and lon, nor pano_id, but town, people"),
        ("lat,lon\n40.5,-99.5\n95,3\n", "row 2: lat '95' is not a number from -90 to 90"),
        ("lat,lon\n40.5,west\n", "row 1: lon 'west' is not a number"),
        ("lat,lon\n40.5,nan\n", "row 1: lon 'nan' is not a number"),
        ("lat,lon,pano_id\n40.5,,\n", "row 1: has neither lat and lon nor a panorama id"),
        ("lat,NS,lon,lon_ref\n51.5,N,0.5,W\n", "has a column NS of hemispheres"),
        ("{", "is no JSON"),
        ({"customCoordinates": 3}, "has no list of customCoordinates or features"),
        ([1], "has no list of customCoordinates or features"),
        ({"features": [{"geometry": {"type": "LineString", "coordinates": []}}]}, "row 1: has neither lat and lon"),
    ],
)
def test_bad_lists(tmp_path, content, says):
    with pytest.raises(errors.PointsError, match=says):
        points.read(write(tmp_path, content))
    with pytest.raises(errors.MissingFileError, match="--points"):
        points.read(tmp_path / "none")


def outcomes_of(tree):
    with open(tree / points.NAME, encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_list_is_scraped_row_by_row(tmp_path):
    rows = [(place, None) for place in PLACES]
    rows += [
        ((40.02, -99.96), None),
        ((40.08, -99.9), 33),
        (None, None, "pano2003_-4996"),
        (None, None, "pano2030_-4971"),
    ]
    result = run(tmp_path / "tree", listed=listed(*rows))
    assert result.halt.reason == "under_target"
    found = outcomes_of(tmp_path / "tree")
    assert [row["row"] for row in found] == [str(number) for number in range(1, len(rows) + 1)]
    outcomes = [row["outcome"] for row in found]
    assert outcomes == ["found", "zero_results", "found", "found", "", "found", "found", "found", "found"]
    # The same place asked for twice is one location.
    assert found[0]["location"] == found[5]["location"] != ""
    assert len(result.missed) == 2
    assert result.missed[0].endswith("zero results")
    assert result.missed[1] == "row 5 (10.000000, 10.000000): not asked for"
    locations = {location.location_id: location for location in imagery_tree.read(tmp_path / "tree")}
    assert [view.heading_deg for view in locations["40.0800000,-99.9000000"].views] == [33]
    assert [view.heading_deg for view in locations["40.0200000,-99.9600000"].views] == [0, 90, 180]
    assert not (tmp_path / "tree" / tables.CELLS_NAME).exists()


def test_a_list_that_was_stopped_ends_with_the_same_tree(tmp_path):
    rows = [((40.02 + 0.02 * (number % 20), -99.98 + 0.04 * (number // 20)), None) for number in range(60)]
    whole = run(tmp_path / "whole", listed=listed(*rows), max_cost=100)
    first = run(tmp_path / "parts", listed=listed(*rows), max_cost=0.3)
    assert first.halt.reason == "budget"
    run(
        tmp_path / "parts",
        drawn_source.DrawnSource(script=drawn_source.flaky(3)),
        listed=listed(*rows),
        max_cost=100,
    )
    assert whole.halt.reason == "under_target"
    assert scrape_journal.canonical(tmp_path / "parts") == scrape_journal.canonical(tmp_path / "whole")
    assert outcomes_of(tmp_path / "parts") == outcomes_of(tmp_path / "whole")
    with pytest.raises(errors.TreeError, match="points was"):
        run(tmp_path / "whole", listed=listed(*rows[:3]))


def test_without_a_partition_all_points_are_in_one_cell():
    around = points.partition_around(listed(*((place, None) for place in PLACES)))
    assert len(around) == 1
    assert set(around.label(*zip(*PLACES, strict=True)).tolist()) == {0}
    world = points.partition_around(listed((None, None, "abc")))
    assert world.label([89.0, -89.0], [0.0, 179.0]).tolist() == [0, 0]
    assert len(CELLS) > 1
    with pytest.raises(errors.PointsError, match="none of the 1 points lies in a cell"):
        points.by_stream(listed((PLACES[-1], None)), CELLS)
