"""Tables of positions.

Columns by name, rows as text, images found wherever they lie.
"""

import json
import math
import pathlib
import tracemalloc

import drawn_photos
import drawn_trees
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geods import errors
from geods.imagery.photos import file_index, notation, photo, table, table_columns

OSV5M = (
    "id,latitude,longitude,thumb_original_url,country,sequence,captured_at,lon_bin,lat_bin,cell,region,creator_username,creator_id\n"
    "0123,-22.57,17.08,https://x/1?a=b,NA,seqA,1527811200000,1,2,3,Khomas,NA,9\n"
    "nan,46.2,7.3,https://x/2,CH,seqB,1420070399999,1,2,3,Valais,,7\n"
    "789,48.1,11.5,https://x/3,DE,seqC,,1,2,3,Bayern,bob,7\n"
)


def rows(folder: pathlib.Path, text: str | bytes, **wanted: str) -> list[photo.Photo | photo.Skipped]:
    folder.mkdir(exist_ok=True)
    path = folder / "table.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    found = table.photos(path, folder, table_columns.find(path, wanted))
    return [item for item in found if not (isinstance(item, photo.Skipped) and item.reason == "unnamed")]


def put(folder: pathlib.Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(drawn_trees.jpeg(1))


def test_osv5m_rows_keep_their_text_and_find_their_images(tmp_path):
    put(tmp_path, "images/test/00/0123.jpg", "images/test/01/nan.jpg")
    first, second, third = rows(tmp_path, OSV5M)
    assert first == photo.Photo(
        "images/test/00/0123.jpg",
        -22.57,
        17.08,
        date="2018-06",
        creator="NA",
        source_id="0123",
        sequence="seqA",
        country="NA",
    )
    assert (second.file, second.source_id, second.date) == ("images/test/01/nan.jpg", "nan", "2014-12")
    assert third.reason == "no_file"
    assert third.error.problem.endswith("line 4: there is no image '789'.")
    assert table_columns.find(tmp_path / "table.csv", {}).is_osv5m


def test_im2gps3k_columns_are_known(tmp_path):
    put(tmp_path, "1025_2b47_454_21518441@N00.jpg")
    text = "IMG_ID,AUTHOR,LAT,LON,S3_Label\n1025_2b47_454_21518441@N00.jpg,21518441@N00,32.3254,-64.7644,2\n"
    (found,) = rows(tmp_path, text)
    assert (found.file, found.lat_deg, found.lon_deg) == ("1025_2b47_454_21518441@N00.jpg", 32.3254, -64.7644)
    assert (found.creator, found.source_id) == ("21518441@N00", "1025_2b47_454_21518441@N00.jpg")


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("Longitude;Latitude;File", "-97,25;41,5;a.jpg"),
        ("\ufefffile_name\tlat\tlng", "a.jpg\t41.5\t-97.25"),
        (" lng , lat , image ", " -97.25 , 41.5 , a.jpg "),
        ('"lat","long","path"', '"41.5","-97.25","a.jpg"'),
    ],
)
def test_everyday_tables_are_read(tmp_path, header, row):
    put(tmp_path, "a.jpg")
    (found,) = rows(tmp_path, f"{header}\n\n{row.replace(',25', '.25').replace('41,5', '41.5')}\n")
    assert (found.lat_deg, found.lon_deg, found.file, found.source_id) == (41.5, -97.25, "a.jpg", "a.jpg")


def test_columns_can_be_named_and_left_out(tmp_path):
    put(tmp_path, "a.jpg")
    text = "lat,lon,x,y,name,file,heading,date\n1,2,41.5,-97.25,a,b.jpg,90,2012-05\n"
    named = {"lat": "x", "lon": "y", "file": "name", "heading": "-", "date": "-"}
    (found,) = rows(tmp_path, text, **named)
    assert found == photo.Photo("a.jpg", 41.5, -97.25, source_id="a")
    with pytest.raises(errors.OptionError, match=r"--lat_column=z: .*has no such column(.|\n)*name one of lat, lon, x"):
        rows(tmp_path, text, lat="z")


