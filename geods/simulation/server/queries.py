"""Parameters of a Street View request, parsed as the service does.

https://developers.google.com/maps/documentation/streetview/request-streetview; what it clamps is clamped here.
"""

import dataclasses
import math
import re
import urllib.parse
from collections.abc import Mapping

from geods.geo import geometry

KNOWN = frozenset(
    ("location", "pano", "size", "heading", "fov", "pitch", "radius", "source", "return_error_code", "key", "signature")
)
_MOST_PX, _MOST_FOV_DEG, _DEFAULT_RADIUS_M = 640, 120.0, 50
_COORDS = re.compile(r"\s*([+-]?[0-9.]+)\s*,\s*([+-]?[0-9.]+)\s*")


class InvalidError(Exception):
    """A parameter is missing or malformed; the text says which."""


@dataclasses.dataclass(frozen=True)
class Query:
    """Parsed request.

    Attributes:
        pano_id: Panorama asked for, or None.
        coords: (lat, lon) asked for, degrees, or None; a panorama comes before it.
        address: Location that is no pair of numbers; empty if there is none.
        radius_m: How far to look from `coords`, metres.
        outdoor: Whether to leave out indoor collections.
        height_px: Rows of the image; 0 if no size was given.
        width_px: Columns of the image; 0 if no size was given.
        heading_deg: 0 to 360, degrees clockwise from north, or None to look towards `coords`.
        fov_deg: Horizontal field of view, degrees.
        pitch_deg: Angle above the horizon, degrees.
        error_code: Whether errors have a status of their own.
    """

    pano_id: str | None
    coords: tuple[float, float] | None
    address: str
    radius_m: int
    outdoor: bool
    height_px: int
    width_px: int
    heading_deg: float | None
    fov_deg: float
    pitch_deg: float
    error_code: bool


def params_of(path_and_query: str) -> dict[str, str]:
    """Returns the parameters of a request's target; the last of a name counts."""
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(path_and_query).query, keep_blank_values=True))


def canonical(params: Mapping[str, str]) -> str:
    """Returns the sorted parameters without key and signature."""
    return "&".join(f"{name}={params[name]}" for name in sorted(params) if name not in ("key", "signature"))


def wants_error_code(params: Mapping[str, str]) -> bool:
    """Returns whether errors are to have an HTTP status of their own."""
    return params.get("return_error_code", "").lower() == "true"


def read(params: Mapping[str, str]) -> Query:
    """Parses the parameters of a request.

    Raises:
        InvalidError: If one is malformed, or there is neither location nor panorama.
    """
    location, pano_id = params.get("location", ""), params.get("pano") or None
    if not location and pano_id is None:
        raise InvalidError("one of location and pano is required")
    width_px, height_px = _size(params["size"]) if params.get("size") else (0, 0)
    source = params.get("source", "default")
    if source not in ("default", "outdoor"):
        raise InvalidError("source is neither default nor outdoor")
    coords = _coords(location)
    return Query(
        pano_id=pano_id,
        coords=coords,
        address="" if coords else location,
        radius_m=_radius_m(params),
        outdoor=source == "outdoor",
        height_px=height_px,
        width_px=width_px,
        heading_deg=_number(params, "heading", 0) % 360 if params.get("heading") else None,
        fov_deg=min(_number(params, "fov", 90), _MOST_FOV_DEG),
        pitch_deg=max(-90.0, min(_number(params, "pitch", 0), 90.0)),
        error_code=wants_error_code(params),
    )


def _coords(location: str) -> tuple[float, float] | None:
    """Returns (lat, lon) of a location, or None if it is an address."""
    found = _COORDS.fullmatch(location)
    if not found:
        return None
    try:
        lat_deg, lon_deg = float(found[1]), float(found[2])
    except ValueError:
        return None
    if abs(lat_deg) > 90 or abs(lon_deg) > 360:
        raise InvalidError("location is no place on Earth")
    return lat_deg, float(geometry.wrap_lon_deg(lon_deg))


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]{1,6})x([0-9]{1,6})", text)
    if not found or not int(found[1]) or not int(found[2]):
        raise InvalidError("size is not WIDTHxHEIGHT")
    return min(int(found[1]), _MOST_PX), min(int(found[2]), _MOST_PX)


def _radius_m(params: Mapping[str, str]) -> int:
    text = params.get("radius") or str(_DEFAULT_RADIUS_M)
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise InvalidError("radius is no whole number of metres")
    return int(text)


def _number(params: Mapping[str, str], name: str, default: float) -> float:
    try:
        value = float(params.get(name) or default)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InvalidError(f"{name} is no number")
    return value
