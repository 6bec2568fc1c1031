"""Mistakes that users make: how each comes about, the command line, and what the answer must say.

A command line is that of a real program. In it and in what is expected, {here} stands for a folder that `materials` has
filled and `prepare` has added to, {road} for one with a dataset, a cache and a run of the small road (conftest.py), and
{service} for the address of a simulated Street View.

HERE is answered without TensorFlow and from nothing, ON_ROAD without TensorFlow on what the road has made, LATE needs
TensorFlow or a service.
"""

import dataclasses
import json
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping

import canary
import drawn_photos
import drawn_trees
import h5py
import road
import shapely

from geods import partition

LONGEST_ANSWER = 12
BUILD = (
    "tensorflow_datasets.scripts.cli.main build geods --config=random --manual_dir={here}/tree --data_dir={here}/data"
)
PARTITION = "tools.make_partition --out={here}/p.geojson"
ALL_OF_SQUARE = "tools.make_partition --boundary={here}/square.geojson --part=all"
IMPORT = "tools.import_images --source={here}/photographs --out={here}/out --partition={here}/partition.geojson"
CHECK = "tools.check_tree --tree={here}/tree"
SCRAPE = "tools.scrape --partition={here}/partition.geojson --out={here}/scraped --locations_per_cell=1 --accept_terms"
WITH_KEY = f"{SCRAPE} --api_key_file={{here}}/key"
UNBUILT = "--data_dir={here}/data --cache_dir={here}/cache"
OF_ROAD = "--data_dir={road}/data --config=random"
EXTRACT = f"trainers.extract {OF_ROAD} --cache_dir={{here}}/cache --height_px=32 --width_px=48"
TRAIN = f"trainers.train {OF_ROAD} --cache_dir={{road}}/cache --run_dir={{here}}/new"
SQUARE = [[-100, 30], [-90, 30], [-90, 40], [-100, 40], [-100, 30]]


@dataclasses.dataclass(frozen=True)
class Mistake:
    """One mistake.

    Attributes:
        words: Module and flags.
        says: Regular expression of the cause in what the program prints.
        next: Regular expression of the next step, looked for after the cause.
        prepare: Adds to the materials.
        status: Exit status.
    """

    words: str
    says: str
    next: str
    prepare: Callable[[pathlib.Path], object] = lambda here: None
    status: int = 2


def materials(here: pathlib.Path) -> None:
    """Fills a folder with what most mistakes are made with."""
    drawn_trees.write(here / "tree", drawn_trees.location_ids(3))
    partition.write(drawn_trees.cells(), here / "partition.geojson")
    image("photographs/a.jpg", drawn_trees.jpeg(0))(here)
    boundary("square.geojson", SQUARE)(here)


def both(*steps: Callable[[pathlib.Path], object]) -> Callable[[pathlib.Path], None]:
    """Prepares several things."""

    def prepare(here: pathlib.Path) -> None:
        for step in steps:
            step(here)

    return prepare


def boundary(name: str, ring: list, kind: str = "Polygon") -> Callable[[pathlib.Path], None]:
    """Writes a GeoJSON boundary of one feature."""
    geometry = {"type": kind, "coordinates": [ring] if kind == "Polygon" else ring}
    feature = {"type": "Feature", "properties": {"NAME": "France"}, "geometry": geometry}
    return text(name, json.dumps({"type": "FeatureCollection", "features": [feature]}))


def text(name: str, content: str, mode: int = 0o644) -> Callable[[pathlib.Path], None]:
    """Writes a file."""

    def write(here: pathlib.Path) -> None:
        image(name, content.encode())(here)
        (here / name).chmod(mode)

    return write


def image(name: str, content: bytes) -> Callable[[pathlib.Path], None]:
    """Writes a file and the folders it is in."""

    def write(here: pathlib.Path) -> None:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_bytes(content)

    return write


def table(content: str) -> Callable[[pathlib.Path], None]:
    """Writes t.csv."""
    return text("t.csv", content)


def elsewhere(here: pathlib.Path) -> None:
    """Writes a partition of another country."""
    partition.write(partition.Partition((shapely.box(2, 44, 8, 50),)), here / "france.geojson")