@pytest.mark.parametrize(
    ("row", "error", "rule"),
    [
        ("a.jpg,-97.25,41.5,,", errors.CoordinateError, r"line 2: .*swapped(.|\n)*--lat_column=lon --lon_column=lat"),
        ("a.jpg,95,95,,", errors.CoordinateError, r"line 2: latitude 95.0 is not(.|\n)*--on_bad_row=skip"),
        ("a.jpg,0,0.0,,", errors.CoordinateError, r"line 2: position \(0, 0\)"),
        ("a.jpg,x,1,,", errors.CoordinateError, r"line 2: position 'x', '1' is not two numbers"),
        ("a.jpg", errors.CoordinateError, r"line 2: 'a.jpg' has no position"),
        ("../a.jpg,41.5,-97,,", errors.TreeError, r"line 2: '../a.jpg' leads out of"),
        ("/etc/a.jpg,41.5,-97,,", errors.TreeError, "line 2: '/etc/a.jpg' leads out of"),
        ("twice.jpg,41.5,-97,,", errors.TreeError, r"'twice.jpg' is several files: x/twice.jpg and y/twice.jpg"),
        ("a.jpg,41.5,-97,north,", errors.TreeError, "line 2: heading 'north' or date '' "),
        ("a.jpg,41.5,-97,400,", errors.TreeError, "line 2: heading '400'"),
        ("a.jpg,41.5,-97,,5/6/2012", errors.TreeError, r"date '5/6/2012'(.|\n)*--date_column=-"),
        ("b.png,41.5,-97,,", errors.ImageError, r"b.png: is a PNG, not a JPEG(.|\n)*--on_bad_image=skip"),
    ],
)  # fmt: skip
def test_bad_rows_are_named_with_a_hint(tmp_path, row, error, rule):
    put(tmp_path, "a.jpg", "x/twice.jpg", "y/twice.jpg")
    (tmp_path / "b.png").write_bytes(drawn_trees.png())
    (item,) = rows(tmp_path, f"file,lat,lon,heading,date\n{row}\n")
    kinds = {errors.ImageError: "bad_image", errors.TreeError: "bad_row"}
    other = "no_position" if "no position" in rule else "bad_row"
    assert item.reason == kinds.get(error, "swapped" if "swapped" in rule else other)
    with pytest.raises(error, match=rule):
        raise item.error


def test_swapped_im2gps3k_names_are_explained(tmp_path):
    put(tmp_path, "a.jpg")
    (item,) = rows(tmp_path, "IMG_ID,LON,LAT\na.jpg,41.5,-97.25\n")
    assert "one published Im2GPS3k table has the two names swapped" in item.error.next_step


def test_tables_without_their_columns_or_not_text_are_refused(tmp_path):
    with pytest.raises(errors.TreeError, match=r"hold the lat, lon; it has file, x(.|\n)*--lat_column=NAME --lon_col"):
        rows(tmp_path, "file,x\n")
    with pytest.raises(errors.TreeError, match="hold the file, lat, lon; it has none"):
        rows(tmp_path, "")
    (tmp_path / "table.csv").write_bytes(b"file,lat,lon\n\xff\xfe,1,2\n")
    with pytest.raises(errors.TreeError, match="is not a CSV file in UTF-8"):
        table_columns.find(tmp_path / "table.csv", {})
    with pytest.raises(errors.MissingFileError, match=r"gone.csv: does not exist(.|\n)*--csv=FILE"):
        table_columns.find(tmp_path / "gone.csv", {})


@pytest.mark.parametrize(
    ("text", "month"),
    [
        ("", None),
        ("2012-05", "2012-05"),
        ("2012-5-3", "2012-05"),
        ("2012-05-31T10:00:00Z", "2012-05"),
        ("2012:05:31 10:00:00", "2012-05"),
        ("20120531", "2012-05"),
        ("1338458400", "2012-05"),
        ("1338458400000", "2012-05"),
        ("1338458400000.0", "2012-05"),
        ("915148799", "1998-12"),
    ],
)
def test_months(text, month):
    assert notation.month(text) == month


@given(st.text())
def test_any_text_is_a_month_or_refused(text):
    try:
        month = notation.month(text)
    except ValueError:
        return
    assert month is None or (len(month) == 7 and 1 <= int(month[5:]) <= 12)


@given(st.floats())
def test_any_number_is_a_heading_or_refused(value):
    try:
        heading = notation.heading_deg(str(value))
    except ValueError:
        assert not -180 <= value <= 360
        return
    assert (heading is None and math.isnan(value)) or 0 <= heading < 360


def test_headings():
    assert [notation.heading_deg(text) for text in ("", "0", "-90", "360", "12.5")] == [None, 0, 270, 0, 12.5]


def test_images_that_no_row_names_are_yielded_last(tmp_path):
    put(tmp_path, "a.jpg", "in/b.jpg", "in/c.jpg", "in/d.jfif", "e\u0301.jpg")
    path = tmp_path / "table.csv"
    # One row without a position names its image all the same.
    path.write_text("file,lat,lon\na.jpg,41.5,-97\nc,,\nd,41.5,-97\n\u00e9.jpg,41.5,-97\n")
    *_, last = found = list(table.photos(path, tmp_path, table_columns.find(path, {})))
    assert [item.file for item in found if isinstance(item, photo.Photo)] == ["a.jpg", "in/d.jfif", "e\u0301.jpg"]
    assert (last.reason, last.error.problem, len(found)) == ("unnamed", "in/b.jpg: no row names it.", 5)


