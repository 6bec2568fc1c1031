"""A scraper at any size beside the simulated service, with faults and kills."""

import argparse
import contextlib
import dataclasses
import json
import math
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping

import canary
import checkout
import requests
import shapely
import starts

from geods.geo import partition
from geods.imagery.scraping import scrape_journal

VIEWS = 3


# Each once, on the first attempt; the kinds that deny the key end a scrape and have tests of their own.
PASSING = (
    *("http_500", "http_503", "http_429", "json_over_query_limit", "json_unknown_error", "reset", "truncated"),
    *("truncated_nolength", "wrong_type", "empty", "corrupt_jpeg", "error_image", "redirect"),
)


# More rarely, as they take 0.3, 0.7 and 20 s of a worker's time.
LONG = {"huge": 10, "slow": 10, "timeout": 100}


LASTING = ("grey", "moved_pano", "far_pano", "missing_date", "missing_location")


def faults(rate: float) -> list[dict]:
    """Faults at a rate: passing ones, a tenth as many that stay, and slow ones."""
    passing = [{"kind": kind, "rate": rate, "first_n_attempts": 1} for kind in PASSING]
    passing += [
        {"kind": kind, "rate": rate / rarer, "first_n_attempts": 1, "bytes_per_s": 50_000}
        for kind, rarer in LONG.items()
    ]
    return passing + [{"kind": kind, "rate": rate / 10, "lasting": True} for kind in LASTING]


def cells(side: int) -> partition.Partition:
    """side x side cells of a degree or less on the plains, all with land and roads."""
    width, height = min(1.0, 16 / side), min(1.0, 13 / side)
    corners = [(-104 + width * x, 35 + height * y) for y in range(side) for x in range(side)]
    return partition.Partition(tuple(shapely.box(x, y, x + width, y + height) for x, y in corners))


@dataclasses.dataclass
class Service:
    """A simulated Street View that runs."""

    url: str

    def stats(self) -> dict:
        """Its ledger."""
        return requests.get(f"{self.url}/__fake__/stats", timeout=60).json()

    def asked(self, endpoint: str = "image") -> int:
        """Requests to an endpoint."""
        return sum(self.stats()["requests"][endpoint].values())


