"""Folder of a built dataset, checked without TensorFlow.

<data_dir>/geods/<config>/<version>/
dataset_info.json, features.json, cell.labels.txt    read by TFDS
geods-<split>.tfrecord-<n>-of-<m>                    the shards
metadata.json                                        the partition and the lineage
images.sha256                                        the images of the lineage
seal.json                                            size and SHA-256 of all of these
"""

import os
import pathlib
from collections.abc import Collection, Iterable
from typing import Any

from geods import errors
from geods.storage import files, seals

NAME, INFO, METADATA, FEATURES = "geods", "dataset_info.json", "metadata.json", "features.json"
# Copied from the builder, which is not imported, so that a dataset can be read where it cannot be built.
CONFIGS = ("blocked", "random", "report")
_SHOWN, _OURS = 5, "tensorflow_datasets."


def folders(data_dir: pathlib.Path, config: str = "*") -> list[pathlib.Path]:
    """Returns the folders of the datasets in a data_dir, sorted, damaged ones too."""
    marks = (path for name in (INFO, seals.NAME) for path in (data_dir / NAME).glob(f"{config}/*/{name}"))
    return sorted({path.parent for path in marks})


def check_built(data_dir: str | os.PathLike[str], config: str, splits: Iterable[str] = ()) -> pathlib.Path:
    """Returns the folder of a dataset's newest version.

    Args:
        data_dir: Folder given to tfds build.
        config: Config of the dataset.
        splits: Splits that it must have.

    Raises:
        DatasetError: If it is missing (the message lists the configs that are built), lacks a split, or has a missing
            file or one whose size has changed.
    """
    root = pathlib.Path(data_dir, NAME)
    versions = folders(pathlib.Path(data_dir), config)
    if not versions:
        there = sorted({path.parent.name for path in folders(pathlib.Path(data_dir))})
        problem = f"{root / config}: no dataset there; configs built: {', '.join(there) or 'none'}."
        step = f"tfds build geods --config={config} --manual_dir=TREE --data_dir={data_dir}"
        if config not in CONFIGS:
            step = f"give --config as one of {', '.join(CONFIGS)}"
        raise errors.DatasetError(problem, step)
    check_undamaged(versions[-1])
    _check_foreign(versions[-1])
    for split in splits:
        check_split(versions[-1].relative_to(data_dir).as_posix(), _splits(versions[-1]), split)
    return versions[-1]


def _check_foreign(folder: pathlib.Path) -> None:
    """Checks that TFDS stays in its package and folder.

    It imports any module that features.json names.

    Raises:
        DatasetError: If the files name classes of other packages or shards in other folders.
    """
    for name, key, is_ours in (
        (FEATURES, "pythonClassName", lambda value: value.startswith(_OURS)),
        (INFO, "filepathTemplate", lambda value: "/" not in value),
    ):
        path = folder / name
        try:
            content = files.parse_json(path.read_bytes()) if path.is_file() else {}
        except ValueError as error:
            raise errors.DatasetError.damaged(folder, f"{path}: is damaged ({error}).") from error
        for entry in files.objects_in(content):
            if not is_ours(str(entry.get(key, _OURS))):
                problem = f"{path}: names {entry[key]}, which tfds build geods never writes."
                raise errors.DatasetError.damaged(folder, problem)


def check_split(name: str, there: Collection[str], split: str) -> None:
    """Checks that a dataset has a split.

    Parts and sums such as "train[:10%]+test" are allowed.

    Raises:
        DatasetError: If `split` is not one of those `there`.
    """
    if any(part.split("[")[0] not in there for part in split.split("+")):
        raise errors.DatasetError(f"{name}: has no split {split!r}; it has {', '.join(there)}.", "choose one of those")


def lacks_seal(folder: pathlib.Path) -> bool:
    """Returns whether a dataset is older than seals and cannot be verified."""
    return not seals.is_sealed(folder) and "sources" not in metadata_in(folder)


def check_undamaged(folder: pathlib.Path) -> None:
    """Checks the sizes of a dataset's files.

    `python -m tools.verify` also reads them.

    Raises:
        DatasetError: Naming the files that are missing or whose size has changed.
    """
    if not folder.is_dir() or lacks_seal(folder):
        return
    if damaged := seals.verify(folder, read=False):
        lines = [f"  {damage.path.name}: {damage.problem}" for damage in damaged[:_SHOWN]]
        problem = "\n".join([f"{folder}: is damaged, {len(damaged)} of its files:", *lines])
        raise errors.DatasetError.damaged(folder, problem)


def _splits(folder: pathlib.Path) -> list[str]:
    """Returns the names of a dataset's splits, in the order of TFDS."""
    try:
        return sorted(split["name"] for split in files.parse_json((folder / INFO).read_bytes())["splits"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise errors.DatasetError.damaged(folder, f"{folder / INFO}: is damaged ({error}).") from error


def metadata_in(folder: pathlib.Path) -> dict[str, Any]:
    """Returns the content of metadata.json, nothing if it is missing or damaged."""
    try:
        return dict(files.parse_json((folder / METADATA).read_bytes()))
    except (OSError, ValueError, TypeError):
        return {}
