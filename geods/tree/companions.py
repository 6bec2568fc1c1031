"""Companion files of an imagery tree: its partition and its provenance.json."""

import dataclasses
import os
import pathlib

from geods import errors
from geods.remote import path_options
from geods.storage import files

PARTITION_NAME = "partition.geojson"
PARTITION_VARIABLE = "GEODS_PARTITION"
PROVENANCE_NAME = "provenance.json"


@dataclasses.dataclass(frozen=True)
class Provenance:
    """Where the images of a tree come from, as its provenance.json says.

    Attributes:
        source: Who made them and by what, such as "Google Street View Static API".
        licence: Their licence or terms, such as "CC-BY-SA-4.0".
    """

    source: str = "unknown"
    licence: str = "unknown"


def find_partition(root: str | os.PathLike[str]) -> pathlib.Path:
    """Returns the partition file that goes with a tree.

    It is `<root>/partition.geojson`, else what $GEODS_PARTITION names, else ./partition.geojson.

    Raises:
        MissingFileError: If there is none of the three, or $GEODS_PARTITION names no file.
    """
    beside, named, here = (
        pathlib.Path(root, PARTITION_NAME),
        os.environ.get(PARTITION_VARIABLE),
        pathlib.Path(PARTITION_NAME),
    )
    if beside.is_file():
        return beside
    if named:
        return files.check_file(path_options.local_path(named), f"correct ${PARTITION_VARIABLE}, which names it")
    if here.is_file():
        return here
    raise errors.MissingFileError(
        f"no partition: there is no {beside} and no ./{PARTITION_NAME}, and ${PARTITION_VARIABLE} is not set.",
        f"python -m tools.make_partition --boundary=us --out={beside}",
    )


def provenance(root: str | os.PathLike[str]) -> Provenance:
    """Reads `<root>/provenance.json`; all is "unknown" where there is none.

    Raises:
        TreeError: If it is not a JSON object with the texts "source" and "licence".
    """
    path = pathlib.Path(root, PROVENANCE_NAME)
    if not path.is_file():
        return Provenance()
    try:
        return _provenance_of(files.parse_json(path.read_bytes()))
    except (ValueError, TypeError, KeyError) as error:
        rule = 'is not a JSON object with the texts "source" and "licence"'
        raise errors.TreeError(f"{path}: {rule}.", "correct it or delete it") from error


def _provenance_of(content: dict[str, str]) -> Provenance:
    """Returns the provenance in parsed JSON."""
    source, licence = content["source"], content["licence"]
    if not isinstance(source, str) or not isinstance(licence, str):
        raise TypeError
    return Provenance(source, licence)
