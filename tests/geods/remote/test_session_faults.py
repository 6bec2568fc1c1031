"""Mirrors without permission, room, server or end: the cause, and files kept."""

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import time

import bucket_server
import pytest
import starts
from mirror_machines import read, server, store, work, write

from geods import errors
from geods.cli import flags, path_options
from geods.remote import bucket, lease, mirror, session, urls
from geods.storage import disk_errors

__all__ = ["server", "store", "work"]


def deny(store: str, *actions: str, names: str = "*") -> None:
    """Forbids everybody some actions on objects of a bucket."""
    where = [f"arn:aws:s3:::{store}/{names}"]
    rule = {"Effect": "Deny", "Principal": "*", "Action": [f"s3:{name}" for name in actions], "Resource": where}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [rule]})
    bucket_server.system().call_s3("put_bucket_policy", Bucket=store, Policy=policy)


def test_reading_needs_no_permission_to_write(store, work):
    work(f"s3://{store}/a", "out", write({"0": b"1"}))
    deny(store, "PutObject", "DeleteObject")
    assert work(f"s3://{store}/a", "in", read, machine="other") == {"0": b"1"}
    assert work(f"s3://{store}/a", "may", read, machine="other") == {"0": b"1"}
    with pytest.raises(errors.BucketError, match=r"access is refused.*\n.*may list and read"):
        work(f"s3://{store}/a", "out", read, machine="other")
    with pytest.raises(errors.BucketError, match="access is refused"):
        work(f"s3://{store}/a", "may", write({"1": b"1"}), machine="other")
    assert bucket_server.keys(store) == ["a/0"]


def test_what_was_sent_beside_what_was_refused_is_known(store, work):
    deny(store, "PutObject", names="a/7")
    with pytest.raises(errors.BucketError, match="a/7: access is refused"):
        work(f"s3://{store}/a", "out", write({str(number): b"1" for number in range(20)}))
    url = urls.parse(f"s3://{store}/a")
    with contextlib.closing(mirror.Mirror(bucket.Bucket(url), url)) as here:
        sent = {key: tag for key, (tag, _) in here.indexed().items() if tag}
    assert sent.keys() == set(bucket_server.keys(store))
    assert len(sent) > 7


def test_a_bucket_that_is_not_there_is_named(store, work):
    with pytest.raises(errors.BucketError, match=r"s3://nobody-has-this/a: there is no such bucket"):
        work("s3://nobody-has-this/a", "in")
    assert work(f"s3://{store}/nothing", "in", pathlib.Path.exists) is False


def test_names_that_cannot_be_files_are_named(store, work):
    bucket_server.system().pipe_file(f"{store}/a/b", b"1")
    bucket_server.system().pipe_file(f"{store}/a/b/c", b"1")
    with pytest.raises(errors.BucketError, match="holds 'a/b', which cannot be a file"):
        work(f"s3://{store}/a", "in")
    bucket_server.system().pipe_file(f"{store}/d/x//y", b"1")
    with pytest.raises(errors.BucketError, match="holds 'd/x//y', which cannot be a file"):
        work(f"s3://{store}/d", "in")


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of a program that writes."""

    out: str = flags.option("", "Folder.", path="out")


def test_a_program_whose_disk_is_full_learns_where_it_lies_and_sends_what_it_has(store, capsys, tmp_path):
    def full() -> None:
        with path_options.with_local_paths(Options(f"s3://{store}/a")) as local:
            write({"0": b"1"})(pathlib.Path(local.out))
            raise errors.DiskFullError(f"{local.out}/1: cannot be written.", "make room")

    with pytest.raises(errors.DiskFullError):
        full()
    assert f"what is under URLs lies in {tmp_path / 'mirror'} meanwhile" in capsys.readouterr().err
    assert bucket_server.keys(store) == ["a/0"]


# Writes 150 files and sends them, in a process that can be killed.
SENDER = """
import pathlib, sys
from geods.remote import session, urls
one = session.Session()
folder = one.local(urls.parse(sys.argv[1]), "out")
folder.mkdir(parents=True, exist_ok=True)
for number in range(150):
    path = folder / f"{number}"
    if not path.exists():
        path.write_text(f"{number}")
one.close()
"""


def sender(place: str) -> contextlib.AbstractContextManager[starts.Started]:
    """Starts it."""
    return starts.started(starts.HEAVY, ["tests.support.programs.statements", SENDER, place], dict(os.environ))


def test_a_sending_that_was_killed_at_any_moment_goes_on_and_loses_nothing(store, work, monkeypatch):
    place, lives, most = f"s3://{store}/a", 0, 0
    wanted = {f"{number}": f"{number}".encode() for number in range(150)}
    for enough in (1, 30, 60, 90, 120):
        with sender(place) as process:
            while process.poll() is None and most < enough:
                most = len([key for key in bucket_server.keys(store) if "claim" not in key])
            process.send(signal.SIGKILL)
            status, said = process.wait(), process.stdout + process.stderr
        # As one that was killed among the copies of what vouches for others.
        copies = urls.parse(place).lock.with_suffix(".sending")
        copies.mkdir(exist_ok=True)
        assert status in (0, -signal.SIGKILL), said
        lives += status != 0
        # On this machine it is known whose lease it is; on another, after three minutes, that it is stale.
        if enough == 60:
            monkeypatch.setattr(lease, "_STALE_S", -1)
            assert work(place, "out", lambda folder: set(read(folder)) <= set(wanted), machine="other")
    assert lives >= 2
    with sender(place) as process:
        assert process.wait() == 0, process.stderr
    assert work(place, "in", read, machine="third") == wanted
    # Also where nothing is left to be sent.
    copies.mkdir(exist_ok=True)
    with sender(place) as process:
        assert process.wait() == 0, process.stderr
    assert not copies.exists()
    assert "claim" not in "".join(bucket_server.keys(store))


def test_a_bucket_that_goes_away_is_told_and_what_was_made_is_kept(tmp_path, monkeypatch, capsys, work):
    monkeypatch.setenv("GEODS_MIRROR_SEND_S", "0.1")
    with bucket_server.s3(tmp_path) as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        bucket_server.system().mkdir("bucket")
        one = session.Session()
        folder = one.local(urls.parse("s3://bucket/a"), "out")
    write({"0": b"1"})(folder)
    end_s = time.monotonic() + 60
    while "It is tried again in 0.1 s" not in (said := capsys.readouterr().err):
        assert time.monotonic() < end_s
        time.sleep(0.1)
    assert "s3://bucket/.a.geods-claim: cannot be reached" in said
    with pytest.raises(errors.BucketError, match="cannot be reached"):
        one.close()
    assert read(folder) == {"0": b"1"}


def test_a_mirror_without_room_is_told_before_anything_comes(store, work, tmp_path, monkeypatch):
    work(f"s3://{store}/a", "out", write({"0": b"1" * 1000}))
    monkeypatch.setattr(disk_errors, "_free_bytes", lambda path: 999)
    with pytest.raises(errors.DiskFullError, match="1,000 bytes are needed, 999 are free"):
        work(f"s3://{store}/a", "in", read, machine="other")
    assert list((tmp_path / "other").glob("*/*/a/*")) == []
