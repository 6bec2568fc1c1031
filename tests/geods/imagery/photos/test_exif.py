"""Location, direction and time from EXIF, of Pillow and of real cameras."""

import pathlib
from fractions import Fraction

import drawn_photos
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL.TiffImagePlugin import IFDRational

from geods import errors
from geods.imagery.photos import exif

WHOLE = st.integers(0, 2**32 - 1)
RATIONALS = st.builds(IFDRational, WHOLE, WHOLE)


def read(folder: pathlib.Path, **tags) -> exif.Facts:
    path = folder / "photo.jpg"
    path.write_bytes(drawn_photos.jpeg(1, **tags))
    return exif.read(path)


@pytest.mark.parametrize(
    ("lat_deg", "lon_deg"), [(40.529828, -124.2680351), (-33.9, 18.4), (0.0, 179.9999), (-90.0, -180.0), (0.5, 0.0)]
)
def test_position_reads_back(tmp_path, lat_deg, lon_deg):
    facts = read(tmp_path, gps=drawn_photos.position_tags(lat_deg, lon_deg))
    # Seconds in ten-thousandths are 3 mm.
    assert (facts.lat_deg, facts.lon_deg) == (pytest.approx(lat_deg, abs=2e-7), pytest.approx(lon_deg, abs=2e-7))


def test_everything_else_reads_back(tmp_path):
    facts = read(
        tmp_path,
        gps={16: "M", 17: drawn_photos.rational(271.5), 29: "2011:01:01"},
        exif={0x9003: "2012:05:31 10:00:00"},
        tags={0x0112: 6, 0x013B: "Ada L.", 0x8298: "CC BY 4.0"},
    )
    assert facts == exif.Facts(None, None, 271.5, True, "2012-05", "Ada L.", "CC BY 4.0")
    facts = read(tmp_path, gps={16: "T", 17: drawn_photos.rational(360), 29: "2011:01:01"}, tags={0x0112: 1})
    assert facts == exif.Facts(heading_deg=0, date="2011-01")


@pytest.mark.parametrize(
    ("tags", "creator"),
    [
        ({0x013B: "J\u00f6rg M\u00fcller".encode()}, "J\u00f6rg M\u00fcller"),
        ({0x013B: "J\u00f6rg M\u00fcller".encode("latin-1")}, "J\u00f6rg M\u00fcller"),
        ({0x013B: "\u5c71\u7530".encode()}, "\u5c71\u7530"),
        ({0x9C9D: "\u5c71\u7530".encode("utf-16-le") + b"\0\0"}, "\u5c71\u7530"),
    ],
)
def test_names_are_read_in_the_encodings_that_programs_write(tmp_path, tags, creator):
    assert read(tmp_path, tags=tags).creator == creator


def test_decimal_minutes_with_unknown_seconds_are_read(tmp_path):
    nikon = (IFDRational(36, 1), IFDRational(482423, 10000), IFDRational(0, 0))
    assert exif.angle_deg(nikon, "S", "N", "S") == pytest.approx(-36.8040383, abs=1e-7)
    assert exif.angle_deg((IFDRational(36, 1), IFDRational(48, 1), IFDRational(0, 0)), "S", "N", "S") is None


def test_photograph_without_exif_says_nothing(tmp_path):
    assert read(tmp_path) == exif.Facts()


def test_one_bad_value_leaves_the_others(tmp_path):
    gps = drawn_photos.position_tags(40.5, -100.25) | {2: (IFDRational(1, 0),) * 3, 17: IFDRational(0, 0)}
    assert read(tmp_path, gps=gps) == exif.Facts(lon_deg=-100.25)


@pytest.mark.parametrize("cut", [30, 60, 90])
def test_damaged_exif_says_nothing_or_is_refused(tmp_path, cut):
    content = bytearray(drawn_photos.jpeg(1, gps=drawn_photos.position_tags(40.5, -100.25)))
    content[cut : cut + 40] = b"\xff" * 40
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    try:
        facts = exif.read(path)
    except errors.ImageError:
        return
    assert facts.lat_deg is None or facts.lon_deg is None or facts.lat_deg == 40.5


