"""Nearest-neighbour search over a service that answers for boxes.

Such an answer need not hold all results. A box whose answer is full is cut in four, as more may be in it than came; the
nearest box comes first, and the search ends when none that is left can hold anything nearer.
"""

import dataclasses
import heapq
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from geods.geo import geometry

Result = TypeVar("Result")

# Less than a metre: whatever stands there is one place.
_LEAST_SIDE_DEG = 1e-5
_MOST_BOXES = 400
_KM_PER_DEG = math.radians(1) * geometry.EARTH_RADIUS_KM


@dataclasses.dataclass(frozen=True)
class Box:
    """A box of degrees on one side of the antimeridian, perhaps beyond it.

    Attributes:
        south: Least latitude.
        west: Least longitude.
        north: Greatest latitude.
        east: Greatest longitude.
    """

    south: float
    west: float
    north: float
    east: float

    @property
    def text(self) -> str:
        """West, south, east, north, as a `bbox` parameter, within -180 to 180."""
        turn = 360.0 * math.floor(((self.west + self.east) / 2 + 180) / 360)
        return ",".join(f"{edge:.7f}" for edge in (self.west - turn, self.south, self.east - turn, self.north))

    @property
    def quarters(self) -> tuple["Box", ...]:
        """Its four parts; none if it is too small to cut."""
        if self.north - self.south < _LEAST_SIDE_DEG:
            return ()
        lat, lon = (self.south + self.north) / 2, (self.west + self.east) / 2
        rows, columns = ((self.south, lat), (lat, self.north)), ((self.west, lon), (lon, self.east))
        return tuple(Box(south, west, north, east) for south, north in rows for west, east in columns)

    def distance_km(self, lat_deg: float, lon_deg: float) -> float:
        """Returns how far a point is from it at least; 0 inside."""
        beside = (min(max(lat_deg, self.south), self.north), min(max(lon_deg, self.west), self.east))
        return float(geometry.haversine_km((lat_deg, lon_deg), beside))


@dataclasses.dataclass(frozen=True)
class Found(Generic[Result]):
    """Something at a distance.

    Attributes:
        distance_km: From the point.
        name: Decides between equal distances.
        result: What it is.
    """

    distance_km: float
    name: str
    result: Result


Ask = Callable[[Box], tuple[Sequence[Found[Result]], float]]


def search(lat_deg: float, lon_deg: float, radius_km: float, ask: Ask[Result]) -> Found[Result] | None:
    """Returns the nearest result within a radius, or None.

    Args:
        lat_deg: Latitude, degrees.
        lon_deg: Longitude, degrees.
        radius_km: Radius.
        ask: Returns what is in a box, and how near to the point more of it may be, km; infinite if all of it came.
    """
    serial = itertools.count()
    waiting = [(box.distance_km(lat_deg, lon_deg), next(serial), box) for box in around(lat_deg, lon_deg, radius_km)]
    heapq.heapify(waiting)
    best: Found[Result] | None = None
    for _ in range(_MOST_BOXES):
        if not waiting or waiting[0][0] > (best.distance_km if best else radius_km):
            break
        _, _, box = heapq.heappop(waiting)
        results, more_km = ask(box)
        near = [found for found in results if found.distance_km <= radius_km]
        best = min([*near, *([best] if best else [])], key=lambda found: (found.distance_km, found.name), default=None)
        for part in box.quarters if math.isfinite(more_km) else ():
            heapq.heappush(waiting, (max(more_km, part.distance_km(lat_deg, lon_deg)), next(serial), part))
    return best


def around(lat_deg: float, lon_deg: float, radius_km: float) -> list[Box]:
    """Returns the box around all within a radius of a point, cut at the antimeridian."""
    half_lat = radius_km / _KM_PER_DEG
    farthest = min(abs(lat_deg) + half_lat, 89.9)
    half_lon = min(half_lat / math.cos(math.radians(farthest)), 180.0)
    south, north = max(lat_deg - half_lat, -90.0), min(lat_deg + half_lat, 90.0)
    west, east = lon_deg - half_lon, lon_deg + half_lon
    edges = [west, *(cut for cut in (-180.0, 180.0) if west < cut < east), east]
    return [Box(south, left, north, right) for left, right in itertools.pairwise(edges)]
