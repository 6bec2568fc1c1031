"""A tree that a process scrapes from a drawn source, for tests of --follow.

    python tests/support/drawn/scraped_tree.py TREE MAX_COST IMAGES_PER_S

It stops after HELD images and waits while there is a file TREE.hold.

An image costs 0.01 USD; the whole tree has LOCATIONS places with two views, 2.40 USD.
"""

import itertools
import pathlib
import subprocess
import sys
import time

import checkout
import drawn_source
import shapely

from geods.geo import partition
from geods.imagery.scraping import options, scrape

_PER_CELL = 10
SIZE_PX = (64, 128)
WHOLE_USD = 100.0


def cells() -> partition.Partition:
    """Twelve cells of 3 x 4 degrees, so that each has several blocks of each split."""
    boxes = (shapely.box(lon, lat, lon + 4, lat + 3) for lat in (36, 39, 42) for lon in (-104, -100, -96, -92))
    return partition.Partition(tuple(boxes))


LOCATIONS = 12 * _PER_CELL


HELD = 60


def hold_file(tree_dir) -> pathlib.Path:
    """Returns the file that makes a scraper wait."""
    return pathlib.Path(f"{tree_dir}.hold")


def run(tree_dir, max_cost=WHOLE_USD, images_per_s=2000.0):
    """Scrapes, or resumes, until done or out of money."""
    fetched = itertools.count()

    def wait_if_held(kind, key, attempt):
        if kind == "fetch" and next(fetched) >= HELD:
            while hold_file(tree_dir).exists():
                time.sleep(0.02)

    settings = options.ScrapeOptions(
        out=str(tree_dir),
        locations_per_cell=_PER_CELL,
        headings=(0, 180),
        max_cost=max_cost,
        price_per_1000=10.0,
        images_per_s=images_per_s,
        lookups_per_s=2000,
    )
    client = drawn_source.DrawnSource(script=wait_if_held, height_px=SIZE_PX[0], width_px=SIZE_PX[1])
    return scrape.scrape(settings, client, cells(), {}, delay_factor=0.01)


def start(tree_dir, max_cost=WHOLE_USD, images_per_s=2000.0) -> subprocess.Popen:
    """Starts `run` as a process of its own."""
    here = pathlib.Path(__file__)
    command = [sys.executable, str(here), str(tree_dir), str(max_cost), str(images_per_s)]
    return subprocess.Popen(command, cwd=checkout.REPO, env=checkout.environment(), stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    run(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))
