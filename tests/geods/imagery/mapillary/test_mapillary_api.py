"""The Mapillary client against a simulated Mapillary, over HTTP."""

import io
import threading

import canary
import mapillary_server
import numpy as np
import pytest
import scripted_server
from PIL import Image

from geods import errors
from geods.geo import geometry
from geods.imagery import source
from geods.imagery.http import api_key
from geods.imagery.mapillary import mapillary_api, mapillary_options, responses


@pytest.fixture(scope="module")
def service():
    with mapillary_server.serving() as running:
        yield running


@pytest.fixture(scope="module")
def client(service):
    made = mapillary_server.client_of(service)
    yield made
    made.close()


def truth(service, kind, lat_deg, lon_deg, radius_km):
    """The nearest fit picture by recorded position, computed from the world."""
    near = []
    for pano in service.within(lat_deg - 0.2, lon_deg - 0.2, lat_deg + 0.2, lon_deg + 0.2):
        record = service.record(pano)
        told = responses.panorama(record, kind, "", "")
        if isinstance(told, source.Panorama):
            at = record["geometry"]["coordinates"][::-1]
            near.append((float(geometry.haversine_km((lat_deg, lon_deg), at)), told.pano_id))
    return min((item for item in near if item[0] <= radius_km), default=None)


@pytest.mark.parametrize("kind", ["panorama", "flat"])
def test_the_nearest_fit_picture_is_found(service, kind):
    client = mapillary_server.client_of(service, mapillary_kind=kind)
    hits = 0
    for place in mapillary_server.PLACES:
        found, wanted = client.look_up(*place), truth(service, kind, *place, 1.5)
        assert isinstance(found, source.Panorama) == bool(wanted)
        if wanted:
            assert found.pano_id == wanted[1]
            hits += 1
    assert hits > 3
    client.close()


def test_what_is_told_about_a_picture(service, client):
    found = mapillary_server.found_with(client)
    record = service.record(service.known[found.pano_id])
    assert found.sequence == record["sequence"]
    assert found.heading_deg is None
    assert found.source == "simulated_mapillary"
    assert found.licence == client.licence == "Apache-2.0"
    assert client.units_per_image == 0
    shape = record.get("computed_geometry", record["geometry"])
    assert [found.lon_deg, found.lat_deg] == shape["coordinates"]


@pytest.mark.parametrize("kind", ["panorama", "flat"])
def test_in_a_town_a_look_up_takes_one_and_a_half_requests(kind):
    middle, half_deg = (48.2, 16.37), 0.02
    with mapillary_server.serving(town=(middle, half_deg, 3000)) as town:
        client = mapillary_server.client_of(town, mapillary_kind=kind)
        points = np.array(middle) + np.random.default_rng(0).uniform(-half_deg, half_deg, (30, 2))
        for place in points.tolist():
            found, wanted = client.look_up(*place), truth(town, kind, *place, 1.5)
            assert found.pano_id == wanted[1]
        assert town.asked["tile"] + town.asked["entity"] <= 1.5 * len(points)
        client.close()


def test_the_road_and_other_dates(service):
    with mapillary_server.serving(town=((48.2, 16.37), 0.00008, 60)) as town:
        client = mapillary_server.client_of(town, mapillary_radius_m=500)
        found = client.look_up(48.2, 16.37)
        # Drives go north.
        assert client.road_deg(found) == pytest.approx(0, abs=3) or client.road_deg(found) > 357
        others = client.other_dates(found)
        assert {found.date, *(other.date for other in others)} == {"2016-05", "2021-09"}
        assert [client.fetch(other, 0)[:2] for other in others] == [b"\xff\xd8"]
        assert client.road_deg(source.Panorama("1", 48.2, 16.37)) is None
        assert mapillary_server.client_of(town, max_date=found.date, min_date=found.date).other_dates(found) == []
        client.close()


