"""The simulated Street View: every fault as the real client meets it."""

import concurrent.futures
import dataclasses
import time

import pytest
import street_view_service
from street_view_service import (
    client_of,
    metadata,
    place,
    wait_until,
)

from geods import errors
from geods.imagery import image_checks, source
from geods.imagery.http import transport
from geods.simulation import worlds
from geods.simulation.server import faults


@pytest.fixture(scope="module", autouse=True)
def _noise_tiles():
    """Makes the noise tiles, which the client is too impatient to wait for."""
    worlds.World().render(40.0, -95.0, 0.0)


@pytest.fixture
def start():
    """Starts servers."""
    with street_view_service.starting() as serve:
        yield serve


FETCH = {
    "http_500": (errors.SourceRetry, "server"),
    "http_503": (errors.SourceRetry, "server"),
    "http_429": (errors.SourceRetry, "quota"),
    "http_403_text": (errors.SourceStop, "denied"),
    "timeout": (errors.SourceRetry, "network"),
    "slow": (errors.SourceRetry, "network"),
    "reset": (errors.SourceRetry, "network"),
    "truncated": (errors.SourceRetry, "network"),
    "truncated_nolength": (errors.ImageRefused, "truncated"),
    "wrong_type": (errors.ImageRefused, "not_jpeg"),
    "empty": (errors.ImageRefused, "empty"),
    "huge": (errors.SourceRetry, "network"),
    "redirect": (errors.SourceRetry, "network"),
    "moved_pano": (errors.ImageRefused, "gone"),
    "corrupt_jpeg": (errors.ImageRefused, "damaged"),
    "grey": (errors.ImageRefused, "grey"),
    "error_image": (errors.ImageRefused, "error_image"),
}
LOOK_UP = {
    "http_500": (errors.SourceRetry, "server"),
    "http_503": (errors.SourceRetry, "server"),
    "http_429": (errors.SourceRetry, "quota"),
    "http_403_text": (errors.SourceStop, "denied"),
    "json_over_query_limit": (errors.SourceRetry, "quota"),
    "json_unknown_error": (errors.SourceRetry, "server"),
    "json_denied": (errors.SourceStop, "denied"),
    "timeout": (errors.SourceRetry, "network"),
    "slow": (errors.SourceRetry, "network"),
    "reset": (errors.SourceRetry, "network"),
    "truncated": (errors.SourceRetry, "network"),
    "truncated_nolength": (errors.SourceRetry, "network"),
    "wrong_type": (errors.SourceRetry, "network"),
    "empty": (errors.SourceRetry, "network"),
    "huge": (errors.SourceRetry, "network"),
    "redirect": (errors.SourceRetry, "network"),
}
UNBILLED = ("http_429", "http_403_text")


def limits_of(kind: str) -> transport.Limits:
    """Returns limits that a silent or slow server exceeds."""
    return street_view_service.QUICK if kind in ("timeout", "slow") else street_view_service.PATIENT


def test_every_kind_is_driven_below():
    assert set(FETCH) == {kind for kind, (endpoints, _) in faults.KINDS.items() if "image" in endpoints}
    of_panoramas = {"moved_pano", "missing_date", "missing_location", "far_pano"}
    assert set(LOOK_UP) | of_panoramas == {kind for kind, (ends, _) in faults.KINDS.items() if "metadata" in ends}


@pytest.mark.parametrize("kind", FETCH)
def test_what_the_client_makes_of_a_faulty_image(start, kind):
    server = start(faults.Fault(kind, first_n_attempts=1, bytes_per_s=200, retry_after_s=7))
    pano = street_view_service.panos(server)[0]
    found = source.Panorama(pano.pano_id, pano.lat_deg, pano.lon_deg)
    error_class, word = FETCH[kind]
    with client_of(server, limits=limits_of(kind)) as client:
        with pytest.raises(error_class) as caught:
            client.fetch(found, 90)
        assert getattr(caught.value, "cause" if error_class is errors.SourceRetry else "reason") == word
        if kind in ("http_503", "http_429"):
            assert caught.value.after_s == 7
        stats = server.stats()
        assert stats["faults"] == {kind: 1}
        assert stats["billable"] == stats["failed_images"] == (kind not in UNBILLED)
        # The second attempt brings the view.
        content = client.fetch(found, 90)
    stats = server.stats()
    assert image_checks.check_street_view_image(content, 48, 96) is None
    assert (stats["unique_images"], stats["repeated_images"]) == (1, 0)
    assert stats["billable"] == 1 + (kind not in UNBILLED)
    assert stats["redirects_followed"] == stats["server_errors"] == 0


