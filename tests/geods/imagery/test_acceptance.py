"""Which panoramas are taken."""

import pytest

from geods import errors
from geods.geo import geometry
from geods.imagery import acceptance, source
from geods.imagery.street_view import street_view_api, street_view_options

HERE = (46.4, 10.0)


def options(**changes) -> street_view_options.StreetViewOptions:
    return street_view_options.StreetViewOptions(**changes)


def panorama(distance_km=0.0, date="2014-04", copyright_text="© Google") -> source.Panorama:
    lat_deg, lon_deg = geometry.destination(HERE, 75.0, distance_km).tolist()
    return source.Panorama("id", lat_deg, lon_deg, date, copyright_text)


def reason(found: source.Panorama, **changes) -> str | None:
    miss = street_view_api.refusal(HERE, found, options(**changes))
    return miss and miss.reason


@pytest.mark.parametrize(
    ("radius_m", "distance_km", "expected"),
    [
        (10_000, 9.9995, None),
        (10_000, 10.0009, None),
        (10_000, 10.0011, "too_far"),
        (25, 0.077, "too_far"),  # measured at the service
        (25, 3498.5, "too_far"),  # likewise
        (1, 0.0019, None),
        (1, 0.0021, "too_far"),
    ],
)
def test_the_radius_holds_with_a_metre_of_tolerance(radius_m, distance_km, expected):
    assert reason(panorama(distance_km), radius_m=radius_m) == expected


def test_a_miss_says_how_far():
    miss = street_view_api.refusal(HERE, panorama(3498.5), options(radius_m=25))
    assert miss == source.Miss("too_far", "3498.500 km from the point asked for")


@pytest.mark.parametrize(
    "text", ["© Google", "©Google", "© 2017 Google", "© 2016 Google Inc.", "© Google, Inc", "© Google LLC", "© Google "]
)
def test_official_copyright(text):
    assert reason(panorama(copyright_text=text)) is None


@pytest.mark.parametrize(
    "text",
    ["", "Google", "© Carlos Chavez", "© Googleplex", "© Jane Google", "© Google Maps user", "© 17 Google", "© google"],
)
def test_copyright_of_others_is_taken_only_if_allowed(text):
    assert street_view_api.refusal(HERE, panorama(copyright_text=text), options()) == source.Miss("not_official", text)
    assert reason(panorama(copyright_text=text), allow_user_photos=True) is None


@pytest.mark.parametrize(
    ("date", "changes", "expected"),
    [
        (None, {}, None),
        (None, {"min_date": "2012-01"}, "undated"),
        (None, {"max_date": "2012-01"}, "undated"),
        (None, {"min_date": "2012-01", "allow_undated": True}, None),
        ("2011-12", {"min_date": "2012-01"}, "too_old"),
        ("2012-01", {"min_date": "2012-01"}, None),
        ("2012-01", {"max_date": "2012-01"}, None),
        ("2012-02", {"max_date": "2012-01"}, "too_new"),
        ("2012-10", {"min_date": "2012-09", "max_date": "2012-11"}, None),
    ],
)
def test_months(date, changes, expected):
    assert reason(panorama(date=date), **changes) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2014-04", "2014-04"),
        ("2014-04-30", "2014-04"),
        ("2014", None),
        ("2014-13", None),
        ("", None),
        (None, None),
        (201404, None),
    ],
)
def test_a_date_is_a_month_or_nothing(text, expected):
    assert acceptance.month(text) == expected


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"radius_m": 0}, "--radius_m=0: must be above 0"),
        ({"min_date": "2012"}, "--min_date=2012: is not a month"),
        ({"max_date": "2012-1"}, "--max_date=2012-1: is not a month"),
        ({"min_date": "2013-01", "max_date": "2012-12"}, "--min_date=2013-01 is after --max_date=2012-12"),
    ],
)
def test_options_are_checked(changes, words):
    with pytest.raises(errors.OptionError, match=words):
        options(**changes)
