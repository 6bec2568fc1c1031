"""A transport with short timeouts, for tests, and all log output meanwhile."""

import pytest
from canary import CANARY, listening

from geods.imagery.http import api_key, transport

KEY = api_key.Secret(CANARY)
QUICK = transport.Limits(connect_s=1, read_s=0.3, answer_s=0.8, max_bytes=100_000)
BODY = bytes(range(256)) * 40


@pytest.fixture
def client():
    made = transport.Transport(QUICK)
    yield made
    made.close()


@pytest.fixture
def everything(capfd):
    """Collects all log records at DEBUG; returns all output so far."""
    with listening() as stream:
        yield lambda: stream.getvalue() + "".join(capfd.readouterr())


def get(client, server, **keywords) -> transport.Answer:
    return client.get(f"{server.url}/a", {"location": "1,2"}, secret_params={"key": KEY}, **keywords)
