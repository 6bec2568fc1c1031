"""moto's S3 server, which can stop taking objects.

`python tests/support/servers/moto_server.py PORT HELD`.

While a file HELD is there, one write of an object whose path matches the regular expression in it is taken, and all
later ones wait; they are refused once the file is gone. So a test can kill a program that has certainly sent something
and certainly not all, on any machine.
"""

import pathlib
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple

Application = Callable[..., Iterable[bytes]]


class HoldingApplication:
    """moto, with writes that wait."""

    def __init__(self, moto: Application, held: pathlib.Path) -> None:
        self._moto, self._held = moto, held
        self._lock, self._taken = threading.Lock(), ""

    def __call__(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "PUT" or not self._waits(environ["PATH_INFO"]):
            return self._moto(environ, start_response)
        while self._held.exists():
            time.sleep(0.05)
        start_response("503 Slow Down", [("Connection", "close")])
        return []

    def _waits(self, path: str) -> bool:
        """Says whether a write must wait: one is taken for each content of the file."""
        try:
            pattern = self._held.read_text()
        except FileNotFoundError:
            return False
        if not re.search(pattern, path):
            return False
        with self._lock:
            first, self._taken = self._taken != pattern, pattern
        return not first


if __name__ == "__main__":
    port, held = int(sys.argv[1]), pathlib.Path(sys.argv[2])
    application = HoldingApplication(DomainDispatcherApplication(create_backend_app), held)
    run_simple("127.0.0.1", port, application, threaded=True, request_handler=MotoRequestHandler)