def test_file_without_a_jpeg_header_is_refused(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(errors.ImageError, match=r"photo\.jpg: is a damaged JPEG"):
        exif.read(path)


@given(st.lists(RATIONALS, min_size=1, max_size=3), st.sampled_from("NSEW"))
def test_any_fractions_give_their_angle_or_none(parts, letter):
    positive, negative, limit = ("N", "S", 90) if letter in "NS" else ("E", "W", 180)
    angle = exif.angle_deg(tuple(parts), letter, positive, negative)
    if len(parts) == 3 and parts[2].denominator == 0 and parts[1].denominator > 1:
        # Decimal minutes.
        parts = parts[:2]
    if any(part.denominator == 0 for part in parts):
        assert angle is None
        return
    exact = [Fraction(part.numerator, part.denominator) for part in parts]
    total = sum(value / 60**power for power, value in enumerate(exact))
    if any(value > 60 for value in exact[1:]) or total > limit + 1e-7:
        assert angle is None
    elif total < limit - 1e-7:
        assert abs(angle) == pytest.approx(float(total), abs=1e-7)
        assert angle >= 0 if letter == positive else angle <= 0


@given(st.integers(0, 89), st.integers(0, 59), st.integers(0, 60_000), st.sampled_from([1, 10, 997, 10_000, 2**20]))
def test_degrees_minutes_seconds_are_exact_to_a_centimetre(degrees, minutes, thousandths, scale):
    parts = [Fraction(degrees), Fraction(minutes), Fraction(thousandths, 1000)]
    written = tuple(IFDRational(int(part * 1000 * scale), 1000 * scale) for part in parts)
    expected = float(sum(part / 60**power for power, part in enumerate(parts)))
    assert exif.angle_deg(written, "S", "N", "S") == pytest.approx(-expected, abs=1e-7)


@given(
    st.one_of(st.none(), st.text(), st.binary(), st.integers(), st.floats(), RATIONALS, st.lists(RATIONALS).map(tuple)),
    st.one_of(st.none(), st.text(), st.binary(), st.integers(), st.sampled_from(["N", b"S\0", "north", "n "])),
)
def test_values_of_any_type_are_an_angle_or_not_known(parts, reference):
    angle = exif.angle_deg(parts, reference, "N", "S")
    assert angle is None or -90 <= angle <= 90
    heading = exif.heading_deg(parts)
    assert heading is None or 0 <= heading < 360
    assert exif.month(parts, reference) is None or len(exif.month(parts, reference)) == 7


@pytest.mark.parametrize(
    ("parts", "reference", "angle"),
    [
        ((IFDRational(405, 10),), "N", 40.5),
        (40.5, "N", 40.5),
        ((40, 30), "S", -40.5),
        ((40, 29, 60), b"S\0", -40.5),
        ((40, 30, 0), "north", 40.5),
        ((0, 0, 0), "S", 0.0),
        ((40, 30, 0), "", None),
        ((40, 30, 0), None, None),
        ((40, 30, 0), "E", None),
        ((40, 61, 0), "N", None),
        ((-40, 30, 0), "N", None),
        ((90, 0, 1), "N", None),
        ((1, 2, 3, 4), "N", None),
        ((), "N", None),
        ("40.5", "N", None),
    ],
)
def test_angles(parts, reference, angle):
    assert exif.angle_deg(parts, reference, "N", "S") == angle
    assert str(exif.angle_deg(parts, reference, "N", "S")) == str(angle)


@pytest.mark.parametrize(
    ("stamps", "month"),
    [
        (("2012:05:31 10:00:00",), "2012-05"),
        (("0000:00:00 00:00:00", "2012:05:31"), "2012-05"),
        (("    :  :     :  :  ", None), None),
        (("2012:13:01", "2012-06-01"), "2012-06"),
        (("2012:051",), None),
        (("\uff12012:05:01",), None),
    ],
)
def test_months(stamps, month):
    assert exif.month(*stamps) == month
