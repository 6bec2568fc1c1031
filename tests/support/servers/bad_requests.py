"""Requests that no client should send, and how a server takes them.

    counts = bad_requests.flood(("127.0.0.1", 8000), 200, bad_requests.bodies(folder), limit_s=2)

Each is answered with a status or a closed connection, however it is broken; `flood` counts the outcomes by kind.
"""

import collections
import concurrent.futures
import contextlib
import pathlib
import random
import socket
import time

import drawn_trees
import hostile_data
import hostile_words
import mutants

_HEAD = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: %s\r\n"
_JPEG_HEAD = _HEAD % b"image/jpeg"
_LARGEST = 900_000
# On top of the server's own time limit: how late an answer is on a busy machine.
_PATIENCE_S = 60


def bodies(folder: pathlib.Path) -> list[bytes]:
    """Returns the hostile files of the other tests, and JPEGs decayed at random."""
    found = []
    for number, make in enumerate((hostile_data.DATA | hostile_words.WORDS).values()):
        here = folder / str(number)
        (here / "outside").mkdir(parents=True)
        # The file is wanted, not how its reader refuses it.
        with contextlib.suppress(Exception):
            make(here)
        files = [path for path in sorted(here.rglob("*")) if path.is_file() and path.stat().st_size < _LARGEST]
        # One of them is a folder of thousands.
        found += [path.read_bytes() for path in files[:3]]
    rng = random.Random(0)
    found += [mutants.mutate(drawn_trees.jpeg(n, 40, 60), rng) for n in range(len(found))]
    rng.shuffle(found)
    return found


def _with_length(head: bytes, body: bytes) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def _form(body: bytes) -> bytes:
    part = b'--b\r\nContent-Disposition: form-data; name="i"; filename="a.jpg"\r\n\r\n' + body + b"\r\n--b--\r\n"
    return _with_length(_HEAD % b"multipart/form-data; boundary=b", part)


# By kind: bytes to send for a body, the client's next step, and the outcomes that are right.
KINDS = {
    "file": (lambda body: _with_length(_JPEG_HEAD, body), "read", (200, 400, 415, 422)),
    "form": (_form, "read", (200, 400, 415, 422)),
    "broken form": (lambda body: _with_length(_HEAD % b"multipart/form-data; boundary=x", body), "read", (400,)),
    "type": (lambda body: _with_length(_HEAD % b"text/html", body), "read", (415,)),
    "query": (lambda body: _with_length(_JPEG_HEAD.replace(b"predict", b"predict?top=-1"), body), "read", (400,)),
    "path": (lambda body: _with_length(_JPEG_HEAD.replace(b"predict", b"../etc/passwd"), body), "read", (404,)),
    "method": (lambda body: _with_length(_JPEG_HEAD.replace(b"POST", b"DELETE"), body), "read", (405,)),
    "host": (lambda body: _with_length(_JPEG_HEAD.replace(b"127.0.0.1", b"a.example"), body), "read", (403,)),
    "site": (lambda body: _with_length(_JPEG_HEAD + b"Origin: http://a.example\r\n", body), "read", (403,)),
    "large": (lambda body: _JPEG_HEAD + b"Content-Length: 99999999\r\n\r\n" + body, "read", (413,)),
    "length": (lambda body: _JPEG_HEAD + b"Content-Length: -5\r\n\r\n" + body, "read", (400,)),
    "chunks": (lambda body: _JPEG_HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n" + body, "read", (400,)),
    "no HTTP": (lambda body: body[:1000].replace(b"\n", b" ") + b"\r\n\r\n", "read", (400, "closed")),
    "headers": (lambda body: b"GET / HTTP/1.1\r\nA: " + 40_000 * b"a", "read", ("closed",)),
    "half a body": (lambda body: _JPEG_HEAD + b"Content-Length: 5000\r\n\r\n" + body[:2500], "close", ("left",)),
    "no reader": (lambda body: _with_length(_JPEG_HEAD, body), "close", ("left",)),
    "stalled body": (lambda body: _JPEG_HEAD + b"Content-Length: 5000\r\n\r\n" + body[:2500], "read", ("closed",)),
    "stalled head": (lambda body: _JPEG_HEAD[:40], "read", ("closed",)),
    "slow head": (lambda body: b"GET / HTTP/1.1\r\n", "drip", ("closed",)),
}
_SLOW = ("stalled body", "stalled head", "slow head")


def _outcome(address: tuple[str, int], content: bytes, then: str, limit_s: float) -> int | str:
    """Sends a request; returns the status, "closed" or "left"."""
    with socket.create_connection(address, timeout=limit_s + _PATIENCE_S) as client:
        try:
            client.sendall(content)
            if then == "close":
                return "left"
            for _ in range(int(10 * limit_s) + 100 if then == "drip" else 0):
                client.sendall(b"a")
                time.sleep(0.1)
            status = client.recv(12)
        except ConnectionError:
            return "closed"
    return int(status[9:12]) if status.startswith(b"HTTP/1.1 ") else "closed"


def flood(address: tuple[str, int], count: int, contents: list[bytes], limit_s: float) -> dict[str, int]:
    """Sends bad requests of all kinds, 16 at once; returns the number of each kind.

    Args:
        address: Host and port of the server.
        count: Requests.
        contents: Bodies, taken in turn.
        limit_s: The server's time limit; a fiftieth of the requests use all of it.
    """
    quick = [kind for kind in KINDS if kind not in _SLOW]
    # Slow ones first, so that the others pass them.
    kinds = [_SLOW[n % len(_SLOW)] for n in range(max(len(_SLOW), count // 50))]
    kinds += [quick[n % len(quick)] for n in range(count - len(kinds))]

    def one(number: int) -> None:
        make, then, right = KINDS[kinds[number]]
        found = _outcome(address, make(contents[number % len(contents)]), then, limit_s)
        # A busy server may say so.
        assert found in (*right, 503), f"{kinds[number]}, body {number % len(contents)}: {found}, not {right}"

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(one, range(count)))
    return dict(collections.Counter(kinds))
