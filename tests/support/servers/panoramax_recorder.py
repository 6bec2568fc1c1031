"""Draws the small town into a real Panoramax and records its responses.

    python tests/support/servers/panoramax_recorder.py http://127.0.0.1:5000 tests/support/servers/panoramax_items.json

Needs an empty instance (geovisio 2.15.1 was asked). No image is kept: the suite draws them again. Left out of each item
is what no client of ours reads: links but the licence and the pictures beside, tiles, semantics.
"""

import json
import pathlib
import sys
import time

if __name__ == "__main__":
    sys.path += [str(pathlib.Path(__file__).parents[1] / name) for name in ("drawn", "servers")]

import panoramax_town
import requests

SEQUENCES, SPHERES = 16, 9
_UNREAD = ("asset_templates", "bbox", "stac_extensions", "stac_version")
_UNREAD_PROPERTIES = ("annotations", "collection", "created", "updated", "semantics", "tiles:tile_matrix_sets")


def upload(api: str, shots: tuple[panoramax_town.Shot, ...], timeout_s: float = 1800) -> None:
    """Uploads shots and waits until they can be found."""
    asked = {"title": "drawn", "estimated_nb_files": len(shots), "sort_method": "time-asc"}
    made = requests.post(f"{api}/upload_sets", json=asked, timeout=60).json()["id"]
    for shot in shots:
        files = {"file": (shot.name, panoramax_town.upload(shot), "image/jpeg")}
        answer = requests.post(f"{api}/upload_sets/{made}/files", files=files, timeout=60)
        assert answer.status_code == 202, (shot.name, answer.text)
    end_s = time.monotonic() + timeout_s
    while not requests.get(f"{api}/upload_sets/{made}", timeout=60).json().get("ready"):
        assert time.monotonic() < end_s, "the pictures are not ready"
        time.sleep(0.5)


def search(api: str, limit: int = 10_000) -> list[dict]:
    """Returns all pictures of the town."""
    town = panoramax_town
    box = (town.WEST, town.SOUTH, town.WEST + town.WIDTH_DEG, town.SOUTH + town.HEIGHT_DEG)
    params = {"bbox": ",".join(map(str, box)), "limit": limit}
    return requests.get(f"{api}/search", params=params, timeout=60).json()["features"]


def reduced(item: dict, base: str) -> dict:
    """Returns an item without unused fields and the address of the server."""
    kept = {name: value for name, value in item.items() if name not in _UNREAD}
    read = {"license": ("href", "rel", "title"), "prev": ("rel", "geometry"), "next": ("rel", "geometry")}
    kept["links"] = [{name: link[name] for name in read[link["rel"]]} for link in item["links"] if link["rel"] in read]
    kept["links"].sort(key=lambda link: link["rel"])
    kept["properties"] = {name: v for name, v in item["properties"].items() if name not in _UNREAD_PROPERTIES}
    kept["providers"] = [{"name": one["name"], "roles": one["roles"]} for one in item["providers"]]
    for asset in kept["assets"].values():
        del asset["description"], asset["title"]
    return json.loads(json.dumps(kept).replace(base, "{base}"))


def main(base: str, out: str) -> None:
    """Records the town."""
    upload(f"{base}/api", panoramax_town.town(SEQUENCES, SPHERES))
    items = [reduced(item, base) for item in search(f"{base}/api")]
    items.sort(key=lambda item: item["properties"]["original_file:name"])
    lines = ",\n".join(json.dumps(item, sort_keys=True) for item in items)
    pathlib.Path(out).write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(f"{len(items)} items")


if __name__ == "__main__":
    main(*sys.argv[1:])
