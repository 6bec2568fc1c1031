"""The report's plan at full width: 243 cells x 4 locations x 3 headings.

From a simulated service to a TFDS dataset.

    python tests/soak/soak_country.py --boundary=cb_2018_us_nation_5m.zip

Programs run as a user runs them. Then the location of every image of the dataset is compared with the service's own
record of its panorama, whose id the drawn pictures carry in a comment. 80 s on 2 cores; `--boundary=us`, the default,
downloads the outline.
"""

import argparse
import csv
import hashlib
import json
import pathlib
import tempfile
import time

import _support_path  # noqa: F401 - before the modules it makes known
import requests
import road
import scraper_soak
from absl import logging

from geods.cli import program
from geods.geo import partition
from geods.imagery.scraping import scrape_journal
from geods.tree import imagery_tree

LOCATIONS_PER_CELL = 4
SPLITS = ("train", "validation", "test")


def scrape_country(folder: pathlib.Path, boundary: str) -> dict:
    """Partition, scrape, build; returns counts, of which each "wrong" must be 0."""
    road.program("tools.make_partition", f"--boundary={boundary}", f"--out={folder / 'partition.geojson'}")
    cells = partition.read(folder / "partition.geojson")
    flags = (f"--locations_per_cell={LOCATIONS_PER_CELL}", "--max_cost=100", "--images_per_s=200")
    with scraper_soak.service(folder) as server:
        done = scraper_soak.scrape(server.url, folder, "tree", *flags)
        assert done.returncode in (0, 6), done.stdout + done.stderr
        views = _views(folder / "tree")
        truth = {row["pano_id"]: _position(server, row["pano_id"]) for row in views}
    road.program("tools.check_tree", f"--tree={folder / 'tree'}")
    where = (f"--manual_dir={folder / 'tree'}", f"--data_dir={folder / 'data'}")
    road.program("tensorflow_datasets.scripts.cli.main", "build", "geods", "--config=blocked", *where)
    status = scrape_journal.read_status(folder / "tree")
    return {
        "cells": len(cells),
        "locations": status.locations,
        "images": len(views),
        "cells under their target": _short(folder / "tree", len(cells)),
        **_wrong(folder, cells, views, truth),
    }


def _views(tree_dir: pathlib.Path) -> list[dict[str, str]]:
    """Returns the lines of views.csv."""
    with open(tree_dir / "views.csv", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _position(server: scraper_soak.Service, pano_id: str) -> tuple[float, float]:
    """Returns where the service says that a panorama stands."""
    place = requests.get(f"{server.url}/__fake__/pano/{pano_id}", timeout=60).json()["location"]
    return place["lat"], place["lng"]


def _short(tree_dir: pathlib.Path, cells: int) -> int:
    """Returns how many cells have fewer locations than were asked for."""
    counts = [0] * cells
    for place in imagery_tree.read(tree_dir):
        counts[place.folder_cell] += 1
    return sum(count < LOCATIONS_PER_CELL for count in counts)


def _wrong(
    folder: pathlib.Path,
    cells: partition.Partition,
    views: list[dict[str, str]],
    truth: dict[str, tuple[float, float]],
) -> dict[str, int]:
    """Compares every image of the dataset with the service; returns counts by fault."""
    pano_of = {
        hashlib.sha256((folder / "tree" / row["file"]).read_bytes()).hexdigest(): row["pano_id"] for row in views
    }
    program.import_quietly("tensorflow")
    from geods.dataset import dataset_reader, records

    builder = dataset_reader.open_builder(folder / "data")
    images = wrong_label = wrong_place = wrong_picture = 0
    for split in SPLITS:
        for example in records.read(builder, split).map(records.parse_one).as_numpy_iterator():
            for content in example["views"]["image"]:
                images += 1
                pano_id = pano_of[hashlib.sha256(content).hexdigest()]
                lat_deg, lon_deg = truth[pano_id]
                wrong_picture += pano_id.encode() not in content
                wrong_place += bool(max(abs(example["coords"] - (lat_deg, lon_deg))) > 1e-6)
                wrong_label += int(example["cell"]) != int(cells.label([lat_deg], [lon_deg])[0])
    return {
        "images in the dataset": images,
        "wrong pictures": wrong_picture,
        "wrong places": wrong_place,
        "wrong labels": wrong_label,
    }


def main() -> None:
    """Runs it in a scratch folder and prints the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boundary", default="us", help="for tools.make_partition")
    logging.set_verbosity(logging.ERROR)
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        seen = scrape_country(pathlib.Path(scratch), parser.parse_args().boundary)
    print(f"country: {json.dumps(seen)} in {time.monotonic() - began_s:,.0f} s", flush=True)
    assert seen["images"] == seen["images in the dataset"] == seen["locations"] * scraper_soak.VIEWS
    assert not any(count for name, count in seen.items() if name.startswith("wrong"))


if __name__ == "__main__":
    main()
