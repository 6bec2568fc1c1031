"""The cells that a run chooses from."""

from geods import datasets, fishnet, partition
from trainers import options


def of_run(settings: options.TrainOptions) -> partition.Partition:
    """Returns the partition of --partition, or else the dataset's, with cells of --cell_deg if that is given.

    Raises:
        DatasetError: If there is no such dataset.
        GeodsError: If the partition file cannot be used.
    """
    if settings.partition:
        return finer(settings, partition.read(settings.partition))
    return finer(settings, datasets.partition_of(datasets.open_builder(settings.data_dir, settings.config)))


def finer(settings: options.TrainOptions, cells: partition.Partition) -> partition.Partition:
    """Returns the area of a partition in cells of --cell_deg, or the partition itself without that flag."""
    return fishnet.refine(cells, settings.cell_deg) if settings.cell_deg else cells