@pytest.mark.parametrize("kind", LOOK_UP)
def test_what_the_client_makes_of_faulty_metadata(start, kind):
    server = start(faults.Fault(kind, first_n_attempts=1, bytes_per_s=100, retry_after_s=7, retry_after_date=True))
    pano = street_view_service.panos(server)[0]
    error_class, word = LOOK_UP[kind]
    with client_of(server, limits=limits_of(kind)) as client:
        with pytest.raises(error_class) as caught:
            client.look_up(pano.lat_deg, pano.lon_deg)
        assert getattr(caught.value, "cause" if error_class is errors.SourceRetry else "reason") == word
        if kind in ("http_503", "http_429"):
            assert 5 <= caught.value.after_s <= 8
        assert client.look_up(pano.lat_deg, pano.lon_deg).pano_id == pano.pano_id
    assert server.stats()["faults"] == {kind: 1}
    assert server.stats()["billable"] == 0
    assert server.stats()["redirects_followed"] == 0


def test_what_the_client_makes_of_faulty_records(start):
    server = start()
    pano = next(each for each in street_view_service.panos(server, 3) if each.date)
    with client_of(server) as client:
        found = client.look_up(pano.lat_deg, pano.lon_deg)
        assert found.date == pano.date
        server.plan([faults.Fault("missing_date")])
        assert client.look_up(pano.lat_deg, pano.lon_deg) == dataclasses.replace(found, date=None)
        server.plan([faults.Fault("missing_location")])
        assert client.look_up(pano.lat_deg, pano.lon_deg).reason == "no_position"
        server.plan([faults.Fault("far_pano")])
        missed = client.look_up(pano.lat_deg, pano.lon_deg)
        assert (missed.reason, missed.detail.split(" km")[0][:7]) == ("too_far", "3498.50")
        # Asked by position, nothing has moved.
        server.plan([faults.Fault("moved_pano")])
        assert client.look_up(pano.lat_deg, pano.lon_deg) == found
        assert client.look_up(*street_view_service.OCEAN) == source.Miss("zero_results")
    assert metadata(server, pano=pano.pano_id) == {"status": "ZERO_RESULTS"}
    expected = {"missing_date": 1, "missing_location": 1, "far_pano": 1, "moved_pano": 1}
    assert server.stats()["faults"] == expected


def outcome(call) -> str:
    """Returns the outcome of a request in a word."""
    try:
        call()
    except errors.SourceRetry as error:
        return f"retry {error.cause}"
    except errors.SourceStop as error:
        return f"stop {error.reason}"
    except errors.ImageRefused as error:
        return f"refused {error.reason}"
    return "good"


def test_threads_meet_the_faults_that_one_meets(start):
    kinds = [kind for kind in FETCH if kind not in ("timeout", "slow")]
    server = start(*(faults.Fault(kind, "image", rate=0.06, body_bytes=2_000_000) for kind in kinds))
    views = [
        (source.Panorama(pano.pano_id, pano.lat_deg, pano.lon_deg), heading)
        for pano in street_view_service.panos(server, 60)
        for heading in (0, 90, 180)
    ]

    def run(threads, order):
        server.reset()
        with client_of(server) as client, concurrent.futures.ThreadPoolExecutor(threads) as pool:
            found = pool.map(lambda view: [outcome(lambda: client.fetch(*view)) for _ in range(3)], order)
            return dict(zip(order, found, strict=True)), server.stats()

    alone, stats = run(1, views)
    assert run(16, views[::-1])[0] == alone
    words = [word for row in alone.values() for word in row]
    good = words.count("good")
    assert set(words) >= {"good", "stop denied", "retry network", "refused grey", "refused damaged"}
    # The books agree: what was paid for is what arrived and what is known to have failed.
    assert stats["unique_images"] + stats["repeated_images"] == good
    assert stats["billable"] == len(words) - words.count("stop denied") - words.count("retry quota")
    assert stats["failed_images"] == stats["billable"] - good
    assert sum(stats["faults"].values()) == len(words) - good
    assert stats["server_errors"] == stats["redirects_followed"] == 0


def test_a_slow_answer_arrives_if_one_waits(start):
    server = start(faults.Fault("slow", bytes_per_s=20_000))
    with client_of(server, limits=transport.Limits()) as client:
        found = client.look_up(*map(float, place(street_view_service.panos(server)[0]).split(",")))
        begun_s = time.monotonic()
        assert len(client.fetch(found, 0)) > 1000
    assert time.monotonic() - begun_s > 0.05
    wait_until(lambda: server.stats()["unique_images"] == 1)
