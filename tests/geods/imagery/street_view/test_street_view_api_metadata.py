"""Metadata of Street View, row by row of the documentation.

Taken, a miss, or an end of the scrape.
"""

import dataclasses
import json
import urllib.parse

import pytest
from canary import CANARY
from street_view_client import PANORAMA, POINT, RECORD, fails, street

from geods import errors
from geods.imagery import source

__all__ = ["street"]


def without(*names: str, **changes) -> dict:
    return {name: value for name, value in (RECORD | changes).items() if name not in names}


def look_up(street, content, status=200, **options) -> source.Panorama | source.Miss:
    client, _ = street(lambda at: at.reply_json(content, status), **options)
    return client.look_up(*POINT)


@pytest.mark.parametrize(
    ("record", "changed"),
    [
        (without("date"), {"date": None}),
        (without(date=None), {"date": None}),
        (without(date="2014"), {"date": None}),
        (without(date="2014-04-12"), {}),
        (without(copyright="© 2017 Google Inc."), {"copyright": "© 2017 Google Inc."}),
        (without(unheard_of=[1, {"a": None}]), {}),
        (without(location={"lat": 46, "lng": 10}), {"lat_deg": 46.0, "lon_deg": 10.0}),
    ],
)
def test_optional_fields_are_optional(street, record, changed):
    assert look_up(street, record, radius_m=100_000) == dataclasses.replace(PANORAMA, **changed)


@pytest.mark.parametrize(
    ("record", "reason", "detail"),
    [
        ({"status": "ZERO_RESULTS"}, "zero_results", ""),
        (without("location"), "no_position", "location None"),
        (without(location={}), "no_position", "location {}"),
        (without(location=[46.4, 10.0]), "no_position", "location [46.4, 10.0]"),
        (without(location={"lat": "46.4", "lng": "10"}), "no_position", "location {'lat': '46.4', 'lng': '10'}"),
        (without(location={"lat": 146.4, "lng": 10}), "no_position", "location {'lat': 146.4, 'lng': 10}"),
        (without(location={"lat": True, "lng": 10}), "no_position", "location {'lat': True, 'lng': 10}"),
        (without(location={"lat": float("nan"), "lng": 10}), "no_position", "location {'lat': nan, 'lng': 10}"),
        (without("pano_id"), "no_position", "pano_id None"),
        (without(pano_id=""), "no_position", "pano_id ''"),
        (without(pano_id=7), "no_position", "pano_id 7"),
        (without(pano_id="a\nb"), "no_position", r"pano_id 'a\nb'"),
        (without("copyright"), "not_official", ""),
        (without(copyright=7), "not_official", ""),
        (without(copyright="© Carlos Chavez"), "not_official", "© Carlos Chavez"),
        # ProjectSidewalk issue 5114: Seattle asked for, Syracuse named.
        (without(location={"lat": 43.05, "lng": -76.15}), "too_far", "6462.455 km from the point asked for"),
    ],
)
def test_what_is_not_taken_is_a_miss(street, record, reason, detail):
    assert look_up(street, record) == source.Miss(reason, detail)


def test_the_acceptance_options_reach_the_filter(street):
    assert look_up(street, RECORD, min_date="2014-05") == source.Miss("too_old", "2014-04")
    assert look_up(street, RECORD, max_date="2014-03") == source.Miss("too_new", "2014-04")
    assert look_up(street, without("date"), max_date="2014-03") == source.Miss("undated")
    assert look_up(street, without("date"), max_date="2014-03", allow_undated=True).date is None
    assert look_up(street, without(copyright="© A"), allow_user_photos=True).copyright == "© A"


@pytest.mark.parametrize(
    ("record", "kind", "reason", "words"),
    [
        (
            {"status": "REQUEST_DENIED", "error_message": f"The key {CANARY} is invalid."},
            errors.SourceStop,
            "denied",
            r"REQUEST_DENIED: The key \*\*\* is invalid.",
        ),
        ({"status": "REQUEST_DENIED"}, errors.SourceStop, "denied", "no further message"),
        ({"status": "OVER_DAILY_LIMIT", "error_message": "x"}, errors.SourceStop, "quota", "x .daily quota"),
        ({"status": "INVALID_REQUEST"}, errors.SourceStop, "request", "metadata: INVALID_REQUEST"),
        ({"status": "NOT_FOUND"}, errors.SourceStop, "request", "metadata: NOT_FOUND"),
        ({"status": "OVER_QUERY_LIMIT"}, errors.SourceRetry, "quota", "metadata: OVER_QUERY_LIMIT"),
        ({"status": "UNKNOWN_ERROR"}, errors.SourceRetry, "server", "metadata: UNKNOWN_ERROR"),
        ({"status": "NEVER_HEARD_OF"}, errors.SourceRetry, "server", "metadata: NEVER_HEARD_OF"),
        ({"status": ["OK"]}, errors.SourceRetry, "server", "metadata: "),
        ({}, errors.SourceRetry, "server", "metadata: None"),
    ],
)
def test_each_status_of_metadata(street, record, kind, reason, words):
    error = fails(kind, lambda: look_up(street, record), words)
    assert (error.reason if kind is errors.SourceStop else error.cause) == reason


def test_a_pause_that_comes_with_a_status_is_kept(street):
    client, _ = street(lambda at: at.reply_json({"status": "OVER_QUERY_LIMIT"}, Retry_After="9"))
    assert fails(errors.SourceRetry, lambda: client.look_up(*POINT)).after_s == 9


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>Log in</html>", b'{"status": "OK"', b"[1]", b"null", b"\xff\xfe\x00", b"[" * 200_000, b"7" * 9000],
    ids=len,
)
def test_metadata_that_is_no_json_object_may_be_asked_for_again(street, content):
    error = fails(errors.SourceRetry, lambda: look_up(street, content), "metadata: the answer is no JSON object")
    assert error.cause == "network"
    assert error.__cause__ is error.__context__ is None


def test_an_echo_of_the_url_is_redacted_before_it_is_cut(street):
    echo = urllib.parse.quote(CANARY, safe="")
    error = fails(errors.SourceRetry, lambda: look_up(street, b"x" * 60 + f"?a={echo}".encode()), "no JSON object")
    assert echo[:5] not in str(error)


def test_the_record_is_what_the_service_sends():
    assert json.loads(json.dumps(RECORD, indent=3, ensure_ascii=False)) == RECORD


def test_a_panorama_is_found_by_its_id(street):
    client, server = street(lambda at: at.reply_json(RECORD if "vPnUR" in at.path else {"status": "ZERO_RESULTS"}))
    assert client.find(PANORAMA.pano_id) == PANORAMA
    assert "location" not in server.requests[0]
    assert client.find("none").reason == "zero_results"
