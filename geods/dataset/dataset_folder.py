"""Folder of a built dataset, checked without TensorFlow.

<data_dir>/geods/<config>/<version>/
dataset_info.json, features.json, cell.labels.txt    read by TFDS
geods-<split>.tfrecord-<n>-of-<m>                    the shards; .array_record of --file_format=array_record
metadata.json                                        the partition and the lineage
images.sha256                                        the images of the lineage
seal.json                                            size and SHA-256 of all of these
"""

import json
import os
import pathlib
import shlex
from collections.abc import Collection, Iterable
from typing import Any

from geods import errors
from geods.storage import files, seals

NAME, INFO, METADATA, FEATURES = "geods", "dataset_info.json", "metadata.json", "features.json"
# Copied from the builder, which is not imported, so that a dataset can be read where it cannot be built.
CONFIGS = ("blocked", "random", "report")
_SHOWN, _OURS = 5, "tensorflow_datasets."
_CONVERTED = "alternativeFileFormats"


def build_command() -> str:
    """Returns the command that builds, as it works in the current folder.

    TFDS finds a builder by its folder; elsewhere it must be given the module.
    """
    is_checkout = pathlib.Path(NAME, "geods_dataset_builder.py").is_file()
    return f"tfds build {NAME}" + ("" if is_checkout else " --imports=geods.geods_dataset_builder")


def config_flag(config: str, policy: str = "", seed: int | None = None) -> str:
    """Returns the flag for a config, as JSON where it is none of the three."""
    if config in CONFIGS:
        return f"--config={config}"
    content = {"name": config, "policy": policy} | ({} if seed is None else {"seed": seed})
    return shlex.quote(f"--config={json.dumps(content)}")


def damaged(folder: pathlib.Path, problem: str) -> errors.DatasetError:
    """Returns the error for a dataset that has to be built again.

    Args:
        folder: `<data_dir>/geods/<config>/<version>`.
        problem: As in GeodsError.
    """
    config, data_dir = folder.parent.name, folder.parent.parent.parent
    sources = metadata_in(folder).get("sources") or {}
    flag = config_flag(config, sources.get("policy", "blocked"), sources.get("seed"))
    # Not --overwrite, which keeps a folder that TFDS no longer recognises as a dataset.
    build = f"{build_command()} {flag} --manual_dir=TREE --data_dir={data_dir}"
    return errors.DatasetError(problem, f"rm -r {folder} && {build}")


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
        step = f"{build_command()} --config={config} --manual_dir=TREE --data_dir={data_dir}"
        if config not in CONFIGS:
            step = f"give --config as one of {', '.join(dict.fromkeys((*CONFIGS, *there)))}"
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
            raise damaged(folder, f"{path}: is damaged ({error}).") from error
        for entry in files.objects_in(content):
            if not is_ours(str(entry.get(key, _OURS))):
                problem = f"{path}: names {entry[key]}, which tfds build geods never writes."
                raise damaged(folder, problem)


def check_split(name: str, there: Collection[str], split: str) -> None:
    """Checks that a dataset has a split.

    Parts and sums such as "train[:10%]+test" are allowed.

    Raises:
        DatasetError: If `split` is not one of those `there`.
    """
    if any(part.split("[")[0] not in there for part in split.split("+")):
        problem = f"{name}: has no split {split!r}; it has {', '.join(there)}."
        raise errors.DatasetError(problem, "choose one of those, or add locations and build it again")


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
    if damage := damage_in(folder, read=False):
        lines = [f"  {one.path.name}: {one.problem}" for one in damage[:_SHOWN]]
        problem = "\n".join([f"{folder}: is damaged, {len(damage)} of its files:", *lines])
        raise damaged(folder, problem)


def damage_in(folder: pathlib.Path, read: bool = True) -> list[seals.Damage]:
    """Returns the damaged files of a sealed dataset, by size unless `read`.

    `tfds convert_format` in place adds shards and names their format in dataset_info.json, which is no damage.
    """
    found = seals.verify(folder, read=read)
    return [one for one in found if one.path.name != INFO or not _is_converted(folder)]


def converted_to(folder: pathlib.Path) -> list[str]:
    """Returns the formats that `tfds convert_format` has added in place."""
    try:
        return list(files.parse_json((folder / INFO).read_bytes()).get(_CONVERTED, []))
    except (OSError, ValueError, AttributeError):
        return []


def _is_converted(folder: pathlib.Path) -> bool:
    """Returns whether dataset_info.json differs from the sealed one by formats alone."""
    if not converted_to(folder):
        return False
    content = files.parse_json((folder / INFO).read_bytes())
    del content[_CONVERTED]
    return seals.is_sealed_content(folder, INFO, json.dumps(content, indent=2).encode())


def _splits(folder: pathlib.Path) -> list[str]:
    """Returns the names of a dataset's splits, in the order of TFDS."""
    try:
        return sorted(split["name"] for split in files.parse_json((folder / INFO).read_bytes())["splits"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise damaged(folder, f"{folder / INFO}: is damaged ({error}).") from error


def metadata_in(folder: pathlib.Path) -> dict[str, Any]:
    """Returns the content of metadata.json, nothing if it is missing or damaged."""
    try:
        return dict(files.parse_json((folder / METADATA).read_bytes()))
    except (OSError, ValueError, TypeError):
        return {}
