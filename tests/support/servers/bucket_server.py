"""Servers of S3 and Google's storage as processes, and their logs for tests."""

import contextlib
import functools
import json
import os
import pathlib
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import s3fs
import starts

from geods.remote import urls

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "of-no-use", "AWS_DEFAULT_REGION": "us-east-1"}
# Its log has colours where an answer is not 200.
_REQUEST = re.compile(r'"(?:\x1b\[\d+m)*(?P<method>[A-Z]+) (?P<path>\S+) HTTP')
_START_S = 30


class Server:
    """A server that runs.

    Attributes:
        environment: What a process needs to find it.
    """

    def __init__(self, environment: dict[str, str], log: pathlib.Path) -> None:
        self.environment, self._log = environment, log

    @contextlib.contextmanager
    def takes_one(self, pattern: str) -> Iterator[None]:
        """Lets one write to a matching path pass, and no other until the block ends."""
        held = held_file(self._log.parent)
        incoming = held.with_suffix(".incoming")
        incoming.write_text(pattern)
        incoming.rename(held)
        try:
            yield
        finally:
            held.unlink()

    def requests(self) -> list[tuple[str, str]]:
        """Returns method and path of every request so far."""
        return [(found["method"], found["path"]) for found in _REQUEST.finditer(self._log.read_text())]

    def objects_got(self) -> int:
        """Returns how many objects were read so far; lists have a question mark."""
        return sum(method == "GET" and "?" not in path for method, path in self.requests())

    def objects_put(self) -> list[str]:
        """Returns the paths of all objects that were written, in order."""
        return [path.partition("?")[0] for method, path in self.requests() if method == "PUT"]


def held_file(folder: pathlib.Path) -> pathlib.Path:
    """Returns the file that names the objects that moto_server.py must not take."""
    return folder / "held"


def free_port() -> int:
    """Returns a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def s3(folder: pathlib.Path, **more: str) -> Iterator[Server]:
    """Runs moto's server; `more` goes into its environment."""
    port = free_port()
    command = [
        sys.executable,
        str(pathlib.Path(__file__).with_name("moto_server.py")),
        str(port),
        str(held_file(folder)),
    ]
    with _running(command, port, folder / "s3.log", more):
        yield Server({"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", **CREDENTIALS}, folder / "s3.log")


@contextlib.contextmanager
def google(folder: pathlib.Path, bucket: str) -> Iterator[Server]:
    """Runs an emulator of Google's storage that has one bucket."""
    port = free_port()
    program = shutil.which("gcp-storage-emulator", path=str(pathlib.Path(sys.executable).parent))
    assert program
    command = [program, "start", "--host=127.0.0.1", f"--port={port}", "--in-memory", f"--default-bucket={bucket}"]
    with _running(command, port, folder / "google.log", {}):
        yield Server({"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{port}"}, folder / "google.log")


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """Gives a port that takes every connection and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield int(listener.getsockname()[1])


def system() -> s3fs.S3FileSystem:
    """Returns the objects of the S3 server of the environment, without geods."""
    return _system_of(os.environ["AWS_ENDPOINT_URL"])


@functools.cache
def _system_of(endpoint: str) -> s3fs.S3FileSystem:
    """Returns the objects of a server; botocore takes 0.1 s to start."""
    return s3fs.S3FileSystem(endpoint_url=endpoint, skip_instance_cache=True, use_listings_cache=False)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server for all tests of a file."""
    with s3(tmp_path_factory.mktemp("server")) as running:
        yield running


def new(server, monkeypatch, mirror) -> str:
    """Makes a bucket for a test with a mirror of its own; returns its name."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GEODS_MIRROR", str(mirror))
    monkeypatch.delenv(urls.MIRRORED, raising=False)
    bucket = f"bucket-{secrets.token_hex(4)}"
    system().mkdir(bucket)
    return bucket


def keys(bucket: str) -> list[str]:
    """Returns the keys of a bucket, sorted."""
    return sorted(name.partition("/")[2] for name in system().find(bucket))


@contextlib.contextmanager
def _running(command: list[str], port: int, log: pathlib.Path, more: dict[str, str]) -> Iterator[None]:
    """Runs a server until the block ends."""
    with open(log, "wb") as target:
        process = subprocess.Popen(command, stdout=target, stderr=target, env=os.environ | more)
    try:
        end_s = time.monotonic() + _START_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end_s, log.read_text()
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def store(server, monkeypatch, tmp_path) -> str:
    """URL of a new bucket."""
    return f"s3://{new(server, monkeypatch, tmp_path / 'mirror')}"


TFDS = "tensorflow_datasets.scripts.cli.main"


def put_folder(folder: pathlib.Path, url: str) -> None:
    """Copies a folder to a place without geods."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    names = [f"{url.removeprefix('s3://')}/{path.relative_to(folder).as_posix()}" for path in paths]
    system().put(list(map(str, paths)), names)


def contents(url: str, pattern: str) -> dict[str, bytes]:
    """The objects of a place whose keys match, without geods."""
    objects, start = system(), len(url) - len("s3://") + 1
    names = [name for name in objects.find(url.removeprefix("s3://")) if re.search(pattern, name)]
    return {name[start:]: objects.cat_file(name) for name in names}


def let_leases_grow_old(url: str) -> None:
    """Makes the leases of a bucket as old as three minutes without renewal do."""
    objects, bucket = system(), url.removeprefix("s3://").partition("/")[0]
    for name in [name for name in objects.find(bucket) if name.endswith("geods-claim")]:
        objects.pipe_file(name, json.dumps(json.loads(objects.cat_file(name)) | {"renewed_s": 0}).encode())


def kill_when(process: starts.Started, ready) -> None:
    """Kills a process once something is so."""
    end_s = time.monotonic() + 120
    while not ready():
        assert process.poll() is None, process.stderr
        assert time.monotonic() < end_s
        time.sleep(0.05)
    process.send(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
