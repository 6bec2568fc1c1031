"""Effects of faults on the responses of the simulated server."""

import dataclasses
import email.utils
import json
import time
from collections.abc import Callable, Mapping

from geods.geo import geometry
from geods.simulation.server import access, faults, images, queries, responses, wire

# As far as a place that the service once returned for a radius of 25 m.
_FAR_KM = 3498.5
_PORTAL = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sign in to use this network.</body></html>"
_DELIVERIES: dict[str, wire.Delivery] = {
    "slow": "slow",
    "reset": "reset",
    "truncated": "half",
    "truncated_nolength": "half_unannounced",
    "timeout": "never",
}
_VERDICTS = {
    "json_over_query_limit": ("OVER_QUERY_LIMIT", access.OVER_RATE),
    "json_unknown_error": ("UNKNOWN_ERROR", "A server error, often temporary."),
    "json_denied": ("REQUEST_DENIED", access.BAD_KEY),
}


def answer(
    fault: faults.Fault,
    endpoint: str,
    params: Mapping[str, str],
    make: Callable[[], wire.Reply],
    elsewhere: str,
) -> tuple[wire.Reply, bool]:
    """Returns the response to a request under a fault, and whether it differs.

    Args:
        fault: What goes wrong.
        endpoint: "image" or "metadata".
        params: Parameters of the request.
        make: Gives the right answer.
        elsewhere: Where a redirect points.
    """
    size = _size_px(params)
    if fault.kind in _VERDICTS:
        verdict, message = _VERDICTS[fault.kind]
        return wire.json_reply({"error_message": message, "status": verdict}), True
    if fault.kind == "moved_pano":
        return _moved(endpoint, params, make, size)
    if fault.kind == "error_image":
        return wire.image_reply(images.error(*size)), True
    if fault.kind == "grey":
        return responses.no_image(*size, error_code=False), True
    made = _failed(fault, elsewhere)
    if made is not None:
        used = endpoint == "image" and made.status not in (403, 429)
        return dataclasses.replace(made, billed=used), True
    right = make()
    bent = _bent(fault, right)
    return (right, False) if bent is None else (bent, True)


def _failed(fault: faults.Fault, elsewhere: str) -> wire.Reply | None:
    """Returns the response of a fault that ignores the request, else None."""
    if fault.kind in ("http_503", "http_429"):
        return _asked_to_wait(fault)
    if fault.kind == "http_500":
        return wire.text_reply("Internal Server Error", 500)
    if fault.kind == "http_403_text":
        return wire.text_reply(access.REJECTED + access.BAD_KEY, 403)
    if fault.kind == "wrong_type":
        return wire.Reply(200, _PORTAL, "text/html; charset=utf-8")
    if fault.kind == "empty":
        return wire.Reply(200, b"", "image/jpeg")
    if fault.kind == "redirect":
        return wire.Reply(302, b"", headers=(("Location", elsewhere),))
    if fault.kind == "huge":
        chunk = b"\xff\xd8\xff\xe0".ljust(1 << 16, b"\0")
        return wire.Reply(200, chunk, "image/jpeg", delivery="endless", limit_bytes=fault.body_bytes)
    return None


def _asked_to_wait(fault: faults.Fault) -> wire.Reply:
    status = int(fault.kind.removeprefix("http_"))
    wait = str(fault.retry_after_s)
    if fault.retry_after_date:
        wait = email.utils.formatdate(time.time() + fault.retry_after_s, usegmt=True)
    refused = wire.text_reply("Please try again later.", status)
    return dataclasses.replace(refused, headers=(("Retry-After", wait),))


def _bent(fault: faults.Fault, right: wire.Reply) -> wire.Reply | None:
    """Returns the right response as changed by a fault, or None if it is not."""
    if fault.kind == "slow":
        return dataclasses.replace(right, delivery="slow", pace_bytes_per_s=fault.bytes_per_s)
    if fault.kind in _DELIVERIES:
        return dataclasses.replace(right, delivery=_DELIVERIES[fault.kind], view="")
    if fault.kind == "corrupt_jpeg":
        return dataclasses.replace(right, body=_corrupted(right.body), view="") if right.view else None
    if right.verdict != "OK":
        return None
    record = json.loads(right.body)
    if fault.kind == "far_pano":
        place = (record["location"]["lat"], record["location"]["lng"])
        lat_deg, lon_deg = geometry.destination(place, 90.0, _FAR_KM).tolist()
        return wire.json_reply(record | {"location": {"lat": lat_deg, "lng": lon_deg}})
    name = {"missing_date": "date", "missing_location": "location"}[fault.kind]
    if name not in record:
        return None
    del record[name]
    return wire.json_reply(record)


def _moved(
    endpoint: str, params: Mapping[str, str], make: Callable[[], wire.Reply], size: tuple[int, int]
) -> tuple[wire.Reply, bool]:
    if not params.get("pano"):
        return make(), False
    if endpoint == "metadata":
        return wire.json_reply({"status": "ZERO_RESULTS"}), True
    return responses.no_image(*size, error_code=queries.wants_error_code(params)), True


def _corrupted(content: bytes) -> bytes:
    """Returns a JPEG with precision and size in its frame header flipped.

    A flip inside the scan would decode to other pixels without a word; TLS is what keeps those away.
    """
    at = content.find(b"\xff\xc0") + 4
    return content[:at] + bytes(byte ^ 0xFF for byte in content[at : at + 5]) + content[at + 5 :]


def _size_px(params: Mapping[str, str]) -> tuple[int, int]:
    """Returns (height_px, width_px) of a request, 300 x 600 by default."""
    try:
        query = queries.read(params)
    except queries.InvalidError:
        return 300, 600
    return query.height_px or 300, query.width_px or 600
