"""Small imagery trees and the datasets that the real builder makes of them."""

import pathlib

import drawn_trees
import tensorflow_datasets as tfds

from geods import geods_dataset_builder
from geods.geo import partition

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
