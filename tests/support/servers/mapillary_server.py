"""A simulated Mapillary: API, vector tiles and image host."""

import contextlib
import hashlib
import io
import math
import struct
import threading
import urllib.parse
from datetime import datetime, timezone

import numpy as np
import scripted_server
from PIL import Image

from geods.imagery import source
from geods.imagery.http import api_key, transport
from geods.imagery.mapillary import mapillary_api, mapillary_options
from geods.simulation import panoramas, worlds

TOKEN = "MLY|1234567890123456|0f1e2d3c4b5a69788796a5b4c3d2e1f0"  # noqa: S105 - of a simulated service
SPHERE_PX = (256, 512)
FLAT_PX = (192, 256)
DENIED = {"message": "Invalid OAuth 2.0 Access Token", "type": "MLYApiException", "code": 190}
MISSING = {"message": "Object with ID does not exist", "type": "MLYApiException", "code": 100, "error_subcode": 33}


class Service:
    """Answers as Mapillary does; `fault(kind, number)` may name a fault."""

    def __init__(self, fault=lambda kind, number: None, town=None):
        """A `town` is ((lat, lon), half a side in degrees, pictures), and then all."""
        self.world = worlds.World(0, 0.2)
        self.coverage = panoramas.Coverage(self.world, lambda lat, lon: True)
        self.fault, self.town = fault, drawn_town(*town) if town else None
        self.known, self.served, self.asked = {}, {}, {"tile": 0, "entity": 0, "image": 0}
        self.strange = []
        self.lock = threading.Lock()

    def __call__(self, exchange):
        parts = urllib.parse.urlsplit(exchange.path)
        first = parts.path.split("/")[1]
        kind = {"cdn": "image", "maps": "tile"}.get(first, "entity")
        with self.lock:
            self.asked[kind] += 1
            number = self.asked[kind]
        authorization = exchange.headers.get("Authorization")
        # Tiles take the token as a parameter, entities in either place, where logs must not see it; images take none.
        token = exchange.params.get("access_token") or (authorization or "").removeprefix("OAuth ")
        if (kind != "tile" and "access_token" in exchange.path) or (kind == "image" and authorization):
            self.strange.append(exchange.path)
        if self.spoilt(exchange, kind, self.fault(kind, number)):
            return
        if kind == "image":
            self.image(exchange, parts.path.split("/")[2])
        elif token != TOKEN:
            # As measured: a missing or refused token comes with 500, not with 401.
            exchange.reply_json({"error": DENIED}, 500)
        elif kind == "tile":
            self.tile(exchange, *map(int, parts.path.strip("/").split("/")[-3:]))
        else:
            # The official SDK asks with a slash.
            self.entity(exchange, parts.path.strip("/"))

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

    def within(self, south, west, north, east):
        """The panoramas of a box."""
        panos = self.coverage.within((south, west, north, east)) if self.town is None else self.town
        return [pano for pano in panos if south <= pano.lat_deg <= north and west <= pano.lon_deg <= east]

    def tile(self, exchange, zoom, column, row):
        assert zoom == 14
        if exchange.path.split("/")[3:5] != ["mly1_public", "2"]:
            return exchange.reply(404, b"", "text/plain")
        west, east = (360 * edge / 2**14 - 180 for edge in (column, column + 1))
        north, south = (latitude(edge) for edge in (row, row + 1))
        # `record` moves pictures a little.
        records = [self.record(pano) for pano in self.within(south - 0.001, west - 0.001, north + 0.001, east + 0.001)]
        features = []
        for record in records:
            lon, lat = record["geometry"]["coordinates"]
            across, down = (lon - west) / (east - west), (mercator(lat) - row)
            if 0 <= across < 1 and 0 <= down < 1:
                names = {"captured_at": "captured_at", "compass_angle": "compass_angle", "is_pano": "is_pano"}
                about = {name: record[key] for name, key in names.items() if key in record}
                about |= {"id": int(record["id"]), "sequence_id": record["sequence"]}
                features.append(((round(across * 4096), round(down * 4096)), about))
        return exchange.reply(200, vector_tile(features), "application/x-protobuf") if features else exchange.reply(204)

    def entity(self, exchange, name):
        if name not in self.known:
            return exchange.reply_json({"error": MISSING}, 400)
        record = self.record(self.known[name])
        with self.lock:
            serial = len(self.served)
            self.served[str(serial)] = name
        url = f"http://127.0.0.1:{exchange.server.server_port}/cdn/{serial}/p.jpg?oh=signature"
        wanted = ["id", *exchange.params.get("fields", "").split(",")]
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
        in_town = pano.pano_id.startswith("town")
        sequence = pano.pano_id.partition("_")[0] if in_town else f"{pano.lat_deg:.2f},{pano.lon_deg:.2f}"
        record = {
            "id": name,
            "geometry": point(pano.lat_deg + 0.0001, pano.lon_deg),
            "is_pano": digest[6] < 170,
            "camera_type": "spherical" if digest[6] < 170 else "perspective",
            "sequence": hashlib.sha256(sequence.encode()).hexdigest()[:22],
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
            step = int(pano.pano_id.partition("_")[2]) if in_town else 0
            record["captured_at"] = int(datetime(year, month, 15, tzinfo=timezone.utc).timestamp() * 1000) + step
        return record


def mercator(lat_deg):
    """The row of a latitude among tiles of zoom 14."""
    return (1 - math.log(math.tan(math.pi / 4 + math.radians(lat_deg) / 2)) / math.pi) / 2 * 2**14


def latitude(row):
    return math.degrees(2 * math.atan(math.exp(math.pi * (1 - 2 * row / 2**14))) - math.pi / 2)


def vector_tile(features):
    """Returns a Mapbox Vector Tile 2.1 with a layer "image" between two others.

    Args:
        features: ((column, row), properties) of each point.
    """
    keys, values, shapes = {}, {}, []
    for (column, row), about in features:
        tags = []
        for name, value in about.items():
            # True and 1 are two values.
            tags += [keys.setdefault(name, len(keys)), values.setdefault((type(value), value), len(values))]
        geometry = [9, column << 1, row << 1]
        packed = [b"".join(map(varint, numbers)) for numbers in (tags, geometry)]
        shapes.append(field(2, field(2, packed[0]) + varint(3 << 3) + varint(1) + field(4, packed[1])))
    image = b"".join(
        [
            *(field(1, b"image"), *shapes, *(field(3, name.encode()) for name in keys)),
            *(value_field(value) for _, value in values),
        ]
    )
    empty = [field(3, field(1, name) + varint(15 << 3) + varint(2)) for name in (b"sequence", b"overview")]
    return empty[0] + field(3, image + varint(5 << 3) + varint(4096) + varint(15 << 3) + varint(2)) + empty[1]


def value_field(value):
    if isinstance(value, bool):
        return field(4, varint(7 << 3) + varint(int(value)))
    if isinstance(value, int):
        return field(4, varint(4 << 3) + varint(value))
    if isinstance(value, float):
        return field(4, varint(3 << 3 | 1) + struct.pack("<d", value))
    return field(4, field(1, value.encode()))


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(number):
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])


