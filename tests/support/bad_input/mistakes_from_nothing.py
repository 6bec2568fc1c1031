"""Mistakes that are answered without TensorFlow and from nothing."""

import pathlib
from collections.abc import Callable

import drawn_photos
import drawn_trees
from mistakes import BROKEN, KEY, SCRAPE, SQUARE, WITH_KEY, WRONG_KEY, Mistake, both, boundary, elsewhere, image, text

PARTITION = "tools.make_partition --out={here}/p.geojson"
ALL_OF_SQUARE = "tools.make_partition --boundary={here}/square.geojson --part=all"
IMPORT = "tools.import_images --source={here}/photographs --out={here}/out --partition={here}/partition.geojson"
CHECK = "tools.check_tree --tree={here}/tree"
UNBUILT = "--data_dir={here}/data --cache_dir={here}/cache"


def table(content: str) -> Callable[[pathlib.Path], None]:
    """Writes t.csv."""
    return text("t.csv", content)


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
        "write degrees",
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
    "recipe unknown": Mistake("trainers.train --recipe=mpl", "no such recipe", "--recipe=mlp"),
    "ONNX file without onnx:": Mistake(
        "trainers.extract --backbone=clip.onnx", "no name of an", "--backbone=onnx:clip"
    ),
    "recipe from another folder": Mistake(
        "trainers.train --flagfile=recipes/features/maps.cfg", "maps.cfg: No such file", "--recipe=features/maps"
    ),
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
        "docs/boundaries.md",
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
    "photographs without GPS": Mistake(IMPORT, "no photograph with a position", "--csv=FILE"),
    "table with latitude and longitude swapped": Mistake(
        f"{IMPORT} --csv={{here}}/t.csv", "swapped", "column", text("t.csv", "file,lat,lon\na.jpg,-95,35\n")
    ),
    "table without a column": Mistake(
        f"{IMPORT} --csv={{here}}/t.csv", "lat", "--lat_column", text("t.csv", "file,north,east\na.jpg,35,-95\n")
    ),
    "table of other images": Mistake(
        f"{IMPORT} --csv={{here}}/t.csv", "with a position", "--source", text("t.csv", "file,lat,lon\nb.jpg,35,-95\n")
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
        "tools.convert_tree --source={here}/tree --out={here}/tree/new", "inside it", "a folder beside it"
    ),
    "tree in no known layout": Mistake(
        "tools.check_tree --tree={here}/photographs", "photographs", "tools.import_images"
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
    "game of a run not evaluated": Mistake("tools.play --run_dir={here}", "predictions", "trainers.evaluate"),
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
    "nothing to verify": Mistake("tools.verify {here}/tree", "no dataset or cache or encoder or run", "run folder"),
    "recipe unknown to the leaderboard": Mistake("tools.leaderboard --recipes=mpl", r"no recipe .*mpl", "mlp"),
    "key missing": Mistake(f"{SCRAPE} --max_cost=1", "GOOGLE_MAPS_API_KEY", "--api_key_file"),
    "key file missing": Mistake(f"{SCRAPE} --api_key_file={{here}}/no", "does not exist|no such", "key"),
    "heading beyond 360": Mistake(f"{SCRAPE} --headings=0,400", "from 0 to 359", "0,90,180"),
    "flag of another source": Mistake(f"{SCRAPE} --source=mapillary --radius_m=5", "has no effect", "leave it out"),
}
