"""A tree as table equals the tree as objects, in any layout, in little memory."""

import dataclasses
import os
import pathlib
import subprocess
import sys

import drawn_trees
import numpy as np
import pytest
import road

from geods import errors
from geods.tree import imagery_tree, jpeg, layouts, table


def make(root: pathlib.Path) -> pathlib.Path:
    """A tree of a few places with odd names, one without images."""
    names = ("90_2012-05.jpg", "0_2012-05.jpg", "1 - 2012 - 05.jpg", "view2.jpg", "7.25.jpeg")
    for number, name in enumerate(drawn_trees.location_ids(12)):
        folder = root / ("007" if number == 3 else str(number % 5 - 1)) / name
        folder.mkdir(parents=True)
        for view in names[: number % 6]:
            (folder / view).write_bytes(b"\xff\xd8\xff" + bytes([number]))
    return root


def rows_of(found: table.LocationTable) -> list[int]:
    """The rows of all views."""
    return [view.row for place in found for view in place.views]


def test_what_is_read_is_what_is_read_as_objects(tmp_path, monkeypatch):
    root = make(tmp_path / "tree")
    monkeypatch.chdir(root)
    for start in (root, pathlib.Path(), pathlib.Path("..", "tree")):
        found, whole = layouts.read(start), imagery_tree.read(start)
        assert list(found) == whole == found[:]
        assert found[-1] == whole[-1]
        assert list(found.paths) == [view.path for place in whole for view in place.views] == found.paths[:]
        assert rows_of(found) == list(range(found.views))


@pytest.mark.parametrize("layout", ["combined_files", "combined_folders", "csv"])
def test_other_layouts_are_read_too(tmp_path, layout):
    whole = imagery_tree.read(make(tmp_path / "tree"))
    root = tmp_path / "other"
    lines = ["file,latitude,longitude"]
    for place in whole:
        for view in place.views:
            name = "tree" if layout == "csv" else layout
            target = root / layouts.name(name, place.folder_cell, place, view)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(view.path, target)
            lines.append(f'"{target.relative_to(root)}",{place.location_id}')
    if layout == "csv":
        (root / "images.csv").write_text("\n".join(lines))
        root = root / "images.csv"
    read = layouts.read(root)
    assert [place.location_id for place in read] == [place.location_id for place in whole]
    assert all(view.path.samefile(root.parent / view.path) for place in read for view in place.views)
    assert read.views == len(imagery_tree.view_paths(whole))


def test_what_is_kept_keeps_its_rows(tmp_path):
    found = layouts.read(make(tmp_path / "tree"))
    wanted = np.arange(found.views) % 3 == 0
    kept = found.keep(wanted)
    assert rows_of(kept) == np.flatnonzero(wanted).tolist()
    views = [view for place in found for view in place.views]
    assert [view for place in kept for view in place.views] == [views[row] for row in rows_of(kept)]
    assert {place.location_id for place in kept} <= {place.location_id for place in found}


def test_one_id_in_two_cells_and_no_image_are_refused(tmp_path):
    with pytest.raises(errors.TreeError, match="holds no image"):
        table.LocationTable(tmp_path, [])
    whole = imagery_tree.read(make(tmp_path / "tree"))
    with pytest.raises(errors.TreeError, match="this location is also in another cell"):
        table.LocationTable(tmp_path, [*whole, dataclasses.replace(whole[0], folder_cell=99)])


def test_chosen_places_come_with_their_cells(tmp_path):
    found = layouts.read(make(tmp_path / "tree"))
    some = table.LabelledLocations(found, np.arange(len(found)) + 5, np.array([3, 1, 2]))
    assert list(some) == [(found[number], number + 5) for number in (3, 1, 2)]
    assert list(some[:2]) == list(some)[:2]
    assert list(some[np.array([2])]) == [(found[2], 7)]


def test_facts_by_row_are_those_of_a_list(tmp_path):
    found = layouts.read(make(tmp_path / "tree"))
    facts = jpeg.check_files(list(found.paths))
    images = table.ImageTable(jpeg.checked(found.paths), found)
    assert list(images) == facts == images[:]
    assert images.bad() == facts  # None of these is a JPEG.
    better = images.with_problems({2: "is odd"})
    assert [fact.problem for fact in better.bad()] == ["is odd"]
    assert np.flatnonzero(~better.is_good).tolist() == [2]
    assert better.sha256(1) == facts[1].sha256


