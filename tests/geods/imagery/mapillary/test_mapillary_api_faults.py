"""The Mapillary client on failures of the API and the image host, over HTTP."""

import mapillary_server
import pytest

from geods import errors


@pytest.mark.parametrize(
    ("fault", "error", "reason", "says"),
    [
        ("500", errors.SourceRetry, "server", "temporarily unavailable"),
        ("503", errors.SourceRetry, "server", "HTTP status 503"),
        ("429", errors.SourceRetry, "quota", "429"),
        ("fast", errors.SourceRetry, "quota", "code 4"),
        ("html", errors.SourceRetry, "network", "no vector tile"),
        ("error200", errors.SourceRetry, "server", "An unknown error"),
        ("nodata", errors.SourceRetry, "server", "no tile"),
        ("redirect", errors.SourceRetry, "network", "302"),
        ("truncated", errors.SourceRetry, "network", "broke off"),
        ("denied", errors.SourceStop, "denied", "Invalid OAuth .* Access Token"),
    ],
)
def test_searches_that_fail(fault, error, reason, says):
    with mapillary_server.serving(fault=lambda kind, number: fault) as service:
        client = mapillary_server.client_of(service)
        with pytest.raises(error, match=says) as caught:
            client.look_up(*mapillary_server.PLACES[0])
        assert getattr(caught.value, "cause", None) == reason or caught.value.reason == reason
        client.close()


@pytest.mark.parametrize(
    ("fault", "reason", "transient"),
    [
        ("expired", "gone", True),
        ("html", "not_jpeg", True),
        ("half", "truncated", True),
        ("black", "error_image", False),
        ("partial", "wrong_size", False),
    ],
)
def test_images_that_are_refused(fault, reason, transient):
    with mapillary_server.serving(fault=lambda kind, number: fault if kind == "image" and number == 1 else None) as it:
        client = mapillary_server.client_of(it)
        found = mapillary_server.found_with(client)
        with pytest.raises(errors.ImageRefused) as caught:
            client.fetch(found, 0)
        assert (caught.value.reason, caught.value.transient) == (reason, transient)
        if transient:
            # A new URL is asked for, so that an expired one is mended.
            assert client.fetch(found, 0).startswith(b"\xff\xd8")
            assert it.asked["entity"] == 2
        client.close()


@pytest.mark.parametrize("fault", ["500", "503", "429", "redirect", "truncated"])
def test_images_that_may_come_later(fault):
    with mapillary_server.serving(fault=lambda kind, number: fault if kind == "image" and number == 1 else None) as it:
        client = mapillary_server.client_of(it)
        found = mapillary_server.found_with(client)
        with pytest.raises(errors.SourceRetry):
            client.fetch(found, 0)
        client.fetch(found, 0)
        client.close()
