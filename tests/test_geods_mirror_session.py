"""Mirrors of a bucket on a real server: what comes, what goes, in which order, and who is refused."""

import dataclasses
import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import time

import bucket_server
import pytest

from geods import cli, disk, errors
from geods.mirror import bucket, claims, fields, records, session, urls

# Names of trees, and what else a file system allows.
NAMES = ("0/39.5,-98.35/0_2012-05.jpg", "a b/p%41+q.txt", "ü é/[x]*?#1.txt", "plain")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with bucket_server.s3(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def store(server, monkeypatch, tmp_path) -> str:
    """Name of a new bucket."""
    return bucket_server.new(server, monkeypatch, tmp_path / "mirror")


@pytest.fixture
def work(monkeypatch, tmp_path):
    """Does something in a session of a machine, on a place; returns what that gives."""

    def working(place: str, mode: str, do=lambda folder: None, machine: str = "mirror"):
        with monkeypatch.context() as patch:
            patch.setenv("GEODS_MIRROR", str(tmp_path / machine))
            # It is no program that another session of this process has started.
            patch.delenv(urls.HELD, raising=False)
            url, one = urls.parse(place), session.Session()
            try:
                found = do(one.local(url, mode))
            finally:
                one.close()
        return found

    return working


def write(files: dict[str, bytes]):
    """What makes files in a folder."""

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


def test_what_one_machine_writes_another_reads_whatever_its_name(store, work):
    files = {name: name.encode() for name in NAMES}
    work(f"s3://{store}/a", "out", write(files))
    assert bucket_server.keys(store) == sorted(f"a/{name}" for name in NAMES)
    assert work(f"s3://{store}/a", "in", read, machine="other") == files
    assert work(f"s3://{store}/a/ü é", "in", read, machine="third") == {"[x]*?#1.txt": NAMES[2].encode()}


def test_what_begins_with_the_same_letters_is_another_place(store, work):
    work(f"s3://{store}/tree", "out", write({"a": b"1"}))
    work(f"s3://{store}/tree.more", "out", write({"a": b"2"}))
    assert work(f"s3://{store}/tree", "in", read, machine="other") == {"a": b"1"}


def test_a_single_file_and_a_whole_bucket_are_places(store, work):
    work(f"s3://{store}/a/one.txt", "out", lambda path: write({path.name: b"1"})(path.parent))
    assert work(f"s3://{store}/a/one.txt", "in", pathlib.Path.read_bytes, machine="other") == b"1"
    assert work(f"s3://{store}", "in", read, machine="third") == {"a/one.txt": b"1"}


def test_nothing_is_brought_or_sent_twice(store, work, server):
    work(f"s3://{store}/a", "out", write(dict.fromkeys(NAMES, b"1")))
    assert work(f"s3://{store}/a", "in", read, machine="other")
    got, put = server.objects_got(), len(server.objects_put())
    work(f"s3://{store}/a", "in", read, machine="other")
    work(f"s3://{store}/a", "in", read)
    assert server.objects_got() == got
    # The claim alone.
    work(f"s3://{store}/a", "out", write({"plain": b"2"}))
    assert [path for path in server.objects_put()[put:] if "claim" not in path] == [f"/{store}/a/plain"]


def test_what_is_removed_here_goes_there_and_the_other_way(store, work):
    work(f"s3://{store}/a", "out", write({"b/1": b"1", "c": b"3"}))
    work(f"s3://{store}/a", "in", read, machine="other")
    work(f"s3://{store}/a", "out", lambda folder: (folder / "b/1").unlink())
    assert bucket_server.keys(store) == ["a/c"]
    # With the folder that it left empty.
    assert work(f"s3://{store}/a", "in", lambda folder: [path.name for path in folder.rglob("*")], "other") == ["c"]


def test_temporaries_and_locks_stay_here(store, work):
    names = (".lock", ".scrape.lock", ".x.0123abcd.tmp.npy", "incomplete.1_x/a", "journal.sqlite-wal", ".incoming/1/a")
    work(f"s3://{store}/a", "out", write(dict.fromkeys(names, b"1")))
    assert bucket_server.keys(store) == ["a/.incoming/1/a"]


def test_what_vouches_for_others_is_sent_after_them_and_nothing_goes_before_all_is_there(store, work, server):
    whole = {"geods/x/seal.json": b"1", "geods/x/dataset_info.json": b"1", "geods/x/a": b"1", "journal.sqlite": b""}
    work(f"s3://{store}/a", "out", write({**whole, "c/index.json": b"1", "c/blocks/0": b"1", "old": b"1"}))
    put = [path.removeprefix(f"/{store}/a/") for path in server.objects_put() if f"/{store}/a/" in path]
    assert set(put[:3]) == {"geods/x/a", "c/blocks/0", "old"}
    assert put[3:] == ["journal.sqlite", "c/index.json", "geods/x/seal.json", "geods/x/dataset_info.json"]

    def anew(folder: pathlib.Path) -> None:
        write({"geods/x/a": b"2", "geods/x/dataset_info.json": b"2", "c/blocks/1": b"2", "c/index.json": b"2"})(folder)
        (folder / "old").unlink()

    before = len(server.requests())
    work(f"s3://{store}/a", "out", anew)
    changing = [(method, path.partition("?")[0]) for method, path in server.requests()[before:] if method != "GET"]
    names = [f"{method} {path.removeprefix(f'/{store}/a/')}" for method, path in changing if method != "HEAD"]
    names = [name for name in names if "claim" not in name]
    # A dataset without its note is none; blocks were only added, so that the index stays until the new one comes.
    assert names[0] == "DELETE geods/x/dataset_info.json"
    assert set(names[1:3]) == {"PUT geods/x/a", "PUT c/blocks/1"}
    assert names[3:] == ["PUT c/index.json", "PUT geods/x/dataset_info.json", "DELETE old"]


def test_a_database_is_sent_as_it_is_while_others_write_it(store, work, monkeypatch):
    monkeypatch.setenv("GEODS_MIRROR_SEND_S", "0.1")

    def do(folder: pathlib.Path) -> int:
        folder.mkdir(parents=True)
        with sqlite3.connect(folder / "journal.sqlite") as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("CREATE TABLE t (n)")
            database.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(1000)])
        # Sent from the log, while it is open.
        end_s = time.monotonic() + 20
        while "a %41?/journal.sqlite" not in bucket_server.keys(store):
            assert time.monotonic() < end_s
            time.sleep(0.05)
        copy = folder.parent / "copy"
        bucket_server.system().get_file(f"{store}/a %41?/journal.sqlite", str(copy))
        found = sqlite3.connect(copy).execute("SELECT count(*) FROM t").fetchone()[0]
        database.close()
        return found

    assert work(f"s3://{store}/a %41?", "out", do) == 1000


