"""A simulated Mapillary: its API and its image host, over a simulated world."""

import contextlib
import hashlib
import io
import threading
import urllib.parse
from datetime import datetime, timezone

import numpy as np
import scripted_server
from PIL import Image

from geods.simulation import panoramas, worlds

TOKEN = "MLY|1234567890123456|0f1e2d3c4b5a69788796a5b4c3d2e1f0"  # noqa: S105 - of a simulated service
SPHERE_PX = (256, 512)
FLAT_PX = (192, 256)
DENIED = {"message": "Invalid OAuth 2.0 Access Token", "type": "MLYApiException", "code": 190}
TOO_LARGE = {"message": "(#100) bbox must be smaller than 0.01 degrees square", "type": "MLYApiException", "code": 100}
TOO_MUCH = {"message": "Please reduce the amount of data you're asking for, then retry", "code": 1}
MISSING = {"message": "Object with ID does not exist", "type": "MLYApiException", "code": 100, "error_subcode": 33}


class Service:
    """Answers as Mapillary does; `fault(kind, number)` may name a fault."""

    def __init__(self, fault=lambda kind, number: None, most_results=2000, most_in_box=10**9):
        self.world = worlds.World(0, 0.2)
        self.coverage = panoramas.Coverage(self.world, lambda lat, lon: True)
        self.fault, self.most_results, self.most_in_box = fault, most_results, most_in_box
        self.known, self.served, self.asked = {}, {}, {"search": 0, "entity": 0, "image": 0}
        self.strange = []
        self.lock = threading.Lock()

    def __call__(self, exchange):
        parts = urllib.parse.urlsplit(exchange.path)
        kind = "image" if parts.path.startswith("/cdn/") else "search" if parts.path == "/images" else "entity"
        with self.lock:
            self.asked[kind] += 1
            number = self.asked[kind]
        authorization = exchange.headers.get("Authorization")
        if "access_token" in exchange.path or "MLY" in exchange.path or (kind == "image" and authorization):
            self.strange.append(exchange.path)
        if self.spoilt(exchange, kind, self.fault(kind, number)):
            return
        if kind == "image":
            self.image(exchange, parts.path.split("/")[2])
        elif authorization != f"OAuth {TOKEN}":
            # As measured: a missing or refused token comes with 500, not with 401.
            exchange.reply_json({"error": DENIED}, 500)
        elif kind == "search":
            self.search(exchange)
        else:
            self.entity(exchange, parts.path[1:])

    def spoilt(self, exchange, kind, fault):
        """Answers with a fault; says whether it did."""
        whole = jpeg(np.random.default_rng(0).integers(0, 255, (64, 128, 3)).astype(np.uint8))
        answers = {
            "500": lambda: exchange.reply_json({"error": {"message": "temporarily unavailable", "code": 2}}, 500),
            "503": lambda: exchange.reply(503, b"unavailable", "text/plain"),
            "429": lambda: exchange.reply(429, b"{}", "application/json", Retry_After="0"),
            "fast": lambda: exchange.reply_json({"error": {"message": "request limit reached", "code": 4}}, 400),
            "html": lambda: exchange.reply(200, b"<!DOCTYPE html><p>Sign in", "text/html"),
            "expired": lambda: exchange.reply(403, b"URL signature expired", "text/plain"),
            "truncated": lambda: exchange.reply(200, whole[:2000], length=len(whole)),
            "half": lambda: exchange.reply(200, whole[:-2000]),
            "error200": lambda: exchange.reply_json({"error": {"message": "An unknown error", "code": 1}}),
            "nodata": lambda: exchange.reply_json({}),
            "redirect": lambda: exchange.reply(302, b"", Location="http://127.0.0.1:9/"),
            "denied": lambda: exchange.reply_json({"error": DENIED}, 400),
            "black": lambda: exchange.reply(200, jpeg(np.zeros((*SPHERE_PX, 3), np.uint8))),
            "partial": lambda: exchange.reply(200, jpeg(np.zeros((256, 700, 3), np.uint8))),
        }
        if fault:
            answers[fault]()
        return bool(fault)

    def search(self, exchange):
        params = exchange.params
        west, south, east, north = map(float, params["bbox"].split(","))
        if east - west >= 0.01 or north - south >= 0.01 or not west < east:
            return exchange.reply_json({"error": TOO_LARGE}, 400)
        fields = params["fields"].split(",")
        found = [self.record(pano) for pano in self.coverage.within((south, west, north, east))]
        found = [record for record in found if record["is_pano"] == (params["is_pano"] == "true")]
        for name, is_within in (("start_captured_at", int.__ge__), ("end_captured_at", int.__le__)):
            if name in params:
                end_ms = int(datetime.fromisoformat(params[name].replace("Z", "+00:00")).timestamp() * 1000)
                found = [record for record in found if is_within(record.get("captured_at", -1), end_ms)]
        if len(found) > self.most_in_box:
            return exchange.reply_json({"error": TOO_MUCH}, 500)
        # No order, and no more than there may be.
        found.sort(key=lambda record: record["id"])
        found = found[: min(int(params["limit"]), self.most_results)]
        return exchange.reply_json({"data": [{name: r[name] for name in r if name in fields} for r in found]})

    def entity(self, exchange, name):
        if name not in self.known:
            return exchange.reply_json({"error": MISSING}, 400)
        record = self.record(self.known[name])
        with self.lock:
            serial = len(self.served)
            self.served[str(serial)] = name
        url = f"http://127.0.0.1:{exchange.server.server_port}/cdn/{serial}/p.jpg?oh=signature"
        wanted = exchange.params["fields"].split(",")
        urls = {field: url for field in wanted if field.startswith("thumb_")}
        return exchange.reply_json({name: value for name, value in record.items() if name in wanted} | urls)

    def image(self, exchange, serial):
        # Each URL is good once.
        with self.lock:
            name = self.served.pop(serial, None)
            self.served[serial] = None
        if name is None:
            return exchange.reply(403, b"URL signature expired", "text/plain")
        record, pano = self.record(self.known[name]), self.known[name]
        heading_deg = record.get("computed_compass_angle", record.get("compass_angle", 0))
        if record["is_pano"]:
            return exchange.reply(200, jpeg(sphere(self.world, pano.lat_deg, pano.lon_deg, heading_deg)))
        return exchange.reply(200, self.world.render(pano.lat_deg, pano.lon_deg, heading_deg, *FLAT_PX))

    def record(self, pano):
        """Returns all fields of a picture; optional ones are missing from some."""
        digest = hashlib.sha256(pano.pano_id.encode()).digest()
        name = str(int.from_bytes(digest[:6], "big"))
        self.known[name] = pano
        record = {
            "id": name,
            "geometry": point(pano.lat_deg + 0.0001, pano.lon_deg),
            "is_pano": digest[6] < 170,
            "camera_type": "spherical" if digest[6] < 170 else "perspective",
            "sequence": hashlib.sha256(f"{pano.lat_deg:.2f},{pano.lon_deg:.2f}".encode()).hexdigest()[:22],
        }
        if digest[7] < 128:
            record |= {
                "computed_geometry": point(pano.lat_deg, pano.lon_deg),
                "computed_compass_angle": digest[8] * 1.4,
            }
        if digest[9] < 230:
            record["compass_angle"] = digest[8] * 1.4 + 3
        if digest[10] < 230:
            record["creator"] = {"username": f"user{digest[11]}", "id": str(digest[11])}
        if pano.date:
            year, month = map(int, pano.date.split("-"))
            record["captured_at"] = int(datetime(year, month, 15, tzinfo=timezone.utc).timestamp() * 1000)
        return record


