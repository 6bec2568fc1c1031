"""The meaning of the answers of the Mapillary API v4.

https://www.mapillary.com/developer/api-documentation; an error is an object {"error": {"message", "type", "code"}}, and
only its code tells: a refused token comes with status 400, 401 or 500, and errors with status 200 were seen too.
"""

import json
import math
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, Literal, TypeGuard

import numpy as np

from geods import errors
from geods.imagery import source
from geods.imagery.http import api_key, status, transport

Kind = Literal["panorama", "flat"]

_MISSING_SUBCODE = 33
_DENIED, _TOO_FAST, _INVALID = frozenset({10, 102, 190, *range(200, 300)}), frozenset({4, 17, 32, 341, 613}), 100
_TOO_MUCH = "reduce the amount of data"
_SPHERES, _NOT_FLAT = ("spherical", "equirectangular"), ("spherical", "equirectangular", "fisheye")
_LONGEST_ID, _LONGEST_SEQUENCE = 32, 128
# A camera whose clock was never set says 1970 or 1980; nobody photographed streets for Mapillary before 2000.
_YEARS = (2000, 2099)
_DENIED_NEXT = (
    "check MAPILLARY_ACCESS_TOKEN: it must be the client token (MLY|...) of"
    " https://www.mapillary.com/dashboard/developers; then run the same command again"
)
_REQUEST_NEXT = "this is a fault of geods or of --mapillary_api_base, not of the token; please report it"


class TooMuchError(Exception):
    """The service cannot answer for so large a box; it may for a part of it."""


class GoneError(Exception):
    """There is no such picture."""


def parse(answer: transport.Answer, what: str) -> Mapping[str, Any]:
    """Returns the JSON object of an answer.

    Args:
        answer: What came.
        what: What had been asked for, for messages.

    Raises:
        SourceStop: If the token is refused or the request malformed.
        SourceRetry: If the service failed, was asked too fast, or something else answered in its place.
        TooMuchError: If less must be asked for at once.
        GoneError: If there is no such picture.
    """
    text = api_key.redact(answer.content.decode("utf-8-sig", errors="replace"))
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        record = None
    # Out here, because a JSONDecodeError carries the whole text along.
    if isinstance(record, dict) and "error" in record:
        raise _error(record["error"], answer, what)
    if answer.status in (401, 403):
        said = f"{what}: HTTP status {answer.status}: {status.text_of(answer)}"
        raise errors.SourceStop("denied", said, _DENIED_NEXT)
    status.check(answer, what)
    if not isinstance(record, dict):
        start = status.shown(text[:80])
        raise errors.SourceRetry("network", f"{what}: the answer is no JSON object, but begins: {start!r}.")
    return record


