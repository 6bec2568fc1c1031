"""The report's train and test lists, and locations by split."""

import pathlib
import subprocess
import sys

import checkout
import drawn_trees
import numpy as np
import pytest

from geods import errors
from geods.dataset import split_lists, splits
from geods.tree import companions, imagery_tree, layouts, table

SAMPLES = checkout.SHARED / "data" / "report_samples"
FIRST, SECOND = "40.5,-124.25", "41.5,-97.25"


@pytest.fixture
def root(tmp_path) -> pathlib.Path:
    drawn_trees.write(tmp_path / "data" / "tree", [FIRST, SECOND], cell=5)
    return tmp_path / "data" / "tree"


def save(folder: pathlib.Path, train: list[str], test: list[str], names=("trainFiles.npy", "testFiles.npy")) -> None:
    for name, entries in zip(names, (train, test), strict=True):
        np.save(folder / name, np.array(entries, dtype=str))


def find(root: pathlib.Path) -> split_lists.SplitLists | None:
    return split_lists.find(companions.TreeFolder(root), layouts.read(root))


def splits_of(root: pathlib.Path) -> list[str]:
    locations = layouts.read(root)
    return list(find(root).splits(locations.views_of(range(len(locations)))))


def test_lists_name_views_or_whole_locations_whatever_the_cell(root):
    save(root, [f"9+{FIRST}", f"1+{SECOND}+0_2012-05.jpg"], [f"1+{SECOND}+90_2012-05.jpg"])
    assert splits_of(root) == ["train", "train", "train", "train", "test", ""]


def test_a_view_named_alone_goes_before_its_location(root):
    save(root, [f"9+{FIRST}"], [f"9+{FIRST}+90_2012-05.jpg"])
    assert splits_of(root)[:3] == ["train", "test", "train"]


def test_there_may_be_no_lists(root):
    assert find(root) is None
    np.save(root / "trainFiles.npy", np.array([f"9+{FIRST}"]))
    assert find(root) is None


def test_lists_beside_the_tree_count_if_they_fit(root):
    save(root.parent, ["3+1,2"], ["3+1,3"], ("a_trainFiles.npy", "a_testFiles.npy"))
    assert find(root) is None
    save(root.parent, [f"9+{FIRST}"], [f"9+{SECOND}"], ("TrainSample.npy", "TestSample.npy"))
    assert find(root).path.name == "TrainSample.npy"
    assert split_lists.find(companions.TreeFolder(root.parent / "places.csv"), layouts.read(root)) is not None


@pytest.mark.parametrize(
    ("train", "test", "rule"),
    [
        (["3+1,2"], [f"9+{FIRST}"], r"trainFiles.npy: names 3\+1,2, which is not in the tree"),
        ([f"9+{FIRST}+45_2012-05.jpg"], [], r"names 9\+40.5,-124.25\+45_2012-05.jpg, which is not in the tree"),
        (["holiday"], [], "trainFiles.npy: 'holiday': is not <cell>"),
        ([f"9+{FIRST}+x.jpg"], [], "x.jpg: its name is not <heading>"),
        ([f"9+{FIRST}"], [f"8+{FIRST}"], r"testFiles.npy: 40.5,-124.25 is in trainFiles.npy too"),
    ],
)
def test_lists_in_the_tree_that_do_not_fit_are_refused(root, train, test, rule):
    save(root, train, test)
    with pytest.raises(errors.TreeError, match=rule):
        find(root)


def test_entries_as_the_report_prints_them_are_read(tmp_path):
    names = [f"0 + {FIRST} + {number} - 2009 - 07.jpg" for number in (0, 90, 180)]
    for folder, entries in (("plain", names), ("below", [f"dataCombined/{name} " for name in names])):
        root = tmp_path / folder
        root.mkdir()
        for name in names:
            (root / name).write_bytes(drawn_trees.jpeg(1))
        save(root, entries[:2], entries[2:])
        assert splits_of(root) == ["train", "train", "test"]
    save(root, [f"dataCombined/0 + {FIRST}/"], [f"0 + {FIRST}/180-2009-07.jpg"])
    assert splits_of(root) == ["train", "train", "test"]


def test_the_next_step_for_an_object_array_makes_a_list_of_it(root):
    save(root, [f"9+{FIRST}"], [f"9+{SECOND}"])
    np.save(root / "trainFiles.npy", np.array([f"9+{FIRST}"], dtype=object))
    with pytest.raises(errors.TreeError, match=r"trainFiles\.npy: cannot be read") as caught:
        find(root)
    command = caught.value.next_step.partition(", if you trust")[0]
    done = subprocess.run(["bash", "-c", command.replace("python", sys.executable, 1)], check=False)
    assert done.returncode == 0
    assert find(root).train == ((FIRST, ""),)


