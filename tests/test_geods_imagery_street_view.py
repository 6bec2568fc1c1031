"""The Street View client, row by row of the service's documentation, against a scripted server on this machine."""

import contextlib
import dataclasses
import json
import urllib.parse

import drawn_views
import pytest
import scripted_server
from canary import CANARY, assert_clean, listening, whole_text

from geods import errors
from geods.imagery import secret, signing, source, street_view, street_view_options, transport

KEY = secret.Secret(CANARY)
SIGNER = secret.Secret("vNIXE0xscrmjlyV-12Nj_BvUPaw=")
QUICK = transport.Limits(connect_s=1, read_s=0.3, answer_s=0.8)
# The example of the service's OpenAPI description.
RECORD = {
    "copyright": "© Google",
    "date": "2014-04",
    "location": {"lat": 46.41434210086409, "lng": 10.01400595356193},
    "pano_id": "vPnURflnc8AZu5NMLYRddw",
    "status": "OK",
}
POINT = (46.4143, 10.0140)
PANORAMA = source.Panorama(
    "vPnURflnc8AZu5NMLYRddw",
    46.41434210086409,
    10.01400595356193,
    "2014-04",
    "© Google",
    "simulated_street_view",
    "Apache-2.0",
)
REJECTION = "The Google Maps Platform server rejected your request. "


def without(*names: str, **changes) -> dict:
    return {name: value for name, value in (RECORD | changes).items() if name not in names}


@pytest.fixture
def street():
    """Starts a server with a script and makes a client of it; no log line may hold the key."""
    with contextlib.ExitStack() as opened:
        stream = opened.enter_context(listening())

        def start(script, signer=None, **options):
            server = opened.enter_context(scripted_server.serving(script))
            asked = street_view_options.StreetViewOptions(api_base=server.url, **options)
            client = street_view.StreetView(asked, KEY, signer, QUICK)
            opened.callback(client.close)
            return client, server

        yield start
    assert_clean(stream.getvalue())


def look_up(street, content, status=200, **options) -> source.Panorama | source.Miss:
    client, _ = street(lambda at: at.reply_json(content, status), **options)
    return client.look_up(*POINT)


def fails(kind, call, words=None) -> errors.GeodsError:
    """Returns the error, after looking for the key in all it carries."""
    with pytest.raises(kind, match=words) as caught:
        call()
    assert_clean(whole_text(caught.value))
    return caught.value


def params_of(path: str) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(path).query, strict_parsing=True))


def test_look_up_sends_what_the_report_sent_and_reads_what_came(street):
    client, server = street(lambda at: at.reply_json(RECORD))
    assert client.look_up(*POINT) == PANORAMA
    assert urllib.parse.urlsplit(server.requests[0]).path == "/maps/api/streetview/metadata"
    sent = {"location": "46.4143000,10.0140000", "radius": "10000", "source": "outdoor", "key": CANARY}
    assert params_of(server.requests[0]) == sent


def test_indoor_places_and_another_radius_can_be_asked_for(street):
    client, server = street(lambda at: at.reply_json(RECORD), source_outdoor=False, radius_m=50)
    client.look_up(*POINT)
    assert params_of(server.requests[0]) == {"location": "46.4143000,10.0140000", "radius": "50", "key": CANARY}


def test_fetch_sends_what_the_report_sent_and_returns_the_bytes_as_they_came(street):
    client, server = street(lambda at: at.reply(200, drawn_views.view()))
    assert client.fetch(PANORAMA, 90) == drawn_views.view()
    assert urllib.parse.urlsplit(server.requests[0]).path == "/maps/api/streetview"
    assert params_of(server.requests[0]) == {
        "pano": "vPnURflnc8AZu5NMLYRddw",
        "size": "600x300",
        "heading": "90",
        "fov": "100",
        "pitch": "10",
        "return_error_code": "true",
        "key": CANARY,
    }


@pytest.mark.parametrize(
    ("heading", "sent"), [(0, "0"), (360, "0"), (-90, "270"), (450.5, "90.5"), (359.99999999999, "360"), (-0.0, "0")]
)
def test_a_heading_is_always_sent(street, heading, sent):
    client, server = street(lambda at: at.reply(200, drawn_views.view()))
    client.fetch(PANORAMA, heading)
    assert params_of(server.requests[0])["heading"] == sent


