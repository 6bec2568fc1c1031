"""Clients of others against the simulated services, where they are installed.

python -m venv clients && clients/bin/pip install mapillary==1.0.16 google_streetview==1.2.9 streetview==0.1.0
GEODS_OTHER_CLIENTS=$PWD/clients/bin/python python -m pytest tests/system/test_other_clients.py
"""

import json
import os
import pathlib
import subprocess

import mapillary_server
import other_clients
import pytest
import street_view_service
from PIL import Image

from geods.geo import geometry
from geods.imagery import image_checks
from geods.imagery.mapillary import vector_tiles
from geods.simulation.server import server_options, street_view_server

PYTHON = os.environ.get("GEODS_OTHER_CLIENTS", "")
pytestmark = pytest.mark.skipif(not PYTHON, reason="GEODS_OTHER_CLIENTS names no Python with the clients of others")


def ask(client, url, token, place, folder):
    command = [PYTHON, other_clients.__file__, client, url, token, *map(str, place), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_official_sdk_and_ours_read_the_same_tiles(tmp_path):
    place = (48.2, 16.37)
    with mapillary_server.serving(town=(place, 0.005, 300)) as town:
        told = ask("mapillary", town.url, mapillary_server.TOKEN, place, tmp_path)
        # It sends the token of entities in the URL.
        town.strange.clear()
        client = mapillary_server.client_of(town)
        # The SDK asks for the one tile of the point, however near its edge that is.
        ours = [
            feature
            for away_km, feature in client._tiles.nearest(place, 0.4)
            if vector_tiles.tile_at(feature.lat_deg, feature.lon_deg) == vector_tiles.tile_at(*place)
            and away_km < 0.399
        ]
        theirs = {name: found for name, found in told["features"].items() if found["properties"]["is_pano"]}
        assert len(ours) > 30
        assert {feature.pano_id for feature in ours} <= set(theirs)
        for feature in ours:
            found = theirs[feature.pano_id]
            lon, lat = found["geometry"]["coordinates"]
            assert float(geometry.haversine_km((lat, lon), (feature.lat_deg, feature.lon_deg))) < 0.001
            assert found["properties"]["captured_at"] == feature.captured_at
            assert found["properties"]["sequence_id"] == feature.sequence
        assert told["features"][told["nearest"]]["properties"]["sequence_id"] in told["record"]
        assert told["thumbnail"].startswith(f"{town.url}/cdn/")
        client.close()


@pytest.mark.parametrize("client", ["google_streetview", "streetview"])
def test_clients_of_street_view_get_metadata_and_a_view(tmp_path, client):
    with street_view_server.serving() as server:
        pano = street_view_service.panos(server)[0]
        told = ask(client, server.url, server_options.DEMO_KEY, (pano.lat_deg, pano.lon_deg), tmp_path)
        assert server.stats()["billable"] == 1
    (record,) = told["metadata"]
    assert (record["pano_id"], record["date"]) == (pano.pano_id, pano.date)
    (path,) = [path for path in pathlib.Path(tmp_path).iterdir() if path.suffix in (".jpg", ".png")]
    with Image.open(path) as image:
        assert image.size == (200, 100)
    if path.suffix == ".jpg":
        image_checks.check_street_view_image(path.read_bytes(), 100, 200)
