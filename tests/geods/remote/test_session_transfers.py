"""Mirrors of a bucket on a real server: transfers, their times and order."""

import pathlib
import sqlite3
import time

import bucket_server
import pytest
from mirror_machines import read, server, store, work, write

from geods import errors

__all__ = ["server", "store", "work"]
# Names of trees, and what else a file system allows.
NAMES = ("0/39.5,-98.35/0_2012-05.jpg", "a b/p%41+q.txt", "ü é/[x]*?#1.txt", "plain")


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
