"""HTTP GETs, each one attempt: bounded in time and size, never redirected.

Nothing raised or logged shows a key. Thread-safe: each thread has its own session. Malformed headers count as missing.
"""

import dataclasses
import email.utils
import functools
import importlib.metadata
import re
import threading
import time
import urllib.parse
import weakref
from collections.abc import Iterator, Mapping
from typing import Any

import requests
import urllib3

from geods import errors
from geods.imagery.http import api_key, deadline, signing, url_policy

_CHUNK_BYTES = 1 << 16
_FAILURES = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)
_TIMEOUTS = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
_REFUSALS = (requests.exceptions.SSLError, urllib3.exceptions.SSLError, urllib3.exceptions.NewConnectionError)


@dataclasses.dataclass(frozen=True)
class Limits:
    """How long and how large an answer may be.

    Attributes:
        connect_s: Seconds to connect; a little over 3, the time after which a lost first packet is sent again.
        read_s: Seconds without a byte.
        answer_s: Seconds from the request to the last byte of the answer.
        max_bytes: Bytes of a body. A view of 640 x 640 has about 0.1 MB.
    """

    connect_s: float = 3.05
    read_s: float = 20.0
    answer_s: float = 40.0
    max_bytes: int = 5_000_000

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If one is not above 0.
        """
        for field in dataclasses.fields(self):
            if not getattr(self, field.name) > 0:
                problem = f"{field.name}={getattr(self, field.name)}: must be above 0."
                raise errors.OptionError(problem, f"the default is {field.default}")


@dataclasses.dataclass(frozen=True)
class Answer:
    """A whole answer.

    Attributes:
        status: HTTP status.
        content: The body.
        content_type: Media type in lower case, without parameters; empty if not given.
        content_length: Length the server announced, or None; it has been compared with the body.
        retry_after_s: Seconds the server asks to wait, uncapped, or None.
        location: URL that a redirect leads to; empty if not given.
    """

    status: int
    content: bytes = dataclasses.field(repr=False)
    content_type: str = ""
    content_length: int | None = None
    retry_after_s: float | None = None
    # A redirect may repeat the key of the request, which no repr in a crash report may show.
    location: str = dataclasses.field(default="", repr=False)


class Transport:
    """Sends GET requests.

    Args:
        limits: How long and how large an answer may be.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        """Opens nothing yet."""
        self._limits = limits or Limits()
        self._of_thread = threading.local()
        self._sessions: weakref.WeakSet[requests.Session] = weakref.WeakSet()
        self._lock = threading.Lock()
        api_key.guard_logs()

    def get(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        *,
        secret_params: Mapping[str, api_key.Secret] | None = None,
        secret_headers: Mapping[str, api_key.Secret] | None = None,
        signing_secret: api_key.Secret | None = None,
    ) -> Answer:
        """Sends one request and returns the answer, whatever its status.

        A redirect is an answer like any other.

        Args:
            url: Without the parameters below.
            params: Added to the URL, in this order.
            secret_params: Added after those.
            secret_headers: Headers that hold a token.
            signing_secret: Signs path and query; the signature comes last.

        Raises:
            OptionError: If the URL is not https (or http to this machine).
            SourceRetry: If no whole answer came, or a larger one than allowed. It has no cause and no context: theirs
                would hold the URL with the key.
        """
        url_policy.check(url)
        request = _Request(url, params or {}, secret_params or {}, secret_headers or {}, signing_secret)
        try:
            return self._exchange(request)
        except _FAILURES as error:
            failure = _describe(error, self._limits)
        except _UnusableError as error:
            failure = str(error)
        raise errors.SourceRetry("network", f"{url_policy.place(url)}: {failure}.")

    def close(self) -> None:
        """Closes all connections."""
        with self._lock:
            for session in tuple(self._sessions):
                session.close()

    def _exchange(self, request: "_Request") -> Answer:
        """Sends the request and reads the answer.

        Its exceptions and its variables hold the key.
        """
        session = self._session()
        # Variables such as HTTP_PROXY must not lead requests to this machine elsewhere.
        session.trust_env = not url_policy.is_loopback(request.url)
        prepared = request.prepare()
        settings: Any = session.merge_environment_settings(prepared.url, {}, True, None, None)
        timeout = (self._limits.connect_s, self._limits.read_s)
        # The adapter, not session.send: that reads the body of a redirect whole, however long, without following it.
        response = session.get_adapter(prepared.url or "").send(prepared, timeout=timeout, **settings)
        with response:
            announced = content_length(response.headers)
            content = _read(response, announced, self._limits.max_bytes)
        return Answer(
            status=response.status_code,
            content=content,
            content_type=media_type(response.headers),
            content_length=announced,
            retry_after_s=retry_after_s(response.headers),
            location=location(response.headers, request.url),
        )

    def _session(self) -> requests.Session:
        """Returns the session of this thread."""
        session: requests.Session | None = getattr(self._of_thread, "session", None)
        if session is None:
            session = self._of_thread.session = requests.Session()
            adapter = deadline.Adapter(self._limits.answer_s)
            session.mount("https://", adapter)
            session.mount("http://", adapter)
            with self._lock:
                self._sessions.add(session)
        return session


