"""The Panoramax client against recorded responses of a real one, over HTTP.

Its pictures are drawn again.
"""

import io

import numpy as np
import panoramax_server
import panoramax_town
import pytest
import scripted_server
from PIL import Image

from geods import errors
from geods.geo import geometry
from geods.imagery import source
from geods.imagery.panoramax import panoramax_api, panoramax_options

MIDDLE = (panoramax_town.SOUTH + panoramax_town.HEIGHT_DEG / 2, panoramax_town.WEST + panoramax_town.WIDTH_DEG / 2)


@pytest.fixture
def service():
    with panoramax_server.serving() as running:
        yield running


@pytest.fixture
def client(service):
    made = panoramax_server.client_of(service)
    yield made
    made.close()


def pixels(content):
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image)


def off_deg(one, other):
    return abs((one - other + 180) % 360 - 180)


def fit(service, kind):
    """The items whose direction is written, with their shots."""
    found = service.named("_sphere_" if kind == "panorama" else "_flat_")
    shots = [panoramax_server.SHOTS[item["properties"]["original_file:name"]] for item in found]
    return [(item, shot) for item, shot in zip(found, shots, strict=True) if shot.style not in ("zero", "unknown")]


@pytest.mark.parametrize("kind", ["panorama", "flat"])
@pytest.mark.parametrize("most_results", [2, 50])
def test_the_nearest_fit_picture_in_metres_is_found(service, kind, most_results):
    client = panoramax_server.client_of(service, most_results, panoramax_kind=kind, radius_m=800)
    items = [item for item, _ in fit(service, kind)]
    places = [(panoramax_server.lat(item), panoramax_server.lon(item)) for item in items]
    rng, hits = np.random.default_rng(1), 0
    for lat, lon in np.array(MIDDLE) + rng.uniform(-0.5, 0.5, (12, 2)) * [
        panoramax_town.HEIGHT_DEG,
        panoramax_town.WIDTH_DEG,
    ]:
        away_km = geometry.haversine_km((lat, lon), np.array(places))
        found = client.look_up(lat, lon)
        if away_km.min() <= 0.8:
            hits += 1
            assert found.pano_id == items[int(away_km.argmin())]["id"]
        else:
            assert isinstance(found, source.Miss)
    assert hits > 5
    client.close()


def test_in_a_dense_town_one_search_is_enough(service, client):
    for item, _ in fit(service, "panorama")[:5]:
        assert client.look_up(panoramax_server.lat(item), panoramax_server.lon(item)).pano_id == item["id"]
    assert service.asked["search"] == 5


@pytest.mark.parametrize("kind", ["panorama", "flat"])
def test_every_view_looks_where_it_says(service, kind):
    client = panoramax_server.client_of(service, panoramax_kind=kind)
    pictures = fit(service, kind)
    assert len({shot.style for _, shot in pictures}) == (4 if kind == "panorama" else 1)
    for item, shot in pictures:
        found = client.look_up(panoramax_server.lat(item), panoramax_server.lon(item))
        assert found.pano_id == item["id"]
        for heading in (0, 123, 270) if kind == "panorama" else (found.heading_deg,):
            view = pixels(client.fetch(found, heading))
            assert view.shape == (60, 120, 3)
            assert off_deg(panoramax_town.looks_to(view), heading) < 1
            if kind == "panorama":
                # Level: blue says the elevation, which in the middle row is 0 everywhere; 2 is of 1.3 degrees.
                thirds = np.array_split(view[28:32, :, 2].astype(float), 3, axis=1)
                assert np.ptp([third.mean() for third in thirds]) < 2, shot
        if kind == "flat":
            assert off_deg(found.heading_deg, shot.heading_deg) < 1
    client.close()


def test_what_is_told_about_a_picture(service, client):
    item, shot = fit(service, "panorama")[0]
    found = client.look_up(shot.lat_deg, shot.lon_deg)
    assert (found.source, found.licence, found.date) == ("panoramax", "CC-BY-SA-4.0", "2020-12")
    assert found.copyright == "Default account; Ann Example"
    assert (found.sequence, found.original_name) == (item["collection"], shot.name)
    assert found.heading_deg is None
    assert client.units_per_image == 0


def test_the_road_leads_along_the_collection(service, client):
    for part in ("_0_", "_1_", "_2_"):
        item = next(one for one in service.named(part) if "_sphere_plain" in one["properties"]["original_file:name"])
        # The town's drives go north, and the ends have one neighbour each.
        road_deg = client.road_deg(client.find(item["id"]))
        assert off_deg(road_deg, 0) < 0.5
        fresh = panoramax_server.client_of(service)
        assert fresh.road_deg(client.find(item["id"])) == road_deg
    item["links"] = [link for link in item["links"] if link["rel"] == "license"]
    assert client.road_deg(client.find(item["id"])) is None


