"""The import program on folders and tables, run again or killed too."""

import csv
import pathlib
import re
import signal
import subprocess
import sys

import checkout
import drawn_photos
import drawn_trees
import pytest
import starts
from import_program import PLACES, cells_path, photos, run, table
from imported_photos import names

from geods import errors
from geods.geo import partition
from geods.tree import companions, imagery_tree, jpeg, labelling
from geods.tree import table as tables
from tools import check_tree, convert_tree

__all__ = ["cells_path", "photos", "table"]
SHARED = checkout.SHARED / "data" / "us_street_view"


def test_photographs_become_a_tree_that_all_readers_take(tmp_path, photos, cells_path, capsys):
    out = tmp_path / "tree"
    run(photos, out, cells_path)
    assert capsys.readouterr().out == (
        "headings from magnetic north, kept as they are: 1\n"
        "stored turned (EXIF Orientation): 1; models see them upright, bytes stay\n"
        f"{out}: 3 images imported, 0 were there\n"
        "  2 locations, 3 views, in 2 of 15 cells\n"
        f"next: python -m tools.check_tree --tree={out}\n"
    )
    expected = {
        "6/40.5,-100.25/90_2012-05.jpg": "one.jpg",
        "6/40.5,-100.25/view0_2012-05.jpg": "two.jpg",
        "7/41.5,-97.25/view0.jpg": "in/three.jpg",
    }
    assert {name: (out / name).read_bytes() for name in names(out)} == {
        name: (photos / file).read_bytes() for name, file in expected.items()
    }
    check_tree.main(check_tree.Options(tree=str(out)))
    report = capsys.readouterr().out
    assert "  2 locations, 3 views, in 2 of 15 cells" in report
    assert "whose folder number is not the cell of their coordinates: 0" in report
    assert companions.TreeFolder(out).provenance() == companions.Provenance("photographs of photos", "see credits.csv")
    assert companions.TreeFolder(out).find_partition().read_bytes() == cells_path.read_bytes()
    with (out / "credits.csv").open(newline="") as written:
        rows = list(csv.DictReader(written))
    assert [(row["file"], row["creator"], row["source_id"]) for row in rows] == [
        (name, "Ada" if file == "one.jpg" else "", file) for name, file in expected.items()
    ]


def test_views_alike_survive_a_conversion_there_and_back(tmp_path, cells_path, capsys):
    for number in range(3):
        east = {17: drawn_photos.rational(90)}
        drawn_photos.write(tmp_path / "photos" / f"{number}.jpg", number, *PLACES[0], gps=east)
        drawn_photos.write(tmp_path / "photos" / f"u{number}.jpg", number + 10, *PLACES[0])
    run(tmp_path / "photos", tmp_path / "tree", cells_path)
    for source, out, to in (("tree", "files", "combined_files"), ("files", "back", "tree")):
        convert_tree.main(convert_tree.Options(source=str(tmp_path / source), out=str(tmp_path / out), to=to))
    assert names(tmp_path / "back") == names(tmp_path / "tree")
    assert len(names(tmp_path / "back")) == 6
    check_tree.main(check_tree.Options(tree=str(tmp_path / "back")))
    assert "views a location: 6 (1)" in capsys.readouterr().out


def test_second_run_does_nothing_and_adds_what_is_new(tmp_path, photos, cells_path, capsys):
    out = tmp_path / "tree"
    run(photos, out, cells_path)
    # Outside photographs are looked at again, and alone they must not refuse the source.
    drawn_photos.write(photos / "far.jpg", 5, 60.5, -100.25)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.jpg")}
    capsys.readouterr()
    run(photos, out, cells_path)
    assert capsys.readouterr().out == (
        "outside every cell: 1\n  far.jpg: 60.5,-100.25 is outside every cell\n"
        f"{out}: 0 images imported, 3 were there\n  2 locations, 3 views, in 2 of 15 cells\n"
        f"next: python -m tools.check_tree --tree={out}\n"
    )
    drawn_photos.write(photos / "new.jpg", 6, *PLACES[2])
    run(photos, out, cells_path, link=True)
    assert f"{out}: 1 images imported, 3 were there" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert (out / "0" / "31.5,-115.25" / "view0.jpg").samefile(photos / "new.jpg")
    drawn_photos.write(photos / "new.jpg", 6, 40.5, -97.25)
    with pytest.raises(errors.TreeError, match=r"new\.jpg: was at 31\.5,-115\.25 in .*, and is at 40\.5,-97\.25 now"):
        run(photos, out, cells_path, link=True)