def test_index_finds_paths_names_and_ids(tmp_path):
    put(tmp_path, "a/1.jpg", "b/2.JPEG", "b/v1.2.jpg", "c/same.jpg", "c/same.jpeg")
    index = file_index.PhotoIndex(tmp_path)
    names = {
        "a/1.jpg": "a/1.jpg",
        "a\\1.jpg": "a/1.jpg",
        "elsewhere/1.jpg": None,
        "images/a/1.jpg": "a/1.jpg",
        f"{tmp_path}/a/1.jpg": "a/1.jpg",
        "/elsewhere/a/1.jpg": "a/1.jpg",
        "C:\\photos\\a\\1.jpg": "a/1.jpg",
        f"../x/../{tmp_path.name}/a/1.jpg": "a/1.jpg",
        "x/../a/1": "a/1.jpg",
        "1.jpg": "a/1.jpg",
        "1": "a/1.jpg",
        "2.jpg": "b/2.JPEG",
        "v1.2": "b/v1.2.jpg",
        "v1": None,
        "same.jpeg": "c/same.jpeg",
        "gone.jpg": None,
    }
    assert {name: index.find(name) for name in names} == names
    with pytest.raises(errors.TreeError, match="'same' is several files"):
        index.find("same")
    index.close()


def test_length_of_a_table_costs_no_memory(tmp_path):
    put(tmp_path, "a.jpg")
    path = tmp_path / "table.csv"
    line = f"a.jpg,41.5,-97.25,{'x' * 400}\n"
    path.write_text("file,lat,lon,more\n" + line * 10_000)
    chosen = table_columns.find(path, {})
    tracemalloc.start()
    try:
        assert sum(1 for _ in table.photos(path, tmp_path, chosen)) == 10_000
        assert tracemalloc.get_traced_memory()[1] < 400_000 < path.stat().st_size
    finally:
        tracemalloc.stop()


def test_heic_in_a_table_is_called_one(tmp_path):
    (tmp_path / "a.heic").write_bytes(drawn_photos.HEIC)
    (item,) = rows(tmp_path, "file,lat,lon\na,41.5,-97.25\n")
    assert "a.heic: is a HEIC, not a JPEG" in item.error.problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SourceFile,GPSLatitude,GPSLatitudeRef,GPSLongitude,GPSLongitudeRef\na.jpg,51.5,N,0.5,W", (51.5, -0.5)),
        ("file,lat,lat_ref,lon,lon_ref\na.jpg,33.5,South,18.5,East", (-33.5, 18.5)),
        ("file,lat,lon,E/W\na.jpg,51.5,0.5,w", (51.5, -0.5)),
        ("file,lat,lon,when\na.jpg,-51.5,-0.5,N", (-51.5, -0.5)),
        ("img,GPSLatitude,GPSLongitude\na.jpg,36 deg 48' 14.54 S,174 deg 45' 3.00 E", (-36.80404, 174.75083)),
        ("file;latitude;longitude\na.jpg;41,5;-97,25", (41.5, -97.25)),
        ("IMG_FILE,LAT,LON\na.jpg,41.5,-97.25", (41.5, -97.25)),
        ("image_name,y,x\na,41.5,-97.25", (41.5, -97.25)),
        ("filepath,Lat,Long\nphotos/a.jpg,41.5,-97.25", (41.5, -97.25)),
        # As Excel, QGIS and people save tables.
        ("\n \nsep=;\nFile Name;Latitude (deg);Longitude [deg]\na.jpg;41,5;-97,25", (41.5, -97.25)),
        ("file|lat|lon\nhttps://example.org/x/a.jpg?w=1|41.5|-97.25", (41.5, -97.25)),
        ("file\tlat\tlon\na.jpg\t41.5\t-97.25".encode("utf-16"), (41.5, -97.25)),
        ('{"type": "FeatureCollection", "features": [{"properties": {"file": "a.jpg", "LAT": 1}, '
         '"geometry": {"type": "Point", "coordinates": [-97.25, 41.5, 3]}}]}', (41.5, -97.25)),
    ],
)  # fmt: skip
def test_positions_are_read_as_they_are_written(tmp_path, text, expected):
    put(tmp_path, "a.jpg")
    (found,) = rows(tmp_path, text)
    assert (found.lat_deg, found.lon_deg) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    "row",
    ["-51.5,S,0.5,W", "51.5,W,0.5,W", "51.5,,0.5,W", "51.5 N,S,0.5,W"],
)
def test_contradicting_hemispheres_are_refused(tmp_path, row):
    put(tmp_path, "a.jpg")
    (item,) = rows(tmp_path, f"file,lat,lat_ref,lon,lon_ref\na.jpg,{row}\n")
    assert item.reason == "bad_row"
    assert "--lat_ref_column" in item.error.next_step


