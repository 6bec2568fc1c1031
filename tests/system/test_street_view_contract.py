"""The documented rows of the Street View Static API.

Asked of the simulated server, and of the real one with -m live.

    GOOGLE_MAPS_API_KEY=... python -m pytest -m live tests/system/test_street_view_contract.py

The live run sends 17 image requests, which cost at most 0.12 USD, and some 25 free ones; the rows about signatures need
GOOGLE_MAPS_SIGNING_SECRET too. Each row stands under developers.google.com/maps/documentation/streetview: in
request-streetview, metadata or digital-signature.
"""

import dataclasses
import io
import json
import os
import urllib.parse

import canary
import pytest
import requests
import street_view_service
from PIL import Image

from geods import errors
from geods.geo import geometry
from geods.imagery import acceptance, image_checks
from geods.imagery.http import api_key, signing
from geods.simulation.server import server_options, street_view_server

SIZE = "200x100"
# The example of the documentation, in the Alps.
LIVE_PLACE = (46.41434210086409, 10.01400595356193)
STATUSES = {"OK", "ZERO_RESULTS", "NOT_FOUND", "OVER_QUERY_LIMIT", "REQUEST_DENIED", "INVALID_REQUEST", "UNKNOWN_ERROR"}


@dataclasses.dataclass
class Service:
    """A service and a place where it has a panorama."""

    base: str
    key: str
    place: tuple[float, float]
    signer: api_key.Secret | None
    session: requests.Session

    def get(self, path="", **params):
        """Asks; `key=None` asks without."""
        asked = {name: value for name, value in ({"key": self.key} | params).items() if value is not None}
        return self.send(requests.Request("GET", f"{self.base}/maps/api/streetview{path}", params=asked).prepare().url)

    def send(self, url):
        return self.session.get(url, timeout=20, allow_redirects=False)

    def image(self, **params):
        """Asks for an image of the place."""
        return self.get(**({"location": at(self.place), "size": SIZE} | params))

    def metadata(self, **params) -> dict:
        """Returns a metadata answer, which always has status 200."""
        answer = self.get("/metadata", **params)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].lower().replace(" ", "") == "application/json;charset=utf-8"
        record = json.loads(answer.content.decode("utf-8"))
        assert record["status"] in STATUSES
        return record

    @property
    def pano_id(self) -> str:
        return self.metadata(location=at(self.place))["pano_id"]


@pytest.fixture(scope="module")
def simulated_service():
    options = server_options.ServerOptions(signed_keys=("signing-demo-key:vNIXE0xscrmjlyV-12Nj_BvUPaw=",))
    with street_view_server.serving(options) as server, requests.Session() as session:
        session.trust_env = False
        pano = street_view_service.panos(server)[0]
        key = server_options.DEMO_KEY
        yield Service(server.url, key, (pano.lat_deg, pano.lon_deg), options.signers()["signing-demo-key"], session)


@pytest.fixture(params=["simulated", pytest.param("live", marks=pytest.mark.live)])
def service(request):
    if request.param == "simulated":
        yield request.getfixturevalue("simulated_service")
        return
    if os.environ.get("GOOGLE_MAPS_API_KEY", canary.CANARY) == canary.CANARY:
        pytest.skip("GOOGLE_MAPS_API_KEY is not set")
    signer = api_key.find_secret("GOOGLE_MAPS_SIGNING_SECRET")
    with requests.Session() as session:
        key = api_key.read_secret("GOOGLE_MAPS_API_KEY").reveal()
        yield Service("https://maps.googleapis.com", key, LIVE_PLACE, signer, session)


def at(coords) -> str:
    return ",".join(map(str, coords))


def size_of(answer) -> tuple[int, int]:
    """Returns (width_px, height_px) of an answer that is an image."""
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "image/jpeg"
    return Image.open(io.BytesIO(answer.content)).size


def check_view(answer, height_px=100, width_px=200) -> None:
    assert answer.status_code == 200
    image_checks.check_street_view_image(answer.content, height_px, width_px, answer.headers["Content-Type"])


def test_location_gives_a_view_with_the_headers_of_a_real_one(service):
    answer = service.image()
    check_view(answer)
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    assert answer.headers["Cache-Control"] == "public, max-age=86400"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Expires" in answer.headers
    assert "Date" in answer.headers


def test_pano_wins_over_location(service):
    check_view(service.image(pano=service.pano_id, location=at(street_view_service.OCEAN)))


def test_size_is_required(service):
    assert service.image(size=None).status_code == 400


def test_size_is_clamped_to_640(service):
    assert size_of(service.image(size="1000x700")) == (640, 640)


def test_one_of_location_and_pano_is_required(service):
    assert service.get(size=SIZE, return_error_code="true").status_code == 400


def test_heading_turns_the_camera(service):
    views = [service.image(heading=heading) for heading in (0, 180)]
    for view in views:
        check_view(view)
    assert views[0].content != views[1].content


@pytest.mark.parametrize("params", [{"fov": 150}, {"pitch": -90}, {"heading": 360, "fov": 20.5, "pitch": 90}])
def test_angles_are_taken_and_fov_is_clamped(service, params):
    assert size_of(service.image(**params)) == (200, 100)


@pytest.mark.parametrize("source", ["default", "outdoor"])
def test_source_takes_two_words(service, source):
    assert service.metadata(location=at(service.place), source=source)["status"] == "OK"