@pytest.mark.parametrize("content", [b"\x1a\xff", b"<html>", b"\x00"])
def test_bytes_that_are_no_tile(content):
    with scripted_server.serving(lambda exchange: exchange.reply(200, content, "text/html")) as it:
        client = mapillary_server.client_of(it)
        with pytest.raises(errors.SourceRetry, match="no vector tile"):
            client.look_up(*mapillary_server.PLACES[0])
        client.close()


def test_views_show_the_world_in_the_direction_asked_for(service, client):
    panorama = mapillary_server.found_with(client)
    before = service.asked["image"]
    pano = service.known[panorama.pano_id]
    place = service.world.place(pano.lat_deg, pano.lon_deg)
    for heading in (0, 90, 180, 215):
        with Image.open(io.BytesIO(client.fetch(panorama, heading))) as image:
            assert image.size == (120, 60)
            view = np.asarray(image, float).ravel()
        alike = {
            turn: np.corrcoef(view, np.asarray(service.world.picture(place, (heading + turn) % 360, 60, 120)).ravel())[
                0, 1
            ]
            for turn in (0, 30, 90, 180, 270, 330)
        }
        assert max(alike, key=alike.get) == 0, alike
        assert alike[0] > 0.75
    # One download gives all the views.
    assert service.asked["image"] == before + 1


def test_flat_pictures_have_one_heading(service):
    client = mapillary_server.client_of(service, mapillary_kind="flat")
    found = mapillary_server.found_with(client)
    assert isinstance(found.heading_deg, int)
    content = client.fetch(found, found.heading_deg)
    pano = service.known[found.pano_id]
    angle = responses.compass_deg(service.record(pano))
    with (
        Image.open(io.BytesIO(content)) as image,
        Image.open(
            io.BytesIO(service.world.render(pano.lat_deg, pano.lon_deg, angle, *mapillary_server.FLAT_PX))
        ) as whole,
    ):
        middle = whole.crop((0, 32, 256, 160)).resize((120, 60))
        assert np.abs(np.asarray(image, float) - np.asarray(middle, float)).mean() < 12
    with pytest.raises(errors.ImageRefused, match="no longer to"):
        client.fetch(found, (found.heading_deg + 90) % 360)
    client.close()


def test_what_was_answered_before_a_failure_is_not_asked_for_again():
    with mapillary_server.serving(fault=lambda kind, number: "500" if number % 3 == 0 else None) as it:
        client = mapillary_server.client_of(it)
        place = next(place for place in mapillary_server.PLACES if truth(it, "panorama", *place, 1.5) is None)
        for attempt in range(1, 30):
            try:
                assert client.look_up(*place).reason
                break
            except errors.SourceRetry:
                assert it.asked["tile"] == 3 * attempt
        tiles = it.asked["tile"]
        client.look_up(*place)
        assert it.asked["tile"] == tiles > 3
        client.close()


def test_a_picture_that_was_deleted(client):
    with pytest.raises(errors.ImageRefused, match="does not exist") as caught:
        client.fetch(source.Panorama("12345", 40.0, -100.0), 0)
    assert (caught.value.reason, caught.value.transient) == ("gone", False)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://example.org/a.jpg", "is at example.org, not a host of Mapillary"),
        ("http://scontent.fbcdn.net/a.jpg", "no usable URL"),
        ("https://evilfbcdn.net/a.jpg", "is at evilfbcdn.net"),
        ("https://user@scontent.fbcdn.net/a.jpg", "no usable URL"),
        ("file:///etc/passwd", "no usable URL"),
        (None, "has no thumb_2048_url"),
    ],
)
def test_pictures_are_fetched_from_known_hosts_only(url, says):
    with scripted_server.serving(lambda e: e.reply_json({"id": "1", "compass_angle": 3, "thumb_2048_url": url})) as it:
        client = mapillary_server.client_of(it)
        with pytest.raises((errors.SourceStop, errors.ImageRefused), match=says):
            client.fetch(source.Panorama("1", 40.0, -100.0), 0)
        client.close()


