"""Locations by split: by hash, or by the report's pair of NumPy files that name what is train and what is test.

The pairs are trainFiles.npy and testFiles.npy, or any two names that differ in "train" and "test", such as the samples'
trainFileSample.npy and testFileSample.npy. Each is a 1-D array of text with names of the combined layouts:
`<cell>+<lat>,<lng>+<heading>_<YYYY-MM>.jpg` for one view, `<cell>+<lat>,<lng>` for all views of a location. The cell in
a name is not looked at, so lists go on fitting a tree whose cells were numbered again.
"""

import dataclasses
import io
import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from geods import errors
from geods.dataset import splits as dataset_splits
from geods.storage import files as storage_files
from geods.tree import imagery_tree, labelled_table, layouts

TRAIN_NAME, TEST_NAME = "trainFiles.npy", "testFiles.npy"

_REPAIR = "save it again with numpy.save, or move it away to split at random"

_AT_ONCE = 4096

# (location_id, view name in the standard tree, or "" for all views)
Entry = tuple[str, str]

# In a split by image with the views of that split only.
Labelled = labelled_table.Labelled


@dataclasses.dataclass(frozen=True)
class SplitLists:
    """What a pair of lists says.

    Attributes:
        path: The train list.
        train: Its entries, in its order.
        test: The entries of the test list.
        test_path: The test list.
    """

    path: pathlib.Path
    train: tuple[Entry, ...]
    test: tuple[Entry, ...]
    test_path: pathlib.Path | None = None

    @property
    def files(self) -> tuple[pathlib.Path, ...]:
        """The files it was read from."""
        return (self.path, self.test_path) if self.test_path else (self.path,)

    def splits(self, locations: Sequence[imagery_tree.Location]) -> list[tuple[str, ...]]:
        """Returns the split of every view of every location, "" where neither list names it."""
        names = dict.fromkeys(self.train, dataset_splits.TRAIN) | dict.fromkeys(self.test, dataset_splits.TEST)

        def of(location_id: str, view: imagery_tree.View) -> str:
            return names.get((location_id, _view_name(view))) or names.get((location_id, "")) or ""

        return [tuple(of(place.location_id, view) for view in place.views) for place in locations]


def by_split(
    found: Sequence[Labelled], policy: dataset_splits.Policy, seed: int, lists: SplitLists | None
) -> dict[str, Sequence[Labelled]]:
    """Returns the locations of each split that has any.

    Args:
        found: Locations with their cells.
        policy: How to split.
        seed: Another seed is another split.
        lists: What policy "report" goes by; it shuffles the images where there are none.

    Raises:
        DatasetError: If there are none to train with.
    """
    groups = _by_view(found, lists, seed) if policy == "report" else _by_location(found, policy, seed)
    if not len(groups[dataset_splits.TRAIN]):
        raise errors.DatasetError(
            f"split {policy!r}: none of the {len(found)} locations falls into train.",
            "add locations, or build with another seed or --config",
        )
    return {name: items for name, items in groups.items() if len(items)}


def summary(found: Sequence[Labelled], groups: Mapping[str, Sequence[Labelled]], lists: SplitLists | None) -> str:
    """Returns the lines that say how `found` fell into the splits `groups`."""
    lines = [f"  {name}: {len(items):,} locations, {_views(items):,} views" for name, items in groups.items()]
    if lists is not None:
        unlisted = _views(found) - sum(map(_views, groups.values()))
        lines.append(f"  split by {lists.path} and its test list; {unlisted:,} views are in neither and left out")
    return "\n".join(lines)


def find(root: str | os.PathLike[str], locations: Sequence[imagery_tree.Location]) -> SplitLists | None:
    """Returns the lists in a tree, else those beside it that fit it, else None.

    The report's data have them beside the folder of the images, where lists of other folders may lie as well.

    Raises:
        TreeError: If lists in the tree are damaged, contradict each other, or name images it does not hold.
    """
    folder = pathlib.Path(root)
    inside = _pairs(folder) if folder.is_dir() else []
    problems = []
    for train, test in inside or _pairs(folder.resolve().parent):
        try:
            return _read_pair(train, test, locations)
        except errors.TreeError as error:
            problems.append(error)
    if inside:
        raise problems[0]
    return None


