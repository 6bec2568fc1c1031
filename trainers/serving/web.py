"""HTTP server with limits, errors as JSON, and a shutdown that answers first.

    server = web.Server(options)            # takes the port, or raises OptionError
    server.run([("/health", Health), web.content("/", page, "text/html")])

Tornado, because it closes connections whose headers or body take too long, for which uvicorn has no setting
(uvicorn.org/settings, Timeouts), and because it needs no other package.
"""

import asyncio
import contextlib
import errno
import ipaddress
import json
import signal
import socket
import sys
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

import tornado.httpserver
import tornado.iostream
import tornado.netutil
import tornado.web

from geods import errors
from trainers.serving import server_options

# Below the 1,024 files a process may open by default.
_MOST_CONNECTIONS, _MOST_HEADER_BYTES, _CHUNK_BYTES = 500, 16_384, 65_536
# Bodies that are being received or answered, in largest requests.
_BODIES = 16
# A connection that is closed while its client still sends is reset, and the client may never see the answer.
_LINGER_S = 2.0
_END_S = 10.0
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # No page of another site may show what is here; there is no Access-Control-Allow-Origin either.
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "geods",
}
_NEXT_STEPS = {
    400: "write address and form in UTF-8",
    404: "GET / is the page, GET /health says whether the server is up",
    405: "use a method of Allow",
}

Route = tuple[Any, ...]


class Problem(tornado.web.HTTPError):
    """Error that is sent to the client.

    Args:
        status: HTTP status, 400 or above.
        problem: What is wrong.
        next_step: What to do about it.
        headers: Further headers of the answer.
    """

    def __init__(self, status: int, problem: str, next_step: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.problem, self.next_step, self.headers = problem, next_step, dict(headers or {})


def busy(problem: str) -> Problem:
    """Returns the answer of a server that has no room for another request."""
    return Problem(503, problem, "send it again in a second", {"Retry-After": "1"})


class Server:
    """An HTTP server on its port; nothing is answered before `run`.

    Args:
        options: Address and limits.

    Attributes:
        url: Address to open on this machine.

    Raises:
        OptionError: If the address cannot be listened on.
    """

    def __init__(self, options: server_options.ServerOptions) -> None:
        self._options = options
        try:
            self._sockets = tornado.netutil.bind_sockets(options.port, options.host)
        except socket.gaierror as error:
            problem = f"--host={options.host}: is no address of this machine ({error.strerror})."
            raise errors.OptionError(problem, "give --host=127.0.0.1") from error
        except OSError as error:
            problem = f"--host={options.host} --port={options.port}: cannot be listened on ({error.strerror})."
            step = "give --host=127.0.0.1" if error.errno == errno.EADDRNOTAVAIL else "give --port=0"
            raise errors.OptionError(problem, step) from error
        host = "localhost" if options.host in ("0.0.0.0", "::") else options.host  # noqa: S104 - compared, not bound
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self._sockets[0].getsockname()[1]}"
        if not options.is_local:
            print(f"--host={options.host}: every machine that reaches this one can use it", file=sys.stderr)

    def run(self, routes: Sequence[Route]) -> None:
        """Serves until SIGINT or SIGTERM, then answers the running requests.

        For these there are 10 s; a second signal ends them.

        Args:
            routes: Paths with their handlers, as tornado takes them.
        """
        asyncio.run(self._run(routes))

    async def _run(self, routes: Sequence[Route]) -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        site, limit_s = _Site(routes, self._options), self._options.time_limit_s
        limits = {"max_header_size": _MOST_HEADER_BYTES, "chunk_size": _CHUNK_BYTES}
        # Of bodies the handlers count the bytes, as tornado answers too many of them without a word.
        limits |= {"max_body_size": 1 << 62}
        server = _HTTPServer(site, idle_connection_timeout=limit_s, body_timeout=limit_s, **limits)
        server.add_sockets(self._sockets)
        await stop.wait()
        # A second signal ends it at once.
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        server.stop()
        site.is_stopping = True
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(site.until_idle(), _END_S)
        await server.close_all_connections()


