"""The lease on a location: one writer at a time, as far as buckets allow it.

It is an object beside the location, made only if it is not there, renewed every half minute and removed in the end. One
that was not renewed for three minutes is taken over. Of two machines that start at the same moment one is refused where
the store makes objects conditionally (S3 and Google do; not every emulator). A machine that is cut off longer finds,
before it sends more, that the lease is another's; what is on its way then arrives.
"""

import contextlib
import json
import os
import secrets
import socket
import time
from typing import Any

from geods import errors
from geods.remote import bucket, urls
from geods.storage import files

RENEW_S = 30
_STALE_S = 180
_SETTLE_S = 1.0  # For another that takes an old lease over at the same moment.


class Lease:
    """The lease of this process, or BucketError if another process has it.

    It `resumes` if a killed process of the same mirror left it, so that nobody else wrote there since.
    """

    def __init__(self, store: bucket.Bucket, url: urls.Url) -> None:
        self._store, self._url, self._token, self.resumes = store, url, secrets.token_hex(8), False
        # The token of this mirror's last lease that was not removed, whose process has ended, as the lock is free.
        kept = url.lock.with_suffix(".token")
        while not store.write(url.lease, self._content()):
            found = self._read()
            if not found:
                continue
            self.resumes = kept.is_file() and kept.read_text() == found["token"]
            if not self.resumes and time.time() - found["renewed_s"] < _STALE_S:
                problem = f"{url}: process {found['pid']} on {found['host']} is writing there."
                raise errors.BucketError(problem, f"wait until it ends; if it is gone, for {_STALE_S} s")
            store.write(url.lease, self._content(), replace=True)
            time.sleep(0 if self.resumes else _SETTLE_S)
            self.check()
            break
        files.write_text(kept, self._token)

    def renew(self) -> None:
        """Writes it again, or raises ClaimLostError."""
        self.check()
        self._store.write(self._url.lease, self._content(), replace=True)

    def check(self) -> None:
        """Raises ClaimLostError if another process has taken it over."""
        found = self._read()
        if found.get("token") != self._token:
            who = f"process {found['pid']} on {found['host']}" if found else "another process"
            problem = f"{self._url}: {who} has taken over here, after this process was not heard of for {_STALE_S} s."
            raise errors.ClaimLostError(problem, "wait until that ends, then run the same command again")

    def release(self) -> None:
        """Removes it, if it is still there; one that stays grows stale."""
        with contextlib.suppress(errors.BucketError):
            if self._read().get("token") == self._token:
                self._store.delete(self._url.lease)

    def _content(self) -> bytes:
        who = {"host": socket.gethostname(), "pid": os.getpid(), "token": self._token, "renewed_s": time.time()}
        return json.dumps(who).encode()

    def _read(self) -> dict[str, Any]:
        """Returns its fields; stale ones if it is damaged, none if it is missing."""
        content, fields = self._store.read(self._url.lease), {"host": "?", "pid": 0, "token": "?", "renewed_s": 0.0}
        with contextlib.suppress(ValueError, TypeError):
            return fields | files.parse_json(content) if content else {}
        return fields