def with_partition(here: pathlib.Path) -> None:
    """Puts the partition into the tree."""
    shutil.copy(here / "partition.geojson", here / "tree")


def hdf5(here: pathlib.Path) -> None:
    """Writes an HDF5 file without any weights."""
    with h5py.File(here / "w.h5", "w") as file:
        file["other"] = [1, 2, 3]


WRONG_KEY = "abcdefgh12345678"
BROKEN = image("tree/0/35.1,-95.1/0.jpg", b"")
KEY = text(canary.KEY_FILE, canary.CANARY, 0o600)

HERE = {
    "boundary of lines": Mistake(
        f"{PARTITION} --boundary={{here}}/l.geojson",
        "holds no polygon",
        "file of polygons",
        boundary("l.geojson", SQUARE, "LineString"),
    ),
    "boundary with latitude first": Mistake(
        f"{PARTITION} --boundary={{here}}/s.geojson",
        "look swapped",
        "longitude first",
        boundary("s.geojson", [[lat, lon] for lon, lat in SQUARE]),
    ),
    "boundary in metres": Mistake(
        f"{PARTITION} --boundary={{here}}/m.geojson",
        "look projected",
        "ogr2ogr",
        boundary("m.geojson", [[lon * 1e5, lat * 1e5] for lon, lat in SQUARE]),
    ),
    "boundary of another country": Mistake(
        f"{PARTITION} --boundary={{here}}/f.geojson",
        "lies in none of its 1 polygons",
        "--part=largest",
        boundary("f.geojson", [[2, 44], [8, 44], [8, 50], [2, 50], [2, 44]]),
    ),
    "cells too many": Mistake(f"{ALL_OF_SQUARE} --cell_deg=0.0001", "10,000,000,000 cells", "cell_deg=0.0"),
    "photograph is a PNG": Mistake(
        f"{IMPORT} --csv={{here}}/t.csv",
        "PNG",
        "on_bad_image|JPEG",
        both(image("photographs/a.jpg", drawn_trees.png()), table("file,lat,lon\na.jpg,35,-95\n")),
    ),
    "key file that others can read": Mistake(WITH_KEY, "others", "chmod 600", text("key", WRONG_KEY)),
    "no partition to scrape": Mistake(f"{WITH_KEY} --partition={{here}}/no", "does not exist", "make_partition", KEY),
    "terms not accepted": Mistake(f"{SCRAPE} --noaccept_terms", "--accept_terms", "--accept_terms"),
    "nothing may be spent": Mistake(
        f"{WITH_KEY} --api_base=http://127.0.0.1:9",
        "--max_cost=0: buys no image",
        "--dry_run, then give --max_cost",
        KEY,
    ),
    "tree of another scrape": Mistake(
        f"{WITH_KEY} --max_cost=1 --out={{here}}/tree --api_base=http://127.0.0.1:9",
        "not a tree that was scraped",
        "new folder",
        KEY,
    ),
    "flag misspelt": Mistake("trainers.train --learning_rat=0.1", "learning_rat", "learning_rate"),
    "value is no number": Mistake("trainers.train --epochs=many", "epochs.*many", "--help"),
    "value is none of the words": Mistake("trainers.extract --pooling=average", "pooling=average", "--pooling=avg"),
    "word without a flag": Mistake("trainers.train runs/mlp", "unexpected words: runs/mlp", "--name=value"),
    "recipe misspelt": Mistake("trainers.train --flagfile=trainers/recipes/mpl.cfg", "mpl", r"recipes/mlp\.cfg"),
    "flag file of another program": Mistake(
        "trainers.train --flagfile={here}/a.cfg", "images_per_s", "--help", text("a.cfg", "--images_per_s=3\n")
    ),
    "negative number": Mistake("trainers.train --epochs=-3", "epochs=-3: must be at least 1", "larger"),
    "not a number": Mistake("trainers.train --scale_km=nan", "scale_km=nan", "give a number"),
    "negative batch": Mistake("trainers.evaluate --batch_size=-1", "batch_size=-1", "larger"),
    "boundary missing": Mistake("tools.make_partition --boundary={here}/no.zip", "does not exist", "--boundary=us"),
    "boundary is a folder": Mistake("tools.make_partition --boundary={here}/tree", "is a folder", "--boundary=us"),
    "centre swapped": Mistake(
        "tools.make_partition --boundary={here}/square.geojson --center=-95,35 --out={here}/p.geojson",
        "-95",
        "lat|swap",
    ),
    "field misspelt": Mistake(
        "tools.make_partition --boundary={here}/square.geojson --where=NAM=France", "no field 'NAM'", "NAME"
    ),
    "country misspelt": Mistake(
        "tools.make_partition --boundary={here}/square.geojson --where=NAME=Frannce", "NAME=Frannce", "France"
    ),
    "boundary is a web page": Mistake(
        "tools.make_partition --boundary={here}/b.geojson",
        "cannot be read",
        "ogrinfo",
        text("b.geojson", "<!DOCTYPE html><html>404</html>"),
    ),
    "cells of no size": Mistake("tools.make_partition --boundary=demo --cell_deg=0", "cell", "degrees|0.5|2"),
    "output is a folder": Mistake(
        "tools.make_partition --boundary={here}/square.geojson --part=all --out={here}/tree", "tree", "another"
    ),
    "output below a file": Mistake(
        "tools.make_partition --boundary={here}/square.geojson --part=all --out={here}/square.geojson/p.geojson",
        r"square\.geojson",
        "another",
    ),
    "partition is no GeoJSON": Mistake(
        "tools.check_tree --tree={here}/tree --partition={here}/p", "not JSON", "make_partition", text("p", "no")
    ),
    "photographs without GPS": Mistake(IMPORT, "no photograph of a known place", "--csv=FILE"),
    "table with latitude and longitude swapped": Mistake(
        f"{IMPORT} --csv={{here}}/t.csv", "swapped", "column", text("t.csv", "file,lat,lon\na.jpg,-95,35\n")
    ),
    "table without a column": Mistake(
        f"{IMPORT} --csv={{here}}/t.csv", "lat", "--lat_column", text("t.csv", "file,north,east\na.jpg,35,-95\n")
    ),
    "table of other images": Mistake(
        f"{IMPORT} --csv={{here}}/t.csv", "known place", "--source", text("t.csv", "file,lat,lon\nb.jpg,35,-95\n")
    ),
    "table given as source": Mistake(
        "tools.import_images --source={here}/t.csv --out={here}/out", "file, not a folder", "--csv", text("t.csv", "")
    ),
    "photographs of another country": Mistake(
        f"{IMPORT}",
        "outside every cell",
        "partition",
        lambda here: drawn_photos.write(here / "photographs" / "a.jpg", 0, 48.8, 2.3),
    ),
    "output in the source": Mistake(
        "tools.convert_tree --source={here}/tree --out={here}/tree/new", "inside it", "another folder"
    ),
    "tree in no known layout": Mistake(
        "tools.check_tree --tree={here}/photographs", "photographs", "<lat>,<lng>|layout"
    ),
    "tree missing": Mistake("tools.check_tree --tree={here}/no", "does not exist", "<lat>,<lng>"),
    "tree with latitude and longitude swapped": Mistake(
        "tools.check_tree --tree={here}/swapped --partition={here}/partition.geojson",
        "-95",
        "swap|lat",
        image("swapped/0/-95.5,35.5/0_2012-05.jpg", drawn_trees.jpeg(0)),
    ),
    "tree of another country": Mistake(
        "tools.check_tree --tree={here}/tree --partition={here}/france.geojson",
        "none of the 3 locations lies in the partition",
        "partition",
        elsewhere,
    ),
    "tree with a broken image": Mistake(CHECK, "1 of 10 images cannot be used", "replace or delete", BROKEN),
    "run missing": Mistake("tools.predict --run_dir={here}/run a.jpg", "no such folder", "trainers.train"),
    "run is a file": Mistake("trainers.evaluate --run_dir={here}/partition.geojson", "run", "trainers.train"),
    "no image named": Mistake("tools.predict --run_dir={here}/run", "no image or folder", "IMAGE_OR_FOLDER"),
    "run not evaluated": Mistake("tools.render --run_dir={here}", "predictions", "trainers.evaluate"),
    "runs to compare missing": Mistake(
        "tools.render --compare={here}/a,{here}/b --out={here}/c.png", "does not exist", "trainers.evaluate"
    ),
    "calibration of no run": Mistake(
        "trainers.calibrate --run_dir={here}/a", "there is no such folder", "trainers.train"
    ),
    "dataset not built": Mistake(f"trainers.extract {UNBUILT}", "no dataset there", "tfds build geods"),
    "dataset not built, training": Mistake(
        "trainers.train --data_dir={here}/data --run_dir={here}/new", "no dataset there", "tfds build geods"
    ),
    "config misspelt": Mistake(
        f"trainers.extract {UNBUILT} --config=block",
        "block",
        "blocked, random, report",
    ),
    "cache missing": Mistake(
        f"trainers.train {UNBUILT} --run_dir={{here}}/new",
        "no (feature cache|dataset)",
        "trainers.extract|tfds build",
    ),
    "fold out of range": Mistake("trainers.train --folds=5 --fold=5 --cache_dir=c", "no such fold", "counted from 0"),
    "tree to train on missing": Mistake(
        "trainers.train --imagery={here}/no --run_dir={here}/new", "does not exist|no tree", "."
    ),
    "training on a tree and a cache": Mistake(
        "trainers.train --imagery={here}/tree --cache_dir=c", "--imagery with --cache_dir", "leave one"
    ),
    "extra not installed": Mistake(
        f"trainers.extract {UNBUILT} --backbone=hub:dinov2_base",
        "hub",
        r"pip install",
    ),
    "no GPU": Mistake("trainers.extract --decode=gpu --data_dir={here}/data", "--decode=gpu", r"--decode=auto"),
    "nothing to verify": Mistake("tools.verify {here}/tree", "no dataset or cache or run", "run folder"),
    "recipe unknown to the leaderboard": Mistake("tools.leaderboard --recipes=mpl", r"no recipe .*mpl", "mlp"),
    "key missing": Mistake(f"{SCRAPE} --max_cost=1", "GOOGLE_MAPS_API_KEY", "--api_key_file"),
    "key file missing": Mistake(f"{SCRAPE} --api_key_file={{here}}/no", "does not exist|no such", "key"),
    "heading beyond 360": Mistake(f"{SCRAPE} --headings=0,400", "headings", "359|help"),
    "flag of another source": Mistake(f"{SCRAPE} --source=mapillary --radius_m=5", "has no effect", "leave it out"),
}
ON_ROAD = {
    "split misspelt": Mistake(f"{EXTRACT} --splits=dev", "no split 'dev'", "one of those"),
    "config not built": Mistake(
        f"{EXTRACT} --config=blocked", "configs built: random", "tfds build geods --config=blocked"
    ),
    "weights missing": Mistake(f"{EXTRACT} --backbone_weights={{here}}/w.h5", "does not exist", "imagenet, random"),
    "cache of another size": Mistake(
        f"{EXTRACT} --cache_dir={{road}}/cache --backbone=mobilenet_v2 --backbone_weights=random "
        "--layer=block_3_expand_relu --pooling=avg --height_px=40",
        "height_px is 32, wanted 40",
        "--overwrite",
    ),
    "head misspelt": Mistake(f"{TRAIN} --head=mpl", "head=mpl: value should be one of", "--head=mlp"),
    "run there already": Mistake(f"{TRAIN} --run_dir={{road}}/run", "trained model already", "--overwrite"),
    "training split misspelt": Mistake(f"{TRAIN} --train_split=training", "training", "extract|split"),
    "test split misspelt": Mistake(
        "trainers.evaluate --run_dir={road}/run --split=tset --out={here}/o", "tset", "one of those"
    ),
    "photograph missing": Mistake("tools.predict --run_dir={road}/run {here}/no.jpg", "does not exist", "JPEG"),
    "photograph is no JPEG": Mistake(
        "tools.predict --run_dir={road}/run {here}/a.png", "is a PNG", ".", image("a.png", drawn_trees.png())
    ),
    "folder without images": Mistake(
        "tools.predict --run_dir={road}/run {here}/empty", "no image", "<lat>", lambda here: (here / "empty").mkdir()
    ),
}
LATE = {
    "encoder misspelt": Mistake(f"{EXTRACT} --backbone=resnet", "not an encoder", "resnet50"),
    "layer misspelt": Mistake(
        f"{EXTRACT} --backbone=mobilenet_v2 --backbone_weights=random --layer=block_3", "no layer", "block_3"
    ),
    "weights are no weights": Mistake(f"{EXTRACT} --backbone_weights={{here}}/square.geojson", "not an HDF5", "h5"),
    "images too small": Mistake(f"{EXTRACT} --height_px=8 --width_px=8 --backbone_weights=random", "8x8", "size"),
    "report's head on pooled features": Mistake(f"{TRAIN} --head=report_1m", "head|feature", "pooling|layer"),
    "partition of another country": Mistake(
        f"{TRAIN} --partition={{here}}/france.geojson", "partition", "partition", elsewhere
    ),
    "weights of another encoder": Mistake(
        f"{EXTRACT} --backbone=mobilenet_v2 --backbone_weights={{here}}/w.h5", "does not fit", "pass weights of", hdf5
    ),
    "config unknown to the build": Mistake(f"{BUILD} --config=blokced", "blokced", "--config=blocked", status=1),
    "build of no tree": Mistake(
        f"{BUILD} --manual_dir={{here}}/no", "Manual directory .* does not exist", "imagery tree", status=1
    ),
    "build without a partition": Mistake(BUILD, "partition", "make_partition", status=1),
    "build of a broken image": Mistake(
        BUILD, "1 of 10 images cannot be used", "replace or delete", both(with_partition, BROKEN), status=1
    ),
    "key that the service does not know": Mistake(
        f"{WITH_KEY} --api_base={{service}} --max_cost=1",
        "denied:",
        "key",
        text("key", WRONG_KEY, 0o600),
        status=3,
    ),
    "service not there": Mistake(
        f"{WITH_KEY} --api_base=http://127.0.0.1:9 --max_cost=1 --lookup_attempts=1",
        "unavailable: .*Connection refused",
        "same command",
        KEY,
        status=4,
    ),
}