def write(root: str | os.PathLike[str], lists: SplitLists, cell_of: Mapping[str, int]) -> None:
    """Writes lists into a tree as trainFiles.npy and testFiles.npy.

    Args:
        root: The tree.
        lists: What to write.
        cell_of: Cell number of each location_id, as the tree has it.
    """
    for name, entries in ((TRAIN_NAME, lists.train), (TEST_NAME, lists.test)):
        names = ["+".join(filter(None, (f"{cell_of[place]}+{place}", view))) for place, view in entries]
        buffer = io.BytesIO()
        np.save(buffer, np.array(names, dtype=np.str_), allow_pickle=False)
        storage_files.write_bytes(pathlib.Path(root, name), buffer.getvalue())


def _by_location(found: Sequence[Labelled], policy: dataset_splits.Policy, seed: int) -> dict[str, Sequence[Labelled]]:
    """Splits whole locations by hash."""
    codes = np.zeros(len(found), np.int8)
    for start in range(0, len(found), _AT_ONCE):
        part = found[start : start + _AT_ONCE]
        if policy == "blocked":
            names = dataset_splits.blocked(labelled_table.coords_of(part), seed)
        else:
            names = dataset_splits.random(list(labelled_table.ids_of(part)), seed)
        codes[start : start + _AT_ONCE] = [dataset_splits.NAMES.index(name) for name in names.tolist()]
    numbers = {name: np.flatnonzero(codes == code) for code, name in enumerate(dataset_splits.NAMES)}
    return {name: labelled_table.take(found, some) for name, some in numbers.items()}


def _by_view(found: Sequence[Labelled], lists: SplitLists | None, seed: int) -> dict[str, Sequence[Labelled]]:
    """Splits image by image: a location can be in both splits, in each with the views of that split."""
    if lists is not None:
        # "" where neither names it.
        of_views = np.array(
            [
                name
                for start in range(0, len(found), _AT_ONCE)
                for of_place in lists.splits([place for place, _ in found[start : start + _AT_ONCE]])
                for name in of_place
            ],
            dtype="<U5",
        )
    else:
        views = labelled_table.views_of(found)
        names = (f"{place}/{imagery_tree.view_name(heading, date, index)}" for place, heading, date, index, _ in views)
        of_views = dataset_splits.by_image(names, seed)
    return {
        name: labelled_table.filter_views(found, of_views == name)
        for name in (dataset_splits.TRAIN, dataset_splits.TEST)
    }


def _pairs(folder: pathlib.Path) -> list[tuple[pathlib.Path, pathlib.Path]]:
    """Returns the pairs of list files in a folder."""
    pairs = []
    for train in sorted(folder.glob("*.npy")):
        for word, other in (("train", "test"), ("Train", "Test")):
            test = train.with_name(train.name.replace(word, other))
            if word in train.name and test.is_file():
                pairs.append((train, test))
    return pairs


def _read_pair(train: pathlib.Path, test: pathlib.Path, locations: Sequence[imagery_tree.Location]) -> SplitLists:
    """Reads two lists and checks them against the tree and each other."""
    known = {(place.location_id, "") for place in locations}
    known |= {(place.location_id, _view_name(view)) for place in locations for view in place.views}
    lists = SplitLists(train, _read_list(train, known), _read_list(test, known), test)
    if both := sorted(set(lists.train) & set(lists.test)):
        name = "+".join(filter(None, both[0]))
        raise errors.TreeError(f"{test}: {name} is in {train.name} too.", "take it out of one of them")
    return lists


def _read_list(path: pathlib.Path, known: set[Entry]) -> tuple[Entry, ...]:
    """Reads one list whose entries all are in `known`."""
    try:
        with path.open("rb") as source:
            names = np.load(source, allow_pickle=False)
    except (ValueError, OSError, EOFError, MemoryError) as error:
        cause = str(error).partition(". ")[0]
        raise errors.TreeError(f"{path}: cannot be read as a NumPy file without pickle ({cause}).", _REPAIR) from error
    if names.ndim != 1 or names.dtype.kind != "U":
        raise errors.TreeError(f"{path}: is not a 1-D array of text.", _REPAIR)
    entries = []
    for text in names.tolist():
        location_id, view = layouts.split_name(text)
        entry = (location_id, _view_name(imagery_tree.parse_view(view, path / view)) if view else "")
        if entry not in known:
            raise errors.TreeError(f"{path}: names {text}, which is not in the tree.", _REPAIR)
        entries.append(entry)
    return tuple(entries)


def _view_name(view: imagery_tree.View) -> str:
    """Returns the name of a view in the standard tree, whatever its file is called."""
    return imagery_tree.view_name(view.heading_deg, view.date, view.index)


def _views(found: Sequence[Labelled]) -> int:
    """Returns the number of views."""
    return labelled_table.view_count(found)
