"""The headers of an answer, as the values they stand for; what is malformed counts as not given."""

import email.utils
import re
import time
from collections.abc import Mapping


def media_type(headers: Mapping[str, str]) -> str:
    """Returns the Content-Type in lower case without parameters; empty if not given."""
    return headers.get("Content-Type", "").partition(";")[0].strip().lower()


def content_length(headers: Mapping[str, str]) -> int | None:
    """Returns the Content-Length in bytes, or None."""
    value = headers.get("Content-Length", "").strip()
    return int(value) if re.fullmatch(r"[0-9]{1,18}", value) else None


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Returns the seconds that Retry-After asks to wait, whether it is a number or a date (RFC 9110, 10.2.3), or None.

    Args:
        headers: The headers; Date is the server's clock, and ours is taken without it.
    """
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value)
    until_s = _unix_time_s(value)
    if until_s is None:
        return None
    now_s = _unix_time_s(headers.get("Date", ""))
    return max(0.0, until_s - (time.time() if now_s is None else now_s))


def _unix_time_s(date: str) -> float | None:
    """Returns the time of an HTTP date, or None if it is none."""
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
