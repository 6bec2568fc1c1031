"""The meaning of the answers of the Street View Static API.

https://developers.google.com/maps/documentation/streetview/metadata; only `status` is sure to be there.
"""

from collections.abc import Mapping
from typing import Any

from geods import errors
from geods.imagery import acceptance, source
from geods.imagery.http import status as http_status
from geods.imagery.http import transport

_LONGEST_ID = 256
_REJECTION = "server rejected your request"


def metadata(answer: transport.Answer) -> Mapping[str, Any] | source.Miss:
    """Returns the record of a panorama, or a Miss if there is none.

    Raises:
        SourceStop: If the key is refused, the quota of the day is used up, or the request is malformed.
        SourceRetry: If the service failed, was asked too fast, or something else answered in its place.
    """
    http_status.check(answer, "metadata")
    record = http_status.json_object(answer, "metadata")
    status = record.get("status")
    said = f"metadata: {http_status.shown(str(status))}"
    message = http_status.shown(str(record.get("error_message", "no further message")))
    if status == "OK":
        return record
    if status == "ZERO_RESULTS":
        return source.Miss("zero_results")
    if status == "REQUEST_DENIED":
        http_status.deny(message, said)
    if status == "OVER_DAILY_LIMIT":
        http_status.deny(f"{message} (daily quota)", said)
    if status in ("INVALID_REQUEST", "NOT_FOUND"):
        http_status.malform(message, said)
    cause = "quota" if status == "OVER_QUERY_LIMIT" else "server"
    raise errors.SourceRetry(cause, f"{said} ({message}).", answer.retry_after_s)


def panorama(record: Mapping[str, Any], name: str, licence: str) -> source.Panorama | source.Miss:
    """Returns the panorama of a record with status OK, or a Miss.

    A Miss, if it lacks an id or a position.

    Args:
        record: What `metadata` returned.
        name: Name of the source.
        licence: Terms its images come under.
    """
    pano_id, place = record.get("pano_id"), record.get("location")
    lat_deg, lon_deg = (place.get("lat"), place.get("lng")) if isinstance(place, dict) else (None, None)
    if not http_status.is_within(lat_deg, 90) or not http_status.is_within(lon_deg, 180):
        return source.Miss("no_position", f"location {http_status.shown(repr(place))}")
    if not isinstance(pano_id, str) or not 0 < len(pano_id) <= _LONGEST_ID or not pano_id.isprintable():
        return source.Miss("no_position", f"pano_id {http_status.shown(repr(pano_id))}")
    copyright_text = record.get("copyright")
    return source.Panorama(
        pano_id=pano_id,
        lat_deg=float(lat_deg),
        lon_deg=float(lon_deg),
        date=acceptance.month(record.get("date")),
        copyright=http_status.shown(copyright_text) if isinstance(copyright_text, str) else "",
        source=name,
        licence=licence,
    )


def image(answer: transport.Answer, what: str) -> bytes:
    """Returns the bytes of an answer to an image request that are worth checking.

    Args:
        answer: What came.
        what: Name of the image.

    Raises:
        SourceStop: As `metadata`; also for a refusal that came as text with status 200.
        SourceRetry: As `metadata`.
        ImageRefused: "gone", if the panorama is no longer there.
    """
    # Only because return_error_code=true is sent; otherwise this would be a grey image.
    if answer.status == 404:
        raise errors.ImageRefused("gone", f"{what}: the service has no image of it (HTTP status 404).")
    http_status.check(answer, what)
    if answer.content_type.startswith("text/"):
        text = http_status.text_of(answer)
        if _REJECTION in text:
            http_status.deny(text, what)
    return answer.content
