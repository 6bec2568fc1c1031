"""The Street View client on HTTP errors, non-images and a failing network."""

import drawn_views
import pytest
from canary import CANARY
from street_view_client import PANORAMA, POINT, fails, street

from geods import errors

__all__ = ["street"]
REJECTION = "The Google Maps Platform server rejected your request. "


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
