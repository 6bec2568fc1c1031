"""HTTP statuses and JSON of map services, and the reaction to each.

https://developers.google.com/maps/documentation/streetview/error-messages
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn, TypeGuard

from geods import errors
from geods.imagery.http import api_key, transport

_SHOWN_CHARACTERS = 300
_QUOTA = re.compile(r"(?i)quota|rate.?limit|usage limit|too many")
_DENIED_NEXT = (
    "check the key, that its project may use this API and that billing is on, then run the same command again"
)
_QUOTA_NEXT = "run the same command again when the quota starts again (at Google: midnight, Pacific time), or raise it"
_REQUEST_NEXT = "this is a fault of geods or of --api_base, not of the key; please report it"


def check(answer: transport.Answer, what: str) -> None:
    """Does nothing for status 200.

    Args:
        answer: What came.
        what: What had been asked for, for the message.

    Raises:
        SourceStop: For 401 and 403 ("denied", or "quota" if the text says so) and other 4xx ("request").
        SourceRetry: For 429 ("quota"), 408 and 5xx ("server"), and for redirects and whatever else is no answer of the
            service ("network").
    """
    status = answer.status
    if status == 200:
        return
    said = f"{what}: HTTP status {status}"
    if status == 429:
        raise errors.SourceRetry("quota", f"{said}.", answer.retry_after_s)
    if status == 408 or status >= 500:
        raise errors.SourceRetry("server", f"{said}.", answer.retry_after_s)
    if status in (401, 403):
        deny(text_of(answer), said)
    if 400 <= status < 500:
        raise errors.SourceStop("request", f"{said}: {text_of(answer)}", _REQUEST_NEXT)
    raise errors.SourceRetry("network", f"{said}, as from a proxy or a login page; not followed.")


def deny(text: str, said: str) -> NoReturn:
    """Raises for an answer that refuses the key.

    Several causes share one status, and only the text names the cause.

    Args:
        text: What the service wrote.
        said: Start of the message.

    Raises:
        SourceStop: "quota" if the text speaks of one, else "denied".
    """
    if _QUOTA.search(text):
        raise errors.SourceStop("quota", f"{said}: {text}", _QUOTA_NEXT)
    raise errors.SourceStop("denied", f"{said}: {text}", _DENIED_NEXT)


def malform(text: str, said: str) -> NoReturn:
    """Raises for an answer that calls the request malformed; arguments as `deny`.

    Raises:
        SourceStop: Always, "request".
    """
    raise errors.SourceStop("request", f"{said}: {text}", _REQUEST_NEXT)


def parse(answer: transport.Answer) -> Mapping[str, Any] | None:
    """Returns the JSON object of an answer, without API keys, or None."""
    try:
        record = json.loads(api_key.redact(answer.content.decode("utf-8-sig", errors="replace")))
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def json_object(answer: transport.Answer, what: str) -> Mapping[str, Any]:
    """Returns the JSON object of an answer.

    Raises:
        SourceRetry: If it is none, as of a login page; without a cause, as a JSONDecodeError carries the whole text.
    """
    record = parse(answer)
    if record is None:
        start = shown(api_key.redact(answer.content.decode("utf-8-sig", errors="replace"))[:80])
        raise errors.SourceRetry("network", f"{what}: the answer is no JSON object, but begins: {start!r}.")
    return record


def mapping(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Returns an object inside an answer, empty if there is none."""
    value = record.get(name)
    return value if isinstance(value, dict) else {}


def is_within(value: object, most: float) -> TypeGuard[float]:
    """Returns whether a value of an answer is a number from -most to most."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and -most <= value <= most  # type: ignore[arg-type, operator]


def position(shape: object) -> tuple[float, float] | None:
    """Returns (lat_deg, lon_deg) of a GeoJSON point, or None.

    Also of 0, 0, which receivers without a fix say: a place in the Gulf of Guinea.
    """
    point = shape.get("coordinates") if isinstance(shape, dict) else None
    if not isinstance(point, list) or len(point) < 2 or not is_within(point[1], 90) or not is_within(point[0], 180):
        return None
    return (float(point[1]), float(point[0])) if point[0] or point[1] else None


def text_of(answer: transport.Answer) -> str:
    """Returns the body as a line for a message; see `shown`."""
    return shown(answer.content[: 16 * _SHOWN_CHARACTERS].decode("utf-8", errors="replace"))


def shown(text: str) -> str:
    """Returns text from the network as a short line.

    Keys and control characters are left out.
    """
    line = " ".join(api_key.redact(text).split())
    line = "".join(character if character.isprintable() else "?" for character in line)
    return line if len(line) <= _SHOWN_CHARACTERS else line[:_SHOWN_CHARACTERS] + "..."
