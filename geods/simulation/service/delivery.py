"""Puts the answers of the simulated server on the wire, whole or broken."""

import selectors
import socket
import struct
import threading

from geods.simulation.service import wire

_STEP_S, _LOOK_S = 0.05, 0.1


def send(connection: socket.socket, reply: wire.Reply, stopping: threading.Event) -> None:
    """Sends an answer; where `reply.keeps_connection` is false the caller ends the connection afterwards.

    Args:
        connection: Where to.
        reply: The answer.
        stopping: Ends a delivery that takes its time.

    Raises:
        OSError: If the client left.
    """
    head = wire.head(reply)
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


def _drip(connection: socket.socket, head: bytes, reply: wire.Reply, stopping: threading.Event) -> None:
    """Sends a few bytes at a time."""
    connection.sendall(head)
    step = max(1, round(reply.pace_bytes_per_s * _STEP_S))
    for start in range(0, len(reply.body), step):
        if stopping.wait(step / reply.pace_bytes_per_s):
            raise ConnectionAbortedError("the server ends")
        connection.sendall(reply.body[start : start + step])


def _repeat(connection: socket.socket, head: bytes, reply: wire.Reply, stopping: threading.Event) -> None:
    """Sends the body again and again."""
    connection.sendall(head)
    for start in range(0, reply.limit_bytes, len(reply.body)):
        if stopping.is_set():
            return
        connection.sendall(reply.body[: reply.limit_bytes - start])


def _hold(connection: socket.socket, stopping: threading.Event) -> None:
    """Waits until the client leaves."""
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        # Whatever arrives after a request is the end of the connection: nobody sends two requests at once.
        while not stopping.is_set() and not selector.select(_LOOK_S):
            pass
