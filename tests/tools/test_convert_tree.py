"""Conversion between layouts: the same bytes, the partition's cells, repeatable."""

import pathlib
import signal
import subprocess
import sys

import checkout
import drawn_runs
import drawn_trees
import numpy as np
import pytest
import starts

from geods import errors
from geods.dataset import split_lists, splits
from geods.geo import partition
from geods.imagery.scraping import points
from geods.tree import companions, layouts
from tools import convert_tree

SAMPLES = checkout.SHARED / "data" / "report_samples"
FIRST, SECOND, OUTSIDE = "31.5,-115.25", "31.5,-105.25", "60.5,-115.25"


@pytest.fixture
def source(tmp_path) -> pathlib.Path:
    drawn_trees.write(tmp_path / "source", [FIRST, SECOND, OUTSIDE], cell=7)
    return tmp_path / "source"


@pytest.fixture
def cells_path(tmp_path) -> pathlib.Path:
    partition.write(drawn_trees.cells(), tmp_path / "cells.geojson")
    return tmp_path / "cells.geojson"


def convert(source, out, **options) -> None:
    convert_tree.main(convert_tree.Options(source=str(source), out=str(out), **options))


def contents(root: pathlib.Path) -> dict[tuple, bytes]:
    return {
        (place.location_id, view.heading_deg, view.date, view.index): view.path.read_bytes()
        for place in layouts.read(root)
        for view in place.views
    }


def cells_of(root: pathlib.Path) -> dict[str, int]:
    return {place.location_id: place.folder_cell for place in layouts.read(root)}


@pytest.mark.parametrize("to", ["combined_files", "combined_folders"])
def test_there_and_back_is_the_same_tree(source, tmp_path, to):
    convert(source, tmp_path / "other", to=to)
    assert layouts.detect(tmp_path / "other") == to
    assert contents(tmp_path / "other") == contents(source)
    convert(tmp_path / "other", tmp_path / "back")
    back = {str(path.relative_to(tmp_path / "back")): path.read_bytes() for path in (tmp_path / "back").rglob("*.jpg")}
    assert back == {str(path.relative_to(source)): path.read_bytes() for path in source.rglob("*.jpg")}


def test_partition_numbers_the_cells_and_comes_along(source, tmp_path, cells_path, capsys):
    (source / "provenance.json").write_text('{"source": "drawn", "licence": "CC0-1.0"}')
    convert(source, tmp_path / "out", partition=str(cells_path))
    assert cells_of(tmp_path / "out") == {FIRST: 0, SECOND: 1, OUTSIDE: -1}
    assert contents(tmp_path / "out") == contents(source)
    assert (tmp_path / "out" / "partition.geojson").read_bytes() == cells_path.read_bytes()
    assert (tmp_path / "out" / "provenance.json").read_bytes() == (source / "provenance.json").read_bytes()
    assert "3 locations: 9 images copied" in capsys.readouterr().out


def test_a_geoguessr_map_of_a_tree_and_of_worst_misses(source, tmp_path, capsys):
    (source / "views.csv").write_text(f'file,pano_id\n"7/{FIRST}/0_2012-05.jpg",abc\n', encoding="utf-8")
    convert(source, tmp_path / "map.json", to="geoguessr")
    assert f"3 locations written to {tmp_path / 'map.json'}" in capsys.readouterr().out
    found = points.read(tmp_path / "map.json")
    assert sorted(point.position for point in found) == [(31.5, -115.25), (31.5, -105.25), (60.5, -115.25)]
    assert {point.position: point.pano_id for point in found}[31.5, -115.25] == "abc"
    convert(source, tmp_path / "flat", to="combined_files")
    convert(tmp_path / "flat", tmp_path / "again.json", to="geoguessr")
    assert points.read(tmp_path / "again.json") == found
    entries = drawn_runs.predict(drawn_runs.island(200), 40)
    run = drawn_runs.write(tmp_path / "run", drawn_runs.island(200), entries)
    convert(run, run / "worst.json", to="geoguessr", worst=3)
    worst = sorted(entries, key=lambda one: one.distance_km)[:-4:-1]
    assert [point.position for point in points.read(run / "worst.json")] == [
        pytest.approx(one.truth, abs=1e-6) for one in worst
    ]
    assert f"missed by {worst[0].distance_km:,.0f} km" in (run / "worst.json").read_text(encoding="utf-8")
    with pytest.raises(errors.OptionError, match="is a folder"):
        convert(source, tmp_path, to="geoguessr")
    with pytest.raises(errors.OptionError, match="--worst=3: is for --to=geoguessr"):
        convert(source, tmp_path / "out", worst=3)
    with pytest.raises(errors.RunError, match=r"holds no partition\.geojson, so it is no run folder"):
        convert(source, tmp_path / "worst.json", to="geoguessr", worst=3)


