"""The behaviour of Panoramax that its client counts on, row by row.

Asked of the recorded server; of a real one where it is installed (tests/support/servers/geovisio_server.py); and of the
public catalogue with -m live, some 30 free requests:

    python -m pytest -m live tests/system/test_panoramax_contract.py
"""

import dataclasses
import io
import json
import math
import pathlib

import geovisio_server
import panoramax_recorder
import panoramax_server
import panoramax_town
import pytest
import requests
from PIL import Image

from geods.imagery import source
from geods.imagery.http import status
from geods.imagery.panoramax import panoramax_options

NOWHERE = "00000000-0000-0000-0000-000000000000"
TOWN = (panoramax_town.WEST, panoramax_town.SOUTH, panoramax_town.WEST + 0.04, panoramax_town.SOUTH + 0.02)


@dataclasses.dataclass
class Service:
    """A service and a box (west, south, east, north) with pictures."""

    url: str
    box: tuple[float, float, float, float]
    is_live: bool = False

    def get(self, path, **params):
        return requests.get(path if "://" in path else f"{self.url}/api/{path}", params=params, timeout=30)

    def search(self, **params):
        """Returns the features of a search, in the box unless another is given."""
        asked = params if "ids" in params else {"bbox": ",".join(map(str, self.box))} | params
        answer = self.get("search", **asked)
        assert answer.status_code == 200, answer.text[:300]
        return answer.json()["features"]


@pytest.fixture(scope="module")
def recorded():
    with panoramax_server.serving() as running:
        yield Service(running.url, TOWN)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    if geovisio_server.missing():
        pytest.skip(geovisio_server.missing())
    with geovisio_server.serving(tmp_path_factory.mktemp("geovisio")) as base:
        panoramax_recorder.upload(f"{base}/api", panoramax_town.town(5, 3))
        yield Service(base, TOWN)


@pytest.fixture(scope="module")
def recorded_now(tmp_path_factory):
    """URL of a real Panoramax of which a recording was just made."""
    if geovisio_server.missing():
        pytest.skip(geovisio_server.missing())
    with geovisio_server.serving(tmp_path_factory.mktemp("geovisio")) as base:
        panoramax_recorder.main(base, str(tmp_path_factory.mktemp("recorded") / "items.json"))
        yield base


@pytest.fixture(params=["recorded", "real", pytest.param("live", marks=pytest.mark.live)])
def service(request):
    if request.param == "live":
        return Service(panoramax_options.FEDERATION, (2.33, 48.85, 2.36, 48.87), is_live=True)
    return request.getfixturevalue(request.param)


def test_a_search_gives_ten_items_unless_told_and_no_next_page(service):
    assert len(service.search()) == 10
    assert len(service.search(limit=3)) == 3
    links = service.get("search", bbox=",".join(map(str, service.box)), limit=3).json()["links"]
    assert "next" not in {link["rel"] for link in links}


@pytest.mark.parametrize("limit", [0, 10_001])
def test_a_limit_out_of_range_is_an_error_in_json(service, limit):
    if service.is_live:
        pytest.skip("the catalogue has limits of its own")
    answer = service.get("search", bbox=",".join(map(str, service.box)), limit=limit)
    assert answer.status_code == 400
    assert {"message", "status_code"} <= answer.json().keys()


def test_a_box_in_the_order_of_latitude_and_longitude_is_another_place(service):
    west, south, east, north = service.box
    assert service.search(bbox=f"{south},{west},{north},{east}") == []


def test_items_are_in_the_box_and_the_nearest_to_its_middle_come_first(service):
    west, south, east, north = service.box
    places = [status.position(item["geometry"])[::-1] for item in service.search(limit=40)]
    assert all(west <= lon <= east and south <= lat <= north for lon, lat in places)
    if not service.is_live:
        # In degrees; the client does without, but asks for less where it is so.
        away_deg = [math.dist(place, ((west + east) / 2, (south + north) / 2)) for place in places]
        assert away_deg == pytest.approx(sorted(away_deg), abs=1e-7)


