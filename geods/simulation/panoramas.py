"""Panoramas of a simulated world, computed from hashes and not stored.

The world is divided into rows of 0.02 degrees and each row into boxes about as wide as high, so that their number per
square kilometre is the same everywhere. A hash of the seed and the box decides which panoramas stand in it, so every
run, process and platform finds the same. Boxes of an 8 x 8 block share the bearing of their road, along which their
panoramas stand; whole blocks are not covered at all.
"""

import base64
import dataclasses
import functools
import hashlib
import math
from collections.abc import Callable, Iterator

import shapely

from geods.geo import demo_outline, geometry, polygons
from geods.simulation import worlds

_STEP_DEG = 0.02
_ROWS = round(180 / _STEP_DEG)
_STEP_KM = math.radians(_STEP_DEG) * geometry.EARTH_RADIUS_KM
_BLOCK = 8
_MOST_PER_BOX = 4
_ROAD_KM = 0.2
_UNCOVERED_SHARE, _BOX_SHARE = 0.04, 0.55
_PHOTOSPHERE_SHARE, _INDOOR_SHARE, _UNDATED_SHARE = 0.02, 0.01, 0.05
_OFFICIAL_NAMES = ("© Google", "© Google", "© 2016 Google", "© 2011 Google")
_USER_NAMES = ("© Jane Doe", "© Max Mustermann", "© Tourist Office")
# South, west, north, east: parts of the Pacific, the Atlantic and the Indian Ocean.
_OPEN_SEA = ((-8.0, -150.0, 15.0, -95.0), (20.0, -55.0, 35.0, -35.0), (-50.0, 80.0, -15.0, 105.0))
# Wider than the 10 km within which a point of the demo finds its panorama, up to 49 degrees north.
_STRIP_DEG = 0.15
# Rounding of positions and of the boxes' edges, generously.
_SLACK_KM = 0.01


@dataclasses.dataclass(frozen=True)
class CoveredPano:
    """One panorama.

    Attributes:
        pano_id: Its id: 22 characters, or 26 beginning with CI for those of users.
        lat_deg: Latitude, degrees.
        lon_deg: Longitude, degrees.
        date: Month it was taken, "YYYY-MM", or None where the service gives none.
        copyright: Who made it.
        official: Whether the service made it.
        indoor: Whether it is inside a building.
    """

    pano_id: str
    lat_deg: float
    lon_deg: float
    date: str | None
    copyright: str
    official: bool
    indoor: bool