def test_other_dates_are_one_a_month_at_the_same_place(service, client):
    (item, shot), *_ = fit(service, "panorama")
    near, far = panoramax_server.lat(item) + 1e-4, panoramax_server.lat(item) + 4e-4
    for number, (lat, month) in enumerate(
        [(near, "2019-05"), (near + 5e-5, "2019-05"), (near, "2023-01"), (far, "2018-01")]
    ):
        service.items.append(panoramax_server.moved(item, lat, panoramax_server.lon(item), f"other-{number}"))
        service.items[-1]["properties"]["datetime"] = f"{month}-15T12:00:00+00:00"
    found = client.look_up(shot.lat_deg, shot.lon_deg)
    others = client.other_dates(found)
    assert [(other.pano_id, other.date) for other in others] == [("other-0", "2019-05"), ("other-2", "2023-01")]
    assert client.fetch(others[0], 90) == client.fetch(found, 90)
    assert [one.date for one in panoramax_server.client_of(service, min_date="2022-01").other_dates(found)] == [
        "2023-01"
    ]


def test_a_direction_that_nothing_bears_out_is_unknown(service):
    for part, kind in (("_zero", "panorama"), ("_zero", "flat"), ("_unknown", "flat")):
        client = panoramax_server.client_of(service, panoramax_kind=kind, radius_m=5)
        items = service.named(f"{'sphere' if kind == 'panorama' else 'flat'}{part}")
        found = client.look_up(panoramax_server.lat(items[0]), panoramax_server.lon(items[0]))
        assert found.reason == "no_heading"
        client.close()


def test_a_view_of_what_was_cropped_away_is_refused(service):
    client = panoramax_server.client_of(service, pitch_deg=40.0)
    item = service.named("_cropped")[0]
    found = client.look_up(panoramax_server.lat(item), panoramax_server.lon(item))
    with pytest.raises(errors.ImageRefused, match=r"of the view lies outside the cropped panorama") as caught:
        client.fetch(found, 0)
    assert caught.value.reason == "cropped"
    client.close()


@pytest.mark.parametrize(
    ("licence", "taken"),
    [("etalab-2.0", "etalab-2.0"), ("cc-by-sa-4.0", "CC-BY-SA-4.0"), ("proprietary", None), ("", None)],
)
def test_licences(service, licence, taken):
    (item, shot), *_ = fit(service, "panorama")
    service.items = [item]
    item["properties"]["license"], item["links"] = licence, []
    strict, lax = (panoramax_server.client_of(service, any_licence=given) for given in (False, True))
    found = strict.look_up(shot.lat_deg, shot.lon_deg)
    assert found.licence == taken if taken else found.reason == "licence"
    assert lax.look_up(shot.lat_deg, shot.lon_deg).licence == (taken or licence)
    # Old items say it in a link alone.
    del item["properties"]["license"]
    item["links"] = [{"rel": "license", "title": "License for this object (etalab-2.0)"}]
    assert strict.look_up(shot.lat_deg, shot.lon_deg).licence == "etalab-2.0"


def test_pictures_of_other_hosts_are_left_out(service, client):
    (item, shot), *_ = fit(service, "panorama")
    service.items = [item]
    item["assets"]["sd"]["href"] = "https://pictures.example.org/a.jpg"
    found = client.look_up(shot.lat_deg, shot.lon_deg)
    assert (found.reason, found.detail) == ("other_host", f"{item['id']}: pictures.example.org")


def test_a_redirect_is_followed_to_allowed_hosts_only(service, client):
    (item, shot), *_ = fit(service, "panorama")
    for target, works in (
        (f"{service.url}/api/pictures/{item['id']}/sd.jpg", True),
        ("https://example.org/a.jpg", False),
    ):
        with scripted_server.serving(lambda exchange, to=target: exchange.reply(302, b"", Location=to)) as elsewhere:
            item["assets"]["sd"]["href"] = f"{elsewhere.url}/moved.jpg"
            found = client.look_up(shot.lat_deg, shot.lon_deg)
            if works:
                assert client.fetch(found, 0)
            else:
                fresh = panoramax_server.client_of(service)
                with pytest.raises(errors.SourceRetry, match="HTTP status 302"):
                    fresh.fetch(found, 0)


