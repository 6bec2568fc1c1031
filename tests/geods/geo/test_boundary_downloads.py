"""Downloads from a real local server that fails in the ways servers fail."""

import hashlib
import http.server
import socket
import threading

import pytest

from geods import errors
from geods.geo import boundary

CONTENT = bytes(range(256)) * 400
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT at /whole.bin, and faults at other names."""

    def do_GET(self):
        self.server.requests.append(self.path)
        if self.path == "/missing.bin":
            self.send_error(404)
            return
        self.send_response(200)
        length = {"/truncated.bin": len(CONTENT), "/endless.bin": 1 << 40}.get(self.path, len(CONTENT))
        if self.path != "/cut.bin":
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.path == "/endless.bin":
            self.send_endlessly()
        else:
            half = self.path in ("/truncated.bin", "/cut.bin")
            self.wfile.write(CONTENT[: len(CONTENT) // 2] if half else CONTENT)

    def send_endlessly(self):
        try:
            while True:
                self.wfile.write(CONTENT)
        except OSError:
            self.server.hung_up.set()

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as started:
        started.requests, started.hung_up = [], threading.Event()
        thread = threading.Thread(target=started.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield started
        started.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GEODS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache"


def download(server, name: str, **changes) -> boundary.Download:
    url = f"http://127.0.0.1:{server.server_port}/{name}"
    values = {"url": url, "sha256": SHA256, "max_bytes": 1 << 20, "by_hand": "pass --boundary=PATH"}
    return boundary.Download(**(values | changes))


def test_a_file_is_fetched_once(server, cache):
    wanted = download(server, "whole.bin")
    assert boundary.fetch(wanted) == cache / "whole.bin"
    assert boundary.fetch(wanted).read_bytes() == CONTENT
    assert server.requests == ["/whole.bin"]


def test_a_damaged_file_in_the_cache_is_fetched_again(server, cache):
    cache.mkdir()
    (cache / "whole.bin").write_bytes(CONTENT[:-1])
    assert boundary.fetch(download(server, "whole.bin")).read_bytes() == CONTENT
    assert server.requests == ["/whole.bin"]


def test_other_bytes_than_expected_are_refused(server, cache):
    with pytest.raises(errors.DownloadError, match=f"sent 102,400 bytes with sha256 {SHA256}, not {'0' * 64}"):
        boundary.fetch(download(server, "whole.bin", sha256="0" * 64))
    assert not cache.exists()


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("missing.bin", "404 Client Error"),
        ("truncated.bin", "not downloaded .*IncompleteRead"),
        ("cut.bin", "51,200 bytes"),
    ],
)
def test_failures_name_the_cause_and_the_way_by_hand(server, cache, name, cause):
    with pytest.raises(errors.DownloadError, match=cause) as caught:
        boundary.fetch(download(server, name))
    assert caught.value.problem.startswith(f"http://127.0.0.1:{server.server_port}/{name}: ")
    assert caught.value.next_step == f"download that file by hand (sha256 {SHA256}) and pass --boundary=PATH"
    assert not cache.exists()


def test_a_server_that_never_ends_is_left(server, cache):
    with pytest.raises(errors.DownloadError, match="sent more than 1,000,000 bytes"):
        boundary.fetch(download(server, "endless.bin", max_bytes=1_000_000))
    assert server.hung_up.wait(10)
    assert not cache.exists()


def test_without_a_network_the_way_by_hand_is_said(cache):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/whole.bin"
        wanted = boundary.Download(url, SHA256, 1 << 20, "pass --boundary=PATH")
        with pytest.raises(errors.DownloadError, match=r"whole.bin: not downloaded .*refused") as caught:
            boundary.fetch(wanted)
    assert "by hand" in caught.value.next_step


def test_a_cache_that_cannot_be_written_is_named(server, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("GEODS_CACHE", str(tmp_path / "file"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(errors.DownloadError, match=r"whole.bin: cannot be written") as caught:
        boundary.fetch(download(server, "whole.bin"))
    assert "GEODS_CACHE" in caught.value.next_step


def test_the_cache_is_in_the_home_folder_unless_told(tmp_path, monkeypatch):
    monkeypatch.delenv("GEODS_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert boundary.cache_folder() == tmp_path / ".cache" / "geods"


def test_what_is_fetched_comes_over_https():
    assert boundary.US_NATION.url.startswith("https://www2.census.gov/")
    assert len(boundary.US_NATION.sha256) == 64