def split_of_views(root: pathlib.Path) -> list[str]:
    locations = layouts.read(root)
    lists = split_lists.find(companions.TreeFolder(root), locations)
    return list(lists.splits(locations.views_of(range(len(locations)))))


def test_lists_come_along_under_the_new_names(source, tmp_path, cells_path, capsys):
    np.save(source / "trainFiles.npy", np.array([f"7+{FIRST}", f"7+{SECOND}+0_2012-05.jpg"]))
    np.save(source / "testFiles.npy", np.array([f"7+{SECOND}+90_2012-05.jpg"]))
    convert(source, tmp_path / "out", partition=str(cells_path), to="combined_files")
    train = np.load(tmp_path / "out" / "trainFiles.npy", allow_pickle=False).tolist()
    assert train == [f"0+{FIRST}", f"1+{SECOND}+0_2012-05.jpg"]
    assert (tmp_path / "out" / train[1]).is_file()
    assert split_of_views(tmp_path / "out") == split_of_views(source)
    assert "split lists: trainFiles.npy (2) and testFiles.npy (1), from " in capsys.readouterr().out


def test_lists_are_drawn_as_the_config_report_draws_without_them(source, tmp_path, cells_path, capsys):
    convert(source, tmp_path / "out", partition=str(cells_path), test_share=0.25, seed=3)
    assert "split lists: trainFiles.npy (7) and testFiles.npy (2), drawn with --seed=3" in capsys.readouterr().out
    locations = layouts.read(tmp_path / "out")
    names = split_lists.image_names(locations.views_of(range(len(locations))))
    assert split_of_views(tmp_path / "out") == splits.by_image(names, 3, 0.25).tolist()
    assert contents(tmp_path / "out") == contents(source)
    with pytest.raises(errors.OptionError, match=r"--test_share=0\.5: the source has lists"):
        convert(tmp_path / "out", tmp_path / "again", test_share=0.5)
    assert not (tmp_path / "again").exists()
    with pytest.raises(errors.OptionError, match=r"--test_share=1: is not a share"):
        convert(source, tmp_path / "again", test_share=1)


def test_the_reports_numbers_are_27702_and_1458():
    names = splits.by_image(map(str, range(29_160)))
    assert ((names == "train").sum(), (names == "test").sum()) == (27_702, 1_458)


