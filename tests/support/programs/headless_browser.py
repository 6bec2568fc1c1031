"""A headless Chromium for tests, driven over W3C WebDriver.

With the standard library alone.
"""

import contextlib
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs Chromium and its driver: apt install chromium chromium-driver"
)

_ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--window-size=1200,800",
    # Whatever a page asks for by name finds nobody; servers of tests are asked by number.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
_PATIENCE_S = 60


class Browser:
    """One browser window."""

    def __init__(self, url, session):
        self._root = f"{url}/session/{session}"

    def open(self, where):
        """Opens a file or an address and waits until it has loaded."""
        # A new window shows the browser's own start page, whose requests are not ours.
        self._call("/url", {"url": "about:blank"})
        self.logs("performance")
        self.logs("browser")
        self._call("/url", {"url": where if isinstance(where, str) else where.as_uri()})

    def run(self, script, *arguments):
        """Returns the result of the body of a JavaScript function."""
        return self._call("/execute/sync", {"script": script, "args": list(arguments)})

    def until(self, script, *arguments):
        """Waits until a script returns something true, and returns that."""
        end = time.monotonic() + _PATIENCE_S
        while time.monotonic() < end:
            if found := self.run(script, *arguments):
                return found
            time.sleep(0.05)
        raise AssertionError(f"never true: {script}")

    def hover(self, x, y):
        """Moves the mouse to a place in the window, in pixels, from beside it."""
        moves = [{"type": "pointerMove", "duration": 0, "x": x + dx, "y": y} for dx in (-3, 0)]
        self._call("/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": moves}]})

    def drag(self, start, end):
        """Presses the mouse at (x, y) in the window, moves it and releases it."""
        steps = [{"type": "pointerMove", "duration": 0, "x": x, "y": y} for x, y in (start, end)]
        down, up = ({"type": kind, "button": 0} for kind in ("pointerDown", "pointerUp"))
        actions = [steps[0], down, steps[1], up]
        self._call("/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": actions}]})

    def pinch(self, middle, before, after):
        """Moves two fingers from `before` to `after` pixels on both sides of (x, y)."""
        fingers = []
        for side in (-1, 1):
            start, end = (
                {"type": "pointerMove", "duration": 0, "x": middle[0] + side * far, "y": middle[1]}
                for far in (before, after)
            )
            actions = [start, {"type": "pointerDown", "button": 0}, end, {"type": "pointerUp", "button": 0}]
            finger = {"type": "pointer", "id": f"finger {side}", "parameters": {"pointerType": "touch"}}
            fingers.append({**finger, "actions": actions})
        self._call("/actions", {"actions": fingers})

    def wheel(self, x, y, delta):
        """Turns the mouse wheel at a place."""
        turn = {"type": "scroll", "x": x, "y": y, "deltaX": 0, "deltaY": delta, "duration": 0}
        self._call("/actions", {"actions": [{"type": "wheel", "id": "wheel", "actions": [turn]}]})

    def choose(self, selector, *paths):
        """Chooses files in a file input."""
        found = self._call("/element", {"using": "css selector", "value": selector})
        (element,) = found.values()
        self._call(f"/element/{element}/value", {"text": "\n".join(map(str, paths))})

    def resize(self, width, height):
        """Makes the page as large as a phone's or another screen, in pixels."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 800}
        self._call("/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics})

    def prefer(self, scheme):
        """Has the system prefer a "dark" or "light" colour scheme."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._call("/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": {"features": features}})

    def press(self, *keys):
        """Presses keys one after the other on whatever has the focus."""
        strokes = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._call("/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]})

    def logs(self, kind):
        """Returns the log entries since the last call."""
        return self._call("/se/log", {"type": kind})

    def requested(self):
        """Returns the addresses asked for since the page was opened, itself the first."""
        messages = [json.loads(entry["message"])["message"] for entry in self.logs("performance")]
        sent = [message for message in messages if message["method"] == "Network.requestWillBeSent"]
        return [message["params"]["request"]["url"] for message in sent]

    def _call(self, path, content):
        return call(self._root + path, content)


def call(url, content=None, method="POST"):
    """Sends one command to the driver and returns its answer."""
    data = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)  # noqa: S310
    # Not through a proxy of the environment: the driver is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_PATIENCE_S) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        with error:
            raise AssertionError(error.read().decode()) from None


@contextlib.contextmanager
def browser(folder):
    """Starts a driver and a browser with its profile in `folder`; ends both."""
    with subprocess.Popen([DRIVER, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as driver:
        try:
            port = next(
                line.rsplit(" ", 1)[1].rstrip(".\n") for line in driver.stdout if "successfully on port " in line
            )
            url = f"http://127.0.0.1:{port}"
            options = {"binary": CHROMIUM, "args": [*_ARGUMENTS, f"--user-data-dir={folder}"]}
            wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
            session = call(f"{url}/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
            try:
                yield Browser(url, session)
            finally:
                call(f"{url}/session/{session}", method="DELETE")
        finally:
            driver.terminate()