class Coverage:
    """The panoramas of a world. Thread-safe.

    Args:
        world: Whose; its seed is that of the lattice.
        land: Says whether there is land at (lat_deg, lon_deg); by default `is_land`.
        density: Factor of the number of boxes with panoramas.
    """

    def __init__(
        self, world: worlds.World, land: Callable[[float, float], bool] | None = None, density: float = 1.0
    ) -> None:
        self._world = world
        self._land = land or is_land
        self._density = density
        self._box = functools.lru_cache(maxsize=1 << 16)(self._make_box)

    def nearest(self, lat_deg: float, lon_deg: float, radius_m: float, outdoor: bool) -> CoveredPano | None:
        """Returns the nearest panorama within a radius, ties by id; None without one.

        Args:
            lat_deg: Latitude, degrees.
            lon_deg: Longitude, degrees.
            radius_m: Radius, metres.
            outdoor: Whether to leave out those inside buildings.
        """
        radius_km, best = radius_m / 1000, None
        here = (lat_deg, lon_deg)
        rings = math.ceil((radius_km + _SLACK_KM) / _STEP_KM) + 1
        for ring in range(rings + 1):
            # A box of this ring is at least ring - 1 steps away; columns of other rows are narrower by at most a few %.
            if best and best[0] < (ring - 1) * _STEP_KM * 0.9:
                break
            for row, column in self._ring(lat_deg, lon_deg, ring):
                for pano in self._box(row, column):
                    if outdoor and pano.indoor:
                        continue
                    key = (_distance_km(here, (pano.lat_deg, pano.lon_deg)), pano.pano_id)
                    if key[0] <= radius_km and (best is None or key < best[:2]):
                        best = (*key, pano)
        return best[2] if best else None

    def by_id(self, pano_id: str) -> CoveredPano | None:
        """Returns the panorama of an id, which encodes its box; None if there is none."""
        official = not (len(pano_id) == 26 and pano_id.startswith("CI"))
        try:
            raw = base64.b64decode((pano_id if official else pano_id[2:]) + "=" * (-len(pano_id) % 4), b"-_", True)
        except ValueError:
            return None
        if len(raw) < 6:
            return None
        row, column = int.from_bytes(raw[:2], "big"), int.from_bytes(raw[2:4], "big")
        if row >= _ROWS or column >= _columns(row):
            return None
        return next((pano for pano in self._box(row, column) if pano.pano_id == pano_id), None)

    def within(self, box: tuple[float, float, float, float]) -> Iterator[CoveredPano]:
        """Yields the panoramas of a box (south, west, north, east), degrees."""
        south, west, north, east = box
        for row in range(_row(south) - 1, _row(north) + 2):
            if not 0 <= row < _ROWS:
                continue
            columns = _columns(row)
            first, last = (math.floor((lon + 180) / 360 * columns) for lon in (west, east))
            for column in range(first - 1, min(last + 2, first - 1 + columns)):
                for pano in self._box(row, column % columns):
                    if south <= pano.lat_deg <= north and west <= pano.lon_deg <= east:
                        yield pano

    def _ring(self, lat_deg: float, lon_deg: float, ring: int) -> Iterator[tuple[int, int]]:
        centre = _row(lat_deg)
        for row in range(max(0, centre - ring), min(_ROWS - 1, centre + ring) + 1):
            columns = _columns(row)
            middle = math.floor((lon_deg + 180) / 360 * columns)
            edge = abs(row - centre) == ring
            steps = range(-ring, ring + 1) if edge else (-ring, ring)
            for column in dict.fromkeys((middle + step) % columns for step in steps):
                yield row, column

    def _make_box(self, row: int, column: int) -> tuple[CoveredPano, ...]:
        block = self._numbers("block", row // _BLOCK, column // _BLOCK)
        numbers = self._numbers("box", row, column)
        if block[0] < _UNCOVERED_SHARE or numbers[0] >= _BOX_SHARE * self._density:
            return ()
        south, columns = row * _STEP_DEG - 90, _columns(row)
        west = column / columns * 360 - 180
        lat_deg, lon_deg = south + numbers[1] * _STEP_DEG, west + numbers[2] / columns * 360
        found = []
        for number in range(1 + int(numbers[3] * _MOST_PER_BOX)):
            # Along the road, but kept in the box: a box must not look into its neighbours.
            along = _ROAD_KM / _STEP_KM * number
            lat = min(max(lat_deg + along * _STEP_DEG * math.cos(block[1] * math.pi), south), south + _STEP_DEG)
            lon = min(max(lon_deg + along * 360 / columns * math.sin(block[1] * math.pi), west), west + 360 / columns)
            if self._land(lat, lon):
                found.append(self._make(row, column, number, round(lat, 7), round(lon, 7)))
        return tuple(found)

    def _make(self, row: int, column: int, number: int, lat_deg: float, lon_deg: float) -> CoveredPano:
        kind, dated, named, inside = self._numbers("pano", row, column, number)[:4]
        official = kind >= _PHOTOSPHERE_SHARE
        digest = self._digest("id", row, column, number)
        raw = row.to_bytes(2, "big") + column.to_bytes(2, "big") + bytes([number]) + digest
        pano_id = base64.urlsafe_b64encode(raw[: 16 if official else 18]).decode().rstrip("=")
        names = _OFFICIAL_NAMES if official else _USER_NAMES
        return CoveredPano(
            pano_id=pano_id if official else f"CI{pano_id}",
            lat_deg=lat_deg,
            lon_deg=lon_deg,
            date=None if dated < _UNDATED_SHARE else self._world.date(lat_deg, lon_deg),
            copyright=names[int(named * len(names))],
            official=official,
            indoor=inside < _INDOOR_SHARE,
        )

    def _digest(self, *words: object) -> bytes:
        """Returns a 16-byte hash of the seed and the words."""
        text = f"coverage {self._world.seed} {' '.join(map(str, words))}"
        return hashlib.blake2b(text.encode(), digest_size=16).digest()

    def _numbers(self, *words: object) -> tuple[float, ...]:
        """Returns four hashed numbers in [0, 1)."""
        digest = self._digest(*words)
        return tuple(int.from_bytes(digest[at : at + 4], "big") / 2**32 for at in range(0, 16, 4))


def _row(lat_deg: float) -> int:
    return min(max(math.floor((lat_deg + 90) / _STEP_DEG), 0), _ROWS - 1)


@functools.cache
def _columns(row: int) -> int:
    """Returns the number of boxes of a row."""
    return max(1, math.floor(360 / _STEP_DEG * math.cos(math.radians((row + 0.5) * _STEP_DEG - 90))))


def _distance_km(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Returns the haversine distance in plain floats.

    NumPy takes 20 us for a single pair.
    """
    lat_a, lon_a, lat_b, lon_b = map(math.radians, (*a, *b))
    chord = math.sin((lat_b - lat_a) / 2) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2
    return 2 * geometry.EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(chord)))


@functools.lru_cache(maxsize=1)
def _coarse_us() -> tuple[shapely.Polygon, shapely.Polygon]:
    """Returns the coarse outline, alone and with its strip."""
    shape = shapely.Polygon([(lon_deg, lat_deg) for lat_deg, lon_deg in demo_outline.coarse_us()])
    wide = shape.buffer(_STRIP_DEG)
    return shape, wide


def is_land(lat_deg: float, lon_deg: float) -> bool:
    """Returns whether the simulated world has land at a point.

    It has on the coarse mainland US and in the rest of the world; not in the open sea, nor in a strip around that
    outline, so that scrapes of it find the same panoramas as if there were nothing else.

    Args:
        lat_deg: Latitude, degrees.
        lon_deg: Longitude, degrees.
    """
    shape, wide = _coarse_us()
    if polygons.contains_xy(wide, lon_deg, lat_deg):
        return bool(polygons.contains_xy(shape, lon_deg, lat_deg))
    return not any(s <= lat_deg <= n and w <= lon_deg <= e for s, w, n, e in _OPEN_SEA)
