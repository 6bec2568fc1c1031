#!/usr/bin/env bash
# Surprise: the official Mapillary SDK's get_image_close_to(longitude, latitude, radius=...) misses pictures within the radius.
# One would guess: all pictures within `radius` metres of the point, as its documentation says.
# Seen: it reads the one vector tile (zoom 14) that holds the point, and filters that by the radius. Of two pictures 15 m away from a
# point, that beyond the tile's edge is not found. At 48 N a tile is 1.6 km wide: 43 % of all points lie within 200 m of an edge,
# and every point within 1,500 m of one.
# Versions: mapillary 1.0.16, mapbox-vector-tile 2.2.0, Python 3.11. The service is a server on this machine with two pictures.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check mapillary==1.0.16 mapbox-vector-tile==2.2.0
cd "$work"
"$work/venv/bin/python" - <<'PY'
import http.server
import sys
import threading

import mapbox_vector_tile
import mercantile
import requests

LAT, RADIUS_M = 48.2, 200
edge = mercantile.bounds(mercantile.tile(16.37, LAT, 14))
METRE = 1 / 74_300  # degrees of longitude at 48.2 N
PICTURES = {1: (edge.east - 15 * METRE, LAT), 2: (edge.east + 15 * METRE, LAT)}
asked = []


class Service(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        parts = self.path.split("?")[0].strip("/").split("/")
        body = b"{}"
        if parts[0] == "maps":
            z, x, y = map(int, parts[-3:])
            asked.append((x, y))
            box = mercantile.xy_bounds(x, y, z)
            features = []
            for number, (lon, lat) in PICTURES.items():
                if mercantile.tile(lon, lat, z) == (x, y, z):
                    east, north = mercantile.xy(lon, lat)
                    about = {"id": number, "captured_at": 1_600_000_000_000, "is_pano": False, "compass_angle": 0.0}
                    features.append({"geometry": f"POINT({east} {north})", "properties": about})
            options = {"quantize_bounds": (box.left, box.bottom, box.right, box.top)}
            body = mapbox_vector_tile.encode({"name": "image", "features": features}, default_options=options)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
threading.Thread(target=server.serve_forever, daemon=True).start()
send = requests.Session.send


def redirected(self, request, **keywords):
    for host in ("graph", "tiles"):
        request.url = request.url.replace(f"https://{host}.mapillary.com", f"http://127.0.0.1:{server.server_port}")
    return send(self, request, **keywords)


requests.Session.send = redirected
import mapillary.interface

mapillary.interface.set_access_token("MLY|1|made-up")


def found(lon):
    got = mapillary.interface.get_image_close_to(longitude=lon, latitude=LAT, radius=RADIUS_M).to_dict()
    return sorted(feature["properties"]["id"] for feature in got["features"])


west, east = found(edge.east - METRE), found(edge.east + METRE)
print(f"1 m west of the edge, within {RADIUS_M} m: pictures {west}; 1 m east of it: {east}; both are 14 to 16 m away")
print(f"tiles asked for: {asked}")
sys.exit(not (west == [1] and east == [2] and len(asked) == 2))
PY
