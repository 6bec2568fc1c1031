"""One writer a place in a bucket, as far as a bucket can promise it.

The claim is an object beside the place, made only if it is not there, written anew every half minute and removed in the
end. One that was not renewed for three minutes is taken over. Of two machines that begin at the same moment one is
refused where the store makes objects conditionally (S3 and Google do; not every emulator). A machine that is cut off
for longer and comes back finds, before it sends more, that the claim is another's; what is on its way then arrives.
"""

import datetime
import hashlib
import json
import os
import pathlib
import secrets
import socket
import time

from geods import errors
from geods.remote import bucket, sync_index, urls
from geods.storage import files

RENEW_S = 30
_STALE_S = 180
# For another that takes an old claim over at the same moment.
_SETTLE_S = 1.0


class Lease:
    """The claim of this process on a place.

    Args:
        store: The bucket.
        url: The place.

    Raises:
        BucketError: If another process has it, or it must not be written there.
    """

    def __init__(self, store: bucket.Bucket, url: urls.Url) -> None:
        self._store, self._url = store, url
        self._records = sync_index.Records(url)
        self._token = secrets.token_hex(8)
        # What happened in the bucket since then has been done by this mirror, too.
        self.goes_on = self._taken()
        self._records.token = self._token

    def renew(self) -> None:
        """Writes it anew.

        Raises:
            ClaimLostError: If another process has taken it over.
        """
        self.check()
        self._store.write(self._url.claim, self._content())

    def check(self) -> None:
        """Looks whether it is still there.

        Raises:
            ClaimLostError: If it is not.
        """
        found = self._store.read(self._url.claim)
        if found is None or _field(found[0], "token") != self._token:
            who = _who(found[0]) if found else "somebody"
            problem = f"{self._url}: {who} has taken over here, after this process was not heard of for {_STALE_S} s."
            raise errors.ClaimLostError(problem, "wait until that ends, then run the same command again")

    def release(self) -> None:
        """Removes it, if it is still there."""
        found = self._store.read(self._url.claim)
        if found and _field(found[0], "token") == self._token:
            self._store.delete(self._url.claim)
        self._records.token = ""

    def _taken(self) -> bool:
        """Makes the claim, or takes over an old one; says whether that was made by this mirror."""
        while not self._store.create(self._url.claim, self._content()):
            found = self._store.read(self._url.claim)
            if found is None:
                continue
            own = _field(found[0], "token") == self._records.token
            # This mirror's lock is held, so whoever made its claim is gone.
            if not own and not _is_old(found[1]) and not _is_dead(found[0]):
                problem = f"{self._url}: {_who(found[0])} is writing there."
                raise errors.BucketError(problem, f"wait until it ends; if it is gone, for {_STALE_S} s")
            self._store.write(self._url.claim, self._content())
            if not own:
                time.sleep(_SETTLE_S)
            self.check()
            return own
        return False

    def _content(self) -> bytes:
        """Returns what is written."""
        who = {"host": socket.gethostname(), "pid": os.getpid(), "machine": _machine(), "token": self._token}
        return json.dumps(who).encode()


def _machine() -> str:
    """Returns a text that no other machine has, nor a container on it, where numbers of processes mean others."""
    try:
        boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        return hashlib.sha256(f"{boot} {pathlib.Path('/proc/self/ns/pid').readlink()}".encode()).hexdigest()[:16]
    except OSError:
        return ""


def _is_old(claim: bucket.Object) -> bool:
    """Says whether a claim was not renewed for long, if this machine's clock is about right."""
    return (datetime.datetime.now(datetime.timezone.utc) - claim.modified).total_seconds() > _STALE_S


def _is_dead(content: bytes) -> bool:
    """Says whether the process that made a claim was of this machine and is gone."""
    if not _machine() or _field(content, "machine") != _machine():
        return False
    try:
        os.kill(int(_field(content, "pid")), 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError):
        return False
    return False


def _who(content: bytes) -> str:
    """Returns who made a claim, as the start of a sentence."""
    return f"process {_field(content, 'pid')} on {_field(content, 'host')}"


def _field(content: bytes, name: str) -> str:
    """Returns a field of a claim, empty if it is damaged."""
    try:
        return str(files.parse_json(content)[name])
    except (ValueError, KeyError, TypeError):
        return ""
