"""Responses of the simulated server, and their delivery, whole or broken."""

import dataclasses
import email.utils
import functools
import http
import json
import selectors
import socket
import struct
import threading
import time
from collections.abc import Mapping
from typing import Any, Literal

Delivery = Literal["whole", "slow", "reset", "half", "half_unannounced", "endless", "never"]
_DAY_S = 86_400
_STEP_S, _POLL_S = 0.05, 0.1


@dataclasses.dataclass(frozen=True)
class Reply:
    """Response, and its delivery.

    Attributes:
        status: HTTP status.
        body: All of the body.
        content_type: Media type.
        headers: Further headers, (name, value).
        delivery: "whole"; "slow" a few bytes at a time; "reset" after the headers; "half" of the body, then the end;
            "half_unannounced" likewise without Content-Length; "endless" repetitions of the body up to `limit_bytes`;
            "never" a byte.
        pace_bytes_per_s: Of a slow delivery.
        limit_bytes: Of an endless one.
        verdict: `status` of the metadata, such as "OK"; empty for others.
        view: Name of the view that is answered, if it is whole and what was asked for; else empty.
        billed: Whether the request counts as used.
    """

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=UTF-8"
    headers: tuple[tuple[str, str], ...] = ()
    delivery: Delivery = "whole"
    pace_bytes_per_s: float = 0.0
    limit_bytes: int = 0
    verdict: str = ""
    view: str = ""
    billed: bool = False

    @property
    def keeps_connection(self) -> bool:
        """Returns whether another request may follow on the same connection."""
        return self.delivery in ("whole", "slow")


def json_reply(content: Mapping[str, Any], status: int = 200) -> Reply:
    """Returns JSON as the service writes it: indented by three spaces, in UTF-8."""
    text = json.dumps(content, indent=3, ensure_ascii=False) + "\n"
    return Reply(status, text.encode(), "application/json; charset=UTF-8", verdict=str(content.get("status", "")))


def image_reply(content: bytes, status: int = 200, view: str = "") -> Reply:
    """Returns an image with the caching headers of the service."""
    expires = email.utils.formatdate(_now_s() + _DAY_S, usegmt=True)
    cached = (("Cache-Control", f"public, max-age={_DAY_S}"), ("Expires", expires))
    return Reply(status, content, "image/jpeg", cached, view=view, billed=True)


def text_reply(text: str, status: int) -> Reply:
    """Returns a line of text."""
    return Reply(status, f"{text}\n".encode())


def head_of(reply: Reply) -> bytes:
    """Returns the status line and headers, with the empty line after them."""
    lines = [
        f"HTTP/1.1 {reply.status} {_phrase(reply.status)}",
        "Server: simulated-street-view",
        f"Date: {_date(_now_s())}",
        f"Content-Type: {reply.content_type}",
        "Access-Control-Allow-Origin: *",
        *(f"{name}: {value}" for name, value in reply.headers),
    ]
    if reply.delivery not in ("half_unannounced", "endless"):
        lines.append(f"Content-Length: {len(reply.body)}")
    if not reply.keeps_connection:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _now_s() -> int:
    return int(time.time())


@functools.lru_cache(maxsize=4)
def _date(now_s: int) -> str:
    """Returns an HTTP date; cached, since a response takes less than 1 ms."""
    return email.utils.formatdate(now_s, usegmt=True)


@functools.lru_cache
def _phrase(status: int) -> str:
    return http.HTTPStatus(status).phrase


def send(connection: socket.socket, reply: Reply, stopping: threading.Event) -> None:
    """Sends a response, whole or broken.

    Args:
        connection: Where to.
        reply: The answer.
        stopping: Ends a delivery that takes its time.

    Raises:
        OSError: If the client left.
    """
    head = head_of(reply)
    if reply.delivery == "whole":
        # One write, as the second of two would wait 40 ms for the client's delayed acknowledgement.
        connection.sendall(head + reply.body)
    elif reply.delivery == "slow":
        _drip(connection, head, reply, stopping)
    elif reply.delivery == "reset":
        connection.sendall(head)
        # Linger for no time: what closes the connection is then a reset.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    elif reply.delivery == "endless":
        _repeat(connection, head, reply, stopping)
    elif reply.delivery == "never":
        _hold(connection, stopping)
    else:
        connection.sendall(head + reply.body[: len(reply.body) // 2])


def _drip(connection: socket.socket, head: bytes, reply: Reply, stopping: threading.Event) -> None:
    connection.sendall(head)
    step = max(1, round(reply.pace_bytes_per_s * _STEP_S))
    for start in range(0, len(reply.body), step):
        if stopping.wait(step / reply.pace_bytes_per_s):
            raise ConnectionAbortedError("the server ends")
        connection.sendall(reply.body[start : start + step])


def _repeat(connection: socket.socket, head: bytes, reply: Reply, stopping: threading.Event) -> None:
    connection.sendall(head)
    for start in range(0, reply.limit_bytes, len(reply.body)):
        if stopping.is_set():
            return
        connection.sendall(reply.body[: reply.limit_bytes - start])


def _hold(connection: socket.socket, stopping: threading.Event) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        # Whatever arrives after a request is the end of the connection: nobody sends two requests at once.
        while not stopping.is_set() and not selector.select(_POLL_S):
            pass