@pytest.mark.parametrize(
    ("width_px", "kind", "file"),
    [(120, "panorama", "sd"), (900, "panorama", "hd"), (480, "flat", "sd"), (500, "flat", "hd")],
)
def test_the_file_goes_by_the_size_asked_for(service, width_px, kind, file):
    client = panoramax_server.client_of(service, panoramax_kind=kind, width_px=width_px)
    (_, shot), *_ = fit(service, kind)
    found = client.look_up(shot.lat_deg, shot.lon_deg)
    if (kind, file) == ("flat", "hd"):
        # It was uploaded with 480 columns; sd is enlarged to 2048, and would hide that.
        with pytest.raises(errors.ImageRefused, match="480 x 320 pixels, less than 500 x 60"):
            client.fetch(found, found.heading_deg)
    else:
        client.fetch(found, found.heading_deg or 0)
    assert service.sizes == [f"{file}.jpg"]
    client.close()


def test_views_of_one_picture_download_it_once_and_a_fresh_client_asks_for_it_by_id(service, client):
    (item, shot), *_ = fit(service, "panorama")
    found = client.look_up(shot.lat_deg, shot.lon_deg)
    views = [client.fetch(found, heading) for heading in (0, 90)]
    assert service.asked == {"search": 1, "image": 1}
    fresh = panoramax_server.client_of(service)
    assert [fresh.fetch(found, heading) for heading in (0, 90)] == views
    assert service.asked == {"search": 2, "image": 2}
    service.items.remove(item)
    with pytest.raises(errors.ImageRefused, match="is no longer there"):
        panoramax_server.client_of(service).fetch(found, 0)
    fresh.close()


def test_a_picture_that_was_deleted_between_search_and_fetch_is_gone(service, client):
    (_, shot), *_ = fit(service, "panorama")
    found = client.look_up(shot.lat_deg, shot.lon_deg)
    service.items.clear()
    with pytest.raises(errors.ImageRefused, match="HTTP status 404") as caught:
        client.fetch(found, 0)
    assert caught.value.reason == "gone"
    assert not caught.value.transient


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        ("html", errors.SourceRetry, "the answer is no JSON object, but begins: '<!doctype"),
        ("broken", errors.SourceRetry, "no list of pictures"),
        ("503", errors.SourceRetry, "HTTP status 503"),
        ("429", errors.SourceRetry, "HTTP status 429"),
        ("reset", errors.SourceRetry, "broke off"),
        ("404", errors.SourceStop, "check that --api_base is the address of a Panoramax instance"),
    ],
)
def test_faults_of_a_search(service, client, fault, error, says):
    service.fault = lambda kind, number: fault
    with pytest.raises(error, match=says):
        client.look_up(*MIDDLE)


def test_an_instance_that_is_not_there():
    options = panoramax_options.PanoramaxOptions(api_base="http://127.0.0.1:9")
    with pytest.raises(errors.SourceRetry, match="no connection"):
        panoramax_api.Panoramax(options, panoramax_server.QUICK).look_up(*MIDDLE)


def test_months(service):
    (item, shot), *_ = fit(service, "panorama")
    service.items = [item]
    for months, reason in (
        ({"min_date": "2020-12", "max_date": "2020-12"}, None),
        ({"max_date": "2020-11"}, "zero_results"),
        ({"min_date": "2021-01"}, "zero_results"),
        ({"min_date": "2021-01", "allow_undated": True}, "too_old"),
    ):
        found = panoramax_server.client_of(service, **months).look_up(shot.lat_deg, shot.lon_deg)
        assert getattr(found, "reason", None) == reason


@pytest.mark.parametrize("lon_deg", [179.9999, -179.9999, 180.0])
def test_across_the_antimeridian(service, client, lon_deg):
    (item, _), *_ = fit(service, "panorama")
    service.items = [panoramax_server.moved(item, -16.5, lon, name) for lon, name in ((179.999, "a"), (-179.9995, "b"))]
    assert client.look_up(-16.5, lon_deg).pano_id == "b"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"panoramax_kind": "round"}, "--panoramax_kind=round"),
        ({"radius_m": 0}, "--radius_m=0"),
        ({"width_px": 5000}, "--width_px=5000"),
        ({"api_base": "https://example.org/api"}, "has more than a host"),
        ({"api_base": "http://example.org"}, "must begin with https://"),
        ({"min_date": "2020"}, "--min_date=2020"),
    ],
)
def test_options_are_checked(changes, says):
    with pytest.raises(errors.OptionError, match=says):
        panoramax_options.PanoramaxOptions(**changes)