def test_a_wrong_token_stops_and_never_shows(service):
    with canary.listening() as log:
        client = mapillary_server.client_of(service, token=canary.CANARY)
        with pytest.raises(errors.SourceStop, match="MAPILLARY_ACCESS_TOKEN") as caught:
            client.look_up(*mapillary_server.PLACES[0])
        client.close()
    assert caught.value.reason == "denied"
    canary.assert_clean(canary.whole_text(caught.value) + log.getvalue())


def test_a_token_that_the_service_repeats_never_shows():
    echo = {"message": f"bad token OAuth {canary.CANARY} in access_token={canary.CANARY}", "code": 190}
    with scripted_server.serving(lambda exchange: exchange.reply_json({"error": echo}, 401)) as it:
        client = mapillary_server.client_of(it, token=canary.CANARY)
        with pytest.raises(errors.SourceStop) as caught:
            client.look_up(*mapillary_server.PLACES[0])
        canary.assert_clean(canary.whole_text(caught.value))
        with pytest.raises(errors.SourceStop):
            client.find("1")
        assert it.headers[1]["Authorization"] == f"OAuth {canary.CANARY}"
        assert canary.CANARY not in it.requests[1]
        client.close()


def test_months(service):
    place = next(place for place in mapillary_server.PLACES if truth(service, "panorama", *place, 1.5))
    for months, reason in (
        ({"min_date": "2098-01"}, "too_old"),
        ({"max_date": "2001-01"}, "too_new"),
        ({"min_date": "2098-01", "allow_undated": True}, "too_old"),
        ({"min_date": "2001-01", "max_date": "2098-12"}, None),
    ):
        client = mapillary_server.client_of(service, **months)
        found = client.look_up(*place)
        assert getattr(found, "reason", None) == reason or found.date is None
        client.close()


def test_over_the_antimeridian(service):
    client = mapillary_server.client_of(service)
    founds = [client.look_up(10 + number * 0.05, 180.0 - (number % 2) * 360) for number in range(12)]
    taken = [found for found in founds if isinstance(found, source.Panorama)]
    assert taken
    assert all(abs(abs(found.lon_deg) - 180) < 0.02 for found in taken)
    client.close()


def test_from_many_threads(service, client):
    wanted = [client.look_up(*place) for place in mapillary_server.PLACES]
    got = {}
    threads = [
        threading.Thread(
            target=lambda k=k: got.update({k: [client.look_up(*place) for place in mapillary_server.PLACES]})
        )
        for k in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(answers == wanted for answers in got.values())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"mapillary_kind": "sphere"}, "--mapillary_kind=sphere"),
        ({"mapillary_image": "1024"}, "--mapillary_image=1024"),
        ({"mapillary_radius_m": 6000}, "--mapillary_radius_m=6000: is not from 1 to 5000"),
        ({"mapillary_api_base": "http://example.org"}, "must begin with https"),
        ({"mapillary_api_base": "https://example.org/x"}, "has more than a host"),
        ({"fov_deg": 130}, "--fov_deg=130"),
        ({"min_date": "2015"}, "--min_date=2015"),
    ],
)
def test_options_that_cannot_be(changes, says):
    with pytest.raises(errors.OptionError, match=says):
        mapillary_options.MapillaryOptions(**changes)


def test_the_real_service_has_its_licence_and_a_heading_must_be_a_number():
    client = mapillary_api.Mapillary(mapillary_options.MapillaryOptions(), api_key.Secret("MLY|1|abcdefgh"))
    assert (client.name, client.licence) == ("mapillary", "CC-BY-SA-4.0")
    with pytest.raises(errors.OptionError, match="heading nan"):
        client.fetch(source.Panorama("1", 40.0, -100.0), float("nan"))
    client.close()


def test_a_picture_is_found_by_its_id(service, client):
    found = mapillary_server.found_with(client)
    assert client.find(found.pano_id) == found
    assert client.find("999999999").reason == "zero_results"
    assert client.find("../me").reason == "zero_results"
