"""The folder of a built dataset, looked at without TensorFlow: is it whole, and how is it built anew.

<data_dir>/geods/<config>/<version>/
dataset_info.json, features.json, cell.labels.txt    what TFDS reads
geods-<split>.tfrecord-<n>-of-<m>                    the shards
metadata.json                                        the partition, and what it was built of
images.sha256                                        the images it was built of
seal.json                                            size and SHA-256 of all of these
"""

import json
import pathlib
from typing import Any

from geods import errors, seals

NAME, INFO, METADATA = "geods", "dataset_info.json", "metadata.json"
_SHOWN = 5


def folders(data_dir: pathlib.Path, config: str = "*") -> list[pathlib.Path]:
    """Returns the folders of the datasets in a data_dir, sorted; one that has lost files is among them."""
    found = (path for name in (INFO, seals.NAME) for path in (data_dir / NAME).glob(f"{config}/*/{name}"))
    return sorted({path.parent for path in found})


def lacks_seal(folder: pathlib.Path) -> bool:
    """Says whether a dataset was built before datasets were sealed, so that nothing can be said of its files."""
    return not seals.is_sealed(folder) and "sources" not in metadata_in(folder)


def refuse_damaged(folder: pathlib.Path) -> None:
    """Looks at the sizes of a dataset's files; `python -m tools.verify` also reads them.

    Raises:
        DatasetError: Naming the files that are missing or of another size.
    """
    if not folder.is_dir() or lacks_seal(folder):
        return
    if found := seals.resized(folder):
        lines = [f"  {damage.path.name}: {damage.problem}" for damage in found[:_SHOWN]]
        problem = "\n".join([f"{folder}: is damaged, {len(found)} of its files:", *lines])
        raise errors.DatasetError(problem, rebuild(folder))


def rebuild(folder: pathlib.Path) -> str:
    """Says how to build a dataset anew."""
    config, data_dir = folder.parent.name, folder.parent.parent.parent
    # Not --overwrite, which leaves a folder that TFDS does not take for a dataset any more.
    return f"rm -r {folder} && tfds build geods --config={config} --manual_dir=TREE --data_dir={data_dir}"


def metadata_in(folder: pathlib.Path) -> dict[str, Any]:
    """Returns what metadata.json holds, nothing if it is missing or damaged."""
    try:
        return dict(json.loads((folder / METADATA).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}