def test_what_is_finished_is_sent_while_the_program_works(store, work, monkeypatch):
    monkeypatch.setenv("GEODS_MIRROR_SEND_S", "0.1")

    def do(folder: pathlib.Path) -> None:
        write({"0": b"1"})(folder)
        end_s = time.monotonic() + 20
        while "a/0" not in bucket_server.keys(store):
            assert time.monotonic() < end_s
            time.sleep(0.05)
        assert "a/.a.geods-claim" not in bucket_server.keys(store)
        assert ".a.geods-claim" in bucket_server.keys(store)

    work(f"s3://{store}/a", "out", do)
    assert bucket_server.keys(store) == ["a/0"]


def deny(store: str, *actions: str) -> None:
    """Forbids everybody some actions on a bucket."""
    where = [f"arn:aws:s3:::{store}/*"]
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


def test_a_bucket_that_is_not_there_is_named(store, work):
    with pytest.raises(errors.BucketError, match=r"s3://nobody-has-this/a: there is no such bucket"):
        work("s3://nobody-has-this/a", "in")
    assert work(f"s3://{store}/nothing", "in", pathlib.Path.exists) is False


def test_names_that_cannot_be_files_are_named(store, work):
    bucket_server.system().pipe_file(f"{store}/a/b", b"1")
    bucket_server.system().pipe_file(f"{store}/a/b/c", b"1")
    with pytest.raises(errors.BucketError, match="holds 'a/b', and others below it"):
        work(f"s3://{store}/a", "in")
    bucket_server.system().pipe_file(f"{store}/d/x//y", b"1")
    with pytest.raises(errors.BucketError, match="holds 'd/x//y', which cannot be a file"):
        work(f"s3://{store}/d", "in")


