"""Joined trees keep source and licence of each image; a killed join resumes."""

import csv
import hashlib
import json
import pathlib
import signal
import subprocess
import sys

import checkout
import drawn_photos
import drawn_trees
import pytest
import tensorflow as tf

from geods import errors
from geods.dataset import build_plan, examples, splits
from geods.geo import partition
from geods.tree import bad_images, companions, layouts
from tools import check_tree, convert_tree, import_images, join_trees

OWN, BOTH, SCRAPED = (40.5, -100.25), (41.5, -97.25), (31.5, -115.25)


@pytest.fixture
def trees(tmp_path) -> list[pathlib.Path]:
    """Returns an imported tree of two locations and a scraped one with one of them."""
    cells = tmp_path / "cells.geojson"
    partition.write(drawn_trees.cells(), cells)
    for number, place in enumerate((OWN, BOTH)):
        tags = {0x8298: "CC0 Ada"} if place == OWN else {}
        east = {17: drawn_photos.rational(90)}
        drawn_photos.write(tmp_path / "photos" / f"{number}.jpg", number, *place, gps=east, tags=tags)
    own, scraped = tmp_path / "own", tmp_path / "scraped"
    flags = {"source": str(tmp_path / "photos"), "partition": str(cells), "licence": "CC-BY-4.0", "creator": "Bob"}
    import_images.main(import_images.Options(out=str(own), **flags))
    rows = ["file,pano_id,latitude,longitude,copyright,source,licence,sha256"]
    # The shared location: the same bytes under another name, others under the same name; then a location of its own.
    shared = own / "7" / "41.5,-97.25" / "90.jpg"
    for name, content in (
        ("7/41.5,-97.25/0.jpg", shared.read_bytes()),
        ("7/41.5,-97.25/90.jpg", drawn_trees.jpeg(77)),
        ("0/31.5,-115.25/0_2012-05.jpg", drawn_trees.jpeg(78)),
    ):
        (scraped / name).parent.mkdir(parents=True, exist_ok=True)
        (scraped / name).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        rows.append(f'"{name}",p{len(rows)},{name.split("/")[1]},(c) Carl,Panoramax,etalab-2.0,{digest}')
    (scraped / "views.csv").write_text("\n".join(rows) + "\n")
    about = {"source": "Panoramax", "licence": "several", "licences": "views.csv"}
    (scraped / "provenance.json").write_text(json.dumps(about))
    partition.write(drawn_trees.cells(), scraped / "partition.geojson")
    return [own, scraped]


def join(out, trees, **options) -> pathlib.Path:
    join_trees.main(join_trees.Options(out=str(out), trees=tuple(map(str, trees)), **options))
    return out


def examples_of(root: pathlib.Path) -> dict[str, tuple[str, str, int]]:
    """Returns source, licence and number of views of each example."""
    tree = companions.TreeFolder(root)
    plan = build_plan.make(tree, splits.Request("random"), bad_images.Policy("raise", 0.01))
    found = {}
    for some in plan.by_split.values():
        for place, cell in some:
            record = tf.train.Example.FromString(examples.record_of(place, cell, plan.provenance)).features.feature
            texts = (record[name].bytes_list.value[0].decode() for name in ("source", "licence"))
            found[place.location_id] = (*texts, len(place.views))
    return found


@pytest.mark.parametrize("link", [False, True])
def test_source_and_licence_stay_with_each_location(tmp_path, trees, capsys, link):
    out = join(tmp_path / "out", trees, link=link)
    assert "in several trees: 1 locations; images with the bytes of another: 1" in capsys.readouterr().out
    both = "photographs of photos; Panoramax", "CC-BY-4.0; etalab-2.0", 2
    expected = {
        "40.5,-100.25": ("photographs of photos", "CC0 Ada", 1),
        "41.5,-97.25": both,
        "31.5,-115.25": ("Panoramax", "etalab-2.0", 1),
    }
    assert examples_of(out) == expected
    with (out / "views.csv").open(newline="") as written:
        rows = {row["file"]: row for row in csv.DictReader(written)}
    assert {name: (row["copyright"], row["pano_id"]) for name, row in rows.items()} == {
        "6/40.5,-100.25/90.jpg": ("Bob", ""),
        "7/41.5,-97.25/90.jpg": ("Bob", ""),
        "7/41.5,-97.25/90.000001.jpg": ("(c) Carl", "p2"),
        "0/31.5,-115.25/0_2012-05.jpg": ("(c) Carl", "p3"),
    }
    own = trees[0] / "7" / "41.5,-97.25" / "90.jpg"
    assert own.samefile(out / "7" / "41.5,-97.25" / "90.jpg") is link
    check_tree.main(check_tree.Options(tree=str(out)))
    assert "bad images: 0" in capsys.readouterr().out
    # Converted, the tables follow the new names.
    convert_tree.main(convert_tree.Options(source=str(out), out=str(tmp_path / "flat"), to="combined_files"))
    assert examples_of(tmp_path / "flat") == expected