def test_views_of_the_reports_text_and_of_csv_get_names_of_the_tree(tmp_path, cells_path):
    folder = tmp_path / "source" / "7" / FIRST
    folder.mkdir(parents=True)
    (folder / "1 - 2012 - 5.jpg").write_bytes(drawn_trees.jpeg(1))
    convert(tmp_path / "source", tmp_path / "out")
    assert (tmp_path / "out" / "7" / FIRST / "view1_2012-05.jpg").read_bytes() == drawn_trees.jpeg(1)
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / "a b.jpg").write_bytes(drawn_trees.jpeg(2))
    (tmp_path / "table" / "c.jpg").write_bytes(drawn_trees.jpeg(3))
    rows = "a b.jpg,31.5,-105.25,45\nc.jpg,31.5,-105.25,45\n"
    (tmp_path / "table" / "t.csv").write_text(f"file,latitude,longitude,heading\n{rows}")
    with pytest.raises(errors.TreeError, match=r"a b\.jpg: its name tells no cell\.\nNext: give the partition"):
        convert(tmp_path / "table" / "t.csv", tmp_path / "from_csv")
    convert(tmp_path / "table" / "t.csv", tmp_path / "from_csv", partition=str(cells_path))
    assert (tmp_path / "from_csv" / "1" / SECOND / "45.jpg").read_bytes() == drawn_trees.jpeg(2)
    assert (tmp_path / "from_csv" / "1" / SECOND / "45.000001.jpg").read_bytes() == drawn_trees.jpeg(3)
    with pytest.raises(errors.TreeError, match=rf"holds 1 images that .* does not have: 7/{FIRST}/view1_2012-05\.jpg"):
        convert(tmp_path / "table" / "t.csv", tmp_path / "out", partition=str(cells_path))
    with pytest.raises(errors.TreeError, match="layouts must not mix"):
        convert(tmp_path / "source", tmp_path / "out", to="combined_files")


def test_second_run_copies_what_is_missing_and_replaces_nothing(source, tmp_path, capsys):
    out = tmp_path / "out"
    convert(source, out)
    (out / "7" / FIRST / "90_2012-05.jpg").unlink()
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("*.jpg")}
    capsys.readouterr()
    convert(source, out)
    assert "1 images copied" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert contents(out) == contents(source)
    (out / "7" / FIRST / "90_2012-05.jpg").write_bytes(b"mine")
    with pytest.raises(errors.TreeError, match=r"90_2012-05\.jpg: is there with other bytes than"):
        convert(source, out)
    assert (out / "7" / FIRST / "90_2012-05.jpg").read_bytes() == b"mine"


def test_killed_run_leaves_whole_images_only_and_is_taken_up(tmp_path):
    source, out = drawn_trees.write(tmp_path / "source", drawn_trees.location_ids(200), cell=7), tmp_path / "out"
    command = [sys.executable, "-m", "tools.convert_tree", f"--source={source}", f"--out={out}"]
    with subprocess.Popen(command, cwd=checkout.REPO, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as running:
        while running.poll() is None and len(list(out.glob("7/*"))) < 20:
            pass
        running.send_signal(signal.SIGKILL)
    copied = [path for path in out.rglob("*.jpg") if not path.name.startswith(".")]
    assert copied
    assert all(path.read_bytes() == (source / path.relative_to(out)).read_bytes() for path in copied)
    done = starts.run(command)
    assert done.returncode == 0, done.stderr
    assert contents(out) == contents(source)


@pytest.mark.parametrize(
    ("source", "out", "rule"),
    [
        ("", "b", "--source: is empty"),
        ("a", "", "--out: is empty"),
        ("a", "a", "is the source, inside it or around it"),
        ("a", "a/b", "is the source, inside it or around it"),
        ("a/b", "a", "is the source, inside it or around it"),
    ],
)
def test_options_check_themselves(source, out, rule):
    with pytest.raises(errors.OptionError, match=rule):
        convert_tree.Options(source=source, out=out)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"{SAMPLES} is not here")
@pytest.mark.parametrize("name", ["combined_files", "combined_folders"])
def test_real_samples_convert_both_ways_with_their_lists(tmp_path, name):
    convert(SAMPLES / name, tmp_path / "tree")
    assert contents(tmp_path / "tree") == contents(SAMPLES / name)
    convert(tmp_path / "tree", tmp_path / "back", to=name)
    names = {str(path.relative_to(SAMPLES / name)) for path in (SAMPLES / name).rglob("*.jpg")}
    assert {str(path.relative_to(tmp_path / "back")) for path in (tmp_path / "back").rglob("*.jpg")} == names
    lists, kept = (
        split_lists.find(companions.TreeFolder(root), layouts.read(root))
        for root in (SAMPLES / name, tmp_path / "back")
    )
    assert (kept.train, kept.test) == (lists.train, lists.test)
