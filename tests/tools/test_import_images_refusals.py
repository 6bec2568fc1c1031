"""The import program: images left out and counted, and refusals."""

import json

import drawn_photos
import drawn_trees
import pytest
from import_program import cells_path, photos, run, table
from imported_photos import names

from geods import errors
from geods.geo import partition
from tools import import_images

__all__ = ["cells_path", "photos", "table"]


def test_what_is_left_out_is_counted_and_named(tmp_path, photos, cells_path, capsys):
    for number in range(3):
        (photos / f"plain{number}.jpg").write_bytes(drawn_trees.jpeg(number))
    (photos / "copy.jpg").write_bytes((photos / "one.jpg").read_bytes())
    (photos / "cut.jpg").write_bytes((photos / "one.jpg").read_bytes()[:-100])
    (photos / "a.heic").write_bytes(drawn_photos.HEIC)
    with pytest.raises(errors.ImageError, match=r"a\.heic: is a HEIC, not a JPEG"):
        run(photos, tmp_path / "tree", cells_path)
    assert not (tmp_path / "tree").exists()
    run(photos, tmp_path / "tree", cells_path, on_bad_image="skip", names=2)
    told = capsys.readouterr().out
    assert told.startswith(
        "without a GPS position: 3\n  plain0.jpg: has no GPS position\n  plain1.jpg: has no GPS position\n"
        f"  and 1 more\nfiles that are no whole JPEG: 1\n  {photos}/a.heic: is a HEIC, not a JPEG\n"
        "with the bytes of another: 1\n  one.jpg = copy.jpg\n"
        f"images that cannot be used: 1\n  {photos}/cut.jpg: is truncated\n"
    )
    run(photos, tmp_path / "tree", cells_path, on_bad_image="skip", names=0)
    assert "without a GPS position: 3\nfiles that are no whole JPEG: 1\nwith the" in capsys.readouterr().out


def test_swapped_tables_are_refused_and_leave_nothing(tmp_path, table, cells_path):
    rows = table.read_text()
    table.write_text(rows.replace("lat,lon", "lon,lat"))
    options = {"csv": str(table)}
    with pytest.raises(errors.CoordinateError, match=r"looks swapped\.\nNext: .*--lat_column=lon --lon_column=lat"):
        run(tmp_path / "images", tmp_path / "tree", cells_path, csv=str(table), on_bad_row="raise")
    with pytest.raises(
        errors.CoordinateError, match=r"look swapped: 0 of 3 .* 3 more positions(.|\n)*--lat_column=lon"
    ):
        run(tmp_path / "images", tmp_path / "tree", cells_path, **options)
    assert not (tmp_path / "tree").exists()
    run(tmp_path / "images", tmp_path / "tree", cells_path, csv=str(table), lat_column="lon", lon_column="lat")
    assert len(names(tmp_path / "tree")) == 3


def test_sources_without_any_place_are_refused_with_a_hint(tmp_path, table, cells_path):
    out = tmp_path / "tree"
    with pytest.raises(
        errors.CoordinateError, match=r"without a GPS position: 3\)(.|\n)*00/0\.jpg: has no(.|\n)*--csv=FILE"
    ):
        run(tmp_path / "images", out, cells_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(errors.CoordinateError, match="no image at all"):
        run(tmp_path / "empty", out, cells_path)
    with pytest.raises(errors.CoordinateError, match=r"image is not there: 3\)(.|\n)*the images of column 'id'"):
        run(tmp_path / "empty", out, cells_path, csv=str(table))
    with pytest.raises(errors.MissingFileError, match=r"is a file, not a folder(.|\n)*the table by --csv="):
        run(table, out, cells_path)
    with pytest.raises(errors.MissingFileError, match=r"nowhere: does not exist(.|\n)*name a folder of images"):
        run(tmp_path / "nowhere", out, cells_path)
    drawn_photos.write(tmp_path / "far" / "a.jpg", 1, 60.5, 10.0)
    with pytest.raises(errors.CoordinateError, match="outside the partition"):
        run(tmp_path / "far", out, cells_path)
    assert not out.exists()


def test_clocks_without_a_time_zone_are_counted(tmp_path, cells_path, capsys):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(drawn_photos.jpeg(1, exif={0x9003: "2012:05:31 10:00:00"}))
    points = [f'<trkpt lat="40.5" lon="-100.25"><time>2012-05-31T1{hour}:00:00Z</time></trkpt>' for hour in (0, 1)]
    (tmp_path / "a.gpx").write_text(f"<gpx><trk><trkseg>{''.join(points)}</trkseg></trk></gpx>")
    run(tmp_path / "photos", tmp_path / "tree", cells_path, gpx=str(tmp_path / "a.gpx"))
    assert "placed by the track: 1, 1 of them by a clock without time zone" in capsys.readouterr().out
    with pytest.raises(errors.CoordinateError, match=r"no photograph with a position(.|\n)*Next: .*--clock_offset_s"):
        run(tmp_path / "photos", tmp_path / "late", cells_path, gpx=str(tmp_path / "a.gpx"), clock_offset_s=7000.0)


def test_another_source_partition_or_folder_is_refused(tmp_path, photos, table, cells_path):
    out = tmp_path / "tree"
    run(photos, out, cells_path)
    before = sorted(out.rglob("*"))
    with pytest.raises(errors.TreeError, match=r"imported from another source .*csv was '', is '.*table\.csv'"):
        run(tmp_path / "images", out, cells_path, csv=str(table))
    with pytest.raises(errors.TreeError, match=r"same_place_m was 0\.0, is 5\.0"):
        run(photos, out, cells_path, same_place_m=5.0)
    with pytest.raises(errors.TreeError, match=r"gpx was '', is '.*other\.gpx'; clock_offset_s was 0\.0, is 3600\.0"):
        run(photos, out, cells_path, gpx=str(tmp_path / "other.gpx"), clock_offset_s=3600.0)
    partition.write(partition.Partition(drawn_trees.cells().shapes[:9]), tmp_path / "nine.geojson")
    with pytest.raises(errors.TreeError, match="partition_sha256 was"):
        run(photos, out, tmp_path / "nine.geojson")
    (out / "import.sqlite").rename(tmp_path / "import.sqlite")
    with pytest.raises(errors.TreeError, match=r"its import\.sqlite is gone"):
        run(photos, out, cells_path)
    (out / "provenance.json").write_text(json.dumps({"source": "a scraper", "licence": "x"}))
    with pytest.raises(errors.TreeError, match="is not a tree of this program"):
        run(photos, out, cells_path)
    (out / "provenance.json").unlink()
    with pytest.raises(errors.TreeError, match="is not empty, and not a tree of this program"):
        run(photos, out, cells_path)
    assert [path for path in before if not path.exists()] == [out / "import.sqlite", out / "provenance.json"]


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"source": ""}, "--source: is empty"),
        ({"out": ""}, "--out: is empty"),
        ({"out": "a"}, "is the source, inside it or around it"),
        ({"out": "a/b"}, "is the source, inside it or around it"),
        ({"same_place_m": -1.0}, "--same_place_m=-1: is not 0 to 10,000"),
        ({"same_place_m": float("nan")}, "--same_place_m=nan"),
        ({"names": -1}, "--names=-1: is below 0"),
        ({"lat_column": "x"}, "--lat_column: is a column of a table"),
    ],
)
def test_options_check_themselves(options, rule):
    with pytest.raises(errors.OptionError, match=rule):
        import_images.Options(**({"source": "a", "out": "b"} | options))
