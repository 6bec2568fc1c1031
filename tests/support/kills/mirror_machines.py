"""Machines with mirrors of one bucket, and their sessions, for tests."""

import pathlib

import bucket_server
import pytest
from bucket_server import server

from geods.remote import session, urls

__all__ = ["server"]


@pytest.fixture
def store(server, monkeypatch, tmp_path) -> str:
    """Name of a new bucket."""
    return bucket_server.new(server, monkeypatch, tmp_path / "mirror")


@pytest.fixture
def work(monkeypatch, tmp_path):
    """Calls a function in a session of a machine on a location; returns its result."""

    def working(place: str, mode: str, do=lambda folder: None, machine: str = "mirror"):
        with monkeypatch.context() as patch:
            patch.setenv("GEODS_MIRROR", str(tmp_path / machine))
            # It is no program that another session of this process has started.
            patch.delenv(urls.MIRRORED, raising=False)
            url, one = urls.parse(place), session.Session()
            try:
                found = do(one.local(url, mode))
            finally:
                one.close()
        return found

    return working


def write(files: dict[str, bytes]):
    """Returns a function that writes files to a folder."""

    def do(folder: pathlib.Path) -> None:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            # As all of geods: a new file in the place of the old.
            path.with_name("new").write_bytes(content)
            path.with_name("new").replace(path)

    return do


def read(folder: pathlib.Path) -> dict[str, bytes]:
    """All files of a folder."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