class _UnusableError(Exception):
    """An answer that is not read to its end."""


@dataclasses.dataclass(frozen=True)
class _Request:
    """The arguments of `Transport.get`."""

    url: str
    params: Mapping[str, str]
    secret_params: Mapping[str, api_key.Secret]
    secret_headers: Mapping[str, api_key.Secret]
    signing_secret: api_key.Secret | None

    def prepare(self) -> requests.PreparedRequest:
        """Returns the request as it is sent, with its keys."""
        params = dict(self.params) | {name: value.reveal() for name, value in self.secret_params.items()}
        # An encoded body has another length than its Content-Length says, and could unpack to any size.
        sent = {"User-Agent": _user_agent(), "Accept-Encoding": "identity"}
        sent |= {name: value.reveal() for name, value in self.secret_headers.items()}
        prepared = requests.Request("GET", self.url, params=params, headers=sent).prepare()
        if self.signing_secret is not None:
            # Of the prepared URL, because that is what is sent: requests encodes the comma of a location.
            prepared.url = f"{prepared.url}&signature={signing.sign(prepared.path_url, self.signing_secret)}"
        return prepared


@functools.cache
def _user_agent() -> str:
    """Returns the name and version of this package."""
    # Once: the metadata are a file, and parsing it for each request took a third of a scrape's processor time.
    try:
        return f"geods/{importlib.metadata.version('geods')}"
    except importlib.metadata.PackageNotFoundError:
        return "geods"


def _read(response: requests.Response, announced: int | None, max_bytes: int) -> bytes:
    """Returns the body."""
    too_large = f"sent more than {max_bytes:,} bytes"
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise _UnusableError("sent a compressed body, though none was asked for")
    if announced is not None and announced > max_bytes:
        raise _UnusableError(too_large)
    content = bytearray()
    for chunk in response.iter_content(_CHUNK_BYTES):
        content += chunk
        if len(content) > max_bytes:
            raise _UnusableError(too_large)
    # urllib3 1.26 lets a short body pass.
    if announced is not None and len(content) != announced:
        raise _UnusableError(f"sent {len(content):,} of {announced:,} bytes")
    return bytes(content)


def _describe(error: BaseException, limits: Limits) -> str:
    """Says in words what failed; the text of these errors may hold the URL."""
    causes = tuple(_causes(error))
    # First, because urllib3 1.26 counts a refused connection among its timeouts.
    refusals = [cause for cause in causes if isinstance(cause, _REFUSALS)]
    if refusals:
        # urllib3 begins with "HTTPSConnection(host='a', port=443): ".
        text = api_key.redact(str(refusals[-1])).rpartition("): ")[2]
        return f"no connection ({text[:200]})"
    if any(isinstance(cause, _TIMEOUTS) for cause in causes):
        waits = f"{limits.connect_s:g} s to connect, {limits.read_s:g} s a read, {limits.answer_s:g} s in all"
        return f"did not answer in time ({waits})"
    return f"the connection broke off ({type(causes[-1]).__name__})"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yields an error and those it wraps, as requests and urllib3 keep them."""
    inner: object = error
    while isinstance(inner, BaseException):
        yield inner
        inner = getattr(inner, "reason", None) or next(
            (part for part in reversed(inner.args) if isinstance(part, BaseException)), None
        )


def media_type(headers: Mapping[str, str]) -> str:
    """Returns the Content-Type in lower case without parameters; empty if not given."""
    return headers.get("Content-Type", "").partition(";")[0].strip().lower()


def location(headers: Mapping[str, str], url: str) -> str:
    """Returns the absolute URL of the header Location, empty if not given.

    An answer to `url` has these headers.
    """
    value = headers.get("Location", "").strip()
    return urllib.parse.urljoin(url, value) if value else ""


def content_length(headers: Mapping[str, str]) -> int | None:
    """Returns the Content-Length in bytes, or None."""
    value = headers.get("Content-Length", "").strip()
    return int(value) if re.fullmatch(r"[0-9]{1,18}", value) else None


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Returns the seconds that Retry-After asks to wait, or None.

    It is a number or a date (RFC 9110, 10.2.3).

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