@contextlib.contextmanager
def service(folder: pathlib.Path, *flags: str, rate: float = 0.0) -> Iterator[Service]:
    """Runs the program that simulates Street View, with faults at a rate."""
    path = folder / f"faults{rate}.json"
    path.write_text(json.dumps(faults(rate) if rate else []), encoding="utf-8")
    command = [sys.executable, "-m", "tools.simulated_street_view", "--port=0", "--picture=tiled"]
    command += [f"--faults={path}", f"--keys={canary.CANARY}", *flags]
    with subprocess.Popen(command, cwd=checkout.REPO, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Service(process.stdout.readline().split()[-1])
        finally:
            process.terminate()
            process.communicate()


def command(url: str, folder: pathlib.Path, out: str, *flags: str) -> list[str]:
    """Command that scrapes; the last of several equal flags counts."""
    where = [f"--api_base={url}", f"--partition={folder / 'partition.geojson'}", f"--out={folder / out}"]
    given = {flag.partition("=")[0]: flag for flag in ("--lookups_per_s=2000", *flags)}
    return [sys.executable, "-m", "tools.scrape", *where, *given.values()]


def scrape(*arguments: object) -> subprocess.CompletedProcess:
    """Scrapes to the end and checks that the key shows nowhere."""
    environment = os.environ | {"GOOGLE_MAPS_API_KEY": canary.CANARY}
    return starts.run(command(*arguments), environment)


def contents(tree: pathlib.Path) -> dict[str, bytes | str]:
    """All of a tree that must not depend on how it was made."""
    own = ("journal.sqlite", ".scrape.lock", "scrape.cfg")
    paths = [path for path in tree.rglob("*") if path.is_file() and not path.name.startswith(own)]
    found: dict[str, bytes | str] = {str(path.relative_to(tree)): path.read_bytes() for path in sorted(paths)}
    return found | {"journal": scrape_journal.canonical(tree)}


def storm(folder: pathlib.Path, count: int, images_per_s: float = 200.0) -> dict:
    """Scrapes this many requests through all faults; returns counts."""
    side = max(2, round(math.sqrt(count / 46)))
    partition.write(cells(side), folder / "partition.geojson")
    wanted = side * side * 10
    with service(folder, rate=0.01) as server:
        usual = (f"--images_per_s={images_per_s}", "--locations_per_cell=10", "--workers=8")
        poor = scrape(server.url, folder, "storm", *usual, f"--max_cost={0.007 * wanted:.6f}")
        paid = server.asked()
        rich = scrape(server.url, folder, "storm", *usual, "--max_cost=100000")
        asked, looked_up, told = server.asked(), server.asked("metadata"), server.stats()
    tree = folder / "storm"
    status = scrape_journal.read_status(tree)
    seen = {
        "requests": asked + looked_up,
        "faults": sum(told["faults"].values()),
        "image requests": asked,
        "units in the journal": status.units,
        "locations": status.locations,
        "images in the tree": len(list(tree.glob("[0-9]*/*/*.jpg"))),
        "whole images sent": told["unique_images"],
        "whole images sent twice": told["repeated_images"],
        "image requests at the first limit": f"{paid} of {wanted}",
        "most images asked for in a second": told["peak_per_s"]["image"],
        "exit codes": (poor.returncode, rich.returncode),
    }
    assert poor.returncode == 5, poor.stdout + poor.stderr
    assert paid <= wanted
    assert rich.returncode in (0, 6), rich.stdout + rich.stderr
    assert seen["images in the tree"] == status.locations * VIEWS
    assert status.units == asked, seen
    assert told["repeated_images"] == 0, seen
    # What was answered and is not in the tree belongs to locations that another of their images made fail.
    assert told["unique_images"] >= seen["images in the tree"]
    assert told["peak_per_s"]["image"] <= images_per_s + 8
    assert not told["unknown_parameters"]
    assert not told["redirects_followed"]
    canary.assert_no_key(folder)
    return seen


def kills(folder: pathlib.Path, count: int, seed: int = 0) -> dict:
    """Kills and resumes the scraper; compares with an undisturbed scrape."""
    partition.write(cells(3), folder / "partition.geojson")
    usual = ("--images_per_s=60", "--locations_per_cell=6", "--max_cost=1000", "--workers=8")
    with service(folder, rate=0.02) as server:
        done = scrape(server.url, folder, "whole", *usual, "--images_per_s=1000")
        assert done.returncode in (0, 6), done.stdout + done.stderr
    rng, made, trees, units = random.Random(seed), 0, 0, 0
    wanted = contents(folder / "whole")
    while made < count:
        trees += 1
        name = f"killed{trees}"
        with service(folder, rate=0.02) as server:
            while _kill_one(server, folder, name, usual, rng.uniform(0.3, 1.6)):
                made += 1
                if made >= count:
                    done = scrape(server.url, folder, name, *usual)
                    break
            told = server.stats()
        assert contents(folder / name) == wanted
        units += told["repeated_images"]
    canary.assert_no_key(folder)
    return {"kills": made, "trees": trees, "files compared": len(wanted) * trees, "images answered twice": units}


def _kill_one(server: Service, folder: pathlib.Path, name: str, flags: tuple[str, ...], after_s: float) -> bool:
    """Scrapes until killed; returns False if it ended before."""
    environment = os.environ | {"GOOGLE_MAPS_API_KEY": canary.CANARY}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(
        command(server.url, folder, name, *flags), cwd=checkout.REPO, env=environment, **quiet
    ) as scraper:
        try:
            scraper.wait(after_s)
        except subprocess.TimeoutExpired:
            scraper.kill()
            scraper.wait()
    return scraper.returncode == -signal.SIGKILL


def rate(folder: pathlib.Path, images_per_s: float, seconds: float) -> dict:
    """Scrapes for some time at a limit; returns the rate by the server's clock."""
    side = max(2, math.ceil(math.sqrt(images_per_s * seconds / VIEWS / 10)))
    partition.write(cells(side), folder / "partition.geojson")
    flags = (f"--images_per_s={images_per_s}", "--locations_per_cell=10", "--max_cost=10000", "--workers=8")
    environment = os.environ | {"GOOGLE_MAPS_API_KEY": canary.CANARY}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    samples = []
    with service(folder) as server:
        line = command(server.url, folder, f"rate{images_per_s:g}", *flags)
        with subprocess.Popen(line, cwd=checkout.REPO, env=environment, **quiet) as scraper:
            while scraper.poll() is None:
                asked = server.asked()
                samples += [(time.monotonic(), asked)] if asked else []
                time.sleep(0.25)
        peak = server.stats()["peak_per_s"]["image"]
    assert scraper.returncode in (0, 6)
    # The last sample may be from after the last image.
    (began_s, first), (ended_s, last) = samples[0], samples[-2]
    reached = (last - first) / (ended_s - began_s)
    return {
        "limit": images_per_s,
        "reached": round(reached, 1),
        "share": round(reached / images_per_s, 3),
        "peak": peak,
    }


def run_parts(parts: Mapping[str, Callable], sizes: argparse.Namespace) -> None:
    """Runs the parts of `sizes.part`, each in its own folder, and prints counts."""
    for name in sizes.part.split(","):
        with tempfile.TemporaryDirectory() as scratch:
            began_s = time.monotonic()
            seen = parts[name](pathlib.Path(scratch), sizes)
            print(f"{name}: {json.dumps(seen)} in {time.monotonic() - began_s:,.0f} s", flush=True)
