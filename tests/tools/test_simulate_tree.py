"""Drawing a tree of a simulated world."""

import json
import pathlib
import subprocess
import sys

import checkout
import numpy as np
import pytest
import shapely

from geods import errors
from geods.geo import partition
from geods.simulation import worlds
from geods.tree import companions, imagery_tree, jpeg, labelling, layouts
from tools import simulate_tree

SMALL = {"locations_per_cell": 3, "headings": (0, 90), "height_px": 30, "width_px": 60, "processes": 1}


@pytest.fixture
def cells(tmp_path) -> partition.Partition:
    """Two cells side by side."""
    made = partition.Partition((shapely.box(-100, 40, -98, 42), shapely.box(-98, 40, -96, 42)))
    partition.write(made, tmp_path / "partition.geojson")
    return made


def options(tmp_path: pathlib.Path, **changes: object) -> simulate_tree.Options:
    given = {"partition": str(tmp_path / "partition.geojson"), "out": str(tmp_path / "tree"), **SMALL, **changes}
    return simulate_tree.Options(**given)


def contents(root: pathlib.Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_tree_holds_all_views_in_their_cells(tmp_path, cells, capsys):
    simulate_tree.main(options(tmp_path))
    locations = layouts.read(tmp_path / "tree")
    assert len(locations) == 6
    labels = labelling.label(locations, cells)
    assert not labels.disagreements
    assert not labels.outside
    assert np.bincount(labels.cells).tolist() == [3, 3]
    for place in locations:
        assert [view.heading_deg for view in place.views] == [0, 90]
        assert all(jpeg.check_jpeg(view.path.read_bytes(), "view") == (30, 60) for view in place.views)
    text = capsys.readouterr().out
    assert "6 locations drawn, 0 were there" in text
    assert text.endswith(f"next: python -m tools.check_tree --tree={tmp_path / 'tree'}\n")


def test_pictures_are_those_of_the_world_at_the_folder_names(tmp_path, cells):
    simulate_tree.main(options(tmp_path, seed=5, difficulty=0.2))
    place = imagery_tree.read(tmp_path / "tree")[0]
    drawn = worlds.World(5, 0.2).render(place.lat_deg, place.lon_deg, 90, 30, 60)
    assert place.views[1].path.read_bytes() == drawn
    assert place.views[0].date == worlds.World(5, 0.2).place(place.lat_deg, place.lon_deg).date


def test_tree_carries_its_partition_and_provenance(tmp_path, cells):
    simulate_tree.main(options(tmp_path))
    assert partition.read(companions.TreeFolder(tmp_path / "tree").find_partition()).fingerprint == cells.fingerprint
    assert companions.TreeFolder(tmp_path / "tree").provenance().source == "geods simulated world"


def test_several_processes_draw_the_same_tree(tmp_path, cells):
    simulate_tree.main(options(tmp_path, locations_per_cell=12, headings=(0,)))
    simulate_tree.main(options(tmp_path, locations_per_cell=12, headings=(0,), processes=2, out=str(tmp_path / "twin")))
    assert contents(tmp_path / "tree") == contents(tmp_path / "twin")


def test_what_is_there_is_kept_and_what_is_missing_is_drawn(tmp_path, cells, capsys):
    simulate_tree.main(options(tmp_path))
    whole = contents(tmp_path / "tree")
    first, second = imagery_tree.read(tmp_path / "tree")[:2]
    first.views[0].path.unlink()
    for view in second.views:
        view.path.unlink()
    kept = imagery_tree.read(tmp_path / "tree")[-1].views[0].path
    before = kept.stat().st_mtime_ns
    capsys.readouterr()
    simulate_tree.main(options(tmp_path))
    assert "2 locations drawn, 4 were there" in capsys.readouterr().out
    assert contents(tmp_path / "tree") == whole
    assert kept.stat().st_mtime_ns == before


def test_asking_for_more_locations_keeps_the_first_ones(tmp_path, cells):
    simulate_tree.main(options(tmp_path))
    few = contents(tmp_path / "tree")
    simulate_tree.main(options(tmp_path, locations_per_cell=5))
    assert few.items() <= contents(tmp_path / "tree").items()
    assert len(imagery_tree.read(tmp_path / "tree")) == 10


def test_locations_spread_over_the_cell(cells):
    points = np.array([simulate_tree.location(cells, 1, ordinal, 0) for ordinal in range(40)])
    assert len(np.unique(points, axis=0)) == 40
    assert (cells.label(points[:, 0], points[:, 1]) == 1).all()
    assert points[:, 0].std() > 0.4
    assert points[:, 1].std() > 0.4


def test_a_cell_too_small_for_its_names_is_refused():
    tiny = partition.Partition((shapely.box(-100.0000004, 40.0000001, -100.0000001, 40.0000004),))
    with pytest.raises(errors.PartitionError, match="cell 0 is smaller than a metre"):
        simulate_tree.location(tiny, 0, 0, 0)


@pytest.mark.parametrize("change", [{"seed": 1}, {"difficulty": 0.1}, {"headings": (0, 90, 180)}, {"width_px": 64}])
def test_a_tree_of_other_options_is_refused_and_left_alone(tmp_path, cells, change):
    simulate_tree.main(options(tmp_path))
    before = contents(tmp_path / "tree")
    with pytest.raises(errors.TreeError, match=f"drawn with other options \\({next(iter(change))} was"):
        simulate_tree.main(options(tmp_path, **change))
    assert contents(tmp_path / "tree") == before


def test_a_tree_of_another_partition_is_refused(tmp_path, cells):
    simulate_tree.main(options(tmp_path))
    partition.write(partition.Partition(cells.shapes[:1]), tmp_path / "partition.geojson")
    with pytest.raises(errors.TreeError, match="partition_sha256 was"):
        simulate_tree.main(options(tmp_path))


def test_a_folder_with_other_things_is_refused(tmp_path, cells):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "holiday.jpg").write_bytes(b"mine")
    with pytest.raises(errors.TreeError, match="is not empty, and not a tree of this program"):
        simulate_tree.main(options(tmp_path))
    assert contents(tmp_path / "tree") == {"holiday.jpg": b"mine"}


