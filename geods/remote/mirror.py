"""The mirror of a location: pulled before a program works, pushed as it works.

An index records the object that each file is a copy of: a file with another signature has changed here since, an
object with another tag there. Where both sides have changed, the bucket counts, because another machine wrote there,
and what this one had not sent is dropped. Only under a lease that a killed process of this mirror left, when nobody
else wrote there, each file that has changed here counts.
"""

import concurrent.futures
import contextlib
import itertools
import os
import pathlib
import re
import shutil
import sys
from collections.abc import Callable, Collection, Iterable
from typing import Any

from geods import errors
from geods.remote import bucket, urls
from geods.storage import databases, disk_errors, files, locks

# As many as hide the latency of small objects; more only wait for each other in the one thread of fsspec.
_THREADS = 16
_SCHEMA = "CREATE TABLE IF NOT EXISTS objects (key TEXT PRIMARY KEY, tag TEXT, signature TEXT) WITHOUT ROWID"
# Of a process at work, of no use elsewhere: temporaries, locks, SQLite's own, and all in unfinished folders of TFDS.
_TEMPORARY = re.compile(
    rf"(.*/)?(({files.TEMPORARY.pattern}|\.[^/]*(\.lock|{urls.LEASE_SUFFIX})|\.lock|[^/]*\.sqlite-(wal|shm|journal))(/.*)?"
    r"|incomplete\..*/.*)".replace(".+", "[^/]+")
)
# These say that others are whole or done, each of those before it; they follow what they vouch for.
_VOUCHERS = (
    *("images.sha256", "import.sqlite", "journal.sqlite", "training.json", "index.json"),
    *("model.keras", "metrics.json", "seal.json", "dataset_info.json"),
)
_DATABASE = ".sqlite"
# Without these a folder counts as not made, so that one is taken away before what it vouches for is replaced.
_MARKS = ("index.json", "dataset_info.json")


class Mirror:
    """The mirror of a location; `close` closes its index."""

    def __init__(self, store: bucket.Bucket, url: urls.Url) -> None:
        self._store, self.url, index = store, url, url.at("").local.with_name(f".{url.bucket}.sqlite")
        with locks.exclusive(index.with_suffix(".lock")), disk_errors.translate_disk_errors(index):
            self._index = databases.open_to_write(index, _SCHEMA, timeout_s=60)
        self.close = self._index.close

    def indexed(self) -> dict[str, tuple[str, str]]:
        """Returns tag and signature of the indexed objects of the location, by key."""
        # "0" follows "/".
        key, rows = self.url.key, "SELECT * FROM objects WHERE :key = '' OR key = :key OR key > :from AND key < :to"
        found = self._index.execute(rows, {"key": key, "from": f"{key}/", "to": f"{key}0"})
        return {key: (tag, signature) for key, tag, signature in found}

    def record(self, key: str, tag: str, signature: str) -> None:
        """Records that an object and a file are the same."""
        self._index.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?)", (key, tag, signature))

    def forget(self, key: str) -> None:
        """Records that neither object nor file is there."""
        self._index.execute("DELETE FROM objects WHERE key = ?", (key,))

    def changes(self) -> tuple[dict[str, str], list[str]]:
        """Returns the signatures of files that differ from the index, and missing keys."""
        known, here = self.indexed(), dict(_scan(self.url))
        changed = {key: signature for key, signature in here.items() if signature != known.get(key, ("", ""))[1]}
        return changed, [key for key in known if key not in here]

    def moved(self) -> tuple[dict[str, tuple[int, str]], set[str]]:
        """Returns size and tag of the objects, and the keys that differ from the index."""
        there = {key: one for key, one in self._store.list(self.url).items() if not _TEMPORARY.fullmatch(key)}
        folders = {key[:end] for key in there for end, letter in enumerate(key) if letter == "/"}
        for key in there:
            if key in folders or not urls.is_file_key(key):
                raise errors.BucketError(
                    f"{self.url}: holds {key!r}, which cannot be a file here.", "rename or remove it"
                )
        known = self.indexed()
        return there, {key for key in {*there, *known} if there.get(key, (0, None))[1] != known.get(key, ("",))[0]}

    def pull(self, resumes: bool = False) -> None:
        """Copies the changes of the bucket; files changed here count if it `resumes`."""
        (there, moved), known = self.moved(), self.indexed()
        changed = {key for keys in self.changes() for key in keys} if moved else set[str]()
        if resumes:
            moved, changed = moved - changed, set()
        # What is in both and not known here may have come just before a process was killed.
        if any(key in known or key not in there for key in changed):
            print(f"{self.url}: has moved on since; what this machine had not sent is dropped", file=sys.stderr)
        wanted = [key for key in moved | changed if key in there]
        disk_errors.check_room(urls.root(), sum(there[key][0] for key in wanted))
        for key in (moved | changed) - there.keys():
            self._remove(key)
        _for_each(lambda key: self._get(key, there[key][1]), wanted, f"from {self.url}")

    def _get(self, key: str, tag: str) -> None:
        path = self.url.at(key).local
        for suffix in ("-wal", "-shm", "-journal") if path.suffix == _DATABASE else ():
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        self._store.get(key, path)
        self.record(key, tag, _signature(path))

    def _remove(self, key: str) -> None:
        """Removes a file, and the folders that are empty then: buckets have none."""
        path = self.url.at(key).local
        path.unlink(missing_ok=True)
        for folder in path.parents:
            if folder.is_relative_to(self.url.local):
                with contextlib.suppress(OSError):
                    folder.rmdir()
        self.forget(key)

    def _put(self, key: str, path: pathlib.Path, signature: str) -> None:
        try:
            if path.is_file():
                self.record(key, self._store.put(path, key), signature)
        except errors.BucketError:
            # It may be there all the same, as when its answer was lost: it is to be sent again, or to be removed.
            self.record(key, "", "")
            # Images of a scrape are moved as soon as their location is whole.
            if path.is_file():
                raise

    def _delete(self, key: str) -> None:
        self._store.delete(key)
        self.forget(key)

    @property
    def _sending(self) -> pathlib.Path:
        """Folder of the copies that are being sent."""
        return self.url.lock.with_suffix(".sending")

    def drop_copies(self) -> None:
        """Removes the copies that were sent, or that a killed process was sending."""
        shutil.rmtree(self._sending, ignore_errors=True)

    def _copies(self) -> Iterable[tuple["Mirror", str, pathlib.Path, str]]:
        """Yields copies of the changed files that vouch for others."""
        self.drop_copies()
        self._sending.mkdir(parents=True)
        for number, (key, signature) in enumerate(self.changes()[0].items()):
            path = self.url.at(key).local
            copy = self._sending / f"{number}{path.suffix}"
            with contextlib.suppress(FileNotFoundError):
                if _rank(key):
                    (databases.copy if path.suffix == _DATABASE else shutil.copyfile)(path, copy)
                    yield self, key, copy, signature


