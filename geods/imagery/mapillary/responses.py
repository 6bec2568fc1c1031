"""The meaning of the answers of the Mapillary API v4.

https://www.mapillary.com/developer/api-documentation; an error is an object {"error": {"message", "type", "code"}}, and
only its code tells: a refused token comes with status 400, 401 or 500, and errors with status 200 were seen too.
"""

import math
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, Literal

import numpy as np

from geods import errors
from geods.imagery import source
from geods.imagery.http import status, transport

Kind = Literal["panorama", "flat"]

_MISSING_SUBCODE = 33
_DENIED, _TOO_FAST, _INVALID = frozenset({10, 102, 190, *range(200, 300)}), frozenset({4, 17, 32, 341, 613}), 100
_SPHERES, _NOT_FLAT = ("spherical", "equirectangular"), ("spherical", "equirectangular", "fisheye")
_LONGEST_ID, _LONGEST_SEQUENCE = 32, 128
# A camera whose clock was never set says 1970 or 1980; nobody photographed streets for Mapillary before 2000.
_YEARS = (2000, 2099)
_DENIED_NEXT = (
    "check MAPILLARY_ACCESS_TOKEN: it must be the client token (MLY|...) of"
    " https://www.mapillary.com/dashboard/developers; then run the same command again"
)
_REQUEST_NEXT = "this is a fault of geods or of --mapillary_api_base, not of the token; please report it"


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
        GoneError: If there is no such picture.
    """
    record = status.parse(answer)
    if record and "error" in record:
        raise _error(record["error"], answer, what)
    if answer.status in (401, 403):
        said = f"{what}: HTTP status {answer.status}: {status.text_of(answer)}"
        raise errors.SourceStop("denied", said, _DENIED_NEXT)
    status.check(answer, what)
    return status.json_object(answer, what)


def check_tile(answer: transport.Answer, what: str) -> None:
    """Does nothing for a tile.

    Raises:
        SourceStop: If the token is refused.
        SourceRetry: If the service failed or was asked too fast.
    """
    if answer.status == 200 and not answer.content.startswith(b"{"):
        return
    try:
        parse(answer, what)
    except GoneError as error:
        raise errors.SourceRetry("server", f"{error}.") from None
    raise errors.SourceRetry("server", f"{what}: HTTP status {answer.status}, and no tile.")


def panorama(record: Mapping[str, Any], kind: Kind, name: str, licence: str) -> source.Panorama | source.Miss:
    """Returns the picture that a record describes, or the reason to leave it out.

    Only `id` is sure to be in a record.

    Args:
        record: Result of `parse` for a picture.
        kind: What had been asked for.
        name: Name of the source.
        licence: Terms its images come under.
    """
    pano_id = identity(record)
    # As computed from neighbouring pictures, else as recorded by the camera.
    place = status.position(record.get("computed_geometry")) or status.position(record.get("geometry"))
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
        if status.is_within(value, 720):
            return value % 360
    return None


def month(captured_at: object) -> str | None:
    """Returns "YYYY-MM" (UTC) of a time in ms since 1970, None if it cannot be true."""
    if not status.is_within(captured_at, 1e13):
        return None
    when = datetime.fromtimestamp(captured_at / 1000, timezone.utc)
    return f"{when:%Y-%m}" if _YEARS[0] <= when.year <= _YEARS[1] else None


def tilt_deg(record: Mapping[str, Any]) -> tuple[float, float]:
    """Returns pitch and roll of a camera, degrees; zeros if the record has none.

    `computed_rotation` is the axis-angle of OpenSfM from east, north, up to the camera's right, down, ahead:
    https://opensfm.org/docs/geometry.html. Its heading is that of `computed_compass_angle`, which `compass_deg` reads.
    """
    rotation = record.get("computed_rotation")
    if not isinstance(rotation, list) or len(rotation) != 3 or not all(status.is_within(part, 7) for part in rotation):
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


def _is_of_kind(record: Mapping[str, Any], kind: Kind) -> bool:
    """Returns whether a record does not contradict the kind that was asked for."""
    sphere, camera = record.get("is_pano"), record.get("camera_type")
    if kind == "panorama":
        return sphere is not False and (camera is None or camera in _SPHERES)
    return sphere is not True and camera not in _NOT_FLAT
