"""Locations of each split: by hash, or by the report's pair of NumPy files.

The pair is trainFiles.npy and testFiles.npy, or any two names that differ in "train" and "test", such as the samples'
trainFileSample.npy and testFileSample.npy. Each is a 1-D array of text with names of the combined layouts:
`<cell>+<lat>,<lng>+<heading>_<YYYY-MM>.jpg` for one view, `<cell>+<lat>,<lng>` for all views of a location, with blanks
and folders before them or not. The cell in a name is ignored, so that lists still fit a tree with renumbered cells.
"""

import dataclasses
import io
import math
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from geods import errors
from geods.dataset import splits as dataset_splits
from geods.geo import geometry
from geods.storage import files as storage_files
from geods.tree import companions, imagery_tree, layouts, table

TRAIN_NAME, TEST_NAME = "trainFiles.npy", "testFiles.npy"

_REPAIR = "save it again with numpy.save, or move it away to split at random"

_AT_ONCE = 4096
# A mean of fewer errors has a 95 % interval of half its value or more.
_FEW_LOCATIONS = 30

# (location_id, view name in the standard tree, or "" for all views)
Entry = tuple[str, str]
BySplit = dict[str, table.LabelledLocations]


@dataclasses.dataclass(frozen=True)
class SplitLists:
    """Entries of a pair of lists.

    Attributes:
        path: File of the train list.
        train: Its entries, in order.
        test: Entries of the test list.
        test_path: File of the test list.
    """

    path: pathlib.Path
    train: tuple[Entry, ...]
    test: tuple[Entry, ...]
    test_path: pathlib.Path | None = None

    @property
    def files(self) -> tuple[pathlib.Path, ...]:
        """Files of the lists."""
        return (self.path, self.test_path) if self.test_path else (self.path,)

    def splits(self, views: Iterable[table.View]) -> Iterator[str]:
        """Yields the split of each view, "" where neither list names it."""
        names = dict.fromkeys(self.train, dataset_splits.TRAIN) | dict.fromkeys(self.test, dataset_splits.TEST)
        for location_id, heading_deg, date, index, _ in views:
            view_name = imagery_tree.view_name(heading_deg, date, index)
            yield names.get((location_id, view_name)) or names.get((location_id, "")) or ""


def by_split(found: table.LabelledLocations, rule: dataset_splits.Rule, lists: SplitLists | None) -> BySplit:
    """Returns the locations of each split that has any.

    In a split by image with the views of that split only.

    Args:
        found: Locations with their cells.
        rule: The rule of the split.
        lists: Lists of policy "report", which shuffles the images without them.

    Raises:
        DatasetError: If no location falls into train.
    """
    groups = _by_view(found, lists, rule.seed) if rule.policy == "report" else _by_location(found, rule)
    if not len(groups[dataset_splits.TRAIN]):
        raise errors.DatasetError(
            f"split {rule.policy!r}: none of the {len(found)} locations falls into train.",
            f"add locations, or build with another seed or --config: {dataset_splits.SEED_VARIABLE}=1",
        )
    return {name: items for name, items in groups.items() if len(items)}


def summary(found: table.LabelledLocations, groups: BySplit, lists: SplitLists | None) -> str:
    """Returns lines that count the locations and views of each split."""
    views = {name: len(items.rows()) for name, items in groups.items()}
    lines = [f"  {name}: {len(items):,} locations, {views[name]:,} views" for name, items in groups.items()]
    if lists is not None:
        unlisted = len(found.rows()) - sum(views.values())
        lines.append(f"  split by {lists.path} and its test list; {unlisted:,} views are in neither and left out")
    return "\n".join(lines)


def choose(found: table.LabelledLocations, request: dataset_splits.Request) -> dataset_splits.Rule:
    """Chooses the rule of the split of some locations."""
    starts = range(0, len(found), _AT_ONCE)
    return dataset_splits.choose(request, lambda: (found[start : start + _AT_ONCE].coords() for start in starts))


def advice(groups: BySplit, rule: dataset_splits.Rule) -> list[str]:
    """Returns lines on the blocks of a split and on parts that are too small."""
    lines = []
    if rule.policy == "blocked":
        keep = f"{dataset_splits.BLOCK_VARIABLE}={rule.block_deg!r} {dataset_splits.SEED_VARIABLE}={rule.seed}"
        unit = "degree" if rule.block_deg == 1 else "degrees"
        size = f"{rule.block_deg:g} {unit} ({math.radians(rule.block_deg) * geometry.EARTH_RADIUS_KM:,.1f} km)"
        lines.append(f"  split by blocks of {size}, seed {rule.seed}; {keep} repeats it on another tree")
    names = dataset_splits.NAMES if rule.policy != "report" else (dataset_splits.TRAIN, dataset_splits.TEST)
    for name in names[1:]:
        count = len(groups.get(name, ()))
        if count < _FEW_LOCATIONS:
            size = f"only {count} locations, too few to measure with" if count else "no location"
            other = f"{dataset_splits.BLOCK_VARIABLE}={rule.block_deg / 2!r} or " if rule.policy == "blocked" else ""
            other += f"{dataset_splits.SEED_VARIABLE}={rule.seed + 1}"
            lines.append(f"  {name}: {size}; add locations, or build with {other}")
    return lines


def find(tree: companions.TreeFolder, locations: table.LocationTable) -> SplitLists | None:
    """Returns the lists in a tree, else those beside it that fit it, else None.

    The report's data have them beside the folder of the images, where lists of other folders may lie as well.

    Raises:
        TreeError: If lists in the tree are damaged, contradict each other, or name images it does not hold.
    """
    pairs, inside = tree.list_pairs()
    problems = []
    for train, test in pairs:
        try:
            return _read_pair(train, test, locations)
        except errors.TreeError as error:
            problems.append(error)
    if inside:
        raise problems[0]
    return None