class _HTTPServer(tornado.httpserver.HTTPServer):
    """Tornado's server with a limit on connections.

    Without one, accepting fails when a process has no more files, and is tried again at once.
    """

    def handle_stream(self, stream: tornado.iostream.IOStream, address: Any) -> None:  # noqa: ANN401 - as tornado
        """Takes a connection, or refuses it."""
        if len(self._connections) < _MOST_CONNECTIONS:
            super().handle_stream(stream, address)
            return
        stream.write(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n")
        stream.close()


class _Site(tornado.web.Application):
    """The routes with what their handlers share."""

    def __init__(self, routes: Sequence[Route], options: server_options.ServerOptions) -> None:
        super().__init__(list(routes), default_handler_class=_Nothing, log_function=lambda _: None)
        self.limit_s, self.body_bytes = options.time_limit_s, int(options.max_mb * 1e6)
        self.names = {"localhost", options.host.lower(), socket.gethostname().lower()}
        self.is_stopping, self.held_bytes = False, 0
        self.running: set[Handler] = set()

    async def until_idle(self) -> None:
        """Returns when no request is running."""
        while self.running:
            await asyncio.sleep(0.02)

    def refusal(self, request: Any) -> Problem | None:  # noqa: ANN401 - tornado's request
        """Returns the reason to refuse a request by its headers, None if there is none."""
        if self.is_stopping:
            return busy("the server is ending.")
        # A page elsewhere whose name was made to lead to this machine (DNS rebinding) sends that name.
        if not _is_own(request.host, self.names):
            return Problem(403, f"Host {request.host!r}: is no name of this server.", "use the address it prints")
        # Browsers let any page send a form to any server, and say from where it comes.
        origin = request.headers.get("Origin")
        if origin and urllib.parse.urlsplit(origin).netloc != request.host:
            return Problem(403, f"Origin {origin!r}: is another site.", "open the server's own page")
        length = request.headers.get("Content-Length", "")
        return self.too_large() if length.isdigit() and int(length) > self.body_bytes else None

    def too_large(self) -> Problem:
        """Returns the answer to a body above the limit."""
        limit = f"{self.body_bytes / 1e6:,g} MB"
        return Problem(413, f"the request is larger than {limit}.", f"make it smaller than {limit}, or raise --max_mb")


@tornado.web.stream_request_body
class Handler(tornado.web.RequestHandler):
    """Base of the handlers.

    Attributes:
        body: Body of the request, complete when `post` is called.
    """

    application: _Site
    _is_refused = False

    def __init__(self, *arguments: Any, **routed: Any) -> None:  # noqa: ANN401 - as tornado
        self.body = bytearray()
        super().__init__(*arguments, **routed)

    def set_default_headers(self) -> None:
        """Sets the headers of every answer."""
        for name, value in _HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> None:
        """Refuses requests by their headers."""
        self.application.running.add(self)
        if problem := self.application.refusal(self.request):
            self._refuse(problem)

    def data_received(self, chunk: bytes) -> None:
        """Adds to the body."""
        if self._is_refused:
            return
        self.body += chunk
        self.application.held_bytes += len(chunk)
        if len(self.body) > self.application.body_bytes:
            self._refuse(self.application.too_large())
        elif self.application.held_bytes > _BODIES * self.application.body_bytes:
            self._refuse(busy("too many large requests at once."))

    def reply(self, content: Any, status: int = 200) -> None:  # noqa: ANN401 - anything JSON can hold
        """Answers with JSON."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        self.finish(json.dumps(content, allow_nan=False) + "\n")

    def write_error(self, status_code: int, **kwargs: Any) -> None:  # noqa: ANN401 - as tornado
        """Answers an exception of a handler."""
        error = kwargs.get("exc_info", (None, None))[1]
        if status_code == 405:
            own = [name for name in self.SUPPORTED_METHODS if name.lower() in _methods(type(self))]
            self.set_header("Allow", ", ".join(own))
        if not isinstance(error, Problem):
            text = f"{self.request.method} {self.request.path}: {self._reason.lower()}."
            error = Problem(status_code, text, _NEXT_STEPS.get(status_code, "see what the server printed"))
        for name, value in error.headers.items():
            self.set_header(name, value)
        self.reply({"problem": error.problem, "next_step": error.next_step}, status_code)

    def finish(self, chunk: Any = None) -> Any:  # noqa: ANN401 - as tornado
        """Ends the answer; disconnects a client that does not take it in time."""
        stream, loop = self.request.connection.stream, asyncio.get_running_loop()  # type: ignore[union-attr]
        sent = super().finish(chunk)
        timer = loop.call_later(self.application.limit_s, stream.close)

        def end(_: object) -> None:
            timer.cancel()
            self._leave()

        sent.add_done_callback(end)
        return sent

    def on_connection_close(self) -> None:
        """Forgets a request whose client has gone before it was complete."""
        super().on_connection_close()
        self._leave()

    def _refuse(self, problem: Problem) -> None:
        """Answers before the body has come, and drops the rest of it for a while."""
        self._is_refused = True
        self._free_body()
        content = json.dumps({"problem": problem.problem, "next_step": problem.next_step}) + "\n"
        more = {"Connection": "close", "Content-Type": "application/json; charset=UTF-8"}
        for name, value in {**problem.headers, **more, "Content-Length": str(len(content.encode()))}.items():
            self.set_header(name, value)
        self.set_status(problem.status_code)
        self.write(content)
        self.flush()
        setattr(self, (self.request.method or "get").lower(), self._end)
        if "Expect" in self.request.headers:
            self._end()
        else:
            asyncio.get_running_loop().call_later(_LINGER_S, self._end)

    def _end(self, *_: object) -> None:
        if not self._finished:
            self.finish()

    def _leave(self) -> None:
        self.application.running.discard(self)
        self._free_body()

    def _free_body(self) -> None:
        self.application.held_bytes -= len(self.body)
        self.body = bytearray()


class _Nothing(Handler):
    """Handler of paths that there are none of."""

    def prepare(self) -> None:
        """Refuses everything."""
        super().prepare()
        if not self._is_refused:
            problem = f"{self.request.path[:200]}: there is no such path."
            self._refuse(Problem(404, problem, _NEXT_STEPS[404]))


class _Content(Handler):
    """Handler of a page or another text from memory."""

    def initialize(self, text: str, content_type: str, policy: str | None) -> None:
        self._text, self._type, self._policy = text, content_type, policy

    def get(self) -> None:
        """Sends the text."""
        self.set_header("Content-Type", f"{self._type}; charset=UTF-8")
        # Kept by browsers, but asked for each time, which its ETag answers.
        self.set_header("Cache-Control", "no-cache")
        if self._policy is not None:
            self.set_header("Content-Security-Policy", self._policy)
        self.finish(self._text)

    head = get


def content(path: str, text: str, content_type: str, policy: str | None = None) -> Route:
    """Returns the route of a text.

    Args:
        path: Path of the address.
        text: The page, style or script.
        content_type: Its media type.
        policy: Its content security policy, where it is not that of all pages: nothing from elsewhere, nothing inline.
    """
    return path, _Content, {"text": text, "content_type": content_type, "policy": policy}


def _methods(handler: type[Handler]) -> set[str]:
    """Returns the names of the HTTP methods a handler has itself."""
    base = tornado.web.RequestHandler
    names = (name.lower() for name in base.SUPPORTED_METHODS)
    return {name for name in names if getattr(handler, name) is not getattr(base, name)}


def _is_own(host: str, names: set[str]) -> bool:
    """Returns whether a Host header holds an address or a name of this server."""
    with contextlib.suppress(ValueError):
        name = urllib.parse.urlsplit(f"//{host}").hostname or ""
        if name in names:
            return True
        ipaddress.ip_address(name)
        return True
    return False
