"""The simulated Street View: pictures, quotas, signatures, leaks and the ledger."""

import concurrent.futures
import contextlib
import dataclasses
import http.client
import io
import json

import canary
import numpy as np
import pytest
import street_view_service
from PIL import Image
from street_view_service import (
    IMAGE,
    KEY,
    METADATA,
    SIGNER,
    ask,
    at,
    client_of,
    metadata,
    place,
)

from geods import errors
from geods.geo import geometry
from geods.imagery import image_checks
from geods.simulation.server import access, faults, server_options, street_view_server, wire


@pytest.fixture(scope="module")
def shared():
    """A server for tests that change nothing; starts once."""
    with street_view_server.serving(server_options.ServerOptions(picture="tiled")) as server:
        yield server


@pytest.fixture
def start():
    """Starts servers."""
    with street_view_service.starting() as serve:
        yield serve


def test_a_view_is_the_same_for_the_same_request_and_another_for_others(start):
    server = start(picture="full")
    one, other = street_view_service.panos(server, 2)
    with client_of(server) as client:
        views = [client.look_up(pano.lat_deg, pano.lon_deg) for pano in (one, other)]
        contents = [client.fetch(view, heading) for view in views for heading in (0, 90, 0)]
    assert contents[0] == contents[2]
    assert len(set(contents)) == 4
    stats = server.stats()
    assert (stats["billable"], stats["unique_images"], stats["repeated_images"]) == (6, 4, 2)
    assert server.views()[f"{one.pano_id}|0|100|10|96x48"] == 2
    assert stats["requests"] == {"image": {"200": 6}, "metadata": {"200": 2}}


def test_tiles_have_bytes_of_their_own(shared):
    with client_of(shared) as client:
        views = [client.look_up(pano.lat_deg, pano.lon_deg) for pano in street_view_service.panos(shared, 12)]
        contents = [client.fetch(view, heading) for view in views for heading in (0, 90, 180)]
        assert len(set(contents)) == 36
        assert client.fetch(views[0], 0) == contents[0]
    assert len({np.asarray(Image.open(io.BytesIO(content))).tobytes() for content in contents}) <= 16
    assert Image.open(io.BytesIO(contents[1])).info["comment"] == f"{views[0].pano_id}|90|100|10|96x48".encode()


def test_a_camera_without_heading_looks_at_the_point(start):
    server = start()
    pano = street_view_service.panos(server)[0]
    lat_deg, lon_deg = geometry.destination((pano.lat_deg, pano.lon_deg), 200, 0.003).tolist()
    ask(server, IMAGE, location=at((lat_deg, lon_deg)), size="96x48", key=KEY)
    ask(server, IMAGE, pano=pano.pano_id, size="96x48", key=KEY, heading="-90")
    ask(server, IMAGE, pano=pano.pano_id, size="96x48", key=KEY)
    headings = [float(name.split("|")[1]) for name in server.views() if name.startswith(pano.pano_id)]
    assert headings == [pytest.approx(200, abs=0.5), 270, 0]


def test_a_radius_leaks_for_a_share_of_the_points(start):
    server = start(radius_leak=0.3)
    far = []
    for number in range(40):
        point = (40.0, -100.0 + number / 100)
        record = metadata(server, location=at(point), radius=25)
        assert record == metadata(server, location=at(point), radius=25)
        if record["status"] == "OK":
            found = (record["location"]["lat"], record["location"]["lng"])
            distance_km = float(geometry.haversine_km(point, found))
            assert distance_km <= 0.025 or distance_km > 150
            if distance_km > 1:
                far.append(record)
                assert "Google" not in record["copyright"]
                assert metadata(server, pano=record["pano_id"]) == record
    assert 4 <= len(far) <= 22


def test_photographs_of_users_pass_outdoor(shared):
    pano = street_view_service.panos(shared, official=False)[0]
    record = metadata(shared, location=place(pano), source="outdoor")
    assert record["pano_id"] == pano.pano_id
    with client_of(shared) as client:
        assert client.look_up(pano.lat_deg, pano.lon_deg).reason == "not_official"


class Clock:
    def __init__(self):
        self.now_s = 1_700_000_000.0

    def __call__(self):
        return self.now_s


