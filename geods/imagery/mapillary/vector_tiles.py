"""Vector tiles of Mapillary: the pictures around a point, nearest first.

https://www.mapillary.com/developer/api-documentation (vector tiles); the format is that of
https://github.com/mapbox/vector-tile-spec/tree/master/2.1. Positions are rounded to 0.6 m.
"""

import collections
import functools
import heapq
import itertools
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from geods import errors
from geods.geo import geometry
from geods.imagery import nearest_search

# The only zoom with the layer of pictures; tiles are 2.4 km wide on the equator.
ZOOM = 14
_TILES = 1 << ZOOM
# Web Mercator ends here.
_MOST_LAT_DEG = 85.05112
# About 0.1 GB; a tile of a large town has tens of thousands.
_MOST_KEPT = 400_000
_SCHEMA = """
name: "geods_vector_tile.proto" package: "geods.vector_tile" message_type { name: "Value"
field { name: "string" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
field { name: "float" number: 2 label: LABEL_OPTIONAL type: TYPE_FLOAT }
field { name: "double" number: 3 label: LABEL_OPTIONAL type: TYPE_DOUBLE }
field { name: "int" number: 4 label: LABEL_OPTIONAL type: TYPE_INT64 }
field { name: "uint" number: 5 label: LABEL_OPTIONAL type: TYPE_UINT64 }
field { name: "sint" number: 6 label: LABEL_OPTIONAL type: TYPE_SINT64 }
field { name: "bool" number: 7 label: LABEL_OPTIONAL type: TYPE_BOOL }
} message_type { name: "Feature"
field { name: "tags" number: 2 label: LABEL_REPEATED type: TYPE_UINT32 options { packed: true } }
field { name: "geometry" number: 4 label: LABEL_REPEATED type: TYPE_UINT32 options { packed: true } }
} message_type { name: "Layer"
field { name: "name" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
field { name: "features" number: 2 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: "Feature" }
field { name: "keys" number: 3 label: LABEL_REPEATED type: TYPE_STRING }
field { name: "values" number: 4 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: "Value" }
field { name: "extent" number: 5 label: LABEL_OPTIONAL type: TYPE_UINT32 default_value: "4096" }
} message_type { name: "Tile"
field { name: "layers" number: 3 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: "Layer" }
}
"""


class Feature(NamedTuple):
    """A picture as a tile describes it.

    Attributes:
        pano_id: Its id.
        lat_deg: Latitude as the camera recorded it, degrees.
        lon_deg: Longitude, degrees.
        captured_at: Milliseconds since 1970, or None.
        sequence: The drive or walk it belongs to; empty without one.
        is_pano: Whether it shows the whole sphere.
    """

    pano_id: str
    lat_deg: float
    lon_deg: float
    captured_at: int | None
    sequence: str
    is_pano: bool


class Tile(NamedTuple):
    """A tile of zoom 14; its column may lie beyond the antimeridian."""

    column: int
    row: int

    @property
    def path(self) -> str:
        """Zoom, column and row as in a URL."""
        return f"{ZOOM}/{self.column % _TILES}/{self.row}"

    @property
    def box(self) -> nearest_search.Box:
        """Its edges, degrees."""
        west, east = (360 * column / _TILES - 180 for column in (self.column, self.column + 1))
        north, south = (_lat_deg(row) for row in (self.row, self.row + 1))
        return nearest_search.Box(south, west, north, east)