def test_no_imagery_is_a_grey_picture_with_status_200(service):
    answer = service.image(location=at(street_view_service.OCEAN), size="600x300")
    assert size_of(answer) == (600, 300)
    with pytest.raises(errors.ImageRefused, match="no imagery"):
        image_checks.check_street_view_image(answer.content, 300, 600)


def test_no_imagery_is_404_if_asked_for(service):
    assert service.image(location=at(street_view_service.OCEAN), return_error_code="true").status_code == 404
    assert service.get(pano="x" * 22, size=SIZE, return_error_code="true").status_code == 404


@pytest.mark.parametrize("key", [None, "not-a-key"])
def test_an_image_without_a_key_is_refused_in_words(service, key):
    answer = service.image(key=key)
    assert answer.status_code == 403
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.text.startswith("The Google Maps Platform server rejected your request.")


def test_metadata_have_the_documented_fields(service):
    answer = service.get("/metadata", location=at(service.place))
    # UTF-8 as it is, on several lines.
    assert "©".encode() in answer.content
    assert answer.content.count(b"\n") > 4
    record = service.metadata(location=at(service.place))
    assert set(record) - {"date", "copyright"} == {"location", "pano_id", "status"}
    assert record["status"] == "OK"
    assert record["copyright"].startswith("©")
    assert record.get("date") is None or acceptance.month(record["date"]) == record["date"]
    assert isinstance(record["pano_id"], str)
    found = (record["location"]["lat"], record["location"]["lng"])
    assert float(geometry.haversine_km(found, service.place)) < 0.05


def test_metadata_of_a_panorama_are_those_of_its_place(service):
    record = service.metadata(location=at(service.place))
    assert service.metadata(pano=record["pano_id"]) == record
    assert service.metadata(pano=record["pano_id"], location=at(street_view_service.OCEAN)) == record


def test_radius_is_50_m_unless_given(service):
    north = geometry.destination(service.place, 0, 0.3).tolist()
    assert service.metadata(location=at(north), radius=1000)["status"] == "OK"
    default, fifty = (service.metadata(location=at(north), **more) for more in ({}, {"radius": 50}))
    assert default == fifty


@pytest.mark.parametrize("asked", [{"location": at(street_view_service.OCEAN)}, {"pano": "x" * 22}])
def test_nothing_there_is_zero_results(service, asked):
    assert service.metadata(**asked)["status"] == "ZERO_RESULTS"


def test_an_address_that_is_none_is_not_found(service):
    assert service.metadata(location="qzxv jkwq 987654321 nowhere")["status"] in ("NOT_FOUND", "ZERO_RESULTS")


def test_neither_location_nor_pano_is_an_invalid_request(service):
    assert service.metadata(size=SIZE)["status"] == "INVALID_REQUEST"


@pytest.mark.parametrize("key", [None, "not-a-key"])
def test_metadata_without_a_key_are_denied_with_a_message(service, key):
    record = service.metadata(location=at(service.place), key=key)
    assert record["status"] == "REQUEST_DENIED"
    assert record["error_message"]


@pytest.mark.parametrize("right", [True, False])
def test_signatures_are_checked(service, right):
    if service.signer is None:
        pytest.skip("GOOGLE_MAPS_SIGNING_SECRET is not set")
    key = service.key if service.base.startswith("https") else "signing-demo-key"
    target = f"/maps/api/streetview?{urllib.parse.urlencode({'location': at(service.place), 'size': SIZE, 'key': key})}"
    signed = signing.sign(target if right else target + "x", service.signer)
    answer = service.send(f"{service.base}{target}&signature={signed}")
    assert answer.status_code == (200 if right else 403)
    if right:
        check_view(answer)


class TestOfTheSimulatedServerAlone:
    """Rows that cost money or an account at the real service, or that it leaves open."""

    @pytest.fixture
    def service(self, simulated_service):
        return simulated_service

    @pytest.mark.parametrize(
        "params",
        [
            {"size": "600"},
            {"size": "0x300"},
            {"size": "-1x300"},
            {"heading": "north"},
            {"fov": "nan"},
            {"pitch": "inf"},
            {"source": "indoor"},
            {"radius": "-1"},
            {"radius": "1.5"},
            {"location": "91,0"},
        ],
    )
    def test_malformed_values(self, service, params):
        asked = {"location": at(service.place), "size": SIZE} | params
        assert service.get(**asked, return_error_code="true").status_code == 400
        assert size_of(service.get(**asked)) == (600, 300)
        assert service.metadata(**asked)["status"] == "INVALID_REQUEST"

    def test_fov_is_clamped_to_120(self, service):
        assert service.image(fov=150).content == service.image(fov=120).content

    def test_a_longitude_may_be_a_turn_off(self, service):
        lat_deg, lon_deg = service.place
        assert service.metadata(location=at((lat_deg, lon_deg + 360))) == service.metadata(location=at(service.place))

    def test_a_small_image_is_drawn(self, service):
        assert size_of(service.image(size="3x2")) == (3, 2)

    def test_the_comma_of_a_location_may_be_plain(self, service):
        lat_deg, lon_deg = service.place
        url = f"{service.base}/maps/api/streetview/metadata?location={lat_deg},{lon_deg}&key={service.key}"
        assert service.send(url).json()["status"] == "OK"

    def test_other_paths_are_not_found(self, service):
        assert service.get("/metadatum").status_code == 404
