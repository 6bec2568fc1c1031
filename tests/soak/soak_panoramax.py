"""Scrape of a drawn town in a real Panoramax, killed and resumed.

The installation stands in tests/support/servers/geovisio_server.py.

    GEODS_GEOVISIO=geovisio/bin python tests/soak/soak_panoramax.py --sequences=150 --spheres=16 --kills=20

Every view's direction is compared with the one that was drawn, to a degree; each kill is followed by the same command,
until the tree is that of an undisturbed run; so too for a list of points. Then the rate on loopback, at limits up to 50
images a second. Without a real Panoramax, the rate alone, from the recorded one:

    python tests/soak/soak_panoramax.py --rate
"""

import argparse
import csv
import json
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

import _support_path  # noqa: F401 - before the modules it makes known
import checkout
import geovisio_server
import numpy as np
import panoramax_recorder
import panoramax_server
import panoramax_town
import scraper_soak
import shapely
from PIL import Image

from geods.geo import partition

QUICK = ("--source=panoramax", "--lookups_per_s=1000", "--height_px=60", "--width_px=120", "--pitch_deg=0")


def command(base: str, folder: pathlib.Path, name: str, kind: str, *flags: str) -> list[str]:
    where = (f"--api_base={base}", f"--partition={folder / 'partition.geojson'}", f"--out={folder / name}")
    amount = (
        "--locations_per_cell=4",
        "--lookups_per_location=40",
        "--radius_m=1000",
        f"--panoramax_kind={'flat' if kind == 'flat' else 'panorama'}",
    )
    given = {flag.partition("=")[0]: flag for flag in (*QUICK, *amount, *flags)}
    return [sys.executable, "-m", "tools.scrape", *where, *given.values()]


def run(words: list[str]) -> tuple[str, float]:
    """Runs a scrape to its end; returns its output and the seconds."""
    start_s = time.monotonic()
    done = subprocess.run(words, cwd=checkout.REPO, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 6), done.stdout + done.stderr
    return done.stdout, time.monotonic() - start_s


def furthest_off_deg(tree: pathlib.Path, shots: dict[str, panoramax_town.Shot]) -> tuple[int, float]:
    """Returns the number of views and the largest error of a heading, degrees."""
    with open(tree / "views.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    worst = 0.0
    for row in rows:
        assert row["licence"] == "CC-BY-SA-4.0"
        assert row["copyright"] == "Default account; Ann Example"
        shot, heading = shots[row["original_name"]], float(row["heading"])
        with Image.open(tree / row["file"]) as image:
            seen = panoramax_town.looks_to(np.asarray(image))
        offs = [seen - heading] if shot.is_sphere else [seen - heading, shot.heading_deg - heading]
        worst = max(worst, *(abs((off + 180) % 360 - 180) for off in offs))
    return len(rows), worst


def kills(words: list[str], tree: pathlib.Path, count: int, whole_s: float) -> int:
    """Kills a scrape at random moments; returns the runs until it was complete."""
    rng, runs, killed, silent = random.Random(0), 0, 0, subprocess.DEVNULL
    while True:
        runs += 1
        with subprocess.Popen(words, cwd=checkout.REPO, stdout=silent, stderr=silent) as scraper:
            if killed < count:
                try:
                    scraper.wait(rng.uniform(0.3, whole_s))
                except subprocess.TimeoutExpired:
                    scraper.send_signal(signal.SIGKILL)
                    killed += 1
                    continue
        assert scraper.returncode in (0, 6)
        if killed >= count:
            return runs
        # It was finished before the kills were used up: from the start again.
        tree.rename(tree.with_name(f"{tree.name}_{runs}"))


def main(options: argparse.Namespace) -> None:
    if options.rate or geovisio_server.missing():
        if not options.rate:
            print(f"the rate alone: {geovisio_server.missing()}")
        with tempfile.TemporaryDirectory() as made, panoramax_server.serving() as service:
            write_cells(pathlib.Path(made))
            show_rates(service.url, pathlib.Path(made))
        return
    shots = panoramax_town.town(options.sequences, options.spheres)
    named = {shot.name: shot for shot in shots}
    with tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(made)
        (folder / "server").mkdir()
        write_cells(folder)
        with geovisio_server.serving(folder / "server") as base:
            start_s = time.monotonic()
            panoramax_recorder.upload(f"{base}/api", shots)
            print(f"{len(shots)} pictures in {time.monotonic() - start_s:.0f} s", flush=True)
            listed = folder / "points.csv"
            lines = [f"{shot.lat_deg},{shot.lon_deg},{shot.sequence}" for shot in shots if shot.is_sphere]
            listed.write_text("\n".join(["lat,lon,heading", *lines]), encoding="utf-8")
            for kind, flags in (("panorama", ()), ("flat", ()), ("points", (f"--points={listed}", "--radius_m=30"))):
                _, whole_s = run(command(base, folder, kind, kind, "--images_per_s=20", *flags))
                views, off_deg = furthest_off_deg(folder / kind, named)
                print(f"{kind}: {views} views, {off_deg:.2f} degrees off at most", flush=True)
                assert off_deg < 1
                words = command(base, folder, f"{kind}_killed", kind, "--images_per_s=20", *flags)
                runs = kills(words, folder / f"{kind}_killed", options.kills, whole_s)
                same = scraper_soak.contents(folder / kind) == scraper_soak.contents(folder / f"{kind}_killed")
                print(f"{kind}: {options.kills} kills in {runs} runs; the same tree: {same}", flush=True)
                assert same
            show_rates(base, folder)


def write_cells(folder: pathlib.Path) -> None:
    """Writes a partition of two cells."""
    west, south, half = panoramax_town.WEST, panoramax_town.SOUTH, panoramax_town.WIDTH_DEG / 2
    boxes = [shapely.box(west + x, south, west + x + half, south + panoramax_town.HEIGHT_DEG) for x in (0, half)]
    partition.write(partition.Partition(tuple(boxes)), folder / "partition.geojson")


def show_rates(base: str, folder: pathlib.Path) -> None:
    """Prints the images a second at each limit; at least 0.9 of it is the aim."""
    found = rates(base, folder)
    shares = {limit: round(per_s / limit, 2) for limit, per_s in found.items()}
    print(json.dumps({"images a second": found, "share of the limit": shares}), flush=True)
    assert min(shares.values()) >= 0.9, "needs a machine that does nothing else"


def rates(base: str, folder: pathlib.Path) -> dict[int, float]:
    """Returns images a second at each limit."""
    found = {}
    for limit in (10, 20, 50):
        headings = "--headings=" + ",".join(map(str, range(0, 360, 8)))
        words = command(base, folder, f"rate{limit}", "panorama", f"--images_per_s={limit}", headings)
        run(words)
        stamps = sorted(path.stat().st_mtime for path in (folder / f"rate{limit}").glob("[0-9]*/*/*.jpg"))
        found[limit] = round((len(stamps) - 1) / (stamps[-1] - stamps[0]), 1)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--sequences", type=int, default=150)
    parser.add_argument("--spheres", type=int, default=16)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--rate", action="store_true")
    main(parser.parse_args())
