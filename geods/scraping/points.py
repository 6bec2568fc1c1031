"""Where to look: a stream of points for each cell that depends on nothing but the seed."""

import hashlib

import numpy as np

from geods import partition


def query_point(cells: partition.Partition, seed: int, cell: int, ordinal: int) -> tuple[float, float]:
    """Returns point number `ordinal` of a cell as (lat_deg, lon_deg), uniform by area inside the cell.

    Each point has a generator of its own, so any can be drawn without those before it, in any order, on any thread.

    Args:
        cells: The partition.
        seed: Another seed gives other points.
        cell: Number of the cell.
        ordinal: 0, 1, 2 ...

    Raises:
        PartitionError: If there is no such cell.
    """
    digest = hashlib.blake2b(f"geods query {seed} {cell} {ordinal}".encode(), digest_size=16).digest()
    rng = np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
    # Seven decimals are a centimetre: what is sent to a service is what the journal keeps.
    lat_deg, lon_deg = cells.sample(cell, 1, rng)[0].round(7).tolist()
    return lat_deg, lon_deg
