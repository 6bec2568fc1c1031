"""The meaning of Mapillary's responses, one by one."""

import json
import math

import mapillary_server
import numpy as np
import pytest

from geods import errors
from geods.imagery import source
from geods.imagery.http import transport
from geods.imagery.mapillary import responses


def record(**changes):
    base = {"id": "7", "geometry": mapillary_server.point(40, -100), "compass_angle": 10.4}
    return {name: value for name, value in (base | changes).items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"geometry": None}, "no_position"),
        ({"geometry": {"coordinates": ["a", "b"]}}, "no_position"),
        ({"geometry": mapillary_server.point(0, 0)}, "no_position"),
        ({"geometry": mapillary_server.point(-100, 40)}, "no_position"),
        ({"id": "../me"}, "no_position"),
        ({"id": None}, "no_position"),
        ({"compass_angle": None}, "no_heading"),
        ({"compass_angle": "north"}, "no_heading"),
        ({"compass_angle": float("nan")}, "no_heading"),
        ({"is_pano": False}, "zero_results"),
        ({"camera_type": "fisheye"}, "zero_results"),
    ],
)
def test_records_that_cannot_be_used(changes, reason):
    assert responses.panorama(record(**changes), "panorama", "m", "l").reason == reason


def test_optional_fields_are_optional():
    bare = responses.panorama(record(), "flat", "mapillary", "CC")
    assert bare == source.Panorama("7", 40.0, -100.0, None, "© Mapillary", "mapillary", "CC", None, 10)
    full = record(
        computed_geometry=mapillary_server.point(41, -101),
        computed_compass_angle=-0.2,
        captured_at=1_434_326_400_000,
        sequence="Ab-_9",
        creator={"username": "jane\x1b[31m"},
    )
    told = responses.panorama(full, "flat", "mapillary", "CC")
    assert (told.lat_deg, told.lon_deg, told.heading_deg, told.date) == (41.0, -101.0, 0, "2015-06")
    assert (told.sequence, told.copyright) == ("Ab-_9", "© jane?[31m, Mapillary")
    panorama = responses.panorama(full | {"is_pano": True}, "panorama", "mapillary", "CC")
    assert panorama.heading_deg is None


@pytest.mark.parametrize(
    ("captured_at", "wanted"),
    [
        (0, None), (-1, None), ("2015", None), (None, None), (True, None), (1e18, None), (float("inf"), None),
        (1_435_708_799_999, "2015-06"), (1_435_708_800_000, "2015-07"),
    ],
)  # fmt: skip
def test_months_of_times(captured_at, wanted):
    assert responses.month(captured_at) == wanted


@pytest.mark.parametrize("error", ["text", None, [], {}, {"code": [1]}, {"code": "190", "message": 3}])
def test_errors_of_an_unknown_shape(error):
    answer = transport.Answer(200, json.dumps({"error": error}).encode())
    with pytest.raises(errors.SourceRetry):
        responses.parse(answer, "search")


@pytest.mark.parametrize(("status", "code"), [(400, 190), (500, 190), (401, 190), (200, 190), (403, 10), (403, None)])
def test_a_refused_token_is_known_by_its_code(status, code):
    answer = transport.Answer(status, json.dumps({"error": {"message": "no", "code": code}}).encode())
    with pytest.raises(errors.SourceStop, match="no ") as caught:
        responses.parse(answer, "search")
    assert caught.value.reason == "denied"


def test_other_refusals():
    with pytest.raises(errors.SourceStop, match="HTTP status 403: Forbidden"):
        responses.parse(transport.Answer(403, b"Forbidden", "text/plain"), "search")
    large = json.dumps({"error": {"message": "(#100) fields must be a list", "code": 100}}).encode()
    with pytest.raises(errors.SourceStop, match="fields must be a list") as caught:
        responses.parse(transport.Answer(400, large), "search")
    assert caught.value.reason == "request"


@pytest.mark.parametrize(
    ("rotation", "pitch_deg", "roll_deg"),
    [
        # From east, north, up to right, down, ahead: a quarter turn about the east axis is a level look to the north.
        ([math.pi / 2, 0.0, 0.0], 0.0, 0.0),
        ([math.radians(100), 0.0, 0.0], -10.0, 0.0),
        ([math.radians(80), 0.0, 0.0], 10.0, 0.0),
        (None, 0.0, 0.0),
        ([0.1, 0.2], 0.0, 0.0),
        (["a", 0, 0], 0.0, 0.0),
    ],
)
def test_tilt_of_a_rotation(rotation, pitch_deg, roll_deg):
    assert responses.tilt_deg({"computed_rotation": rotation}) == pytest.approx((pitch_deg, roll_deg), abs=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_tilt_of_a_rotation_is_that_of_its_axes(seed):
    heading, pitch, roll = np.radians(np.random.default_rng(seed).uniform((0, -60, -60), (360, 60, 60)))
    ahead = np.array([np.sin(heading) * np.cos(pitch), np.cos(heading) * np.cos(pitch), np.sin(pitch)])
    level = np.array([np.cos(heading), -np.sin(heading), 0])
    # Leant to its right, the right-hand axis points below the horizon.
    right = level * np.cos(roll) - np.cross(level, ahead) * np.sin(roll)
    axes = np.stack([right, np.cross(ahead, right), ahead])
    angle = np.arccos((np.trace(axes) - 1) / 2)
    skew = np.array([axes[2, 1] - axes[1, 2], axes[0, 2] - axes[2, 0], axes[1, 0] - axes[0, 1]])
    vector = (skew / (2 * np.sin(angle)) * angle).tolist()
    assert responses.tilt_deg({"computed_rotation": vector}) == pytest.approx(np.degrees([pitch, roll]), abs=1e-6)