def point(lat_deg, lon_deg):
    return {"type": "Point", "coordinates": [lon_deg, lat_deg]}


def jpeg(pixels):
    with io.BytesIO() as target:
        Image.fromarray(pixels).save(target, "JPEG", quality=92)
        return target.getvalue()


def sphere(world, lat_deg, lon_deg, centre_deg, side_px=192):
    """Returns a panorama centred on `centre_deg`, made of four pictures of the world."""
    place = world.place(lat_deg, lon_deg)
    sides = np.stack([np.asarray(world.picture(place, heading, side_px, side_px)) for heading in (0, 90, 180, 270)])
    height_px, width_px = SPHERE_PX
    azimuths = (centre_deg + ((np.arange(width_px) + 0.5) / width_px - 0.5) * 360) % 360
    side = np.floor((azimuths + 45) / 90).astype(int) % 4
    aside = np.radians((azimuths - side * 90 + 180) % 360 - 180)
    elevations = np.radians((0.5 - (np.arange(height_px) + 0.5) / height_px) * 178)[:, None]
    # The world's camera: a field of view of 100 degrees, raised by a shift of tan(10 degrees).
    focal = side_px / 2 / np.tan(np.radians(50))
    columns = np.clip(side_px / 2 + focal * np.tan(aside), 0, side_px - 1).astype(int)
    rows = side_px / 2 + focal * np.tan(np.radians(10)) - focal * np.tan(elevations) / np.cos(aside)
    return sides[side, np.clip(rows, 0, side_px - 1).astype(int), columns]


@contextlib.contextmanager
def serving(**options):
    """Gives a Service; its `url` is where."""
    service = Service(**options)
    with scripted_server.serving(service) as server:
        service.url = server.url
        yield service
        assert service.strange == []
