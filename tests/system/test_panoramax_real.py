"""Recorded answers and client against a real Panoramax, where one is installed."""

import json
import pathlib

import geovisio_server
import panoramax_recorder
import panoramax_server
import panoramax_town
import pytest

from geods.imagery import source

pytestmark = pytest.mark.skipif(bool(geovisio_server.missing()), reason=geovisio_server.missing())


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    with geovisio_server.serving(tmp_path_factory.mktemp("geovisio")) as base:
        panoramax_recorder.main(base, str(tmp_path_factory.mktemp("recorded") / "items.json"))
        yield base


@pytest.fixture(scope="module")
def recorded():
    with panoramax_server.serving() as running:
        yield running


def without_ids(items):
    """Items by name, without the ids each server makes up."""
    made_up = ("id", "collection", "assets")
    told = {"geovisio:image", "geovisio:thumbnail", "original_file:size"}
    found = {}
    for item in items:
        properties = {name: value for name, value in item["properties"].items() if name not in told}
        rest = {name: value for name, value in item.items() if name not in made_up}
        found[properties["original_file:name"]] = rest | {"properties": properties}
    return found


def test_the_recording_is_as_the_server_answers(real):
    path = pathlib.Path(panoramax_server.__file__).with_name("panoramax_items.json")
    now = [panoramax_recorder.reduced(item, real) for item in panoramax_recorder.search(f"{real}/api")]
    assert without_ids(now) == without_ids(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("kind", ["panorama", "flat"])
def test_look_ups_and_views_are_those_of_the_recording(real, recorded, kind):
    recorded_client = panoramax_server.client_of(recorded, panoramax_kind=kind)
    real_client = panoramax_server.client_of(recorded, api_base=real, panoramax_kind=kind)
    for shot in panoramax_town.town(panoramax_recorder.SEQUENCES, panoramax_recorder.SPHERES)[::4]:
        told = [client.look_up(shot.lat_deg + 2e-5, shot.lon_deg) for client in (recorded_client, real_client)]
        names = [found.original_name if isinstance(found, source.Panorama) else found.reason for found in told]
        assert names[0] == names[1]
        if isinstance(told[1], source.Panorama):
            assert real_client.fetch(told[1], told[1].heading_deg or 0).startswith(b"\xff\xd8")