def test_a_column_of_hemispheres_that_is_not_known_is_named(tmp_path):
    put(tmp_path, "a.jpg")
    text = "file,lat,lon,side\na.jpg,51.5,0.5,W\n"
    with pytest.raises(
        errors.OptionError, match=r"column 'side' holds W(.|\n)*--lon_ref_column=side .*--lon_ref_column=-"
    ):
        rows(tmp_path, text)
    assert rows(tmp_path, text, lon_ref="side")[0].lon_deg == -0.5
    assert rows(tmp_path, text, lon_ref="-")[0].lon_deg == 0.5


def test_a_picture_of_another_folder_is_not_taken(tmp_path):
    put(tmp_path, "test/0001.jpg", "val/0002.jpeg")
    (item,) = rows(tmp_path, "file,latitude,longitude\ntrain/0001.jpg,48.1,11.5\n")
    assert item.reason == "no_file"
    first, second = rows(tmp_path, "file,latitude,longitude\n0001,48.1,11.5\n0002.jpg,48.1,11.5\n")
    assert (first.file, second.file) == ("test/0001.jpg", "val/0002.jpeg")
    # Nor where the source is such a folder itself.
    put(tmp_path, "one/test/1.jpg", "two/a/1.jpg", "two/b/2.jpg")
    names = {"images/1.jpg": "1.jpg", "test/1.jpg": "1.jpg", "one/test/1.jpg": "1.jpg", "Train/1.jpg": None}
    assert {name: file_index.PhotoIndex(tmp_path / "one" / "test").find(name) for name in names} == names
    assert file_index.PhotoIndex(tmp_path / "two" / "a").find("b/1.jpg") is None


def test_a_folder_of_headings_is_a_location(tmp_path):
    names = [f"images/u1/{heading}.jpg" for heading in (0, 90, 270)] + [f"images/u2/{n}.jpg" for n in range(3)]
    put(tmp_path, *names, "images/u3/0.jpg")
    found = rows(tmp_path, "uuid,lat,lon\nu1,48.1,11.5\nu2,48.2,11.5\nu3,48.3,11.5\nu4,48.4,11.5\n")
    assert [(item.file, item.heading_deg) for item in found[:7]] == [
        *((f"images/u1/{heading}.jpg", heading) for heading in (0, 270, 90)),
        *((f"images/u2/{n}.jpg", None) for n in range(3)),
        ("images/u3/0.jpg", 0),
    ]
    assert found[7].reason == "no_file"


def test_columns_of_a_table_without_names_are_numbers(tmp_path):
    put(tmp_path, "a/123.jpg", "b/45.jpg")
    text = "123\tuser\t2012-05-31 10:00:00.0\t-97.25\t41.5\n45\tuser\tnull\t-97.5\t41.5\n"
    named = {"file": "1", "date": "3", "lon": "4", "lat": "5"}
    first, second = rows(tmp_path, text, **named)
    assert (first.file, first.lat_deg, first.lon_deg, first.date) == ("a/123.jpg", 41.5, -97.25, "2012-05")
    assert (second.file, second.lon_deg, second.date) == ("b/45.jpg", -97.5, None)


def test_json_objects_are_rows(tmp_path):
    put(tmp_path, "a.jpg", "b.jpg")
    objects = [{"file_name": "a.jpg", "latitude": 41.5, "longitude": -97}, {"file_name": "b.jpg", "latitude": None}]
    for text in (json.dumps(objects), "\n".join(map(json.dumps, objects)) + "\n"):
        first, second = rows(tmp_path, text)
        assert (first.file, first.lat_deg, first.lon_deg, second.reason) == ("a.jpg", 41.5, -97.0, "no_position")


def test_json_is_called_json_and_long_headers_are_shortened(tmp_path):
    for text, kind in (
        ('[{"a": 1}, 2]', "is JSON, but no GeoJSON of points"),
        ('{"type": "Feature"}', "is JSON, but no GeoJSON of points"),
        ('[{"file": "a.jpg", "lat": 1}]', "no column is known to hold the lon; it has file, lat"),
        ("<kml></kml>", "is XML"),
        ("PK\3\4xl/workbook.xml", "is a workbook"),
        ("file,lat,lon,Lat\na.jpg,1,2,3\n", "2 columns are named 'lat'(.|\\n)*--lat_column=2"),
    ):
        with pytest.raises(errors.TreeError, match=kind):
            rows(tmp_path, text)
    with pytest.raises(errors.TreeError, match="and 49,980 more") as caught:
        rows(tmp_path, ",".join(f"column{n}" for n in range(50_000)) + "\n")
    assert len(str(caught.value)) < 2000
