"""A web server whose answers are written by the test: real sockets and faults."""

import contextlib
import http.server
import json
import socket
import struct
import threading
import urllib.parse
from collections.abc import Callable, Iterator


class Exchange(http.server.BaseHTTPRequestHandler):
    """One request, for a script to answer."""

    protocol_version = "HTTP/1.1"
    # Headers and body are two writes; the second would wait 40 ms for the client's delayed acknowledgement.
    disable_nagle_algorithm = True

    def do_GET(self):
        with self.server.lock:
            self.server.requests.append(self.path)
            self.server.headers.append(dict(self.headers))
        with contextlib.suppress(OSError):
            self.server.script(self)

    @property
    def params(self) -> dict[str, str]:
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))

    def reply(self, status=200, body=b"", kind="image/jpeg", length=None, **headers) -> None:
        """Sends a whole answer; `length` announces another one, "" none."""
        self.send_response(status)
        if kind:
            self.send_header("Content-Type", kind)
        if length != "":
            self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = length is not None

    def reply_json(self, content, status=200, **headers) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content, indent=3, ensure_ascii=False).encode()
        self.reply(status, body, "application/json; charset=UTF-8", **headers)

    def reset(self) -> None:
        """Ends the connection with RST instead of FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def drip(self, content: bytes, pause_s: float = 0.02) -> None:
        """Sends a byte now and then until there are no more, or the client has left."""
        self.close_connection = True
        for at in range(len(content)):
            self.wfile.write(content[at : at + 1])
            if self.server.stopped.wait(pause_s):
                return

    def finish(self):
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    """Answers every request by `script`."""

    daemon_threads = True

    def __init__(self, script: Callable[[Exchange], None]) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.script = script
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.lock, self.stopped = threading.Lock(), threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        pass


@contextlib.contextmanager
def serving(script: Callable[[Exchange], None]) -> Iterator[Server]:
    with Server(script) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.stopped.set()
            server.shutdown()
            thread.join()