class Tiles:
    """The pictures of the tiles that were asked for last; for all threads.

    Args:
        load: Returns the pictures of a tile.
    """

    def __init__(self, load: Callable[[Tile], Sequence[Feature]]) -> None:
        self._load, self._lock = load, threading.Lock()
        self._kept: collections.OrderedDict[str, Sequence[Feature]] = collections.OrderedDict()
        self._features = 0

    def __getitem__(self, tile: Tile) -> Sequence[Feature]:
        """Returns the pictures of a tile, asking for it if they are not kept."""
        with self._lock:
            if tile.path in self._kept:
                self._kept.move_to_end(tile.path)
                return self._kept[tile.path]
        found = self._load(tile)
        with self._lock:
            if tile.path not in self._kept:
                self._kept[tile.path] = found
                self._features += len(found) + 10
            while self._features > _MOST_KEPT and len(self._kept) > 1:
                self._features -= len(self._kept.popitem(last=False)[1]) + 10
        return found

    def nearest(self, point: tuple[float, float], radius_km: float) -> Iterator[tuple[float, Feature]]:
        """Yields (distance_km, picture) within a radius, nearest first.

        Tiles are asked for as needed.

        Args:
            point: (lat, lon), degrees.
            radius_km: Radius.
        """
        # Tiles before the pictures of an equal distance, which are in the order of their ids.
        waiting: list[tuple[float, str, Tile | Feature]] = [
            (tile.box.distance_km(*point), "", tile) for tile in _around(point, radius_km)
        ]
        heapq.heapify(waiting)
        while waiting and waiting[0][0] <= radius_km:
            away_km, _, found = heapq.heappop(waiting)
            if isinstance(found, Feature):
                yield away_km, found
                continue
            features = self[found]
            places = [(feature.lat_deg, feature.lon_deg) for feature in features]
            all_km = geometry.haversine_km(point, places).tolist() if places else ()
            for away_km, feature in zip(all_km, features, strict=True):
                if away_km <= radius_km:
                    heapq.heappush(waiting, (away_km, feature.pano_id, feature))

    def road_deg(self, pano_id: str, point: tuple[float, float]) -> float | None:
        """Returns the bearing from the picture before to the one after it, or None."""
        features = self[tile_at(*point)]
        own = next((feature for feature in features if feature.pano_id == pano_id), None)
        if own is None or not own.sequence:
            return None
        drive = sorted(
            (feature for feature in features if feature.sequence == own.sequence),
            key=lambda feature: (feature.captured_at or 0, feature.pano_id),
        )
        at = drive.index(own)
        first, last = drive[max(at - 1, 0)], drive[min(at + 1, len(drive) - 1)]
        ends = (first.lat_deg, first.lon_deg), (last.lat_deg, last.lon_deg)
        return None if ends[0] == ends[1] else float(geometry.bearing_deg(*ends))


def decode(content: bytes, tile: Tile) -> list[Feature]:
    """Returns the pictures of a tile's layer "image".

    Raises:
        SourceRetry: If the bytes are no vector tile.
    """
    from google.protobuf import message

    try:
        layers = _tile_class().FromString(content).layers
        return [
            feature
            for layer in layers
            if layer.name == "image"
            for feature in (_feature(shape, layer, tile) for shape in layer.features)
            if feature is not None
        ]
    except (message.DecodeError, IndexError):
        pass
    raise errors.SourceRetry("network", f"tile {tile.path}: the answer is no vector tile.")


def _feature(shape: Any, layer: Any, tile: Tile) -> Feature | None:  # noqa: ANN401 - messages made at run time
    """Returns the picture of a feature, or None if it is no point or has no id."""
    # MoveTo for one point, and two zigzag-coded coordinates.
    if len(shape.geometry) != 3 or shape.geometry[0] != 9:
        return None
    across, down = ((value >> 1 ^ -(value & 1)) / layer.extent for value in shape.geometry[1:])
    about: dict[str, Any] = {}
    for key, value in zip(shape.tags[::2], shape.tags[1::2], strict=True):
        fields = layer.values[value].ListFields()
        about[layer.keys[key]] = fields[0][1] if fields else None
    if "id" not in about:
        return None
    captured_at = about.get("captured_at")
    return Feature(
        pano_id=str(about["id"]),
        lat_deg=_lat_deg(tile.row + down),
        lon_deg=float(geometry.wrap_lon_deg(360 * (tile.column + across) / _TILES - 180)),
        captured_at=int(captured_at) if isinstance(captured_at, int | float) else None,
        sequence=str(about.get("sequence_id", "")),
        is_pano=bool(about.get("is_pano")),
    )


@functools.cache
def _tile_class() -> Any:  # noqa: ANN401 - a class made at run time
    """Returns the message class of a tile."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

    schema = text_format.Parse(_SCHEMA, descriptor_pb2.FileDescriptorProto())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(schema)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("geods.vector_tile.Tile"))


def _around(point: tuple[float, float], radius_km: float) -> set[Tile]:
    """Returns the tiles of the box around a circle."""
    found = set()
    for box in nearest_search.around(*point, radius_km):
        first, last = tile_at(box.north, box.west), tile_at(box.south, box.east)
        columns, rows = range(first.column, last.column + 1), range(first.row, last.row + 1)
        found |= {Tile(column, row) for column, row in itertools.product(columns, rows)}
    return found


def tile_at(lat_deg: float, lon_deg: float) -> Tile:
    """Returns the tile of a place; beyond the ends of Web Mercator, the last one."""
    lat = math.radians(min(max(lat_deg, -_MOST_LAT_DEG), _MOST_LAT_DEG))
    row = math.floor((1 - math.asinh(math.tan(lat)) / math.pi) / 2 * _TILES)
    return Tile(math.floor((lon_deg + 180) / 360 * _TILES), min(max(row, 0), _TILES - 1))


def _lat_deg(row: float) -> float:
    """Returns the latitude of a row's upper edge, degrees."""
    return math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * row / _TILES))))
