"""The memory that images take on their way into a training: JPEGs that wait to be shuffled, and decoded batches."""

from typing import TYPE_CHECKING

from geods import datasets, headroom
from trainers import options

if TYPE_CHECKING:
    from tensorflow_datasets.core import DatasetBuilder

# One in the network, two prefetched, one being put together.
_BATCHES_AHEAD = 4


def needed_bytes(settings: options.TrainOptions, builder: "DatasetBuilder", split: str, views: int) -> float:
    """Returns what a split's images take at most; `tests/soak_memory.py` holds it against what is used.

    Args:
        settings: Their size, the batch, and how many locations are shuffled at once.
        builder: The dataset.
        split: Its split.
        views: Images an example.
    """
    waiting_bytes = datasets.buffer_bytes(builder, split, settings.shuffle_locations)
    pixels = settings.batch_size * views * settings.height_px * settings.width_px * 3
    return waiting_bytes + _BATCHES_AHEAD * pixels


def require(settings: options.TrainOptions, builder: "DatasetBuilder", split: str, views: int) -> None:
    """Refuses to shuffle and batch more images than fit into memory; takes what `needed_bytes` does.

    Raises:
        MemoryShortError: If they do not.
    """
    what = f"--shuffle_locations={settings.shuffle_locations} and --batch_size={settings.batch_size} images of "
    what += f"{settings.height_px} x {settings.width_px} pixels, {views} a location,"
    needed = needed_bytes(settings, builder, split, views)
    headroom.require(what, needed, "lower --shuffle_locations, or --batch_size")
