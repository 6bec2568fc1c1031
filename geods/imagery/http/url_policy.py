"""Which URLs a key may be sent to, and how messages call them."""

import ipaddress
import re
import urllib.parse

from geods import errors
from geods.imagery.http import api_key

_USER = re.compile(r"//[^/]*@")


def check(url: str, name: str = "URL") -> None:
    """Does nothing if a key may be sent to a URL.

    Args:
        url: The URL.
        name: What to call it in the error.

    Raises:
        OptionError: If it has no host, holds a user name, or is neither https nor http to this machine.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urllib.parse.urlsplit("")
    allowed = ("https", "http") if host and is_loopback(url) else ("https",)
    if not host or parts.scheme not in allowed or "@" in parts.netloc:
        shown = api_key.redact(_USER.sub("//***@", url))
        problem = f"{name} {shown}: must begin with https:// and a host."
        raise errors.OptionError(problem, "http:// is for servers on this machine only, such as http://127.0.0.1:8080")


def is_loopback(url: str) -> bool:
    """Says whether a URL's host is this machine."""
    host = urllib.parse.urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def place(url: str) -> str:
    """Returns host and path of a URL, which hold no key."""
    parts = urllib.parse.urlsplit(url)
    return f"{parts.hostname}{parts.path}"


def check_base(url: str, flag: str, example: str) -> None:
    """Raises OptionError if a flag's URL is no base URL that may get a key.

    A base URL has a scheme and a host alone.
    """
    check(url, flag)
    if after_host(url) not in ("", "/"):
        raise errors.OptionError(f"{flag}={api_key.redact(url)}: has more than a host.", f"give one such as {example}")


def after_host(url: str) -> str:
    """Returns the part of a URL after the host."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(("", "", parts.path, parts.query, parts.fragment))


def host(url: str) -> str:
    """Returns the host of a URL in lower case; empty if it has none, or is no URL."""
    try:
        return urllib.parse.urlsplit(url).hostname or ""
    except ValueError:
        return ""
