"""Locations that several processes use, on one machine or on more."""

import contextlib
import os
import pathlib

import bucket_server
import pytest
from mirror_machines import read, server, store, work, write

from geods import errors
from geods.remote import bucket, lease, mirror, session, urls

__all__ = ["server", "store", "work"]


def test_what_others_changed_since_it_was_brought_is_not_written_over(store, work):
    work(f"s3://{store}/a", "out", write({"0": b"1"}))
    mine = session.Session()
    folder = mine.local(urls.parse(f"s3://{store}/a"), "may")
    work(f"s3://{store}/a", "out", write({"0": b"2"}), machine="other")
    write({"1": b"1"})(folder)
    # Nor when it is tried again.
    for send in (mine.push, mine.push, mine.close):
        with pytest.raises(errors.BucketError, match="was changed by others since it was downloaded"):
            send()
    assert work(f"s3://{store}/a", "in", read, machine="other") == {"0": b"2"}


def test_what_a_process_works_on_is_here_for_those_it_starts_and_theirs(store, server):
    first, second = session.Session(), urls.parse(f"s3://{store}/b")
    first.local(urls.parse(f"s3://{store}/a"), "out")
    child = session.Session()
    assert child.local(urls.parse(f"s3://{store}/a/deep"), "out") == urls.parse(f"s3://{store}/a/deep").local
    child.local(second, "in")
    before = len(server.requests())
    grandchild = session.Session()
    assert grandchild.local(second, "in") == second.local
    assert grandchild.local(urls.parse(f"s3://{store}/a"), "may").name == "a"
    assert len(server.requests()) == before
    child.close()
    assert [str(url) for _, url in urls.mirrored()] == [f"s3://{store}/a"]
    first.close()
    assert urls.mirrored() == []


def test_a_bringing_that_was_killed_is_not_taken_for_work_of_this_machine(store, work, capsys):
    work(f"s3://{store}/a", "out", write({"0": b"1", "1": b"1"}))

    def forget(folder: pathlib.Path) -> None:
        # As of a process that died before it noted what it had brought.
        url = urls.parse(f"s3://{store}/a")
        with contextlib.closing(mirror.Mirror(bucket.Bucket(url), url)) as here:
            here.forget("a/0")

    work(f"s3://{store}/a", "in", forget, machine="other")
    assert work(f"s3://{store}/a", "in", read, machine="other") == {"0": b"1", "1": b"1"}
    assert "moved on" not in capsys.readouterr().err


def test_two_writers_on_one_machine_and_a_reader_of_what_changes(store, work):
    work(f"s3://{store}/a", "out", write({"0": b"1"}))
    mine = session.Session()
    mine.local(urls.parse(f"s3://{store}/a"), "out")
    for place in (f"s3://{store}/a", f"s3://{store}/a/0"):
        with pytest.raises(errors.BucketError, match=rf"process {os.getpid()} on .* of this machine works on it"):
            work(place, "out")
    assert work(f"s3://{store}/a", "in", read) == {"0": b"1"}
    # Another machine is told by the lease; reading it may.
    with pytest.raises(errors.BucketError, match=rf"s3://{store}/a: process {os.getpid()} on .* is writing there"):
        work(f"s3://{store}/a", "out", machine="other")
    assert work(f"s3://{store}/a", "in", read, machine="other") == {"0": b"1"}
    mine.close()
    work(f"s3://{store}/a", "out", machine="other")


def test_readers_share_a_mirror_which_follows_the_bucket(store, work, monkeypatch, tmp_path):
    work(f"s3://{store}/a", "out", write({"0": b"1"}))
    work(f"s3://{store}/a", "in", machine="other")
    monkeypatch.setenv("GEODS_MIRROR", str(tmp_path / "other"))
    first = session.Session()
    folder = first.local(urls.parse(f"s3://{store}/a"), "in")
    assert work(f"s3://{store}/a", "in", read, machine="other") == {"0": b"1"}
    work(f"s3://{store}/a", "out", write({"0": b"2"}))
    assert work(f"s3://{store}/a", "in", read, machine="other") == {"0": b"2"} == read(folder)
    first.close()


def test_where_both_have_changed_the_bucket_counts(store, work, capsys):
    work(f"s3://{store}/a", "out", write({"0": b"1", "1": b"1"}))
    place = urls.parse(f"s3://{store}/a").local
    work(f"s3://{store}/a", "out", write({"0": b"2"}), machine="other")
    # As one that was killed leaves it, whose claim is gone.
    write({"1": b"3", "2": b"3"})(place)
    assert work(f"s3://{store}/a", "out", read) == {"0": b"2", "1": b"1"}
    assert f"s3://{store}/a: has moved on" in capsys.readouterr().err
    # Where only this side has, it goes on.
    write({"1": b"4"})(place)
    work(f"s3://{store}/a", "out")
    assert work(f"s3://{store}/a", "in", read, machine="other") == {"0": b"2", "1": b"4"}


def test_an_old_claim_is_taken_over_and_its_owner_told(store, work, monkeypatch):
    mine = session.Session()
    folder = mine.local(urls.parse(f"s3://{store}/a"), "out")
    write({"0": b"1"})(folder)
    # Nothing is heard of it for longer than it takes to be old.
    with monkeypatch.context() as patch:
        patch.setattr(lease, "_STALE_S", -1)
        work(f"s3://{store}/a", "out", write({"0": b"2"}), machine="other")
    with pytest.raises(errors.BucketError, match="has taken over here"):
        mine.close()
    assert bucket_server.system().cat_file(f"{store}/a/0") == b"2"


def test_of_two_who_make_one_object_one_is_refused(store):
    one = bucket.Bucket(urls.parse(f"s3://{store}"))
    assert one.write("a", b"1") is True
    assert one.write("a", b"2") is False
    # Also if it was not there a moment ago.
    with pytest.raises(FileExistsError):
        one._system.pipe_file(f"{store}/a", b"2", mode="create")
