"""Points of a cell, distances between locations, headings of views.

All of it depends on the seed and the options alone, so that any run, thread or restart comes to the same.
"""

import dataclasses
import hashlib
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import shapely

from geods.geo import geometry, partition
from geods.imagery.scraping import options

# Uniform draws of which one is taken by its weight: enough for weights up to 64 times the mean.
_DRAWS = 64
_KM_PER_DEG = math.radians(1) * geometry.EARTH_RADIUS_KM


@dataclasses.dataclass(frozen=True, eq=False)
class Sampler:
    """Points of each cell: uniform by area, or denser near given points.

    Attributes:
        cells: The partition.
        seed: Another seed gives other points.
        near: `[n, 2]` points (lat, lon) near which to sample more densely; none for uniform.
        near_km: Distance at which the density has fallen to 1/e.
    """

    cells: partition.Partition
    seed: int
    near: Sequence[tuple[float, float]] = ()
    near_km: float = 10.0

    def point(self, cell: int, ordinal: int) -> tuple[float, float]:
        """Returns point number `ordinal` of a cell as (lat_deg, lon_deg).

        Each point has a generator of its own, so any can be drawn without those before it, in any order, on any thread.

        Raises:
            PartitionError: If there is no such cell.
        """
        rng = generator("query", self.seed, cell, ordinal)
        drawn = self.cells.sample(cell, _DRAWS if len(self.near) else 1, rng)
        if len(self.near):
            cosines = (geometry.unit_vectors(drawn) @ geometry.unit_vectors(self.near).T).max(axis=1)
            away_km = np.arccos(np.clip(cosines, -1, 1)) * geometry.EARTH_RADIUS_KM
            # Gumbel noise: the greatest sum is a draw in proportion to the weights, however small all of them are.
            drawn = drawn[[np.argmax(rng.gumbel(size=len(drawn)) - away_km / self.near_km)]]
        # Seven decimals are a centimetre: what is sent to a service is what the journal keeps.
        lat_deg, lon_deg = drawn[0].round(7).tolist()
        return lat_deg, lon_deg


def generator(*words: object) -> np.random.Generator:
    """Returns the random generator of some words."""
    digest = hashlib.blake2b(f"geods {' '.join(map(str, words))}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


def crowding(
    point: tuple[float, float],
    cell: int,
    cells: partition.Partition,
    others: Sequence[tuple[float, float]],
    spread_km: float,
) -> Literal["", "too_near", "near_border"]:
    """Returns why a location is too near to others, or "".

    Cells are worked on at the same time, in no order. So a location keeps its distance to those of its own cell and to
    every cell of a lower number: whatever that cell takes is then far enough away.

    Args:
        point: The location, (lat, lon), degrees.
        cell: Its cell.
        cells: The partition.
        others: Locations of its cell.
        spread_km: Least distance.
    """
    if len(others) and geometry.haversine_km(point, others).min() < spread_km:
        return "too_near"
    lat_deg, lon_deg = point
    half_lat = 1.01 * spread_km / _KM_PER_DEG
    shrink = max(math.cos(math.radians(min(abs(lat_deg) + half_lat, 90.0))), 1e-9)
    half_lon = min(half_lat / shrink, 180.0)
    bounds = shapely.bounds(np.array(cells.shapes[:cell])).reshape(-1, 4)
    for lon in (lon_deg - 360, lon_deg, lon_deg + 360):
        box = (lon - half_lon, lat_deg - half_lat, lon + half_lon, lat_deg + half_lat)
        over = (bounds[:, 0] <= box[2]) & (bounds[:, 2] >= box[0]) & (bounds[:, 1] <= box[3]) & (bounds[:, 3] >= box[1])
        for number in np.flatnonzero(over):
            part = shapely.clip_by_rect(cells.shapes[number], *box)
            # The plane that touches the sphere at the point.
            scale = np.array([math.cos(math.radians(lat_deg)), 1.0]) * _KM_PER_DEG
            plane = shapely.transform(part, lambda xy, lon=lon, scale=scale: (xy - [lon, lat_deg]) * scale)
            if not plane.is_empty and shapely.Point(0, 0).distance(plane) < spread_km:
                return "near_border"
    return ""


def headings(wanted: Sequence[options.Heading], seed: int, pano_id: str, road_deg: float | None) -> tuple[int, ...]:
    """Returns the headings of a location's views, different whole degrees.

    Args:
        wanted: Of --headings.
        seed: Another seed gives other random ones.
        pano_id: The panorama.
        road_deg: Bearing of its road; may be None if no heading is along it.
    """
    found: list[int] = []
    for number, one in enumerate(wanted):
        base = {"north": 0.0, "road": road_deg or 0.0}.get(one.base)
        if base is None:
            base = float(generator("heading", seed, pano_id, number).integers(360))
        heading = round(base + one.offset_deg) % 360
        while heading in found:
            heading = (heading + 1) % 360
        found.append(heading)
    return tuple(found)
