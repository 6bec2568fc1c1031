"""The cells that a run chooses from."""

import pathlib

from geods import datasets, errors, fishnet, geometry, partition, quadtree, splits
from trainers import features, folds, options


def of_run(settings: options.TrainOptions) -> partition.Partition:
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


def given(settings: options.TrainOptions) -> partition.Partition:
    """Returns the partition of --partition, or else the dataset's."""
    if settings.partition:
        return partition.read(settings.partition)
    return datasets.partition_of(datasets.open_builder(settings.data_dir, settings.config))


def finer(settings: options.TrainOptions, cells: partition.Partition) -> partition.Partition:
    """Returns the area of a partition in cells of --cell_deg, or the partition itself without that flag.

    Raises:
        OptionError: If --cells asks for more than that.
    """
    if settings.cells != "partition":
        problem = f"--cells={settings.cells}: needs all training places before the first is trained on."
        raise errors.OptionError(problem, "build a dataset, or use --cell_deg")
    return fishnet.refine(cells, settings.cell_deg) if settings.cell_deg else cells


def _training_coords(settings: options.TrainOptions) -> geometry.Array:
    """Returns where the training places are, `[n, 2]` (lat, lon) degrees; cells must not know of the others."""
    if settings.folds:
        coords = folds.open_all(settings.cache_dir).rows.coords
        return coords[folds.parts(settings, coords)[splits.TRAIN]]
    if settings.cache_dir:
        return features.FeatureCache(pathlib.Path(settings.cache_dir, settings.train_split)).rows.coords
    return datasets.index(datasets.open_builder(settings.data_dir, settings.config), settings.train_split).coords
