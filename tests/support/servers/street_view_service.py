"""Simulated Street View servers for tests, asked by the real client or bare."""

import contextlib
import dataclasses
import http.client
import json
import time
import urllib.parse

from geods.imagery.http import api_key, transport
from geods.imagery.street_view import street_view_api, street_view_options
from geods.simulation.server import server_options, street_view_server

KEY, SIGNER = server_options.DEMO_KEY, "vNIXE0xscrmjlyV-12Nj_BvUPaw="
PATIENT = transport.Limits(max_bytes=1_000_000)
# For a server that is silent or slow on purpose: 0.2 s is less than a busy machine may take for any answer.
QUICK = dataclasses.replace(PATIENT, read_s=0.2, answer_s=0.4)
SMALL = {"width_px": 96, "height_px": 48}
IMAGE, METADATA = "/maps/api/streetview", "/maps/api/streetview/metadata"


@contextlib.contextmanager
def starting():
    """Yields a function that starts servers, which end with the block."""
    with contextlib.ExitStack() as opened:

        def serve(*planned, coverage=None, clock=time.time, **options):
            options = server_options.ServerOptions(**({"picture": "tiled"} | options))
            return opened.enter_context(street_view_server.serving(options, planned, coverage, clock))

        yield serve


@contextlib.contextmanager
def client_of(server, key=KEY, signer=None, limits=PATIENT, **options):
    asked = street_view_options.StreetViewOptions(api_base=server.url, **(SMALL | options))
    client = street_view_api.StreetView(asked, api_key.Secret(key), signer and api_key.Secret(signer), limits)
    with contextlib.closing(client):
        yield client


def ask(server, path, method="GET", body=None, length=None, **params):
    """Returns (status, headers, body) of a request.

    `length` is that of a body that is not sent.
    """
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
    """Waits for the server to notice an event that the client has seen."""
    deadline_s = time.monotonic() + 5
    while not happened():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


# In the middle of the mainland and in the middle of the Pacific.
_BOX = (40.0, -100.0, 40.3, -99.7)
OCEAN = (0.0, -140.0)


def panos(server: street_view_server.Server, count: int = 1, official: bool = True) -> list:
    """Returns outdoor panoramas that answer a request for their own position."""
    found = []
    for pano in server.service.coverage.within(_BOX):
        fits = pano.official == official and not pano.indoor
        if fits and server.service.coverage.nearest(pano.lat_deg, pano.lon_deg, 50, True) == pano:
            found.append(pano)
        if len(found) == count:
            break
    assert len(found) == count
    return found
