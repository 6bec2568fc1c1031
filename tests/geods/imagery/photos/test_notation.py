"""Positions, headings and dates in the notations of programs and people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geods.imagery.photos import notation

SOUTH = -36.804038889


@pytest.mark.parametrize(
    ("text", "reference", "expected"),
    [
        ("36 deg 48' 14.54\" S", None, SOUTH),
        ("36 deg 48' 14.54\"", "South", SOUTH),
        ("36°48'14.54\"S", None, SOUTH),
        ("36\u00b0 48\u2032 14.54\u2033 S", "S", SOUTH),
        ("S 36:48:14.54", None, SOUTH),
        ("-36 48 14.54", None, SOUTH),
        ("36d48m14.54s S", None, SOUTH),
        ("36 48 14.54 s", None, SOUTH),
        ("36,48.2423S", None, -36.804038333),
        ("36,48,14N", None, 36.803888889),
        ("s36 48.2423'", None, -36.804038333),
        ("-36.5", None, -36.5),
        ("\N{MINUS SIGN}36.5", None, -36.5),
        ("+36.5", None, 36.5),
        ("36,5", None, 36.5),
        ("36.5°", "S", -36.5),
        ("36.5", "s", -36.5),
        ("36.5 N", None, 36.5),
        ("3.65e1", None, 36.5),
        ("-0° 10' 48\"", None, -0.18),
        ("0 10 48 S", None, -0.18),
        ("41 30 0 N", None, 41.5),
        ("0", "S", 0.0),
        ("-0.0", "S", 0.0),
        ("0.0", "", 0.0),
        ("-36.5", "", -36.5),
    ],
)
def test_angles(text, reference, expected):
    assert notation.angle_deg(text, "NS", reference) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("-36.5", "S"),
        ("-36.5", "N"),
        ("-36.5 S", None),
        ("36.5 S", "N"),
        ("36.5 W", None),
        ("N 36.5 N", None),
        ("36.5", ""),
        ("36.5", "up"),
        ("36 60 0", None),
        ("36.5 20", None),
        ("x", None),
        ("", None),
        ("36 48 14 12", None),
        ("41.5, -97.25", None),
    ],
)
def test_angles_without_one_meaning_are_refused(text, reference):
    with pytest.raises(ValueError, match=r"'"):
        notation.angle_deg(text, "NS", reference)


@given(st.floats(-180, 180))
def test_any_number_reads_back(value):
    assert notation.angle_deg(repr(value), "EW") == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None), ("nan", None), ("None", None), ("undef", None), ("0/0", None),
        ("0", 0), ("-90", 270), ("360", 0), ("12.5", 12.5), ("12,5", 12.5), ("90 deg", 90), ("90°", 90),
        ("271.5 T", 271.5), ("90 True", 90), ("2715/10", 271.5), ("NW", 315), ("n", 0),
    ],
)  # fmt: skip
def test_headings(text, expected):
    assert notation.heading_deg(text) == expected


@pytest.mark.parametrize("text", ["400", "north-ish", "-181", "inf", "9 0"])
def test_headings_without_a_meaning_are_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - the text alone
        notation.heading_deg(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None), ("0000:00:00 00:00:00", None), ("null", None),
        ("2012-05", "2012-05"), ("2012:05:31 10:00:00", "2012-05"), ("2012.5.3", "2012-05"),
        ("20120531T101500Z", "2012-05"), ("20120531", "2012-05"), ("1338458400000", "2012-05"),
        ("31/05/2012", "2012-05"), ("5/31/2012 10:00", "2012-05"), ("5/5/2012", "2012-05"), ("31.05.2012", "2012-05"),
        ("31 May 2012", "2012-05"), ("May 31, 2012, 10:00:00 AM UTC", "2012-05"), ("Thu, 31 May 2012 10:00", "2012-05"),
        ("2012_05_31_10_00_00_000", "2012-05"),
    ],
)  # fmt: skip
def test_months(text, expected):
    assert notation.month(text) == expected


@pytest.mark.parametrize("text", ["5/6/2012", "2012-13", "13/13/2012", "spring", "2012"])
def test_dates_without_one_meaning_are_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011
        notation.month(text)