@pytest.mark.parametrize("note", ["not json", "[]", '{"source": "x", "licence": "y"}', '{"drawn_with": 3}'])
def test_a_tree_of_other_origin_is_refused(tmp_path, cells, note):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "provenance.json").write_text(note)
    with pytest.raises(errors.TreeError, match="is not a tree of this program"):
        simulate_tree.main(options(tmp_path))


def test_a_place_that_cannot_be_written_is_an_error(tmp_path, cells):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(errors.GeodsError, match="cannot be written"):
        simulate_tree.main(options(tmp_path, out=str(tmp_path / "file" / "tree")))


def test_nothing_is_made_without_a_partition(tmp_path):
    with pytest.raises(errors.MissingFileError, match="does not exist"):
        simulate_tree.main(options(tmp_path))
    assert not (tmp_path / "tree").exists()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"out": ""}, "--out: is empty"),
        ({"locations_per_cell": 0}, "--locations_per_cell=0"),
        ({"headings": ()}, "must be different ones"),
        ({"headings": (0, 0)}, "must be different ones"),
        ({"headings": (0, 360)}, "not all are 0 to 359"),
        ({"processes": -1}, "--processes=-1"),
    ],
)
def test_options_out_of_range_are_refused(tmp_path, change, problem):
    with pytest.raises(errors.OptionError, match=problem):
        options(tmp_path, **change)


def test_a_picture_size_out_of_range_is_refused_before_anything_is_written(tmp_path, cells):
    with pytest.raises(errors.OptionError, match="cannot be drawn"):
        simulate_tree.main(options(tmp_path, width_px=3))
    assert not (tmp_path / "tree").exists()


def test_command_line_draws_in_processes_and_shows_a_bar(tmp_path, cells):
    command = [
        *(sys.executable, "-m", "tools.simulate_tree", f"--partition={tmp_path / 'partition.geojson'}"),
        *(f"--out={tmp_path / 'tree'}", "--locations_per_cell=20", "--headings=0", "--height_px=30", "--width_px=60"),
    ]
    done = subprocess.run(command, cwd=checkout.REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "40 locations, 40 views, in 2 of 2 cells" in done.stdout
    assert "40/40" in done.stderr
    note = json.loads((tmp_path / "tree" / "provenance.json").read_text())
    assert note["drawn_with"]["headings"] == [0]
