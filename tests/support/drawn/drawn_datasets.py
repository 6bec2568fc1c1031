"""Small imagery trees and the datasets that the real builder makes of them."""

import os
import pathlib
import shutil
import subprocess
import sys

import checkout
import drawn_trees
import tensorflow_datasets as tfds

from geods import geods_dataset_builder
from geods.geo import partition
from geods.storage import files

OUTSIDE = "60.5,-115.25"


def make_tree(root: pathlib.Path, count: int = 40) -> pathlib.Path:
    """Writes `count` locations inside the cells, all in folder 0, and one outside."""
    drawn_trees.write(root, [*drawn_trees.location_ids(count), OUTSIDE])
    partition.write(drawn_trees.cells(), root / "partition.geojson")
    return root


def config_for(root: pathlib.Path) -> tfds.download.DownloadConfig:
    return tfds.download.DownloadConfig(manual_dir=root)


def build(root: pathlib.Path, data_dir: pathlib.Path, config: str = "blocked") -> tfds.core.DatasetBuilder:
    builder = geods_dataset_builder.Builder(data_dir=data_dir, config=config)
    builder.download_and_prepare(download_config=config_for(root))
    return builder


def spoil(root: pathlib.Path) -> None:
    paths = sorted(root.rglob("*.jpg"))
    for path, content in zip(paths[:4], (b"", b"<html>", drawn_trees.png(), paths[3].read_bytes()[:-9]), strict=True):
        path.write_bytes(content)


def build_in_a_process(root: pathlib.Path, data_dir: pathlib.Path, hash_seed: int) -> None:
    """Builds by the real command, with another hash seed."""
    command = [sys.executable, "-m", "tensorflow_datasets.scripts.cli.main", "build", "geods", "--config=blocked"]
    environment = os.environ | {"PYTHONHASHSEED": str(hash_seed), "TF_CPP_MIN_LOG_LEVEL": "3"}
    words = [*command, f"--manual_dir={root}", f"--data_dir={data_dir}"]
    subprocess.run(words, cwd=checkout.REPO, env=environment, capture_output=True, check=True)


def copy_backwards(root: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
    """Copies a tree in reverse order, which changes how the file system lists it."""
    for path in sorted(root.rglob("*"), reverse=True):
        if path.is_file():
            copy = target / path.relative_to(root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    return target


def hashes(data_dir: pathlib.Path) -> dict[str, str]:
    """SHA-256 of every file below a folder."""
    paths = (path for path in sorted(data_dir.rglob("*")) if path.is_file())
    return {path.relative_to(data_dir).as_posix(): files.sha256_of_file(path) for path in paths}