def test_table_places_images_wherever_they_lie(tmp_path, table, cells_path, capsys):
    with table.open("a") as more:
        more.write("gone,40,-100,0,2012-05\n")
    run(tmp_path / "images", tmp_path / "tree", cells_path, csv=str(table), creator="Ada", licence="CC0-1.0")
    assert "rows whose image is not there: 1\n" in capsys.readouterr().out
    assert names(tmp_path / "tree") == [
        "0/31.5,-115.25/180_2012-05.jpg",
        "6/40.5,-100.25/0_2012-05.jpg",
        "7/41.5,-97.25/90_2012-05.jpg",
    ]
    assert companions.TreeFolder(tmp_path / "tree").provenance().licence == "CC0-1.0"
    credited = (tmp_path / "tree" / "credits.csv").read_text()
    assert '"0/31.5,-115.25/180_2012-05.jpg",Ada,CC0-1.0,2,,\n' in credited
    run(tmp_path / "images", tmp_path / "tree", cells_path, csv=str(table))
    assert "0 images imported, 3 were there" in capsys.readouterr().out


def test_osv5m_brings_its_licence_creators_sequences_and_namibia(tmp_path, table, cells_path):
    rows = table.read_text().replace("id,lat,lon,heading,date", "id,latitude,longitude,thumb_original_url,captured_at")
    head, *lines = rows.splitlines()
    more = [head + ",country,sequence,creator_username"]
    more += [f"{line.replace('2012-05', '1338458400000')},NA,seq{n},user{n}" for n, line in enumerate(lines)]
    table.write_text("\n".join(more) + "\n")
    run(tmp_path / "images", tmp_path / "tree", cells_path, csv=str(table))
    assert companions.TreeFolder(tmp_path / "tree").provenance() == companions.Provenance(
        "OSV-5M (Mapillary)", "CC-BY-SA-4.0"
    )
    with (tmp_path / "tree" / "credits.csv").open(newline="") as written:
        first = next(csv.DictReader(written))
    assert first == {
        "file": "0/31.5,-115.25/view0_2012-05.jpg",
        "creator": "user2",
        "licence": "CC-BY-SA-4.0",
        "source_id": "2",
        "sequence": "seq2",
        "country": "NA",
    }


def test_tree_of_a_run_killed_at_its_start_is_taken_up(tmp_path, photos, cells_path):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "import.sqlite").touch()
    (tmp_path / "tree" / "partition.geojson").write_bytes(cells_path.read_bytes())
    run(photos, tmp_path / "tree", cells_path)
    assert len(names(tmp_path / "tree")) == 3


def test_killed_run_leaves_whole_images_only_and_is_taken_up(tmp_path, cells_path):
    lines = ["file,lat,lon"]
    (tmp_path / "images").mkdir()
    for number, name in enumerate(drawn_trees.location_ids(400)):
        (tmp_path / "images" / f"{number}.jpg").write_bytes(drawn_trees.jpeg(number))
        lines.append(f"{number}.jpg,{name}")
    (tmp_path / "table.csv").write_text("\n".join(lines))
    out = tmp_path / "tree"
    command = [sys.executable, "-m", "tools.import_images", f"--source={tmp_path}/images", f"--out={out}"]
    command += [f"--csv={tmp_path}/table.csv", f"--partition={cells_path}"]
    with subprocess.Popen(command, cwd=checkout.REPO, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as running:
        while running.poll() is None and len(list(out.glob("*/*/view0.jpg"))) < 100:
            pass
        running.send_signal(signal.SIGKILL)
    assert jpeg.check_files([out / name for name in names(out) if not pathlib.Path(name).name.startswith(".")])
    done = starts.run(command)
    assert done.returncode == 0, done.stderr
    there = int(re.search(r"images imported, (\d+) were there", done.stdout)[1])
    assert there >= 64
    assert "  400 locations, 400 views" in done.stdout
    places = imagery_tree.read(out)
    assert {place.views[0].path.read_bytes() for place in places} == {drawn_trees.jpeg(n) for n in range(400)}
    assert len((out / "credits.csv").read_text().splitlines()) == 401


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} is not here")
def test_real_images_come_back_as_the_tree_they_are_from(tmp_path):
    places = imagery_tree.read(SHARED)[::30]
    # Paths hold a comma.
    lines = [
        f'"{view.path.relative_to(SHARED)}",{place.location_id},{view.heading_deg:g},{view.date}'
        for place in places
        for view in place.views
    ]
    lines.insert(0, "path,lat,lng,bearing,month")
    (tmp_path / "table.csv").write_text("\n".join(lines))
    partition.write(drawn_trees.cells(), tmp_path / "cells.geojson")
    run(SHARED, tmp_path / "tree", tmp_path / "cells.geojson", csv=str(tmp_path / "table.csv"))
    cells = labelling.label(tables.LocationTable("", places), drawn_trees.cells()).cells.tolist()
    inside = {place.location_id: place for place, cell in zip(places, cells, strict=True) if cell >= 0}
    again = imagery_tree.read(tmp_path / "tree")
    assert len(again) == len(inside) > 15
    for place in again:
        mine = [(view.heading_deg, view.date, view.path.read_bytes()) for view in place.views]
        assert mine == [(v.heading_deg, v.date, v.path.read_bytes()) for v in inside[place.location_id].views]
