"""Output and exit codes of the tree check."""

import pathlib
import sys

import drawn_trees
import pytest
import starts

from geods import errors
from geods.geo import partition
from geods.tree import companions, fingerprint, imagery_tree, jpeg
from tools import build_dataset, check_tree

IDS = ["31.5,-115.25", "31.5,-105.25"]


@pytest.fixture
def root(tmp_path) -> pathlib.Path:
    drawn_trees.write(tmp_path / "tree", IDS)
    partition.write(drawn_trees.cells(), tmp_path / "tree" / "partition.geojson")
    return tmp_path / "tree"


def printed(capsys, **options) -> str:
    check_tree.main(check_tree.Options(**options))
    return capsys.readouterr().out


def test_report_of_a_good_tree(root, capsys):
    facts = jpeg.check_files(imagery_tree.view_paths(imagery_tree.read(root)))
    size_mb = sum(fact.size_bytes for fact in facts) / 1e6
    assert printed(capsys, tree=str(root)) == (
        f"tree {root}\n"
        f"  2 locations, 6 views, {size_mb:,.1f} MB\n"
        "  views a location: 3 (2)\n"
        "  headings in degrees: 0 (2), 90 (2), 180 (2)\n"
        "  sizes in pixels: 32 x 24 (6)\n"
        "  dates: 2012-05 to 2012-05, 0 views without\n"
        f"partition {root}/partition.geojson\n"
        "  2 locations, 6 views, in 2 of 15 cells\n"
        "  locations whose folder number is not the cell of their coordinates: 1 "
        "(first: 31.5,-105.25 in folder 0 lies in cell 1)\n"
        "  locations outside every cell: 0\n"
        "  locations a cell: 0 to 1, median 0\n"
        "  disagree: 31.5,-105.25: folder 0, cell 1\n"
        "bad images: 0\n"
        "images with the same bytes: 0 groups\n"
        f"fingerprint: {fingerprint.fingerprint((fact.name_below(root), fact.sha256) for fact in facts)}\n"
        f"next: python -m tools.build_dataset --manual_dir={root} --data_dir=data\n"
    )


def test_what_is_wrong_is_named_up_to_a_number(root, capsys):
    drawn_trees.write(root, ["60.5,-115.25", "61.5,-115.25"], cell=9, headings=[0.5])
    text = printed(capsys, tree=str(root), names=1)
    assert "headings in degrees: 0 (2), 90 (2), 180 (2), 0.5 (2)" in text
    assert "  outside: 60.5,-115.25\n  outside: and 1 more\n" in text
    # The same seeds draw the same pictures.
    assert (
        "images with the same bytes: 2 groups\n  same: 0/31.5,-115.25/0_2012-05.jpg = 9/60.5,-115.25/0.5_2012-05.jpg\n"
        in text
    )
    assert "same: and 1 more" in text


def test_many_values_are_cut_and_unknown_ones_counted(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(companions.PARTITION_VARIABLE, raising=False)
    for index in range(10):
        imagery_tree.write_view(tmp_path / "t", 0, IDS[0], float(index), None, drawn_trees.jpeg(index))
    imagery_tree.write_view(tmp_path / "t", 0, IDS[0], None, None, drawn_trees.jpeg(99))
    text = printed(capsys, tree="t")
    assert "headings in degrees: 0 (1), 1 (1), 2 (1), 3 (1), 4 (1), 5 (1), 6 (1), 7 (1), 3 others" in text
    assert "dates: none, 11 views without" in text
    assert "partition: none found, so cells were not checked" in text


def test_bad_images_end_it_with_an_error_after_the_report(root, capsys):
    (root / "0" / IDS[0] / "90_2012-05.jpg").write_bytes(b"<html>")
    with pytest.raises(errors.ImageError, match="1 of 6 images cannot be used"):
        check_tree.main(check_tree.Options(tree=str(root)))
    assert f"bad images: 1\n  bad: 0/{IDS[0]}/90_2012-05.jpg: is a web page" in capsys.readouterr().out


def test_options_check_themselves():
    with pytest.raises(errors.OptionError, match="--tree: is empty"):
        check_tree.Options()
    with pytest.raises(errors.OptionError, match="--names=-1: is below 0"):
        check_tree.Options(tree="t", names=-1)
    with pytest.raises(errors.OptionError, match=r"--data_dir=t/data: is inside the tree t\.\nNext: .*--data_dir=/"):
        build_dataset.Options(manual_dir="t", data_dir="t/data")


def test_mistake_is_two_lines_and_code_2(tmp_path):
    command = [sys.executable, "-m", "tools.check_tree", f"--tree={tmp_path}/nowhere"]
    done = starts.run(command)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path}/nowhere: does not exist.\nNext: name a folder with <cell>/")
    assert len(done.stderr.splitlines()) == 2
