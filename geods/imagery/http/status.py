"""HTTP statuses of map services and the reaction that each asks of a client.

https://developers.google.com/maps/documentation/streetview/error-messages
"""

import re
from typing import NoReturn

from geods import errors
from geods.imagery.http import api_key, transport

_SHOWN_CHARACTERS = 300
_QUOTA = re.compile(r"(?i)quota|rate.?limit|usage limit|too many")
_DENIED_NEXT = (
    "check the key, that its project may use this API and that billing is on, then run the same command again"
)
_QUOTA_NEXT = "run the same command again when the quota starts anew (at Google: midnight, Pacific time), or raise it"
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


def text_of(answer: transport.Answer) -> str:
    """Returns the body as a line for a message; see `shown`."""
    return shown(answer.content[: 16 * _SHOWN_CHARACTERS].decode("utf-8", errors="replace"))


def shown(text: str) -> str:
    """Returns text from the network as a short line.

    Without keys and without control characters.
    """
    line = " ".join(api_key.redact(text).split())
    line = "".join(character if character.isprintable() else "?" for character in line)
    return line if len(line) <= _SHOWN_CHARACTERS else line[:_SHOWN_CHARACTERS] + "..."
