"""Files beside photographs: facts that EXIF lacks."""

import json

import drawn_photos
import drawn_trees
import pytest

from geods import errors
from geods.imagery.photos import exif, sidecars

NOWHERE = exif.Facts()
XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 exif:GPSLatitude="36,48.2423S" exif:GPSLongitude="174,45.05E" exif:GPSImgDirection="2715/10"
 exif:DateTimeOriginal="2012-05-31T10:00:00"><dc:creator><rdf:Seq><rdf:li>Ada</rdf:li></rdf:Seq></dc:creator>
</rdf:Description></rdf:RDF></x:xmpmeta>"""
GPX = """<gpx xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>
<trkpt lat="40" lon="-100"><time>2012-05-31T10:00:00Z</time></trkpt>
<trkpt lat="41" lon="-100.5"><time>2012-05-31T10:01:40Z</time></trkpt>
<trkpt lat="42" lon="-100.5"><time>2012-05-31T11:00:00Z</time></trkpt></trkseg></trk></gpx>"""


def takeout(lat: float, lon: float, **more) -> str:
    empty = {"latitude": 0.0, "longitude": 0.0}
    place = {"latitude": lat, "longitude": lon}
    return json.dumps({"geoData": empty, "geoDataExif": place, "photoTakenTime": {"timestamp": "1338458400"}, **more})


@pytest.mark.parametrize(
    ("photo", "beside"),
    [
        ("a.jpg", "a.jpg.json"),
        ("a.jpg", "a.jpg.supplemental-metadata.json"),
        ("a.jpg", "a.jpg.supplemental-me.json"),
        ("a(1).jpg", "a.jpg(1).json"),
        ("a(1).jpg", "a.jpg.supplemental-metadata(1).json"),
        ("a-edited.jpg", "a.jpg.json"),
        ("a-edited.jpg", "a-edited.jpg.json"),
        ("a(2019).jpg", "a(2019).jpg.json"),
        (f"{'n' * 60}.jpg", f"{'n' * 46}.json"),
    ],
)
def test_takeout_fills_in_place_and_month(tmp_path, photo, beside):
    (tmp_path / beside).write_text(takeout(40.5, -100.25))
    expected = exif.Facts(40.5, -100.25, date="2012-05")
    assert sidecars.Sidecars(tmp_path).fill(photo, NOWHERE) == expected
    assert sidecars.Sidecars(tmp_path).fill("b.jpg", NOWHERE) == NOWHERE


def test_names_that_takeout_cut_to_the_same_are_told_apart_by_their_titles(tmp_path):
    cut = "n" * 46
    for number, end in enumerate(("", "(1)")):
        (tmp_path / f"{cut}{end}.json").write_text(takeout(40.5 + number, -100.25, title=f"{cut}{number}&more.jpg"))
    found = [sidecars.Sidecars(tmp_path).fill(f"{cut}{number}.jpg", NOWHERE).lat_deg for number in range(3)]
    assert found == [40.5, 41.5, None]
    assert sidecars.Sidecars(tmp_path).fill(f"{cut}1_more.jpg", NOWHERE).lat_deg == 41.5


def test_an_unknown_place_of_takeout_stays_unknown(tmp_path):
    (tmp_path / "a.jpg.json").write_text(takeout(0.0, 0.0))
    assert sidecars.Sidecars(tmp_path).fill("a.jpg", NOWHERE) == exif.Facts(date="2012-05")
    (tmp_path / "a.jpg.json").write_text("[")
    assert sidecars.Sidecars(tmp_path).fill("a.jpg", NOWHERE) == NOWHERE


@pytest.mark.parametrize("name", ["a.xmp", "a.jpg.xmp", "a.XMP"])
def test_xmp_fills_in_and_exif_counts(tmp_path, name):
    (tmp_path / name).write_text(XMP)
    beside = sidecars.Sidecars(tmp_path)
    found = beside.fill("a.jpg", NOWHERE)
    assert (found.lat_deg, found.lon_deg) == (pytest.approx(-36.8040383), pytest.approx(174.7508333))
    assert (found.heading_deg, found.date, found.creator) == (271.5, "2012-05", "Ada")
    known = exif.Facts(1.0, 2.0, 3.0, True, "2001-01", "Bob")
    assert beside.fill("a.jpg", known) == known


def test_mapillary_descriptions_count_headings_from_magnetic_north(tmp_path):
    compass = {"TrueHeading": 90.0, "MagneticHeading": 90.0}

    def entry(filename: str, lat_deg: float, lon_deg: float, **more: object) -> dict[str, object]:
        return {"filename": filename, "MAPLatitude": lat_deg, "MAPLongitude": lon_deg, **more}

    none = {"TrueHeading": 0.0, "MagneticHeading": 0.0}
    entries = [
        entry("/old/seq/a.jpg", 1.5, 2.5, MAPCompassHeading=compass, MAPCaptureTime="2012_05_31_10_00_00_000"),
        entry("/old/other/a.jpg", 9.5, 2.5),
        entry("b.jpg", 3.5, 4.5, MAPCompassHeading=none),
        {"filename": "c.jpg", "error": {"type": "MapillaryGeoTaggingError"}},
    ]
    (tmp_path / "mapillary_image_description.json").write_text(json.dumps(entries))
    beside = sidecars.Sidecars(tmp_path)
    assert beside.fill("seq/a.jpg", NOWHERE) == exif.Facts(1.5, 2.5, 90.0, True, "2012-05")
    assert beside.fill("seq/b.jpg", NOWHERE) == exif.Facts(3.5, 4.5)
    assert beside.fill("c.jpg", NOWHERE) == NOWHERE
    (tmp_path / "mapillary_image_description.json").write_text("{")
    with pytest.raises(errors.TreeError, match="is no JSON"):
        sidecars.Sidecars(tmp_path).fill("a.jpg", NOWHERE)


@pytest.mark.parametrize(
    ("stamp", "zone", "offset_s", "expected"),
    [
        ("2012:05:31 10:00:50", "", 0.0, (40.5, -100.25)),
        ("2012:05:31 12:00:50", "+02:00", 0.0, (40.5, -100.25)),
        ("2012:05:31 12:01:00", "", 7210.0, (40.5, -100.25)),
        ("2012:05:31 10:01:40", "", 0.0, (41, -100.5)),
        ("2012:05:31 10:30:00", "", 0.0, None),
        ("2012:05:31 09:00:00", "", 0.0, None),
        ("2012:05:31", "", 0.0, None),
    ],
)
def test_a_track_says_where_a_photograph_was_at_its_time(tmp_path, stamp, zone, offset_s, expected):
    (tmp_path / "track.gpx").write_text(GPX)
    tags = {0x9003: stamp} | ({0x9011: zone} if zone else {})
    (tmp_path / "a.jpg").write_bytes(drawn_photos.jpeg(1, exif=tags))
    beside = sidecars.Sidecars(tmp_path, tmp_path / "track.gpx", offset_s)
    (found,) = exif.photos(tmp_path, fill=beside.fill)
    assert (beside.on_track, beside.without_zone) == (expected is not None, expected is not None and not zone)
    if expected:
        assert (found.lat_deg, found.lon_deg, found.date) == (*expected, "2012-05")
    else:
        assert found.reason == "no_position"


@pytest.mark.parametrize("text", ["", "<gpx/>", GPX.replace("<time>", "<t>").replace("</time>", "</t>"), "<a"])
def test_what_is_no_track_is_refused(tmp_path, text):
    (tmp_path / "track.gpx").write_text(text)
    (tmp_path / "a.jpg").write_bytes(drawn_trees.jpeg(1))
    with pytest.raises(errors.TreeError, match=r"track\.gpx: (is no GPX track|has no track point with a time)"):
        sidecars.Sidecars(tmp_path, tmp_path / "track.gpx")