def drawn_town(middle, half_deg, pictures):
    """Returns a town's panoramas: drives of ten pictures, 12 m apart, of two dates."""
    rng, panos = np.random.default_rng(7), []
    for drive in range(pictures // 10):
        lat, lon = np.array(middle) + rng.uniform(-half_deg, half_deg, 2)
        for step in range(10):
            name, date = f"town{drive}_{step}", ("2016-05", "2021-09")[drive % 2]
            at = (round(lat + step * 12 / 111_195, 7), round(lon, 7))
            panos.append(panoramas.CoveredPano(name, *at, date, "", True, False))
    return panos


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


PLACES = [(40.0 + row * 0.05, -100.0 + column * 0.05) for row in range(4) for column in range(4)]
QUICK = transport.Limits(connect_s=1, read_s=2, answer_s=4, max_bytes=2_000_000)


def client_of(service, token=TOKEN, **changes):
    options = {"mapillary_api_base": service.url, "height_px": 60, "width_px": 120} | changes
    settings = mapillary_options.MapillaryOptions(**options)
    return mapillary_api.Mapillary(settings, api_key.Secret(token), QUICK)


def found_with(client):
    answers = (client.look_up(*place) for place in PLACES)
    return next(answer for answer in answers if isinstance(answer, source.Panorama))