def draw(locations: table.LocationTable, test_share: float, seed: int) -> SplitLists:
    """Returns lists of a random split by image.

    With a test share of 0.05 it is the split of config "report" without lists.

    Raises:
        DatasetError: If there are fewer than two images.
    """
    everything = range(len(locations))
    names = dataset_splits.by_image(image_names(locations.views_of(everything)), seed, test_share)
    entries: dict[str, list[Entry]] = {dataset_splits.TRAIN: [], dataset_splits.TEST: []}
    for name, (location_id, heading_deg, date, index, _) in zip(names, locations.views_of(everything), strict=True):
        entries[name].append((location_id, imagery_tree.view_name(heading_deg, date, index)))
    train, test = map(tuple, entries.values())
    return SplitLists(pathlib.Path(TRAIN_NAME), train, test)


def write(root: str | os.PathLike[str], lists: SplitLists, cell_of: Mapping[str, int]) -> None:
    """Writes lists into a tree as trainFiles.npy and testFiles.npy.

    Args:
        root: The tree.
        lists: Lists to write.
        cell_of: Cell number of each location_id, as the tree has it.
    """
    for name, entries in ((TRAIN_NAME, lists.train), (TEST_NAME, lists.test)):
        names = ["+".join(filter(None, (f"{cell_of[one]}+{one}", view))) for one, view in entries]
        buffer = io.BytesIO()
        np.save(buffer, np.array(names, dtype=np.str_), allow_pickle=False)
        storage_files.write_bytes(pathlib.Path(root, name), buffer.getvalue())


def _by_location(found: table.LabelledLocations, rule: dataset_splits.Rule) -> BySplit:
    """Splits whole locations by hash."""
    codes = np.zeros(len(found), np.int8)
    for start in range(0, len(found), _AT_ONCE):
        part = found[start : start + _AT_ONCE]
        if rule.policy == "blocked":
            names = dataset_splits.blocked(part.coords(), rule.seed, rule.block_deg)
        else:
            names = dataset_splits.random(list(part.ids()), rule.seed)
        codes[start : start + _AT_ONCE] = [dataset_splits.NAMES.index(name) for name in names.tolist()]
    return {name: found[np.flatnonzero(codes == code)] for code, name in enumerate(dataset_splits.NAMES)}


def _by_view(found: table.LabelledLocations, lists: SplitLists | None, seed: int) -> BySplit:
    """Splits image by image: a location can be in both splits.

    Each of the two then holds the location with the views of that split.
    """
    if lists is not None:
        of_views = np.fromiter(lists.splits(found.views()), "<U5", len(found.rows()))
    else:
        of_views = dataset_splits.by_image(image_names(found.views()), seed)
    return {name: found.keep(of_views == name) for name in (dataset_splits.TRAIN, dataset_splits.TEST)}


def image_names(views: Iterable[table.View]) -> Iterator[str]:
    """Yields the names by which the report's split draws images."""
    return (f"{one}/{imagery_tree.view_name(heading, date, index)}" for one, heading, date, index, _ in views)


def _read_pair(train: pathlib.Path, test: pathlib.Path, locations: table.LocationTable) -> SplitLists:
    """Reads two lists and checks them against the tree and each other."""
    known = {(location_id, "") for location_id in locations.ids}
    known |= {(location.location_id, _view_name(view)) for location in locations for view in location.views}
    lists = SplitLists(train, _read_list(train, known), _read_list(test, known), test)
    if both := sorted(set(lists.train) & set(lists.test)):
        name = "+".join(filter(None, both[0]))
        raise errors.TreeError(f"{test}: {name} is in {train.name} too.", "take it out of one of them")
    return lists


def _read_list(path: pathlib.Path, known: set[Entry]) -> tuple[Entry, ...]:
    """Reads one list whose entries all are in `known`."""
    program = f"import numpy as np; p = {str(path)!r}; np.save(p, np.load(p, allow_pickle=True).astype(str))"
    as_text = f'python -c "{program}", if you trust the file: loading a pickle can run any program'
    try:
        with path.open("rb") as source:
            names = np.load(source, allow_pickle=False)
    except (ValueError, OSError, EOFError, MemoryError) as error:
        cause = str(error).partition(". ")[0]
        problem = f"{path}: cannot be read as a NumPy file without pickle ({cause})."
        raise errors.TreeError(problem, as_text if "Object arrays" in cause else _REPAIR) from error
    if names.ndim != 1 or names.dtype.kind != "U":
        step = as_text if names.ndim == 1 and names.dtype.kind == "S" else _REPAIR
        raise errors.TreeError(f"{path}: is not a 1-D array of text.", step)
    entries = []
    for text in names.tolist():
        entry = next((entry for entry in _entries_of(text, path) if entry in known), None)
        if entry is None:
            raise errors.TreeError(f"{path}: names {text}, which is not in the tree.", _REPAIR)
        entries.append(entry)
    return tuple(entries)


def _entries_of(text: str, path: pathlib.Path) -> list[Entry]:
    """Returns the entries that a name of a list can mean.

    The number of a view is its heading in some trees.
    """
    location_id, name = layouts.split_name(text, str(path))
    if not name:
        return [(location_id, "")]
    view = imagery_tree.parse_view(name, path / name)
    entries = [(location_id, _view_name(view))]
    if view.heading_deg is None:
        entries.append((location_id, imagery_tree.view_name(float(view.index), view.date)))
    return entries


def _view_name(view: imagery_tree.View) -> str:
    """Returns the name of a view in the standard tree, whatever its file is called."""
    return imagery_tree.view_name(view.heading_deg, view.date, view.index)