def test_an_item_has_what_is_read(service):
    items = service.search(limit=40)
    for item in items:
        properties, optics = item["properties"], item["properties"].get("pers:interior_orientation", {})
        assert item["collection"]
        assert item["assets"].keys() >= {"hd", "sd"}
        assert properties["license"]
        assert properties["datetime"][:10].count("-") == 2
        assert 0 <= properties["view:azimuth"] <= 360
        assert optics.get("field_of_view") is None or optics["field_of_view"] <= 360
        assert properties.get("geovisio:producer") or item["providers"]
    spheres = [item for item in items if item["properties"]["pers:interior_orientation"].get("field_of_view") == 360]
    assert service.is_live or 0 < len(spheres) <= len(items)


def test_items_name_the_places_before_and_after_them(service):
    items = service.search(limit=40)
    links = [link for item in items for link in item["links"] if link["rel"] in ("prev", "next")]
    assert links
    assert all(status.position(link["geometry"]) for link in links)


def test_an_id_is_found_and_an_unknown_one_is_no_error(service):
    name = service.search(limit=1)[0]["id"]
    assert [item["id"] for item in service.search(ids=name)] == [name]
    assert service.search(ids=NOWHERE) == []


def test_times_are_whole_iso_times_and_both_ends_may_be_open(service):
    moments = {item["properties"]["datetime"] for item in service.search(limit=200)}
    middle = sorted(moments)[len(moments) // 2][:19] + "Z"
    before, after = (
        {item["properties"]["datetime"] for item in service.search(limit=200, datetime=span)}
        for span in (f"../{middle}", f"{middle}/..")
    )
    assert all(moment[:19] <= middle for moment in before)
    assert all(moment[:19] >= middle[:19] for moment in after)
    assert service.is_live or before | after == moments


def test_images_need_no_key_and_sd_is_no_wider_than_2048(service):
    item = service.search(limit=1)[0]
    sizes = {}
    for name in ("hd", "sd"):
        answer = service.get(item["assets"][name]["href"])
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "image/jpeg"
        with Image.open(io.BytesIO(answer.content)) as image:
            sizes[name] = image.size
    assert sizes["sd"][0] <= 2048
    frame = item["properties"]["pers:interior_orientation"].get("sensor_array_dimensions")
    assert frame is None or sizes["hd"][0] <= frame[0]


def test_a_picture_that_is_none_is_a_404(service):
    if service.is_live:
        pytest.skip("the catalogue redirects pictures to their instances")
    unknown, malformed = (service.get(f"pictures/{name}/sd.jpg") for name in (NOWHERE, "no-id"))
    assert (unknown.status_code, malformed.status_code) == (404, 404)
    assert {"message", "status_code"} <= unknown.json().keys()
    assert malformed.headers["Content-Type"].startswith("text/html")


def test_the_client_finds_and_fetches_there(service):
    west, south, east, north = service.box
    client = panoramax_server.client_of(service, radius_m=3000)
    found = client.look_up((south + north) / 2, (west + east) / 2)
    assert isinstance(found, source.Panorama)
    assert client.fetch(found, 90).startswith(b"\xff\xd8")
    client.close()


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


def test_the_recording_is_as_the_server_answers(recorded_now):
    path = pathlib.Path(panoramax_server.__file__).with_name("panoramax_items.json")
    now = [panoramax_recorder.reduced(item, recorded_now) for item in panoramax_recorder.search(f"{recorded_now}/api")]
    assert without_ids(now) == without_ids(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("kind", ["panorama", "flat"])
def test_look_ups_and_views_are_those_of_the_recording(recorded_now, kind):
    with panoramax_server.serving() as recorded:
        recorded_client = panoramax_server.client_of(recorded, panoramax_kind=kind)
        real_client = panoramax_server.client_of(recorded, api_base=recorded_now, panoramax_kind=kind)
        assert_they_answer_alike(recorded_client, real_client)


def assert_they_answer_alike(recorded_client, real_client):
    for shot in panoramax_town.town(panoramax_recorder.SEQUENCES, panoramax_recorder.SPHERES)[::4]:
        told = [client.look_up(shot.lat_deg + 2e-5, shot.lon_deg) for client in (recorded_client, real_client)]
        names = [found.original_name if isinstance(found, source.Panorama) else found.reason for found in told]
        assert names[0] == names[1]
        if isinstance(told[1], source.Panorama):
            assert real_client.fetch(told[1], told[1].heading_deg or 0).startswith(b"\xff\xd8")
