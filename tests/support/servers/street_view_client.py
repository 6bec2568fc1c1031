"""A client of a scripted Street View, its requests and its failures."""

import contextlib

import pytest
import scripted_server
from canary import CANARY, assert_clean, listening, whole_text

from geods import errors
from geods.imagery import source
from geods.imagery.http import api_key, transport
from geods.imagery.street_view import street_view_api, street_view_options

KEY = api_key.Secret(CANARY)
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


@pytest.fixture
def street():
    """Starts a server with a script and a client of it; logs may not hold the key."""
    with contextlib.ExitStack() as opened:
        stream = opened.enter_context(listening())

        def start(script, signer=None, **options):
            server = opened.enter_context(scripted_server.serving(script))
            asked = street_view_options.StreetViewOptions(api_base=server.url, **options)
            client = street_view_api.StreetView(asked, KEY, signer, QUICK)
            opened.callback(client.close)
            return client, server

        yield start
    assert_clean(stream.getvalue())


def fails(kind, call, words=None) -> errors.GeodsError:
    """Returns the error, after looking for the key in all it carries."""
    with pytest.raises(kind, match=words) as caught:
        call()
    assert_clean(whole_text(caught.value))
    return caught.value