def test_what_others_changed_since_it_was_brought_is_not_written_over(store, work):
    work(f"s3://{store}/a", "out", write({"0": b"1"}))

    def do(folder: pathlib.Path) -> None:
        work(f"s3://{store}/a", "out", write({"0": b"2"}), machine="other")
        write({"1": b"1"})(folder)

    with pytest.raises(errors.BucketError, match="was changed by others since it was brought here"):
        work(f"s3://{store}/a", "may", do)
    assert work(f"s3://{store}/a", "in", read, machine="other") == {"0": b"2"}


def test_what_a_process_works_on_is_here_for_those_it_starts_and_theirs(store, monkeypatch):
    first, second = session.Session(), urls.parse(f"s3://{store}/b")
    first.local(urls.parse(f"s3://{store}/a"), "out")
    child = session.Session()
    assert child.local(urls.parse(f"s3://{store}/a/deep"), "out") == urls.parse(f"s3://{store}/a/deep").local
    child.local(second, "in")
    grandchild = session.Session()
    assert grandchild._has(second, "in")
    assert not grandchild._has(second, "out")
    assert grandchild._has(urls.parse(f"s3://{store}/a"), "may")
    child.close()
    assert [str(url) for _, url in urls.held()] == [f"s3://{store}/a"]
    first.close()
    assert urls.held() == []


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of a program that writes."""

    out: str = cli.option("", "Folder.", path="out")


def test_a_program_whose_disk_is_full_learns_where_it_lies_and_sends_what_it_has(store, capsys, tmp_path):
    def full() -> None:
        with fields.mirrored(Options(f"s3://{store}/a")) as local:
            write({"0": b"1"})(pathlib.Path(local.out))
            raise errors.DiskFullError(f"{local.out}/1: cannot be written.", "make room")

    with pytest.raises(errors.DiskFullError):
        full()
    assert f"what is under URLs lies in {tmp_path / 'mirror'} meanwhile" in capsys.readouterr().err
    assert bucket_server.keys(store) == ["a/0"]


def test_a_bringing_that_was_killed_is_not_taken_for_work_of_this_machine(store, work, capsys):
    work(f"s3://{store}/a", "out", write({"0": b"1", "1": b"1"}))

    def forget(folder: pathlib.Path) -> None:
        # As of a process that died before it noted what it had brought.
        records.Records(urls.parse(f"s3://{store}/a")).forget(["a/0"])

    work(f"s3://{store}/a", "in", forget, machine="other")
    assert work(f"s3://{store}/a", "in", read, machine="other") == {"0": b"1", "1": b"1"}
    assert "moved on" not in capsys.readouterr().err


def test_two_writers_on_one_machine_and_a_reader_of_what_changes(store, work):
    work(f"s3://{store}/a", "out", write({"0": b"1"}))
    mine = session.Session()
    mine.local(urls.parse(f"s3://{store}/a"), "out")
    for place, mode in ((f"s3://{store}/a", "out"), (f"s3://{store}/a", "in"), (f"s3://{store}/a/0", "in")):
        with pytest.raises(errors.BucketError, match=rf"process {os.getpid()} on .* of this machine works on it"):
            work(place, mode)
    # Another machine is told by the claim; reading it may.
    with pytest.raises(errors.BucketError, match=rf"s3://{store}/a: process {os.getpid()} on .* is writing there"):
        work(f"s3://{store}/a", "out", machine="other")
    assert work(f"s3://{store}/a", "in", read, machine="other") == {"0": b"1"}
    mine.close()
    work(f"s3://{store}/a", "out", machine="other")


def test_readers_share_a_mirror_until_it_must_change(store, work, monkeypatch, tmp_path):
    work(f"s3://{store}/a", "out", write({"0": b"1"}))
    work(f"s3://{store}/a", "in", machine="other")
    monkeypatch.setenv("GEODS_MIRROR", str(tmp_path / "other"))
    first = session.Session()
    folder = first.local(urls.parse(f"s3://{store}/a"), "in")
    assert work(f"s3://{store}/a", "in", read, machine="other") == {"0": b"1"}
    work(f"s3://{store}/a", "out", write({"0": b"2"}))
    with pytest.raises(errors.BucketError, match="another process of this machine works on it"):
        work(f"s3://{store}/a", "in", read, machine="other")
    assert read(folder) == {"0": b"1"}
    first.close()
    assert work(f"s3://{store}/a", "in", read, machine="other") == {"0": b"2"}


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
        patch.setattr(claims, "_STALE_S", -1)
        work(f"s3://{store}/a", "out", write({"0": b"2"}), machine="other")
    with pytest.raises(errors.BucketError, match="has taken over here"):
        mine.close()
    assert bucket_server.system().cat_file(f"{store}/a/0") == b"2"


def test_of_two_who_make_one_object_one_is_refused(store):
    one = bucket.Bucket(urls.parse(f"s3://{store}"))
    assert one.create("a", b"1") is True
    assert one.create("a", b"2") is False
    # Also if it was not there a moment ago.
    with pytest.raises(FileExistsError):
        one._system.pipe_file(f"{store}/a", b"2", mode="create")


def test_google_storage_is_read_and_written_as_well(work, tmp_path, monkeypatch):
    with bucket_server.google(tmp_path, "bucket") as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        files = {name: name.encode() for name in NAMES}
        work("gs://bucket/a", "out", write(files))
        assert work("gs://bucket/a", "in", read, machine="other") == files
        work("gs://bucket/a", "out", lambda folder: (folder / "plain").unlink(), machine="other")
        files.pop("plain")
        assert work("gs://bucket/a", "in", read) == files
        with pytest.raises(errors.BucketError, match="gs://nobody-has-this/a: there is no such bucket"):
            work("gs://nobody-has-this/a", "in")


# Writes 150 files and sends them, in a process that can be killed.
SENDER = """
import pathlib, sys
from geods.mirror import session, urls
one = session.Session()
folder = one.local(urls.parse(sys.argv[1]), "out")
folder.mkdir(parents=True, exist_ok=True)
for number in range(150):
    path = folder / f"{number}"
    if not path.exists():
        path.write_text(f"{number}")
