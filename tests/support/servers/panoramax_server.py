"""A Panoramax that repeats recorded responses; its pictures are drawn on demand."""

import contextlib
import copy
import datetime
import json
import math
import pathlib
import re
import threading
import urllib.parse

import panoramax_recorder
import panoramax_town
import scripted_server

from geods.imagery.http import transport
from geods.imagery.panoramax import panoramax_api, panoramax_options

SHOTS = {shot.name: shot for shot in panoramax_town.town(panoramax_recorder.SEQUENCES, panoramax_recorder.SPHERES)}
# The real one enlarges to 2048.
SD_WIDTH_PX = 512
QUICK = transport.Limits(connect_s=1, read_s=5, answer_s=10, max_bytes=5_000_000)


class Service:
    """Answers as geovisio 2.15.1; `fault(kind, number)` may name a fault."""

    def __init__(self, fault=lambda kind, number: None):
        self.fault, self.asked = fault, {"search": 0, "image": 0}
        self.sizes, self.lock, self.most_pictures = [], threading.Lock(), 10_000
        self.items = []

    def load(self, url):
        """Reads the recorded items, as of a server at a URL."""
        text = pathlib.Path(__file__).with_name("panoramax_items.json").read_text(encoding="utf-8")
        self.url, self.items = url, json.loads(text.replace("{base}", url))

    def named(self, part):
        """Returns the items whose original name holds a text."""
        return [item for item in self.items if part in item["properties"]["original_file:name"]]

    def __call__(self, exchange):
        path = urllib.parse.urlsplit(exchange.path).path
        kind = "search" if path == "/api/search" else "image"
        with self.lock:
            self.asked[kind] += 1
            number = self.asked[kind]
        fault = self.fault(kind, number)
        if fault:
            return self.spoil(exchange, fault)
        if kind == "search":
            return self.search(exchange, exchange.params)
        return self.image(exchange, path.split("/"))

    def spoil(self, exchange, fault):
        whole = panoramax_town.jpeg(next(iter(SHOTS.values())))
        {
            "503": lambda: exchange.reply(503, b"unavailable", "text/plain"),
            "429": lambda: exchange.reply(429, b"{}", "application/json", Retry_After="0"),
            "html": lambda: exchange.reply(200, b"<!doctype html><p>Sign in", "text/html"),
            "404": lambda: exchange.reply_json({"message": "Not found", "status_code": 404}, 404),
            "broken": lambda: exchange.reply_json(b'{"features": 3}'),
            "half": lambda: exchange.reply(200, whole[:-2000]),
            "reset": exchange.reset,
        }[fault]()

    def search(self, exchange, params):
        found = self.items
        if "ids" in params:
            found = [item for item in found if item["id"] in params["ids"].split(",")]
        if "bbox" in params:
            west, south, east, north = map(float, params["bbox"].split(","))
            assert -180 <= west <= east <= 180
            middle = ((west + east) / 2, (south + north) / 2)
            found = [item for item in found if west <= lon(item) <= east and south <= lat(item) <= north]
            # Nearest first, in degrees.
            found = sorted(found, key=lambda item: math.dist(middle, item["geometry"]["coordinates"]))
        if "datetime" in params:
            first, last = (None if end == ".." else moment(end) for end in params["datetime"].split("/"))
            times = [(item, moment(item["properties"]["datetime"])) for item in found]
            found = [item for item, when in times if (not first or when >= first) and (not last or when <= last)]
        limit = int(params.get("limit", 10))
        if not 1 <= limit <= 10_000:
            return exchange.reply_json({"message": "limit parameter should be an integer", "status_code": 400}, 400)
        links = [{"rel": "root", "href": f"{self.url}/api/", "type": "application/json"}]
        return exchange.reply_json({"type": "FeatureCollection", "features": found[:limit], "links": links})

    def image(self, exchange, parts):
        if len(parts) != 5 or not re.fullmatch(r"[0-9a-f-]{36}|other-\d", parts[3]):
            return exchange.reply(404, b"<!doctype html><title>404 Not Found</title>", "text/html; charset=utf-8")
        item = next((one for one in self.items if one["id"] == parts[3]), None)
        if item is None:
            return exchange.reply_json({"message": "Impossible to query picture data", "status_code": 404}, 404)
        shot, size = SHOTS[item["properties"]["original_file:name"]], parts[4]
        self.sizes.append(size)
        if size == "hd.jpg":
            return exchange.reply(200, panoramax_town.jpeg(shot))
        height_px, width_px = shot.size_px
        wide_px = 500 if size == "thumb.jpg" else SD_WIDTH_PX
        return exchange.reply(200, panoramax_town.jpeg(shot, round(height_px * wide_px / width_px), wide_px))


def lon(item):
    return item["geometry"]["coordinates"][0]


def lat(item):
    return item["geometry"]["coordinates"][1]


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def moved(item, lat_deg, lon_deg, name):
    """Returns a copy of an item elsewhere."""
    other = copy.deepcopy(item)
    other["geometry"]["coordinates"], other["id"] = [lon_deg, lat_deg], name
    return other


def client_of(service, most_results=50, **changes):
    options = {"api_base": service.url, "height_px": 60, "width_px": 120, "pitch_deg": 0.0} | changes
    return panoramax_api.Panoramax(panoramax_options.PanoramaxOptions(**options), QUICK, most_results)


@contextlib.contextmanager
def serving(**options):
    """Gives a Service; its `url` is where."""
    service = Service(**options)
    with scripted_server.serving(service) as server:
        service.load(server.url)
        yield service
