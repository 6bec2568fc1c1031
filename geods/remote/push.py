"""From a mirror to its bucket: what has changed here, in an order in which a cut leaves nothing that looks whole.

First the marks of folders whose other files are replaced go, then all that vouches for nothing comes, then what vouches
for it, seals and notes of the dataset last; and only when that is there, in all places, what is gone here goes there.
"""

import concurrent.futures
import contextlib
import dataclasses
import os
import pathlib
import shutil
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence

import tqdm

from geods import errors
from geods.remote import bucket, local_files, pull, sync_index, urls
from geods.storage import disk_errors


@dataclasses.dataclass(frozen=True)
class Change:
    """What has changed in the mirror of a place.

    Attributes:
        store: The bucket.
        url: The place.
        put: Files to send by their keys: where the bytes are, and the signature they have.
        gone: Keys of objects that have no file any more.
        replaced: Keys of objects whose files have changed.
    """

    store: bucket.Bucket
    url: urls.Url
    put: dict[str, tuple[pathlib.Path, str]]
    gone: tuple[str, ...]
    replaced: tuple[str, ...]

    def __bool__(self) -> bool:
        """Says whether there is anything to do."""
        return bool(self.put or self.gone)


@contextlib.contextmanager
def changes(places: Iterable[tuple[bucket.Bucket, urls.Url]]) -> Iterator[list[Change]]:
    """Gives what has changed in some places; what vouches for others as it was before those were looked at."""
    places = list(places)
    with disk_errors.translate_disk_errors(urls.root()), contextlib.ExitStack() as kept:
        vouchers = []
        for _, url in places:
            folder = _aside(url, str(os.getpid()))
            kept.callback(shutil.rmtree, folder, ignore_errors=True)
            vouchers.append(_vouchers(url, folder))
        yield [_change(store, url, frozen) for (store, url), frozen in zip(places, vouchers, strict=True)]


def sweep(url: urls.Url) -> None:
    """Removes what killed processes have left that were sending a place, while nobody else may."""
    for folder in _aside(url, "").parent.glob(f"{_aside(url, '').name}*"):
        shutil.rmtree(folder)


def _aside(url: urls.Url, process: str) -> pathlib.Path:
    """Returns where a process keeps copies of what it sends of a place."""
    return url.lock.with_name(f"{url.lock.name}.sending-{process}")


def send(found: list[Change], show: bool = True) -> None:
    """Sends changes.

    Args:
        found: The changes.
        show: Whether to show how far it is, if it takes long.

    Raises:
        BucketError: If something cannot be written; what was sent until then is noted.
    """
    for one in found:
        _withdraw(one)
    jobs = [(one, key) for one in found for key in one.put if not local_files.rank(key)]
    _put_all(jobs, show)
    vouchers = [(one, key) for one in found for key in one.put if local_files.rank(key)]
    # By rank, then the deepest first: what stands above may vouch for what stands below.
    for job in sorted(vouchers, key=lambda job: (local_files.rank(job[1]), -job[1].count("/"))):
        _put_all([job], show)
    for one in found:
        for key in sorted(filter(local_files.rank, one.gone), key=lambda key: -local_files.rank(key)):
            _delete(one, [key])
        _delete(one, [key for key in one.gone if not local_files.rank(key)])


def _vouchers(url: urls.Url, folder: pathlib.Path) -> dict[str, tuple[pathlib.Path, str]]:
    """Copies the files that vouch for others and have changed, so that what they speak of is there already."""
    known, copies = sync_index.Records(url).all(), {}
    for number, (key, text) in enumerate(local_files.scan(url).items()):
        if local_files.rank(key) and text != known.get(key, ("", ""))[1]:
            path = dataclasses.replace(url, key=key).local
            copy = folder / f"{number}{path.suffix}"
            folder.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                _copy(path, copy)
                copies[key] = copy, text
    return copies


def _copy(path: pathlib.Path, copy: pathlib.Path) -> None:
    """Copies a file; a database as it is between two changes."""
    if not local_files.is_database(path):
        shutil.copyfile(path, copy)
        return
    with (
        contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as source,
        contextlib.closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)


