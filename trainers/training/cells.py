"""The cells that a run chooses from."""

import pathlib

from geods import errors
from geods.dataset import dataset_reader, splits
from geods.geo import fishnet, geometry, partition, quadtree
from trainers.features import feature_cache, joined_cache
from trainers.options import train_options
from trainers.training import folds


def for_run(settings: train_options.TrainOptions) -> partition.Partition:
    """Returns the partition of --partition, or else the dataset's; or what --cells or --cell_deg make of its area.

    Raises:
        DatasetError: If there is no such dataset.
        GeodsError: If the partition file cannot be used.
    """
    whole = given(settings)
    if settings.cells == "quadtree":
        coords = _training_coords(settings)
        return quadtree.make(whole, coords, settings.most_per_cell, settings.least_per_cell)
    return finer(settings, whole)


def given(settings: train_options.TrainOptions) -> partition.Partition:
    """Returns the partition of --partition, or else the dataset's."""
    if settings.partition:
        return partition.read(settings.partition)
    return dataset_reader.partition_of(dataset_reader.open_builder(settings.data_dir, settings.config))


def finer(settings: train_options.TrainOptions, cells: partition.Partition) -> partition.Partition:
    """Returns the area of a partition in cells of --cell_deg, or the partition itself without that flag.

    Raises:
        OptionError: If --cells asks for more than that.
    """
    if settings.cells != "partition":
        problem = f"--cells={settings.cells}: needs all training places before the first is trained on."
        raise errors.OptionError(problem, "build a dataset, or use --cell_deg")
    return fishnet.refine(cells, settings.cell_deg) if settings.cell_deg else cells


def _training_coords(settings: train_options.TrainOptions) -> geometry.Array:
    """Returns where the training places are, `[n, 2]` (lat, lon) degrees; cells must not know of the others."""
    if settings.folds:
        coords = joined_cache.open_all(settings.cache_dir).rows.coords
        return coords[folds.parts(settings, coords)[splits.TRAIN]]
    if settings.cache_dir:
        return feature_cache.FeatureCache(pathlib.Path(settings.cache_dir, settings.train_split)).rows.coords
    return dataset_reader.index(
        dataset_reader.open_builder(settings.data_dir, settings.config), settings.train_split
    ).coords
