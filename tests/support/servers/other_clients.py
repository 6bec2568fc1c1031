"""Clients that the project does not install, against simulated services.

Run by the Python of their environment: other_clients.py CLIENT URL TOKEN LAT LON FOLDER; prints JSON.
"""

import json
import os
import sys

import requests


def redirect(url: str) -> None:
    """Redirects requests for the real services to `url`."""
    whole = requests.sessions.Session.send
    hosts = ("https://graph.mapillary.com", "https://tiles.mapillary.com", "https://maps.googleapis.com")

    def send(self, request, **keywords):
        for host in hosts:
            request.url = request.url.replace(host, url)
        return whole(self, request, **keywords)

    requests.sessions.Session.send = send


def mapillary(token: str, lat: float, lon: float, folder: str) -> dict:
    """The official SDK: pictures close to a point, fields and a thumbnail of one."""
    os.chdir(folder)
    import mapillary.interface as sdk

    sdk.set_access_token(token)
    features = sdk.get_image_close_to(longitude=lon, latitude=lat, radius=400).to_dict()["features"]
    found = {str(feature["properties"]["id"]): feature for feature in features}
    nearest = min(found, key=lambda name: abs(found[name]["geometry"]["coordinates"][1] - lat))
    fields = ["geometry", "sequence", "captured_at", "compass_angle"]
    record = sdk.image_from_key(int(nearest), fields=fields)
    thumbnail = sdk.image_thumbnail(nearest, 2048)
    return {"features": found, "nearest": nearest, "record": str(record), "thumbnail": thumbnail}


def google_streetview(token: str, lat: float, lon: float, folder: str) -> dict:
    """Package google_streetview: metadata and an image."""
    import google_streetview.api

    asked = {"size": "200x100", "location": f"{lat},{lon}", "heading": "90", "pitch": "0", "key": token}
    found = google_streetview.api.results([asked])
    found.download_links(folder)
    return {"metadata": found.metadata}


def streetview(token: str, lat: float, lon: float, folder: str) -> dict:
    """Package streetview: an image of the panorama at a point."""
    import streetview as package

    answer = requests.get(
        "https://maps.googleapis.com/maps/api/streetview/metadata",
        params={"location": f"{lat},{lon}", "key": token},
        timeout=20,
    ).json()
    meta = package.get_panorama_meta(pano_id=answer["pano_id"], api_key=token)
    image = package.get_streetview(pano_id=meta.pano_id, api_key=token, width=200, height=100)
    image.save(f"{folder}/view.png")
    return {"metadata": [json.loads(meta.model_dump_json() if hasattr(meta, "model_dump_json") else meta.json())]}


if __name__ == "__main__":
    client, base, key, lat_deg, lon_deg, out = sys.argv[1:]
    redirect(base)
    print(json.dumps(globals()[client](key, float(lat_deg), float(lon_deg), out), default=str))