def test_join_resumes_and_grows_but_does_not_forget(tmp_path, trees, capsys):
    out = join(tmp_path / "out", trees)
    (out / "views.csv").unlink()
    with pytest.raises(errors.TreeError, match="not to the end"):
        companions.TreeFolder(out).provenance()
    third = drawn_trees.write(tmp_path / "third", ["32.5,-115.25"])
    partition.write(drawn_trees.cells(), third / "partition.geojson")
    capsys.readouterr()
    join(out, [*trees, third])
    assert "7 images, 3 of them new" in capsys.readouterr().out
    with pytest.raises(errors.TreeError, match="not a join of some of these trees"):
        join(out, trees)
    with pytest.raises(errors.TreeError, match="is not empty"):
        join(third.parent / "photos", trees)
    (tmp_path / "cells.geojson").write_bytes((tmp_path / "cells.geojson").read_bytes() + b"\n")
    with pytest.raises(errors.TreeError, match=r"another partition.*\nNext: give --partition="):
        join(out, [*trees, third], partition=str(tmp_path / "cells.geojson"))
    image = next(third.glob("*/*/*.jpg"))
    image.unlink()
    with pytest.raises(errors.TreeError, match=rf"holds 1 images .*: {image.relative_to(third).as_posix()}"):
        join(out, [*trees, third])
    # Not twice at coordinates that another tree rounds, nor in two splits.
    (third / "0" / "40.5,-100.2500001").mkdir()
    (third / "0" / "40.5,-100.2500001" / "90.jpg").write_bytes((trees[0] / "6/40.5,-100.25/90.jpg").read_bytes())
    capsys.readouterr()
    other = join(tmp_path / "second", [*trees, third])
    assert "images with the bytes of another: 2" in capsys.readouterr().out
    assert not (other / "6" / "40.5,-100.2500001").exists()
    # A changed image is not laundered by a new record of its hash.
    image = trees[0] / "6" / "40.5,-100.25" / "90.jpg"
    image.write_bytes(drawn_trees.jpeg(5))
    with pytest.raises(errors.ImageError, match=r"has changed since import\.sqlite recorded"):
        join(tmp_path / "other", trees)


def test_killed_join_is_refused_and_resumes(tmp_path, trees):
    many = drawn_trees.write(tmp_path / "many", drawn_trees.location_ids(200), cell=7)
    cells, out = tmp_path / "cells.geojson", tmp_path / "out"
    flags = [f"--out={out}", f"--partition={cells}", *map(str, [*trees, many])]
    command = [sys.executable, "-m", "tools.join_trees", *flags]
    with subprocess.Popen(command, cwd=checkout.REPO, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as running:
        while running.poll() is None and len(list(out.glob("*/*,*"))) < 20:
            pass
        running.send_signal(signal.SIGKILL)
    with pytest.raises(errors.TreeError, match="run the same command"):
        companions.TreeFolder(out).provenance()
    join(out, [*trees, many], partition=str(cells))
    # Two of the 600 have the bytes of images in the first trees.
    assert layouts.read(out).views == 602
    assert not list(out.rglob(".*"))


@pytest.mark.parametrize(
    ("out", "trees", "rule"),
    [
        ("", ("a", "b"), "--out: is empty"),
        ("c", (), "no tree: a join takes two"),
        ("c", ("a", "./a"), "two or more different trees"),
        ("a/b", ("a", "c"), "is the tree a, inside it or around it"),
    ],
)
def test_options_check_themselves(out, trees, rule):
    with pytest.raises(errors.OptionError, match=rule):
        join_trees.Options(out=out, trees=trees)


def test_images_of_one_heading_and_month_in_one_tree_keep_names_of_their_own(tmp_path, trees):
    for number in range(2):
        (trees[1] / "0" / "31.5,-115.25" / f"0{'.0' * number}.jpg").write_bytes(drawn_trees.jpeg(80 + number))
    (trees[1] / "views.csv").unlink()
    (trees[1] / "provenance.json").unlink()
    out = join(tmp_path / "out", trees)
    found = {path.name: path.read_bytes() for path in (out / "0" / "31.5,-115.25").iterdir()}
    assert found.keys() == {"0_2012-05.jpg", "0.jpg", "0.000001.jpg"}
    assert set(found.values()) == {drawn_trees.jpeg(number) for number in (78, 80, 81)}


def test_partitions_that_differ_must_be_named(tmp_path, trees):
    (trees[1] / "partition.geojson").unlink()
    with pytest.raises(errors.TreeError, match=r"do not all hold the same partition\.geojson"):
        join(tmp_path / "out", trees)