def test_a_rate_refills_by_the_clock(start):
    clock = Clock()
    server = start(queries_per_minute=6, clock=clock)
    asked = {"key": KEY, "pano": street_view_service.panos(server)[0].pano_id}
    assert [ask(server, IMAGE, size="9x9", **asked)[0] for _ in range(7)] == [200] * 6 + [429]
    status, headers, body = ask(server, IMAGE, size="9x9", **asked)
    assert (status, headers["Retry-After"], body.decode().strip()) == (429, "11", access.OVER_RATE)
    # Metadata have a bucket of their own, and no key takes from another's.
    verdicts = [metadata(server, **asked)["status"] for _ in range(7)]
    assert verdicts == ["OK"] * 6 + ["OVER_QUERY_LIMIT"]
    clock.now_s += 20.5
    assert [ask(server, IMAGE, size="9x9", **asked)[0] for _ in range(3)] == [200, 200, 429]
    assert server.stats()["billable"] == 8
    server.reset()
    assert ask(server, IMAGE, size="9x9", **asked)[0] == 200
    assert server.stats()["billable"] == 1


def test_the_unsigned_images_of_a_day_run_out_until_midnight(start):
    clock = Clock()
    server = start(daily_unsigned_images=2, signed_keys=(f"signer:{SIGNER}",), clock=clock)
    pano = street_view_service.panos(server)[0]
    with client_of(server) as client:
        found = client.look_up(pano.lat_deg, pano.lon_deg)
        client.fetch(found, 0)
        client.fetch(found, 90)
        with pytest.raises(errors.SourceStop, match="daily request quota") as caught:
            client.fetch(found, 180)
        assert caught.value.reason == "quota"
        with pytest.raises(errors.SourceRetry, match="OVER_QUERY_LIMIT"):
            client.look_up(pano.lat_deg, pano.lon_deg)
        # Without return_error_code it is a picture with status 200.
        status, headers, body = ask(server, IMAGE, pano=pano.pano_id, size="600x300", key=KEY)
        assert (status, headers["Content-Type"]) == (200, "image/jpeg")
        with pytest.raises(errors.ImageRefused, match="of one colour"):
            image_checks.check_street_view_image(body, 300, 600)
        assert server.stats()["billable"] == 2
        with client_of(server, "signer", SIGNER) as signing_client:
            assert signing_client.fetch(found, 180)
        # 1,700,000,000 is 14:13 in California.
        clock.now_s += 9 * 3600
        with pytest.raises(errors.SourceStop, match="quota"):
            client.fetch(found, 180)
        clock.now_s += 3600
        assert client.fetch(found, 180)


def test_a_key_that_must_sign(start):
    server = start(keys=(), signed_keys=(f"signer:{SIGNER}",))
    pano = street_view_service.panos(server)[0]
    with client_of(server, "signer", SIGNER) as client:
        found = client.look_up(pano.lat_deg, pano.lon_deg)
        assert client.fetch(found, 0)
    for signer in (None, "a2V5"):
        with client_of(server, "signer", signer) as client:
            with pytest.raises(errors.SourceStop, match="signature") as caught:
                client.fetch(found, 0)
            assert caught.value.reason == "denied"
            with pytest.raises(errors.SourceStop, match="signature"):
                client.look_up(pano.lat_deg, pano.lon_deg)
    assert server.stats()["billable"] == 1


def test_a_key_without_a_secret_cannot_sign(shared):
    with client_of(shared, signer=SIGNER) as client, pytest.raises(errors.SourceStop, match="signature"):
        client.look_up(40, -100)


def test_no_output_shows_a_key(start):
    server = start(keys=(canary.CANARY,))
    pano = street_view_service.panos(server)[0]
    with client_of(server, canary.CANARY) as client:
        client.fetch(client.look_up(pano.lat_deg, pano.lon_deg), 0)
    with client_of(server, canary.CANARY + "x") as client, pytest.raises(errors.SourceStop):
        client.look_up(pano.lat_deg, pano.lon_deg)
    metadata(server, key="")
    assert server.stats()["requests_by_key"] == {"key 1": 2, "unknown": 1, "none": 1}
    canary.assert_clean(f"{server.stats()} {server.views()} {ask(server, '/__fake__/stats')}")


def test_misspelt_parameters_are_counted(start):
    server = start()
    metadata(server, location="40,-100", heading_=3, raduis=4)
    metadata(server, location="40,-100", heading_=3)
    assert server.stats()["unknown_parameters"] == {"heading_": 2, "raduis": 1}