def as_user(words: list[str], output: pathlib.Path) -> tuple[int, str]:
    """Runs a program as a user does."""
    environment = road.without_keys()
    with output.open("w") as file:
        command = [sys.executable, "-m", *words]
        done = subprocess.run(
            command, cwd=road.REPO, env=environment, stdout=file, stderr=subprocess.STDOUT, check=False
        )
    return done.returncode, output.read_text()


def problems(
    mistake: Mistake,
    here: pathlib.Path,
    places: Mapping[str, object],
    run: Callable[[list[str], pathlib.Path], tuple[int, str]],
) -> list[str]:
    """Makes a mistake in an empty folder; returns what is wrong with the answer, with the answer, if anything is."""
    materials(here)
    mistake.prepare(here)
    places = {"here": here, **places}
    status, said = run([word.format(**places) for word in mistake.words.split()], here / "output.txt")
    canary.assert_clean(said)
    # A bar is one line on a terminal, whatever was written over it.
    lines = [line.rpartition("\r")[2] for line in said.splitlines() if line.strip()]
    found = [f"status {status}"] if status != mistake.status else []
    if "Traceback" in said:
        found.append("a traceback")
    cause = next((number for number, line in enumerate(lines) if re.search(mistake.says, line)), None)
    if cause is None:
        return [*found, f"no {mistake.says}", said]
    answer = lines[cause:]
    if len(answer) > LONGEST_ANSWER:
        found.append(f"{len(answer)} lines")
    if not re.search(f"Next: .*({mistake.next})", "\n".join(answer)):
        found.append(f"no next step {mistake.next}")
    return [*found, said] if found else []
