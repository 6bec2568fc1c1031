"""The Street View client's requests to a scripted server, and its refusals."""

import dataclasses
import urllib.parse

import drawn_views
import pytest
from canary import CANARY, assert_clean
from street_view_client import KEY, PANORAMA, POINT, RECORD, street

from geods import errors
from geods.imagery.http import api_key, signing
from geods.imagery.street_view import street_view_api, street_view_options

__all__ = ["street"]
SIGNER = api_key.Secret("vNIXE0xscrmjlyV-12Nj_BvUPaw=")


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
    real = street_view_api.StreetView(street_view_options.StreetViewOptions(), KEY)
    assert (real.name, real.licence) == ("street_view", "Google Maps Platform Terms of Service")
    assert real.units_per_image == 1
    simulated = street_view_api.StreetView(street_view_options.StreetViewOptions(api_base="http://localhost:1"), KEY)
    assert (simulated.name, simulated.licence) == ("simulated_street_view", "Apache-2.0")
    assert_clean(repr(vars(real)) + repr(real))


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
        street_view_api.StreetView(street_view_options.StreetViewOptions(), KEY, api_key.Secret("not/base64"))


def test_points_and_headings_are_checked(street):
    client, server = street(lambda at: at.reply_json(RECORD))
    with pytest.raises(errors.CoordinateError, match="swapped"):
        client.look_up(-122.3, 47.6)
    with pytest.raises(errors.OptionError, match="heading nan is not a number of degrees"):
        client.fetch(PANORAMA, float("nan"))
    assert server.requests == []
    client.look_up(*POINT)
