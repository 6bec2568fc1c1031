"""The cells that a run chooses from."""

import dataclasses

from geods import errors
from geods.dataset import dataset_reader, splits
from geods.geo import fishnet, geometry, partition, quadtree
from trainers.features import joined_cache
from trainers.options import train_options
from trainers.training import folds


def for_run(cells: train_options.CellOptions, data: train_options.DataOptions) -> partition.Partition:
    """Returns the partition of --partition, or else the dataset's.

    With --cells or --cell_deg, the cells are made of its area.

    Raises:
        DatasetError: If there is no such dataset.
        OptionError: If it is a single cell.
        GeodsError: If the partition file cannot be used.
    """
    whole = given(cells, data)
    if cells.cells == "quadtree":
        adaptive = quadtree.make(whole, _training_coords(data), cells.most_per_cell, cells.least_per_cell)
        return _reaching(adaptive, cells.nearest_km)
    return finer(cells, whole)


def given(cells: train_options.CellOptions, data: train_options.DataOptions) -> partition.Partition:
    """Returns the partition of --partition, or else the dataset's."""
    if cells.partition:
        return partition.read(cells.partition)
    return dataset_reader.partition_of(dataset_reader.open_builder(data.data_dir, data.config))


def finer(cells: train_options.CellOptions, whole: partition.Partition) -> partition.Partition:
    """Returns a partition's area in cells of --cell_deg, or the partition itself.

    Raises:
        OptionError: If --cells asks for more than that.
    """
    if cells.cells != "partition":
        problem = f"--cells={cells.cells}: needs all training locations before the first is trained on."
        raise errors.OptionError(problem, "build a dataset, or use --cell_deg")
    if not cells.cell_deg:
        return _reaching(whole, cells.nearest_km)
    finest = fishnet.refine(whole, cells.cell_deg)
    size = f"{cells.cell_deg:g} degree{'' if cells.cell_deg == 1 else 's'}"
    print(f"{len(finest):,} cells of {size}; --cell_deg=0 takes the partition's own {len(whole):,}")
    return _reaching(finest, cells.nearest_km)


def _reaching(made: partition.Partition, nearest_km: float | None) -> partition.Partition:
    """Returns a partition whose cells also take locations within so many kilometres.

    Raises:
        OptionError: If it is a single cell.
    """
    if len(made) == 1:
        problem = "the partition is a single cell, so that every answer would be the same."
        # An eighth of the map's diagonal, in degrees of latitude of 111 km: some 30 cells.
        step = f"divide it, as by --cell_deg={made.diagonal_km / 8 / 111:.1g}"
        raise errors.OptionError(problem, f"{step}, or with a dataset by --cells=quadtree")
    if nearest_km is None or nearest_km == made.parameters.get("nearest_km", 0):
        return made
    return dataclasses.replace(made, parameters={**made.parameters, "nearest_km": nearest_km})


def _training_coords(data: train_options.DataOptions) -> geometry.Array:
    """Returns the training locations alone, `[n, 2]` (lat, lon) degrees.

    Cells made of others would leak them.
    """
    if data.folds:
        coords = joined_cache.open_all(data.cache_dir).rows.coords
        return coords[folds.parts(data, coords)[splits.TRAIN]]
    if data.cache_dir:
        return joined_cache.open_split(data.cache_dir, data.train_split).rows.coords
    return dataset_reader.index(dataset_reader.open_builder(data.data_dir, data.config), data.train_split).coords
