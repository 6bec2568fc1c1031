"""Faults of the simulated server, and the requests they hit.

    [{"kind": "http_503", "rate": 0.05, "first_n_attempts": 2, "retry_after_s": 1},
     {"kind": "grey", "endpoint": "image", "match": {"heading": "90"}},
     {"kind": "timeout", "burst": {"after": 200, "for_s": 2}}]

Whether a request is hit follows from the seed, what it asks for and how often that has been asked before, never from
the order in which requests arrive: 16 threads meet the same faults as one. (A burst is the exception, as it is a span
of time.) Faults are tried in order; the first that hits is the one. What each kind does is in `KINDS`.
"""

import dataclasses
import hashlib
import json
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

from geods import errors
from geods.storage import files

# Endpoints at which a kind can happen, and what it does.
BOTH, IMAGE, METADATA = ("image", "metadata"), ("image",), ("metadata",)
KINDS: dict[str, tuple[tuple[str, ...], str]] = {
    "http_500": (BOTH, "status 500"),
    "http_503": (BOTH, "status 503 with Retry-After"),
    "http_429": (BOTH, "status 429 with Retry-After"),
    "http_403_text": (BOTH, "status 403 and a text that the key is invalid"),
    "json_over_query_limit": (METADATA, "status 200, OVER_QUERY_LIMIT"),
    "json_unknown_error": (METADATA, "status 200, UNKNOWN_ERROR"),
    "json_denied": (METADATA, "status 200, REQUEST_DENIED"),
    "timeout": (BOTH, "no answer at all"),
    "slow": (BOTH, "the answer, a few bytes at a time"),
    "reset": (BOTH, "the connection is reset after the headers"),
    "truncated": (BOTH, "half of the body that was announced"),
    "truncated_nolength": (BOTH, "half of the body, with no length announced"),
    "wrong_type": (BOTH, "status 200 and the web page of a captive portal"),
    "empty": (BOTH, "status 200 and no byte"),
    "huge": (BOTH, "a body without end and without a length"),
    "redirect": (BOTH, "status 302 to another host name"),
    "moved_pano": (BOTH, "the panorama asked for by its id is missing"),
    "corrupt_jpeg": (IMAGE, "an image with flipped bytes in its frame header"),
    "grey": (IMAGE, "the picture that says there is no imagery"),
    "error_image": (IMAGE, "status 200 and a picture of an error message"),
    "missing_date": (METADATA, "a record without its date"),
    "missing_location": (METADATA, "a record without its location"),
    "far_pano": (METADATA, "a record that says the panorama is 3,498.5 km away"),
}
_ENDPOINTS = ("image", "metadata")
_MOST_BYTES = 1 << 30


@dataclasses.dataclass(frozen=True)
class Burst:
    """Time span of a fault.

    Attributes:
        after: Requests to the endpoint before it starts.
        for_s: Seconds it lasts.
    """

    after: int
    for_s: float

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If one is no number, or below 0.
        """
        _check_number("burst", "after", self.after, 0, whole=True)
        _check_number("burst", "for_s", self.for_s, 0)


@dataclasses.dataclass(frozen=True)
class Fault:
    """Kind of a fault, and the requests that it hits.

    Attributes:
        kind: One of KINDS.
        endpoint: "image" or "metadata"; empty for each at which the kind can happen.
        rate: Share of the matching requests, 0 to 1.
        first_n_attempts: Hits only the first so many times that the same is asked for; None for always.
        match: Parameters that a request must have, with these values.
        burst: When it happens; None for always.
        retry_after_s: What Retry-After says, of http_429 and http_503, seconds.
        retry_after_date: Whether it says that as a date.
        bytes_per_s: Of slow.
        body_bytes: Of huge.
        lasting: Whether a request that is hit is hit every time it is sent; otherwise each attempt is drawn separately.
    """

    kind: str
    endpoint: str = ""
    rate: float = 1.0
    first_n_attempts: int | None = None
    match: Mapping[str, str] = dataclasses.field(default_factory=dict)
    burst: Burst | None = None
    retry_after_s: int = 1
    retry_after_date: bool = False
    bytes_per_s: float = 1000.0
    body_bytes: int = 50_000_000
    lasting: bool = False

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If one cannot be.
        """
        if self.kind not in tuple(KINDS):
            raise errors.OptionError(f"fault kind {self.kind!r} is unknown.", f"one of: {', '.join(KINDS)}")
        if self.endpoint != "" and self.endpoint not in KINDS[self.kind][0]:
            where = " and ".join(KINDS[self.kind][0])
            problem = f"fault {self.kind}: endpoint {self.endpoint!r} cannot have it."
            raise errors.OptionError(problem, f"it happens at: {where}")
        if not isinstance(self.match, Mapping) or not all(isinstance(value, str) for value in self.match.values()):
            problem = f"fault {self.kind}: match is no object of texts."
            raise errors.OptionError(problem, 'such as {"heading": "90"}')
        for name in ("lasting", "retry_after_date"):
            if not isinstance(getattr(self, name), bool):
                raise errors.OptionError(f"fault {self.kind}: {name} is neither true nor false.", "give one")
        _check_number(self.kind, "rate", self.rate, 0, 1)
        if self.first_n_attempts is not None:
            _check_number(self.kind, "first_n_attempts", self.first_n_attempts, 1, whole=True)
        _check_number(self.kind, "retry_after_s", self.retry_after_s, 0, whole=True)
        _check_number(self.kind, "bytes_per_s", self.bytes_per_s, 1)
        _check_number(self.kind, "body_bytes", self.body_bytes, 1, _MOST_BYTES, whole=True)

    def matches(self, endpoint: str, params: Mapping[str, str], attempt: int) -> bool:
        """Returns whether the fault may hit a request."""
        here = endpoint == self.endpoint if self.endpoint else endpoint in KINDS[self.kind][0]
        early = self.first_n_attempts is None or attempt <= self.first_n_attempts
        return here and early and all(params.get(name) == value for name, value in self.match.items())


