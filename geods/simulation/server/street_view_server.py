"""A simulated Street View Static API on this machine.

    with street_view_server.serving(server_options.ServerOptions()) as server:
        client = street_view_api.StreetView(StreetViewOptions(api_base=server.url), api_key.Secret(DEMO_KEY))
        ...
        server.stats()["billable"]

The same paths, parameters, statuses and headers as the service; the images are of a simulated world. Beside them:

    GET  /__fake__/stats              the ledger          POST /__fake__/reset    clears it and the quotas
    GET  /__fake__/pano/ID            what an id is       POST /__fake__/faults   JSON as in faults.py
    GET  /__fake__/coverage?bbox=     GeoJSON of what lies in lon_min,lat_min,lon_max,lat_max
    GET  /healthz                     "ok"
"""

import contextlib
import http.server
import json
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from geods import errors
from geods.simulation import panoramas, worlds
from geods.simulation.server import (
    access,
    fault_effects,
    faults,
    images,
    ledger,
    queries,
    responses,
    server_options,
    wire,
)

_PATHS = {"/maps/api/streetview": "image", "/maps/api/streetview/metadata": "metadata"}
_MOST_POSTED_BYTES = 1 << 20
_MOST_BOX_DEG2 = 4.0


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """The simulated HTTP server; `serving` starts and stops one.

    Args:
        options: What is served to whom.
        planned: Faults.
        coverage: Where there are panoramas; None for that of the world, on the coarse outline of the United States.
        clock: Gives the time in seconds since 1970, for quotas and bursts.
        port: 0 for any that is free.

    Attributes:
        ledger: What was asked and answered.
        stopping: Set when the server ends.
    """

    daemon_threads = True
    # The default of 5 refuses connections when 16 workers start at once.
    request_queue_size = 128

    def __init__(
        self,
        options: server_options.ServerOptions,
        planned: Sequence[faults.Fault] = (),
        coverage: panoramas.Coverage | None = None,
        clock: Callable[[], float] = time.time,
        port: int = 0,
    ) -> None:
        world = worlds.World(options.seed, options.difficulty)
        coverage = coverage or panoramas.Coverage(world, density=options.density)
        self._drawing = None if options.processes == 1 else images.drawing_processes(world, options.processes)
        views = images.Views(world, options.picture == "tiled", self._drawing)
        self.service = responses.Service(coverage, views, options.seed, options.radius_leak)
        self.ledger = ledger.Ledger()
        self.stopping = threading.Event()
        self._gate = access.Gate(options, clock)
        self._seed, self._clock = options.seed, clock
        self._connections: set[socket.socket] = set()
        self._connections_lock = threading.Lock()
        self.plan(planned)
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise errors.OptionError(f"--port={port}: cannot be used ({error.strerror}).", "give --port=0") from error

    @property
    def url(self) -> str:
        """Scheme and host, for --api_base."""
        return f"http://127.0.0.1:{self.server_port}"

    def stats(self) -> dict[str, Any]:
        """Returns the ledger's summary."""
        return self.ledger.summary()

    def views(self) -> dict[str, int]:
        """Returns how often each view ("pano|heading|fov|pitch|size") was sent."""
        return self.ledger.views()

    def plan(self, planned: Sequence[faults.Fault]) -> None:
        """Replaces the faults and resets the counts of attempts."""
        self._planned = tuple(planned)
        self._plan = faults.Plan(self._planned, self._seed, self._clock)

    def reset(self) -> None:
        """Resets the ledger, the quotas and the attempts; the faults stay."""
        self.ledger.reset()
        self._gate.reset()
        self.plan(self._planned)

    def answer(self, endpoint: str, target: str) -> wire.Reply:
        """Returns the response to a request and records it in the ledger.

        Args:
            endpoint: "image" or "metadata".
            target: Path and query as they came.
        """
        params = queries.params_of(target)
        make = self.service.image if endpoint == "image" else self.service.metadata
        reply, shown = self._gate.refusal(endpoint, params, target), ""
        if reply is None:
            fault = self._plan.choose(endpoint, queries.canonical(params), params)
            if fault is None:
                reply = make(params)
            else:
                # Another name of the same machine: a client that follows is found out.
                elsewhere = f"http://localhost:{self.server_port}/__fake__/redirected"
                reply, hit = fault_effects.answer(fault, endpoint, params, lambda: make(params), elsewhere)
                shown = fault.kind if hit else ""
        unknown = params.keys() - queries.KNOWN
        self.ledger.answered(endpoint, reply, self._gate.label(params), unknown, shown)
        return reply

    def server_bind(self) -> None:
        """Binds without a reverse DNS lookup, which takes seconds without a network."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as socketserver
        """Handles the requests of a connection in a thread of its own."""
        with self._connections_lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - as socketserver
        """Closes a connection."""
        with self._connections_lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Closes all connections, idle ones too."""
        super().server_close()
        self.stopping.set()
        if self._drawing:
            self._drawing.terminate()
        with self._connections_lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as socketserver
        """Ignores clients that left; counts and shows other errors."""
        if not isinstance(sys.exc_info()[1], OSError):
            self.ledger.mark("server_errors")
            super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        """Answers a GET."""
        path = self.path.partition("?")[0]
        endpoint = _PATHS.get(path)
        if endpoint is None:
            self._send(self._helper(path))
            return
        with self.server.ledger.running(endpoint):
            reply = self.server.answer(endpoint, self.path)
            try:
                self._send(reply)
                self.server.ledger.sent(reply)
            except OSError:
                self.server.ledger.unsent(reply)
                self.close_connection = True

    def do_POST(self) -> None:
        """Answers a POST."""
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > _MOST_POSTED_BYTES:
            self.close_connection = True
            self._send(wire.text_reply("The body is too large.", 413))
            return
        self._send(self._posted(self.path, self.rfile.read(int(length))))

    def log_message(self, *args: object) -> None:
        """Logs nothing: a request's target holds the key."""

    def _send(self, reply: wire.Reply) -> None:
        self.close_connection = self.close_connection or not reply.keeps_connection
        wire.send(self.connection, reply, self.server.stopping)

    def _helper(self, path: str) -> wire.Reply:
        """Returns the response to a GET that is not part of the service."""
        if path == "/healthz":
            return wire.text_reply("ok", 200)
        if path == "/__fake__/stats":
            return wire.json_reply(self.server.stats())
        if path == "/__fake__/redirected":
            self.server.ledger.mark("redirects_followed")
        if path.startswith("/__fake__/pano/"):
            pano = self.server.service.coverage.by_id(path.removeprefix("/__fake__/pano/"))
            if pano is not None:
                more = {"official": pano.official, "indoor": pano.indoor}
                return wire.json_reply(responses.record(pano) | more)
        if path == "/__fake__/coverage":
            return _covered(self.server.service.coverage, queries.params_of(self.path).get("bbox", ""))
        return wire.text_reply("Not found.", 404)

    def _posted(self, path: str, body: bytes) -> wire.Reply:
        if path == "/__fake__/reset":
            self.server.reset()
        elif path == "/__fake__/faults":
            try:
                self.server.plan(faults.parse(json.loads(body or b"null")))
            except (ValueError, RecursionError) as error:
                return wire.text_reply(str(error), 400)
        else:
            return wire.text_reply("Not found.", 404)
        return wire.text_reply("ok", 200)


@contextlib.contextmanager
def serving(
    options: server_options.ServerOptions | None = None,
    planned: Sequence[faults.Fault] = (),
    coverage: panoramas.Coverage | None = None,
    clock: Callable[[], float] = time.time,
    port: int = 0,
) -> Iterator[Server]:
    """Runs a server in a thread while the block runs; arguments as of Server.

    Yields:
        The server.
    """
    with Server(options or server_options.ServerOptions(), planned, coverage, clock, port) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.stopping.set()
            server.shutdown()
            thread.join()


def _covered(coverage: panoramas.Coverage, text: str) -> wire.Reply:
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        return wire.text_reply("bbox is not lon_min,lat_min,lon_max,lat_max.", 400)
    if not 0 <= (east - west) * (north - south) <= _MOST_BOX_DEG2:
        return wire.text_reply(f"bbox is larger than {_MOST_BOX_DEG2:g} square degrees.", 400)
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [pano.lon_deg, pano.lat_deg]},
            "properties": {name: value for name, value in vars(pano).items() if name not in ("lat_deg", "lon_deg")},
        }
        for pano in coverage.within((south, west, north, east))
    ]
    return wire.json_reply({"type": "FeatureCollection", "features": features})