def test_other_sizes_and_angles_are_sent(street):
    asked = {"width_px": 400, "height_px": 200, "fov_deg": 82.5, "pitch_deg": -5.0}
    client, server = street(lambda at: at.reply(200, drawn_views.view(height_px=200, width_px=400)), **asked)
    client.fetch(PANORAMA, 180)
    sent = params_of(server.requests[0])
    assert (sent["size"], sent["fov"], sent["pitch"]) == ("400x200", "82.5", "-5")


def test_requests_are_signed_as_they_are_sent(street):
    client, server = street(lambda at: at.reply_json(RECORD), SIGNER)
    client.look_up(*POINT)
    server.script = lambda at: at.reply(200, drawn_views.view())
    client.fetch(dataclasses.replace(PANORAMA, pano_id="CI_-~ä/&=+%2C"), 0)
    for path in server.requests:
        signed, _, signature = path.rpartition("&signature=")
        assert signature == signing.sign(signed, SIGNER)
    assert params_of(server.requests[1])["pano"] == "CI_-~ä/&=+%2C"


def test_the_place_of_the_server_decides_name_and_terms():
    real = street_view.StreetView(street_view_options.StreetViewOptions(), KEY)
    assert (real.name, real.licence) == ("street_view", "Google Maps Platform Terms of Service")
    assert real.units_per_image == 1
    simulated = street_view.StreetView(street_view_options.StreetViewOptions(api_base="http://localhost:1"), KEY)
    assert (simulated.name, simulated.licence) == ("simulated_street_view", "Apache-2.0")
    assert_clean(repr(vars(real)) + repr(real))


# Metadata: what is there, and what is not.


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


# Both endpoints: HTTP statuses.

STATUSES = [
    (400, b"bad", errors.SourceStop, "request"),
    (401, b"", errors.SourceStop, "denied"),
    (403, f"{REJECTION}The provided API key is invalid.".encode(), errors.SourceStop, "denied"),
    (403, f"{REJECTION}You must enable Billing on the project.".encode(), errors.SourceStop, "denied"),
    (403, f"{REJECTION}You have exceeded your daily request quota.".encode(), errors.SourceStop, "quota"),
    (405, b"", errors.SourceStop, "request"),
    (408, b"", errors.SourceRetry, "server"),
    (429, b"", errors.SourceRetry, "quota"),
    (500, b"", errors.SourceRetry, "server"),
    (503, b"<html>", errors.SourceRetry, "server"),
    (204, b"", errors.SourceRetry, "network"),
    (302, b"", errors.SourceRetry, "network"),
    (304, b"", errors.SourceRetry, "network"),
]


@pytest.mark.parametrize(("status", "body", "kind", "reason"), STATUSES)
@pytest.mark.parametrize("endpoint", ["metadata", "image"])
def test_each_http_status(street, status, body, kind, reason, endpoint):
    client, server = street(lambda at: at.reply(status, body, "text/plain", Location=f"http://localhost/?key={CANARY}"))
    call = {"metadata": lambda: client.look_up(*POINT), "image": lambda: client.fetch(PANORAMA, 0)}[endpoint]
    error = fails(kind, call, f"HTTP status {status}")
    assert (error.reason if kind is errors.SourceStop else error.cause) == reason
    assert len(server.requests) == 1
    if kind is errors.SourceStop:
        assert error.next_step


def test_404_is_a_fault_of_the_url_for_metadata_and_a_panorama_that_is_gone_for_an_image(street):
    client, _ = street(lambda at: at.reply(404, b"not here", "text/html"))
    assert fails(errors.SourceStop, lambda: client.look_up(*POINT), "404: not here").reason == "request"
    error = fails(errors.ImageRefused, lambda: client.fetch(PANORAMA, 0), "the service has no image of it")
    assert (error.reason, error.transient) == ("gone", False)


@pytest.mark.parametrize(("header", "seconds"), [("7", 7), ("Wed, 21 Oct 2015 07:28:00 GMT", 0), ("soon", None)])
@pytest.mark.parametrize("status", [429, 503])
def test_the_pause_a_server_asks_for_is_passed_on(street, status, header, seconds):
    client, _ = street(lambda at: at.reply(status, b"", Retry_After=header))
    assert fails(errors.SourceRetry, lambda: client.fetch(PANORAMA, 0)).after_s == seconds


def test_a_text_of_the_server_is_shown_short_and_without_control_characters(street):
    text = f"{REJECTION}\x1b[31m key={CANARY}&more " + "long " * 200
    client, _ = street(lambda at: at.reply(403, text.encode(), "text/plain"))
    error = fails(errors.SourceStop, lambda: client.fetch(PANORAMA, 0), r"key=\*\*\*&more")
    assert "\x1b" not in error.problem
    assert len(error.problem) < 400