one.close()
"""


def sender(place: str) -> subprocess.Popen:
    """Starts it."""
    command = [sys.executable, "-c", SENDER, place]
    return subprocess.Popen(command, cwd=bucket_server.REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_sending_that_was_killed_at_any_moment_goes_on_and_loses_nothing(store, work):
    place, lives, most = f"s3://{store}/a", 0, 0
    wanted = {f"{number}": f"{number}".encode() for number in range(150)}
    for enough in (1, 30, 60, 90, 120):
        process = sender(place)
        while process.poll() is None and most < enough:
            most = len([key for key in bucket_server.keys(store) if "claim" not in key])
        process.kill()
        said = process.communicate()
        # As one that was killed among the copies of what vouches for others.
        copies = urls.parse(place).lock.with_name(f"{urls.parse(place).lock.name}.sending-{process.pid}")
        copies.mkdir(exist_ok=True)
        assert process.returncode in (0, -signal.SIGKILL), said
        lives += process.returncode != 0
        # On this machine it is known whose claim it is; on another, that its process is gone.
        if enough == 60:
            assert work(place, "out", lambda folder: set(read(folder)) <= set(wanted), machine="other")
    assert lives >= 2
    process = sender(place)
    said = process.communicate()
    assert process.returncode == 0, said
    assert work(place, "in", read, machine="third") == wanted
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
    monkeypatch.setattr(disk, "_free_bytes", lambda path: 999)
    with pytest.raises(errors.DiskFullError, match="1,000 bytes are needed, 999 are free"):
        work(f"s3://{store}/a", "in", read, machine="other")
    assert list((tmp_path / "other").glob("*/*/a/*")) == []
