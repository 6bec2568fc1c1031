"""The polygon that is taken, the error where there is none, and the demo outline."""

import hashlib
import json
import pathlib
import shutil

import checkout
import numpy as np
import pytest
import shapely

from geods import errors
from geods.geo import boundary, demo_outline, geometry, polygons

CENSUS = checkout.SHARED / "data" / "census" / "cb_2018_us_nation_5m.zip"
needs_census = pytest.mark.skipif(not CENSUS.exists(), reason="needs the Census Bureau's nation file in ../shared")

MAINLAND, ISLAND, NORTHERN = shapely.box(0, 0, 10, 10), shapely.box(20, 0, 30, 9), shapely.box(0, 70, 14, 79)


def write(path, *shapes, **properties):
    features = [
        {"type": "Feature", "geometry": shapely.geometry.mapping(shape), "properties": properties | {"n": k}}
        for k, shape in enumerate(shapes)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return str(path)


@pytest.fixture
def country(tmp_path):
    return write(tmp_path / "country.geojson", shapely.MultiPolygon([MAINLAND, ISLAND, NORTHERN]), NAME="Country")


def test_the_part_that_contains_the_center(country):
    found = boundary.load(country, center=(5, 25))
    assert found.shape.equals(ISLAND)
    assert found.name == country
    assert found.sha256 == hashlib.sha256(pathlib.Path(country).read_bytes()).hexdigest()
    assert found.selection == {"part": "containing", "center": [5.0, 25.0]}


def test_the_largest_part_is_so_on_the_sphere(country):
    # In square degrees the northern box is the largest; on the sphere it is a third of the mainland.
    assert NORTHERN.area > MAINLAND.area
    found = boundary.load(country, part="largest")
    assert found.shape.equals(MAINLAND)
    assert found.selection == {"part": "largest"}


def test_all_parts_and_features(country, tmp_path):
    assert boundary.load(country, part="all").shape.equals(shapely.MultiPolygon([MAINLAND, ISLAND, NORTHERN]))
    two = write(tmp_path / "two.geojson", shapely.box(0, 0, 6, 10), shapely.box(5, 0, 10, 10))
    assert boundary.load(two, part="all").shape.equals(MAINLAND)


def test_where_chooses_features(tmp_path):
    path = write(tmp_path / "two.geojson", MAINLAND, ISLAND)
    found = boundary.load(boundary.Source(path, ("n=1",)), part="all")
    assert found.shape.equals(ISLAND)
    assert found.selection == {"part": "all", "where": "n=1"}
    both = boundary.load(boundary.Source(path, ("n=1", "n=0")), part="all")
    assert both.shape.equals(shapely.MultiPolygon([MAINLAND, ISLAND]))
    assert both.selection == {"part": "all", "where": ["n=1", "n=0"]}


def test_crossed_rings_are_mended(tmp_path):
    bow_tie = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    found = boundary.load(write(tmp_path / "a.geojson", bow_tie), part="all")
    assert found.shape.is_valid
    assert found.shape.area == pytest.approx(50)


@pytest.mark.parametrize("center", [(-16.75, 179.75), (-16.75, -179.75), (-16.75, 180)])
@pytest.mark.parametrize("cut", [True, False])
def test_an_island_on_the_antimeridian_is_one_part(tmp_path, center, cut):
    east, west = shapely.box(179.5, -17, 180, -16.5), shapely.box(-180, -17, -179.5, -16.5)
    taveuni = shapely.MultiPolygon([east, west]) if cut else shapely.box(179.5, -17, 180.5, -16.5)
    path = write(tmp_path / "fiji.geojson", taveuni, shapely.box(177, -18.5, 177.2, -18))
    expected = shapely.MultiPolygon([east, west])
    assert boundary.load(path, center=center).shape.equals(expected)
    assert boundary.load(path, part="largest").shape.equals(expected)


@pytest.mark.parametrize(
    ("center", "message"),
    [
        ((50, 50), r"country.geojson: the center \(50, 50\) lies in none of its 3 polygons\.$"),
        ((25, 5), r"\(25, 5\) lies in none .* \(5, 25\) would be inside: latitude and longitude look swapped"),
    ],
)
def test_a_center_outside_is_said_to_be(country, center, message):
    with pytest.raises(errors.BoundaryError) as caught:
        boundary.load(country, center=center)
    assert caught.match(message.rstrip("$"))
    assert caught.value.problem.endswith(("polygons.", "swapped."))
    assert "--part=largest" in caught.value.next_step


def test_a_center_that_is_no_place_is_refused_before_anything_is_read():
    with pytest.raises(errors.CoordinateError, match=r"center = \(-98.35, 39.5\).*look swapped"):
        boundary.load("missing.zip", center=(-98.35, 39.5))


@pytest.mark.parametrize("name", ["missing.zip", "."])
def test_a_missing_file_is_named_with_the_presets(name):
    with pytest.raises(errors.MissingFileError, match="Next: give the path of a boundary file, or --boundary=us"):
        boundary.load(name)


@pytest.mark.parametrize(
    ("shapes", "found"),
    [
        ([], "nothing"),
        ([shapely.Point(1, 2), shapely.LineString([(0, 0), (1, 1)])], "LineString, Point"),
        ([shapely.Polygon([(0, 0), (5, 5), (10, 10)])], "Polygon"),
    ],
)
def test_what_bounds_nothing_is_refused(tmp_path, shapes, found):
    with pytest.raises(errors.BoundaryError, match=rf"a.geojson: holds no polygon with an area \(found: {found}\)"):
        boundary.load(write(tmp_path / "a.geojson", *shapes), part="all")


@pytest.mark.parametrize(
    ("shape", "message"),
    [(shapely.box(24, -124, 49, -66), "look swapped"), (shapely.box(5e5, 4e6, 6e5, 5e6), "look projected")],
)
def test_coordinates_that_are_not_degrees_are_refused(tmp_path, shape, message):
    with pytest.raises(errors.BoundaryError, match=f"a.geojson: longitude .*{message}") as caught:
        boundary.load(write(tmp_path / "a.geojson", shape), part="all")
    assert "write degrees (EPSG:4326)" in caught.value.next_step


def test_other_words_for_options_are_refused(country):
    with pytest.raises(errors.OptionError, match="part='most' is unknown"):
        boundary.load(country, part="most")
    for part in ("near", "near:", "near:0", "near:x", "near:inf"):
        with pytest.raises(errors.OptionError, match=f"part='{part}' is unknown") as caught:
            boundary.load(country, part=part)
        assert "near:200" in caught.value.next_step
    with pytest.raises(errors.OptionError, match="where=a=b: boundary=demo is one polygon"):
        boundary.Source("demo", ("a=b",))


def test_the_largest_part_and_what_lies_near(tmp_path):
    # 1,112 km from the mainland across the equator; 167 km over the antimeridian from the eastern half.
    east, west = shapely.box(170, 0, 180, 10), shapely.box(-180, 0, -179, 10)
    near, far = shapely.box(-177.5, 5, -177, 6), shapely.box(-160, 0, -159, 1)
    path = write(tmp_path / "a.geojson", east, west, near, far)
    assert boundary.load(path, part="near:100").shape.equals(shapely.MultiPolygon([east, west]))
    assert boundary.load(path, part="near:200").shape.equals(shapely.MultiPolygon([east, west, near]))
    found = boundary.load(path, part="near:2500")
    assert found.shape.equals(shapely.MultiPolygon([east, west, near, far]))
    assert found.selection == {"part": "near:2500"}


def test_notes_name_what_is_skipped_or_ambiguous(tmp_path):
    island = shapely.Polygon([(179.8, -16.5), (-179.8, -16.5), (-179.8, -16.3), (179.8, -16.3)])
    path = write(tmp_path / "a.geojson", island)
    content = json.loads(pathlib.Path(path).read_text())
    content["features"].append({"type": "Feature", "geometry": None, "properties": {"n": 1}})
    pathlib.Path(path).write_text(json.dumps(content))
    ambiguous, skipped = boundary.load(path, part="all").notes
    assert "is ambiguous; taken over the antimeridian" in ambiguous
    assert skipped == "1 features without geometry were skipped."


def test_a_box_that_could_be_drawn_either_way_is_refused(tmp_path):
    path = write(tmp_path / "a.geojson", shapely.box(-179, -60, 179, 60))
    with pytest.raises(errors.BoundaryError, match=r"a.geojson: the edge .* is ambiguous: it goes 2 degrees") as caught:
        boundary.load(path, part="all")
    assert "add a vertex at longitude 0" in caught.value.next_step


def test_the_demo_outline_needs_no_file():
    found = boundary.load("demo")
    assert found.name == "demo"
    assert shapely.contains_xy(found.shape, -98.35, 39.5)
    assert len(found.sha256) == 64
    # The real mainland has 7.8 million km2.
    assert polygons.area_km2(found.shape) == pytest.approx(7.8e6, rel=0.05)


@needs_census
def test_the_mainland_of_the_census_file():
    found = boundary.load(str(CENSUS))
    assert found.sha256 == "0358f24effd8f92c6a9dbe5f13c657373a5a075ef47e68f4f4f11992ca0e5728"
    assert found.shape.area == pytest.approx(819.4729329155044, rel=1e-12)
    assert found.shape.bounds == (-124.733174, 24.897354, -66.949895, 49.384358)
    assert boundary.load(str(CENSUS), part="largest").shape.equals(found.shape)


@needs_census
def test_us_takes_the_census_file_from_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GEODS_CACHE", str(tmp_path))
    shutil.copy(CENSUS, tmp_path / "cb_2018_us_nation_5m.zip")
    assert boundary.load("us").shape.equals(boundary.load(str(CENSUS)).shape)


def test_us_without_a_network_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("GEODS_CACHE", str(tmp_path))
    # Port 9 of this machine stands for the network: nothing listens there, and nothing leaves the machine.
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(errors.DownloadError, match=r"cb_2018_us_nation_5m.zip: not downloaded") as caught:
        boundary.load("us")
    assert "pass --boundary=PATH" in caught.value.next_step
    assert len(str(caught.value).splitlines()) <= 12


# Contiguous United States with its inland waters but without the Great Lakes: about 7.8 million km2.
MAINLAND_KM2 = 7.8e6


@pytest.fixture(scope="module")
def outline() -> shapely.Polygon:
    return shapely.Polygon([(lon, lat) for lat, lon in demo_outline.coarse_us()])


def test_the_demo_outline_is_one_simple_ring_of_100_to_200_vertices(outline):
    points = demo_outline.coarse_us()
    assert 100 <= len(points) <= 200
    assert len(set(points)) == len(points)
    assert outline.is_valid


def test_the_demo_outline_is_lat_lon_and_runs_clockwise(outline):
    coords = geometry.check_coords(demo_outline.coarse_us())
    assert (coords[:, 0] > 24).all()
    assert (coords[:, 0] < 50).all()
    assert (coords[:, 1] > -125).all()
    assert (coords[:, 1] < -66).all()
    assert not outline.exterior.is_ccw


def test_the_area_of_the_demo_outline_is_that_of_the_mainland():
    assert geometry.ring_area_km2(np.array(demo_outline.coarse_us())) == pytest.approx(MAINLAND_KM2, rel=0.01)


@pytest.mark.parametrize(
    ("name", "lat", "lon"),
    [
        ("Seattle", 47.6, -122.2),
        ("San Diego", 32.75, -117.05),
        ("Miami", 25.8, -80.3),
        ("New York", 40.75, -73.9),
        ("Portland, Maine", 43.7, -70.4),
        ("Detroit", 42.4, -83.2),
        ("Harlingen", 26.19, -97.7),
        ("Lebanon, Kansas", 39.5, -98.35),
        ("Upper Peninsula", 46.3, -88.0),
    ],
)
def test_places_on_the_mainland_are_inside_the_demo_outline(outline, name, lat, lon):
    assert outline.contains(shapely.Point(lon, lat)), name


@pytest.mark.parametrize(
    ("name", "lat", "lon"),
    [
        ("Lake Michigan", 43.5, -87.0),
        ("Lake Superior", 47.6, -87.0),
        ("Vancouver", 49.25, -123.1),
        ("Toronto", 43.7, -79.4),
        ("Tijuana", 32.4, -117.0),
        ("Montreal", 45.5, -73.6),
        ("Delaware Bay", 39.1, -75.2),
        ("Honolulu", 21.3, -157.8),
    ],
)
def test_places_off_the_mainland_are_outside_the_demo_outline(outline, name, lat, lon):
    assert not outline.contains(shapely.Point(lon, lat)), name


def test_the_demo_boundary_is_this_outline(outline):
    loaded = boundary.load("demo")
    assert loaded.shape.equals(outline)
    assert loaded.name == "demo"


@needs_census
def test_the_demo_outline_is_good_to_a_fifth_of_a_degree():
    true = boundary.load(str(CENSUS)).shape
    coarse = boundary.load("demo").shape
    wrong_km2 = polygons.area_km2(shapely.symmetric_difference(true, coarse))
    assert wrong_km2 / polygons.area_km2(true) < 0.02
    points = shapely.points(np.array(shapely.segmentize(coarse, 0.1).exterior.coords))
    off_deg = shapely.distance(true.exterior, points)
    assert np.median(off_deg) < 0.05
    assert np.percentile(off_deg, 95) < 0.2
