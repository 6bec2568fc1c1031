"""Access control of the simulated server: keys, signatures and quotas.

A key without a signing secret may not sign; one with a secret must. Over the rate, an image request gets 429 and a
metadata request OVER_QUERY_LIMIT; over the unsigned images of a day, an image request gets the text or the picture of a
refusal and a metadata request OVER_QUERY_LIMIT, until midnight.
"""

import dataclasses
import hmac
import re
import threading
from collections.abc import Callable, Mapping

from geods.imagery.http import api_key, signing
from geods.simulation.server import images, queries, server_options, wire

REJECTED = "The Google Maps Platform server rejected your request. "
BAD_KEY = "The provided API key is invalid."
NO_KEY = "You must use an API key to authenticate each request."
BAD_SIGNATURE = "Unable to authenticate the request: the provided 'signature' is not valid for the provided API key."
OVER_DAY = "You have exceeded your daily request quota for this API."
OVER_RATE = "You have exceeded your rate limit for this API."
# Quotas start again at midnight of Pacific Standard Time, 8 hours behind UTC.
_DAY_S, _PACIFIC_S = 86_400, 8 * 3600
_SIGNATURE = re.compile(r"&signature=([^&]*)")


class Gate:
    """Accepts or rejects requests. Thread-safe.

    Args:
        options: Keys and quotas.
        clock: Gives the time in seconds since 1970.
    """

    def __init__(self, options: server_options.ServerOptions, clock: Callable[[], float]) -> None:
        self._signers = options.signers()
        keys = (*options.keys, *self._signers)
        self._labels = {key: f"key {number}" for number, key in enumerate(dict.fromkeys(keys), start=1)}
        self._per_minute, self._per_day = options.queries_per_minute, options.daily_unsigned_images
        self._clock = clock
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Fills all quotas."""
        with self._lock:
            self._buckets: dict[tuple[str, str], _Bucket] = {}
            self._used: dict[tuple[str, int], int] = {}

    def label(self, params: Mapping[str, str]) -> str:
        """Returns a label for the key of a request that does not show the key."""
        return self._labels.get(params.get("key", ""), "unknown" if params.get("key") else "none")

    def refusal(self, endpoint: str, params: Mapping[str, str], target: str) -> wire.Reply | None:
        """Returns the response to a rejected request, or None if it is accepted.

        Args:
            endpoint: "image" or "metadata".
            params: Its parameters.
            target: Path and query as they came, which is what a signature signs.
        """
        key = params.get("key", "")
        if key not in self._labels:
            return _denied(endpoint, BAD_KEY if key else NO_KEY)
        if not self._is_signed_right(key, target):
            return wire.text_reply(REJECTED + BAD_SIGNATURE, 403)
        with self._lock:
            return self._over_rate(endpoint, key) or self._over_day(endpoint, key, params)

    def _is_signed_right(self, key: str, target: str) -> bool:
        """Returns whether a request has the right signature.

        A key without a secret needs none.
        """
        found = _SIGNATURE.findall(target)
        signer: api_key.Secret | None = self._signers.get(key)
        if signer is None:
            return not found
        right = signing.sign(_SIGNATURE.sub("", target), signer)
        return len(found) == 1 and hmac.compare_digest(found[0].replace("%3D", "=").encode(), right.encode())

    def _over_rate(self, endpoint: str, key: str) -> wire.Reply | None:
        """Takes a token of the minute, or rejects the request."""
        if not self._per_minute:
            return None
        bucket = self._buckets.setdefault((endpoint, key), _Bucket(self._per_minute, self._clock()))
        wait_s = bucket.take(self._per_minute, self._clock())
        if not wait_s:
            return None
        if endpoint == "metadata":
            return wire.json_reply({"error_message": OVER_RATE, "status": "OVER_QUERY_LIMIT"})
        refused = wire.text_reply(OVER_RATE, 429)
        return dataclasses.replace(refused, headers=(("Retry-After", str(int(wait_s) + 1)),))

    def _over_day(self, endpoint: str, key: str, params: Mapping[str, str]) -> wire.Reply | None:
        """Takes one of the unsigned images of the day, or rejects the request."""
        if not self._per_day or key in self._signers:
            return None
        day = key, int((self._clock() - _PACIFIC_S) // _DAY_S)
        used = self._used.get(day, 0)
        if used < self._per_day:
            self._used[day] = used + (endpoint == "image")
            return None
        if endpoint == "metadata":
            return wire.json_reply({"error_message": OVER_DAY, "status": "OVER_QUERY_LIMIT"})
        if queries.wants_error_code(params):
            return wire.text_reply(REJECTED + OVER_DAY, 403)
        picture = images.error(300, 600, OVER_DAY)
        return dataclasses.replace(wire.image_reply(picture), billed=False)


def _denied(endpoint: str, why: str) -> wire.Reply:
    if endpoint == "metadata":
        return wire.json_reply({"error_message": why, "status": "REQUEST_DENIED"})
    return wire.text_reply(REJECTED + why, 403)


@dataclasses.dataclass
class _Bucket:
    """Token bucket that holds at most a minute's tokens.

    Attributes:
        tokens: What is left.
        filled_s: When it was last filled, by the gate's clock.
    """

    tokens: float
    filled_s: float

    def take(self, per_minute: int, now_s: float) -> float:
        """Takes a token and returns 0, or returns the seconds until there is one."""
        self.tokens = min(float(per_minute), self.tokens + max(0.0, now_s - self.filled_s) * per_minute / 60)
        self.filled_s = now_s
        if self.tokens >= 1:
            self.tokens -= 1
            return 0.0
        return (1 - self.tokens) * 60 / per_minute