def results(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Returns the pictures of the answer to a search, those that are objects.

    Raises:
        SourceRetry: If it has no list of them: an answer that was cut must not count as an empty place.
    """
    data = record.get("data")
    if not isinstance(data, list):
        raise errors.SourceRetry("server", f"search: no list of results ({status.shown(str(record))}).")
    return [found for found in data if isinstance(found, dict)]


def panorama(record: Mapping[str, Any], kind: Kind, name: str, licence: str) -> source.Panorama | source.Miss:
    """Returns the picture that a record describes, or the reason to leave it out.

    Only `id` is sure to be in a record.

    Args:
        record: One of `results`.
        kind: What had been asked for.
        name: Name of the source.
        licence: Terms its images come under.
    """
    pano_id, place = identity(record), _position(record)
    if not pano_id or not place:
        return source.Miss("no_position", f"id {status.shown(str(record.get('id')))}")
    if not _is_of_kind(record, kind):
        return source.Miss("zero_results", f"{pano_id} is no {kind} picture")
    heading_deg = compass_deg(record)
    if heading_deg is None:
        return source.Miss("no_heading", pano_id)
    creator = record.get("creator")
    username = creator.get("username") if isinstance(creator, dict) else None
    sequence = record.get("sequence")
    return source.Panorama(
        pano_id=pano_id,
        lat_deg=place[0],
        lon_deg=place[1],
        date=month(record.get("captured_at")),
        copyright=f"© {status.shown(username)}, Mapillary" if isinstance(username, str) else "© Mapillary",
        source=name,
        licence=licence,
        sequence=status.shown(str(sequence))[:_LONGEST_SEQUENCE] if sequence else None,
        heading_deg=round(heading_deg) % 360 if kind == "flat" else None,
    )


def identity(record: Mapping[str, Any]) -> str:
    """Returns the id of a record, or "" if it may not stand in the path of a URL."""
    found = str(record.get("id", ""))
    return found if found.isascii() and found.isalnum() and len(found) <= _LONGEST_ID else ""


def compass_deg(record: Mapping[str, Any]) -> float | None:
    """Returns a picture's bearing, degrees clockwise from north, or None.

    What Mapillary computed from neighbouring pictures comes before what the camera's compass said.
    """
    for name in ("computed_compass_angle", "compass_angle"):
        value = record.get(name)
        if _is_within(value, 720):
            return value % 360
    return None


def month(captured_at: object) -> str | None:
    """Returns "YYYY-MM" (UTC) of a time in ms since 1970, None if it cannot be true."""
    if not _is_within(captured_at, 1e13):
        return None
    when = datetime.fromtimestamp(captured_at / 1000, timezone.utc)
    return f"{when:%Y-%m}" if _YEARS[0] <= when.year <= _YEARS[1] else None


def tilt_deg(record: Mapping[str, Any]) -> tuple[float, float]:
    """Returns pitch and roll of a camera, degrees; zeros if the record has none.

    `computed_rotation` is the axis-angle of OpenSfM from east, north, up to the camera's right, down, ahead:
    https://opensfm.org/docs/geometry.html. Its heading is that of `computed_compass_angle`, which `compass_deg` reads.
    """
    rotation = record.get("computed_rotation")
    if not isinstance(rotation, list) or len(rotation) != 3 or not all(_is_within(part, 7) for part in rotation):
        return 0.0, 0.0
    vector = np.array(rotation, np.float64)
    angle = float(np.linalg.norm(vector))
    if not angle:
        return 0.0, 0.0
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    right, down, ahead = np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross
    pitch = math.degrees(math.asin(min(max(float(ahead[2]), -1.0), 1.0)))
    return pitch, math.degrees(math.atan2(-float(right[2]), -float(down[2])))


def _error(error: object, answer: transport.Answer, what: str) -> Exception:
    """Returns what to raise for an error object."""
    about = error if isinstance(error, dict) else {"message": str(error)}
    code = about["code"] if isinstance(about.get("code"), int) else None
    message = status.shown(str(about.get("message", "no further message")))
    said = f"{what}: {message} (HTTP status {answer.status}, code {code})"
    if _TOO_MUCH in message.lower():
        return TooMuchError(said)
    if code in _TOO_FAST or answer.status == 429:
        return errors.SourceRetry("quota", f"{said}.", answer.retry_after_s)
    if code in _DENIED:
        return errors.SourceStop("denied", said, _DENIED_NEXT)
    if code == _INVALID:
        if about.get("error_subcode") == _MISSING_SUBCODE or "does not exist" in message:
            return GoneError(said)
        return errors.SourceStop("request", said, _REQUEST_NEXT)
    if answer.status in (401, 403):
        return errors.SourceStop("denied", said, _DENIED_NEXT)
    return errors.SourceRetry("server", f"{said}.", answer.retry_after_s)


def _position(record: Mapping[str, Any]) -> tuple[float, float] | None:
    """Returns (lat_deg, lon_deg), or None.

    As computed from neighbouring pictures, else as recorded by the camera.
    """
    for name in ("computed_geometry", "geometry"):
        shape = record.get(name)
        point = shape.get("coordinates") if isinstance(shape, dict) else None
        if not isinstance(point, list) or len(point) < 2:
            continue
        lon_deg, lat_deg = point[:2]
        # GPS receivers without a fix say 0, 0, a place in the Gulf of Guinea.
        if _is_within(lat_deg, 90) and _is_within(lon_deg, 180) and (lat_deg or lon_deg):
            return float(lat_deg), float(lon_deg)
    return None


def _is_of_kind(record: Mapping[str, Any], kind: Kind) -> bool:
    """Says whether a record does not contradict the kind that was asked for."""
    sphere, camera = record.get("is_pano"), record.get("camera_type")
    if kind == "panorama":
        return sphere is not False and (camera is None or camera in _SPHERES)
    return sphere is not True and camera not in _NOT_FLAT


def _is_within(value: object, most: float) -> TypeGuard[float]:
    """Says whether a value is a number from -most to most."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and -most <= value <= most  # type: ignore[arg-type, operator]