def _change(store: bucket.Bucket, url: urls.Url, vouchers: dict[str, tuple[pathlib.Path, str]]) -> Change:
    """Compares a mirror with what is known of its bucket."""
    known, here = sync_index.Records(url).all(), local_files.scan(url)
    put = {
        key: (dataclasses.replace(url, key=key).local, text)
        for key, text in here.items()
        if not local_files.rank(key) and text != known.get(key, ("", ""))[1]
    }
    gone = tuple(key for key in known if key not in here)
    return Change(store, url, put | vouchers, gone, tuple(key for key in put if key in known))


def _withdraw(one: Change) -> None:
    """Takes away the marks of folders of which objects are replaced or removed."""
    touched = [*one.replaced, *(key for key in one.gone if not local_files.rank(key))]
    marks = [key for key in {*one.put, *one.gone} if key.rpartition("/")[2] in local_files.MARKS]
    known = sync_index.Records(one.url).all()
    for key in marks:
        folder = key.rpartition("/")[0]
        if key in known and any(other.startswith(f"{folder}/") for other in touched):
            _delete(one, [key])


def _put_all(jobs: list[tuple[Change, str]], show: bool) -> None:
    """Sends files at the same time."""
    sizes = [_size(*job) for job in jobs]
    hidden, title = not show or not jobs, f"to {jobs[0][0].url}" if jobs else ""
    bar = tqdm.tqdm(total=sum(sizes), desc=title, unit="B", unit_scale=True, delay=2, leave=False, disable=hidden)
    with bar, concurrent.futures.ThreadPoolExecutor(pull.THREADS) as pool:
        rows = _Rows()
        waiting = {pool.submit(_put, *job, rows): size for job, size in zip(jobs, sizes, strict=True)}
        try:
            for done in concurrent.futures.as_completed(waiting):
                done.result()
                bar.update(waiting[done])
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        finally:
            rows.keep()


class _Rows:
    """What was sent, noted many at once: each time costs a flush of the disk."""

    def __init__(self) -> None:
        """Begins with nothing."""
        self._rows: dict[urls.Url, list[tuple[str, str, str]]] = {}
        self._lock = threading.Lock()

    def add(self, url: urls.Url, key: str, tag: str, signature: str) -> None:
        """Takes what is to be noted of an object."""
        with self._lock:
            self._rows.setdefault(url, []).append((key, tag, signature))
            if sum(map(len, self._rows.values())) >= pull.KEPT_AT_ONCE:
                self._keep()

    def keep(self) -> None:
        """Notes all."""
        with self._lock:
            self._keep()

    def _keep(self) -> None:
        """Notes all, under the lock."""
        for url, rows in self._rows.items():
            sync_index.Records(url).keep(rows)
        self._rows = {}


def _put(one: Change, key: str, rows: _Rows) -> None:
    """Sends a file, unless it is gone."""
    path, text = one.put[key]
    if not path.is_file():
        return
    try:
        rows.add(one.url, key, one.store.put(path, key).tag, text)
    except errors.BucketError:
        # It may be there all the same, as when its answer was lost: it is to be sent again, or to be removed.
        rows.add(one.url, key, "", "")
        # Images of a scrape are moved as soon as their place is whole.
        if path.is_file():
            raise


def _delete(one: Change, keys: Sequence[str]) -> None:
    """Removes objects at the same time, and notes it."""
    with concurrent.futures.ThreadPoolExecutor(pull.THREADS) as pool:
        waiting = {pool.submit(one.store.delete, key): key for key in keys}
        concurrent.futures.wait(waiting)
    sync_index.Records(one.url).forget([key for done, key in waiting.items() if not done.exception()])
    for done in waiting:
        done.result()


def _size(one: Change, key: str) -> int:
    """Returns the bytes of a file to send."""
    with contextlib.suppress(FileNotFoundError):
        return one.put[key][0].stat().st_size
    return 0