def push(mirrors: list[Mirror], show: bool = True) -> None:
    """Sends the changes of mirrors; a cut leaves nothing that looks whole.

    The marks of folders whose files are replaced go first, then what vouches for nothing comes, then what vouches for
    it; and only when that is there, in all locations, objects go whose files are missing.
    """
    with disk_errors.translate_disk_errors(urls.root()):
        # Before the other files are looked for, so that all that they vouch for is sent before them.
        vouchers = [copy for one in mirrors for copy in one._copies()]
    puts, missing = list[tuple[Mirror, str, pathlib.Path, str]](), list[tuple[Mirror, str]]()
    for one in mirrors:
        changed, gone = one.changes()
        puts += [(one, key, one.url.at(key).local, changed[key]) for key in changed if not _rank(key)]
        missing += [(one, key) for key in gone]
        replaced = one.indexed().keys() & {*changed, *gone}
        for mark in [key for key in replaced if key.rpartition("/")[2] in _MARKS]:
            if any(not _rank(key) and key.startswith(mark.removesuffix(mark.rpartition("/")[2])) for key in replaced):
                one._delete(mark)
    _for_each(lambda put: Mirror._put(*put), puts, f"to {mirrors[0].url}" if mirrors and show else "")
    # By rank, then the deepest first: what stands above may vouch for what stands below.
    for put in sorted(vouchers, key=lambda put: (_rank(put[1]), -put[1].count("/"))):
        Mirror._put(*put)
    for vouches in (True, False):
        _for_each(lambda pair: Mirror._delete(*pair), [pair for pair in missing if bool(_rank(pair[1])) == vouches])
    for one in mirrors:
        one.drop_copies()


def _for_each(work: Callable[[Any], None], items: Collection[Any], title: str = "") -> None:
    """Calls a function for each item in threads; after an error no more are started."""
    # Not at the top: every program imports this for --help.
    import tqdm

    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        done = pool.map(work, items)
        for _ in tqdm.tqdm(done, title, len(items), delay=2, leave=False, unit=" files", disable=not title):
            pass


def _scan(url: urls.Url) -> Iterable[tuple[str, str]]:
    """Yields key and signature of the files of a location that belong into a bucket."""
    top, paths = url.at("").local, ((folder, name) for folder, _, names in os.walk(url.local) for name in names)
    for path in [url.local] if url.local.is_file() else itertools.starmap(pathlib.Path, paths):
        key = path.relative_to(top).as_posix()
        if not _TEMPORARY.fullmatch(key) and (signature := _signature(path)):
            yield key, signature


def _signature(path: pathlib.Path) -> str:
    """Returns a text that changes when a file is written; empty if it is missing."""
    text = ""
    with contextlib.suppress(FileNotFoundError):
        # What is new in a database stands in its log first.
        for one in (path, path.with_name(f"{path.name}-wal"))[: 1 + (path.suffix == _DATABASE)]:
            found = one.stat()
            text += f"{found.st_size} {found.st_mtime_ns} {found.st_ino} " if found.st_size or one == path else ""
    return text


def _rank(key: str) -> int:
    """Returns when an object is sent: 0 for those that vouch for none."""
    name = key.rpartition("/")[2]
    return _VOUCHERS.index(name) + 1 if name in _VOUCHERS else 0
