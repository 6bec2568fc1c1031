"""A limit on the whole of an answer.

A read timeout counts from one packet to the next: a server that sends a byte now and then holds its client forever, in
the headers as well as in the body. Here the socket's timeout shrinks to what is left of the whole before every read.
"""

import functools
import http.client
import io
import socket
import time
from typing import Any

import requests.adapters


class Adapter(requests.adapters.HTTPAdapter):
    """Sends a request once, and ends reading the answer after a time.

    Args:
        answer_s: Seconds from the request being sent to the last byte of the answer.
    """

    def __init__(self, answer_s: float) -> None:
        """Makes the pools: one connection to each of two hosts, for use by one thread."""
        self._response_class = functools.partial(_Response, answer_s=answer_s)
        super().__init__(pool_connections=2, pool_maxsize=1, max_retries=0)

    def get_connection_with_tls_context(self, *args: Any, **keywords: Any) -> Any:  # noqa: ANN401 - as its base
        """Returns the pool for a request; its connections read with the limit."""
        pool: Any = super().get_connection_with_tls_context(*args, **keywords)
        base = pool.ConnectionCls
        if not isinstance(getattr(base, "response_class", None), functools.partial):
            # http.client makes its responses by this attribute, for requests and for a proxy's CONNECT alike.
            attributes = {"response_class": self._response_class}
            pool.ConnectionCls = type(f"Limited{base.__name__}", (base,), attributes)
        return pool


class _Response(http.client.HTTPResponse):
    """An answer that is read through a _Reader."""

    def __init__(self, sock: socket.socket, *args: Any, answer_s: float, **keywords: Any) -> None:  # noqa: ANN401
        """Starts the clock: the request has just been sent."""
        super().__init__(sock, *args, **keywords)
        # typeshed calls it a BufferedIOBase; http.client makes it a BufferedReader.
        self.fp: Any = io.BufferedReader(_Reader(sock, self.fp.detach(), time.monotonic() + answer_s))


class _Reader(io.RawIOBase):
    """Reads a socket until a moment."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase, ends_s: float) -> None:
        """Keeps the moment, in seconds of the monotonic clock."""
        super().__init__()
        self._sock, self._raw, self._ends_s = sock, raw, ends_s
        self._pause_s = sock.gettimeout()

    def readable(self) -> bool:
        """Says yes, for BufferedReader."""
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - any writable buffer
        """Reads once.

        Raises:
            TimeoutError: If the moment has come, or comes before a byte does.
        """
        left_s = self._ends_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the answer took too long")
        self._sock.settimeout(left_s if self._pause_s is None else min(left_s, self._pause_s))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        """Closes the underlying stream, as SocketIO counts its users."""
        self._raw.close()
        super().close()