class Plan:
    """Chooses the faults of requests. Thread-safe.

    Args:
        faults: In order of precedence.
        seed: Another seed hits other requests.
        clock: Gives seconds, for bursts.
    """

    def __init__(self, faults: tuple[Fault, ...], seed: int, clock: Callable[[], float]) -> None:
        self._faults, self._seed, self._clock = faults, seed, clock
        self._lock = threading.Lock()
        self._attempts: dict[tuple[str, str], int] = {}
        self._seen = dict.fromkeys(_ENDPOINTS, 0)
        self._begun_s: dict[int, float] = {}

    def choose(self, endpoint: str, canonical: str, params: Mapping[str, str]) -> Fault | None:
        """Counts a request and returns its fault, or None.

        Args:
            endpoint: "image" or "metadata".
            canonical: What is asked for, as text without key and signature.
            params: Parameters of the request.
        """
        with self._lock:
            attempt = self._attempts[endpoint, canonical] = self._attempts.get((endpoint, canonical), 0) + 1
            open_now = [self._is_open(number, endpoint) for number in range(len(self._faults))]
            self._seen[endpoint] += 1
        for number, fault in enumerate(self._faults):
            if open_now[number] and fault.matches(endpoint, params, attempt):
                draw = 0 if fault.lasting else attempt
                words = f"{self._seed} fault {number} {fault.kind} {endpoint} {draw} {canonical}"
                if _share(words) < fault.rate:
                    return fault
        return None

    def _is_open(self, number: int, endpoint: str) -> bool:
        """Returns whether a fault is active now."""
        burst = self._faults[number].burst
        if burst is None:
            return True
        wanted = self._faults[number].endpoint
        seen = self._seen[wanted] if wanted else sum(self._seen.values())
        if seen < burst.after:
            return False
        return self._clock() - self._begun_s.setdefault(number, self._clock()) < burst.for_s


def parse(content: Any, name: str = "faults") -> tuple[Fault, ...]:  # noqa: ANN401 - whatever JSON holds
    """Returns the faults that a list of JSON objects describes.

    Args:
        content: The list, or one object.
        name: What to call it in an error.

    Raises:
        OptionError: If it is something else, or an object has a name or value that a fault cannot have.
    """
    rows = [content] if isinstance(content, dict) else content
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise errors.OptionError(f"{name}: is no list of faults.", 'such as [{"kind": "http_500", "rate": 0.05}]')
    return tuple(_parse_one(row, f"{name}, number {number}") for number, row in enumerate(rows, start=1))


def read(path: str | os.PathLike[str]) -> tuple[Fault, ...]:
    """Returns the faults of a JSON file.

    Raises:
        MissingFileError: If it is not there.
        OptionError: If it is no JSON, or as `parse`.
    """
    found = files.check_file(path, "name a JSON file with a list of faults")
    try:
        content = json.loads(found.read_text(encoding="utf-8"))
    except ValueError as error:
        raise errors.OptionError(f"{found}: is no JSON ({error}).", "correct it") from error
    return parse(content, str(found))


def _parse_one(row: dict[str, Any], name: str) -> Fault:
    fields = {field.name for field in dataclasses.fields(Fault)}
    unknown = sorted(set(row) - fields)
    if unknown or "kind" not in row:
        problem = f"{name}: {unknown[0]!r} is no part of a fault." if unknown else f"{name}: has no kind."
        raise errors.OptionError(problem, f"its parts are: {', '.join(sorted(fields))}")
    values = dict(row)
    if isinstance(values.get("burst"), dict):
        if set(values["burst"]) != {"after", "for_s"}:
            raise errors.OptionError(f"{name}: burst has not just after and for_s.", "give both, and nothing else")
        values["burst"] = Burst(**values["burst"])
    elif values.get("burst") is not None:
        raise errors.OptionError(f"{name}: burst is no object.", 'such as {"after": 200, "for_s": 2}')
    return Fault(**values)


def _check_number(
    kind: str, name: str, value: object, least: float, most: float = float("inf"), whole: bool = False
) -> None:
    """Checks that a value is a number in a range."""
    right = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not right or not least <= value <= most:  # type: ignore[operator]
        rule = f"a {'whole ' if whole else ''}number from {least:g}" + ("" if most == float("inf") else f" to {most:g}")
        raise errors.OptionError(f"fault {kind}: {name}={value!r} is not {rule}.", "correct it")


def _share(words: str) -> float:
    """Returns a hash of a text in [0, 1)."""
    return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest(), "little") / 2.0**64