def test_requests_at_once_and_in_a_second_are_measured(start):
    server = start(faults.Fault("slow", bytes_per_s=1000))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: metadata(server, location=f"40,-{100 + number / 10}"), range(8)))
    stats = server.stats()
    assert 4 <= stats["max_concurrent"] <= 8
    assert stats["peak_per_s"] == {"image": 0, "metadata": 8}
    assert stats["requests"]["metadata"] == {"200": 8}


def test_helpers(start):
    server = start()
    assert ask(server, "/healthz")[2] == b"ok\n"
    assert ask(server, "/nothing")[0] == 404
    pano = street_view_service.panos(server)[0]
    truth = json.loads(ask(server, f"/__fake__/pano/{pano.pano_id}")[2])
    assert (truth["pano_id"], truth["official"], truth["indoor"]) == (pano.pano_id, True, False)
    assert ask(server, "/__fake__/pano/nothing")[0] == 404
    assert ask(server, "/__fake__/redirected")[0] == 404
    assert server.stats()["redirects_followed"] == 1
    box = (pano.lon_deg - 0.001, pano.lat_deg - 0.001, pano.lon_deg + 0.001, pano.lat_deg + 0.001)
    features = json.loads(ask(server, "/__fake__/coverage", bbox=at(box))[2])["features"]
    assert pano.pano_id in [feature["properties"]["pano_id"] for feature in features]
    assert [pano.lon_deg, pano.lat_deg] in [feature["geometry"]["coordinates"] for feature in features]
    assert ask(server, "/__fake__/coverage", bbox="1,2,3")[0] == 400
    assert ask(server, "/__fake__/coverage", bbox="-100,30,-90,40")[0] == 400
    assert json.loads(ask(server, "/__fake__/stats")[2])["redirects_followed"] == 1
    assert ask(server, "/__fake__/reset", "POST")[0] == 200
    assert server.stats()["redirects_followed"] == 0


def test_faults_can_be_posted(start):
    server = start()
    assert ask(server, "/__fake__/faults", "POST", b'[{"kind": "http_500"}]')[0] == 200
    assert ask(server, METADATA, key=KEY, location="40,-100")[0] == 500
    for body, words in ((b"[{", "Expecting"), (b'{"kind": "no"}', "unknown"), (b"", "no list")):
        status, _, text = ask(server, "/__fake__/faults", "POST", body)
        assert (status, words in text.decode()) == (400, True)
    assert ask(server, "/__fake__/nothing", "POST")[0] == 404
    assert ask(server, "/__fake__/faults", "POST", length=1 << 21)[0] == 413
    ask(server, "/__fake__/faults", "POST", b"[]")
    assert ask(server, METADATA, key=KEY, location="40,-100")[0] == 200


def test_a_port_in_use_is_named(shared):
    options = server_options.ServerOptions()
    with (
        pytest.raises(errors.OptionError, match=f"--port={shared.server_port}: cannot be used"),
        street_view_server.serving(options, port=shared.server_port),
    ):
        pass


def test_a_server_ends_with_clients_that_wait():
    with street_view_server.serving(planned=[faults.Fault("timeout")]) as server:
        idle = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
        idle.request("GET", "/healthz")
        idle.getresponse().read()
        held = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
        held.request("GET", f"{METADATA}?location=40,-100&key={KEY}")
    assert idle.sock.recv(1) == b""
    with contextlib.closing(held), pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        held.getresponse()
    idle.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"keys": ()}, "--keys: holds no key"),
        ({"signed_keys": ("a",)}, "is not KEY:SECRET"),
        ({"signed_keys": ("a:b c",)}, "secret is not URL-safe base64"),
        ({"radius_leak": 2}, "--radius_leak=2: is not from 0 to 1"),
        ({"difficulty": -1}, "--difficulty=-1: is not from 0 to 1"),
        ({"density": -1}, "--density=-1: is below 0"),
        ({"queries_per_minute": -1}, "--queries_per_minute=-1: is below 0"),
    ],
)
def test_options_are_checked(options, words):
    with pytest.raises(errors.OptionError, match=words):
        server_options.ServerOptions(**options)


def test_one_answer_is_one_write():
    reply = wire.image_reply(b"1234")
    text = wire.head_of(reply).decode()
    assert text.startswith("HTTP/1.1 200 OK\r\n")
    assert text.endswith("Content-Length: 4\r\n\r\n")
    assert "Connection: close" not in text
    for delivery in ("half_unannounced", "endless"):
        text = wire.head_of(dataclasses.replace(reply, delivery=delivery)).decode()
        assert "Content-Length" not in text
        assert "Connection: close" in text