def test_a_location_takes_less_than_40_bytes():
    ids = [f"{lat:.6f},{lon:.6f}" for lat, lon in np.random.default_rng(0).uniform((30, -120), (48, -70), (20_000, 2))]
    root = pathlib.Path("tree")
    drawn = (
        imagery_tree.Location(
            name, *map(float, name.split(",")), 5, (imagery_tree.View(root / "5" / name / "0.jpg", 0.0, None),)
        )
        for name in ids
    )
    found = table.LocationTable(root, drawn)
    arrays = [found._ids.encoded, *(value for value in vars(found).values() if isinstance(value, np.ndarray))]
    assert found[0].location_id == min(ids)
    assert sum(array.nbytes for array in arrays) < 40 * len(ids)
    assert len(found._kinds) == 1


def objects_of(some: table.LabelledLocations) -> list[table.View]:
    """The fields of the views of locations, each made as an object."""
    return [
        (place.location_id, view.heading_deg, view.date, view.index, view.row)
        for place, _ in some
        for view in place.views
    ]


def test_columns_are_those_of_the_locations_made_one_by_one(tmp_path):
    root = drawn_trees.write(tmp_path / "tree", drawn_trees.location_ids(30))
    for path in sorted(root.rglob("*.jpg"))[::4]:
        path.unlink()
    everything = table.LocationTable(root, imagery_tree.scan(root))
    for of in (everything, everything.keep(np.arange(everything.views) % 5 > 0)):
        numbers = np.random.default_rng(0).permutation(len(of))[:17]
        some = table.LabelledLocations(of, np.zeros(len(of), int), numbers)
        assert list(some.views()) == objects_of(some)
        assert some.rows().tolist() == [row for *_, row in objects_of(some)]
        assert list(some.ids()) == [place.location_id for place, _ in some]
        assert some.coords().tolist() == [[place.lat_deg, place.lon_deg] for place, _ in some]


def test_views_of_a_mask_are_kept(tmp_path):
    found = layouts.read(make(tmp_path / "tree"))
    some = table.LabelledLocations(found, np.arange(len(found)) + 5, np.array([3, 1, 2, 7]))
    wanted = np.random.default_rng(1).random(len(some.rows())) < 0.5
    kept = some.keep(wanted)
    assert list(kept.views()) == [view for view, is_wanted in zip(some.views(), wanted, strict=True) if is_wanted] != []
    assert [cell for _, cell in kept] == [cell for place, cell in some if place.location_id in set(kept.ids())]
    assert list(kept.keep(np.zeros(len(kept.rows()), bool))) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc keeps it")
def test_what_reading_many_needed_is_given_back():
    # 300,000 locations: 20 MB are held, 12 of them wanted; without giving back 35.
    code = (
        "import pathlib, psutil, numpy as np; from geods.tree import imagery_tree, table\n"
        "rng = np.random.default_rng(0)\n"
        "def drawn(count):\n"
        "    for lat, lon in rng.uniform((30, -120), (48, -70), (count, 2)).round(6).tolist():\n"
        "        name = f'{lat},{lon}'; path = pathlib.Path('t', '5', name, '0.jpg')\n"
        "        view = imagery_tree.View(path, 0.0, None); yield imagery_tree.Location(name, lat, lon, 5, (view,))\n"
        "held = lambda: psutil.Process().memory_info().rss / 2**20\n"
        "table.LocationTable('t', drawn(1000)); before = held()\n"
        "found = table.LocationTable('t', drawn(300_000)); print(held() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=road.REPO)
    assert float(done.stdout) < 27


def test_facts_of_many_images_lie_in_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(table, "_IN_MEMORY_BYTES", 100)
    views = [imagery_tree.View(tmp_path / str(row), None, None, row) for row in range(50)]
    locations = table.LocationTable(tmp_path, [imagery_tree.Location("1.0,2.0", 1.0, 2.0, 0, tuple(views))])
    facts = [jpeg.ImageFacts(tmp_path / str(row), bytes([row] * 32).hex(), row, 1, 1) for row in range(50)]
    images = table.ImageTable(facts, locations)
    other = images.with_problems({3: "is odd"})
    assert list(images) == facts
    del images
    assert other.sha256(49) == facts[49].sha256
    assert [other.sha256(row) for row in (7, 3, 30)] == [facts[row].sha256 for row in (7, 3, 30)]