def test_files_that_are_no_lists_are_refused_and_never_unpickled(root):
    np.save(root / "testFiles.npy", np.array([f"9+{FIRST}"]))
    for array, rule in (
        (np.array([{"a": 1}], dtype=object), "cannot be read as a NumPy file without pickle"),
        (np.arange(3), "is not a 1-D array of text"),
        (np.array([["a"]]), "is not a 1-D array of text"),
    ):
        np.save(root / "trainFiles.npy", array)
        with pytest.raises(errors.TreeError, match=rf"trainFiles\.npy: {rule}"):
            find(root)
    for content in (b"", b"<html>", b"\x93NUMPY"):
        (root / "trainFiles.npy").write_bytes(content)
        with pytest.raises(errors.TreeError, match="cannot be read as a NumPy file"):
            find(root)


def test_written_lists_carry_the_new_cells(root, tmp_path):
    save(root, [f"9+{FIRST}", f"1+{SECOND}+0_2012-05.jpg"], [f"1+{SECOND}+90_2012-05.jpg"])
    lists = find(root)
    split_lists.write(tmp_path, lists, {FIRST: 70, SECOND: -1})
    train = np.load(tmp_path / "trainFiles.npy", allow_pickle=False)
    test = np.load(tmp_path / "testFiles.npy", allow_pickle=False)
    assert train.tolist() == [f"70+{FIRST}", f"-1+{SECOND}+0_2012-05.jpg"]
    assert test.tolist() == [f"-1+{SECOND}+90_2012-05.jpg"]
    split_lists.write(tmp_path, split_lists.SplitLists(lists.path, lists.train, ()), {FIRST: 70, SECOND: -1})
    assert np.load(tmp_path / "testFiles.npy", allow_pickle=False).shape == (0,)


def places(count: int) -> table.LabelledLocations:
    views = tuple(imagery_tree.View(pathlib.Path(str(heading)), heading, None) for heading in (0, 90))
    drawn = (
        imagery_tree.Location(name, *map(float, name.split(",")), 0, views) for name in drawn_trees.location_ids(count)
    )
    return labelled(table.LocationTable("", drawn))


def labelled(locations: table.LocationTable) -> table.LabelledLocations:
    return table.LabelledLocations(locations, np.full(len(locations), 4), np.arange(len(locations)))


@pytest.mark.parametrize("policy", ["blocked", "random"])
def test_splits_by_location_hold_each_location_once(policy):
    items = places(100)
    groups = split_lists.by_split(items, splits.Rule(policy), None)
    assert list(groups) == ["train", "validation", "test"]
    assert sorted(item[0].location_id for group in groups.values() for item in group) == sorted(
        i[0].location_id for i in items
    )
    assert len(groups["train"]) > 60


def test_summary_counts_what_each_split_holds_and_what_the_lists_leave_out(root):
    save(root, [f"9+{FIRST}", f"1+{SECOND}+0_2012-05.jpg"], [f"1+{SECOND}+90_2012-05.jpg"])
    items = labelled(layouts.read(root))
    lists = find(root)
    assert split_lists.summary(items, split_lists.by_split(items, splits.Rule("report"), lists), lists) == (
        "  train: 2 locations, 4 views\n"
        "  test: 1 locations, 1 views\n"
        f"  split by {root}/trainFiles.npy and its test list; 1 views are in neither and left out"
    )
    assert split_lists.summary(items, {"train": items}, None) == "  train: 2 locations, 6 views"


def test_report_split_holds_each_view_once():
    groups = split_lists.by_split(places(100), splits.Rule("report"), None)
    assert list(groups) == ["train", "test"]
    views = [(place.location_id, v.heading_deg) for group in groups.values() for place, _ in group for v in place.views]
    assert len(set(views)) == len(views) == 200
    assert sum(len(place.views) for place, _ in groups["test"]) == 10
    shared = {p.location_id for p, _ in groups["train"]} & {p.location_id for p, _ in groups["test"]}
    assert shared  # what the report got wrong, kept to compare with it


def test_splits_without_a_location_are_left_out_but_train_must_be():
    items = places(100)
    groups = split_lists.by_split(items, splits.Rule("random"), None)
    assert list(split_lists.by_split(groups["train"], splits.Rule("random"), None)) == ["train"]
    with pytest.raises(errors.DatasetError, match=r"split 'random': none of the .* locations falls into train"):
        split_lists.by_split(groups["test"], splits.Rule("random"), None)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"{SAMPLES} is not here")
def test_real_lists_are_found_beside_their_folders():
    for name, train, test in (("combined_files", 15, 5), ("combined_folders", 24, 6)):
        of_views = splits_of(SAMPLES / name)
        assert (of_views.count("train"), of_views.count("test"), of_views.count("")) == (train, test, 0)