# Images with status 200 that are none.


@pytest.mark.parametrize(
    ("body", "kind", "reason", "transient"),
    [
        (b"", "image/jpeg", "empty", True),
        (b"<html>Log in</html>", "text/html", "not_jpeg", True),
        (b"Something failed.", "text/plain", "not_jpeg", True),
        (drawn_views.view()[:9000], "image/jpeg", "truncated", True),
        (drawn_views.written(drawn_views.NO_IMAGERY), "image/jpeg", "grey", False),
        (drawn_views.written(drawn_views.MESSAGE, (255, 255, 255)), "image/jpeg", "error_image", True),
        (drawn_views.view(height_px=200, width_px=400), "image/jpeg", "wrong_size", False),
        (b"\xff\xd8\xff" + bytes(2000), "image/jpeg", "damaged", True),
    ],
)
def test_what_is_no_view_is_refused(street, body, kind, reason, transient):
    # Without a length, as only then a cut body arrives as if it were whole.
    client, _ = street(lambda at: at.reply(200, body, kind, length=""))
    error = fails(errors.ImageRefused, lambda: client.fetch(PANORAMA, 0))
    assert (error.reason, error.transient) == (reason, transient)


@pytest.mark.parametrize(("text", "reason"), [("The key is invalid.", "denied"), ("Over your quota.", "quota")])
def test_a_rejection_as_text_with_status_200_stops(street, text, reason):
    client, _ = street(lambda at: at.reply(200, (REJECTION + text).encode(), "text/plain; charset=UTF-8"))
    assert fails(errors.SourceStop, lambda: client.fetch(PANORAMA, 0), text).reason == reason


# What happens on the way.


def cut(at):
    at.reply(200, drawn_views.view()[:9000], length=len(drawn_views.view()))


def huge(at):
    at.reply(200, drawn_views.view() + bytes(50_000_000), length="")


@pytest.mark.parametrize(
    "script",
    [
        cut,
        huge,
        lambda at: at.reset(),
        lambda at: at.server.stopped.wait(5),
        lambda at: at.drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + bytes(1000)),
    ],
    ids=["cut", "huge", "reset", "timeout", "slow"],
)
@pytest.mark.parametrize("endpoint", ["metadata", "image"])
def test_faults_of_the_network_may_be_asked_for_again(street, script, endpoint):
    client, server = street(script)
    call = {"metadata": lambda: client.look_up(*POINT), "image": lambda: client.fetch(PANORAMA, 0)}[endpoint]
    assert fails(errors.SourceRetry, call).cause == "network"
    assert len(server.requests) == 1


# What the caller gives.


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"width_px": 641}, "--width_px=641: is not from 1 to 640"),
        ({"height_px": 0}, "--height_px=0: is not from 1 to 640"),
        ({"fov_deg": 121}, "--fov_deg=121: is not from 1 to 120"),
        ({"pitch_deg": float("nan")}, "--pitch_deg=nan: is not from -90 to 90"),
        ({"radius_m": -1}, "--radius_m=-1: must be above 0"),
        ({"api_base": "http://maps.googleapis.com"}, "--api_base http://maps.googleapis.com: must begin with https"),
        ({"api_base": f"https://a.example/?key={CANARY}"}, r"has more than a host"),
        ({"api_base": "https://a.example/maps"}, r"--api_base=https://a.example/maps: has more than a host"),
    ],
)
def test_options_are_checked(changes, words):
    with pytest.raises(errors.OptionError, match=words) as caught:
        street_view_options.StreetViewOptions(**changes)
    assert caught.value.next_step
    assert_clean(str(caught.value))


def test_a_signing_secret_is_checked_before_anything_is_sent():
    with pytest.raises(errors.OptionError, match="signing secret is not URL-safe base64"):
        street_view.StreetView(street_view_options.StreetViewOptions(), KEY, secret.Secret("not/base64"))


def test_points_and_headings_are_checked(street):
    client, server = street(lambda at: at.reply_json(RECORD))
    with pytest.raises(errors.CoordinateError, match="swapped"):
        client.look_up(-122.3, 47.6)
    with pytest.raises(errors.OptionError, match="heading nan is not a number of degrees"):
        client.fetch(PANORAMA, float("nan"))
    assert server.requests == []
    client.look_up(*POINT)


def test_the_record_of_this_file_is_what_the_service_sends():
    assert json.loads(json.dumps(RECORD, indent=3, ensure_ascii=False)) == RECORD
