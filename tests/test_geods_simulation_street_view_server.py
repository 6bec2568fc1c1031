"""The simulated Street View: faults as the real client meets them, quotas, signatures, leaks and the ledger."""

import concurrent.futures
import contextlib
import dataclasses
import http.client
import io
import json
import time
import urllib.parse

import canary
import covered
import numpy as np
import pytest
from PIL import Image

from geods import errors, geometry
from geods.imagery import image_checks, secret, source, street_view, street_view_options, transport
from geods.simulation.service import access, faults, server_options, street_view_server, wire

KEY, SIGNER = server_options.DEMO_KEY, "vNIXE0xscrmjlyV-12Nj_BvUPaw="
QUICK = transport.Limits(connect_s=1, read_s=0.2, answer_s=0.4, max_bytes=1_000_000)
SMALL = {"width_px": 96, "height_px": 48}
IMAGE, METADATA = "/maps/api/streetview", "/maps/api/streetview/metadata"


@pytest.fixture(scope="module")
def shared():
    """A server for tests that change nothing; starts once."""
    with street_view_server.serving(server_options.ServerOptions(picture="tiled")) as server:
        yield server


@pytest.fixture
def start():
    """Starts servers."""
    with contextlib.ExitStack() as opened:

        def serve(*planned, coverage=None, clock=time.time, **options):
            options = server_options.ServerOptions(**({"picture": "tiled"} | options))
            return opened.enter_context(street_view_server.serving(options, planned, coverage, clock))

        yield serve


@contextlib.contextmanager
def client_of(server, key=KEY, signer=None, limits=QUICK, **options):
    asked = street_view_options.StreetViewOptions(api_base=server.url, **(SMALL | options))
    client = street_view.StreetView(asked, secret.Secret(key), signer and secret.Secret(signer), limits)
    with contextlib.closing(client):
        yield client


def ask(server, path, method="GET", body=None, length=None, **params):
    """Returns (status, headers, body) of one request; `length` is that of a body that is not sent."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)) as connection:
        headers = {} if length is None else {"Content-Length": str(length)}
        connection.request(method, f"{path}?{urllib.parse.urlencode(params)}" if params else path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def metadata(server, **params):
    """Returns the metadata of one request."""
    status, _, body = ask(server, METADATA, **({"key": KEY} | params))
    assert status == 200
    return json.loads(body)


def at(coords) -> str:
    return ",".join(map(str, coords))


def place(pano) -> str:
    return at((pano.lat_deg, pano.lon_deg))


def wait_until(happened) -> None:
    """Waits for the server to notice what the client already knows."""
    deadline_s = time.monotonic() + 5
    while not happened():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


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


def test_every_kind_is_driven_below():
    assert set(FETCH) == {kind for kind, (endpoints, _) in faults.KINDS.items() if "image" in endpoints}
    of_panoramas = {"moved_pano", "missing_date", "missing_location", "far_pano"}
    assert set(LOOK_UP) | of_panoramas == {kind for kind, (ends, _) in faults.KINDS.items() if "metadata" in ends}


@pytest.mark.parametrize("kind", FETCH)
def test_what_the_client_makes_of_a_faulty_image(start, kind):
    server = start(faults.Fault(kind, first_n_attempts=1, bytes_per_s=200, retry_after_s=7))
    pano = covered.panos(server)[0]
    found = source.Panorama(pano.pano_id, pano.lat_deg, pano.lon_deg)
    error_class, word = FETCH[kind]
    with client_of(server) as client:
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
    pano = covered.panos(server)[0]
    error_class, word = LOOK_UP[kind]
    with client_of(server) as client:
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
    pano = next(each for each in covered.panos(server, 3) if each.date)
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
        assert client.look_up(*covered.OCEAN) == source.Miss("zero_results")
    assert metadata(server, pano=pano.pano_id) == {"status": "ZERO_RESULTS"}
    expected = {"missing_date": 1, "missing_location": 1, "far_pano": 1, "moved_pano": 1}
    assert server.stats()["faults"] == expected


def outcome(call) -> str:
    """Says in a word what came of a request."""
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
        for pano in covered.panos(server, 60)
        for heading in (0, 90, 180)
    ]

    def run(threads, order):
        server.reset()
        limits = transport.Limits(max_bytes=1_000_000)
        with client_of(server, limits=limits) as client, concurrent.futures.ThreadPoolExecutor(threads) as pool:
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
        found = client.look_up(*map(float, place(covered.panos(server)[0]).split(",")))
        begun_s = time.monotonic()
        assert len(client.fetch(found, 0)) > 1000
    assert time.monotonic() - begun_s > 0.05
    wait_until(lambda: server.stats()["unique_images"] == 1)


def test_a_view_is_the_same_for_the_same_request_and_another_for_others(start):
    server = start(picture="full")
    one, other = covered.panos(server, 2)
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
        views = [client.look_up(pano.lat_deg, pano.lon_deg) for pano in covered.panos(shared, 12)]
        contents = [client.fetch(view, heading) for view in views for heading in (0, 90, 180)]
        assert len(set(contents)) == 36
        assert client.fetch(views[0], 0) == contents[0]
    assert len({np.asarray(Image.open(io.BytesIO(content))).tobytes() for content in contents}) <= 16
    assert Image.open(io.BytesIO(contents[1])).info["comment"] == f"{views[0].pano_id}|90|100|10|96x48".encode()


def test_a_camera_without_heading_looks_at_the_point(start):
    server = start()
    pano = covered.panos(server)[0]
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
    pano = covered.panos(shared, official=False)[0]
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
    asked = {"key": KEY, "pano": covered.panos(server)[0].pano_id}
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
    pano = covered.panos(server)[0]
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
    pano = covered.panos(server)[0]
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
    pano = covered.panos(server)[0]
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
    pano = covered.panos(server)[0]
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
    text = wire.head(reply).decode()
    assert text.startswith("HTTP/1.1 200 OK\r\n")
    assert text.endswith("Content-Length: 4\r\n\r\n")
    assert "Connection: close" not in text
    for delivery in ("half_unannounced", "endless"):
        text = wire.head(dataclasses.replace(reply, delivery=delivery)).decode()
        assert "Content-Length" not in text
        assert "Connection: close" in text
