"""From a bucket to its mirror: what has changed there since the two last met.

Where both have changed, the bucket counts, because another machine went on there, and what was not sent of this one's
is dropped. Only if the claim in the bucket is still that of a process of this mirror, which was killed, nobody else was
there, and each file that has changed here counts.
"""

import concurrent.futures
import contextlib
import dataclasses
import pathlib
import sys

import tqdm

from geods import errors
from geods.remote import bucket, local_files, sync_index, urls
from geods.storage import disk_errors

# As many as hide the latency of small objects; more only wait for each other in the one thread of fsspec.
THREADS = 16
KEPT_AT_ONCE = 64


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be done so that a mirror is as its bucket.

    Attributes:
        get: Objects to copy.
        drop: Keys of files to remove.
        lost: How many of both were changed here, not sent, and are not kept.
    """

    get: dict[str, bucket.Object]
    drop: tuple[str, ...]
    lost: int = 0

    def __bool__(self) -> bool:
        """Says whether there is anything to do."""
        return bool(self.get or self.drop)


def plan(store: bucket.Bucket, url: urls.Url, goes_on: bool) -> Plan:
    """Compares a place with its mirror.

    Args:
        store: The bucket.
        url: The place.
        goes_on: Whether nobody but this mirror has written there since they last met.

    Raises:
        BucketError: If names there cannot be those of files here.
    """
    there = {key: one for key, one in store.list(url).items() if local_files.belongs(key)}
    _check_names(url, there)
    known, here = sync_index.Records(url).all(), local_files.scan(url)
    moved = {key for key in {*there, *known} if key not in there or key not in known or there[key].tag != known[key][0]}
    changed = {key for key in {*here, *known} if here.get(key, "") != (known[key][1] if key in known else "")}
    if not moved:
        return Plan({}, ())
    if goes_on:
        moved -= {key for key in changed if key in here or key in known}
        changed = set()
    get = {key: there[key] for key in moved | changed if key in there}
    drop = tuple(sorted(key for key in moved | changed if key not in there))
    # What is in both and not known here may have come just before a process was killed.
    return Plan(get, drop, sum(key in known or key not in there for key in changed))


def carry_out(store: bucket.Bucket, url: urls.Url, found: Plan) -> None:
    """Makes a mirror as its bucket; nobody may use it meanwhile.

    Raises:
        BucketError: If an object cannot be read.
        DiskFullError: If there is no room for them.
    """
    size_bytes = sum(one.size_bytes for one in found.get.values())
    if size_bytes:
        disk_errors.check_room(urls.root(), size_bytes)
    if found.lost:
        files = "1 file" if found.lost == 1 else f"{found.lost:,} files"
        said = f"{url}: has moved on since this machine wrote there; {files} that it had not sent are dropped"
        print(said, file=sys.stderr)
    kept = sync_index.Records(url)
    for key in found.drop:
        _remove(_path(url, key), url.local)
    kept.forget(found.drop)
    bar = tqdm.tqdm(total=size_bytes, desc=f"from {url}", unit="B", unit_scale=True, delay=2, leave=False)
    with bar, concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        rows, waiting = [], {pool.submit(_get, store, url, key, one): one for key, one in found.get.items()}
        try:
            for done in concurrent.futures.as_completed(waiting):
                rows.append(done.result())
                bar.update(waiting[done].size_bytes)
                if len(rows) >= KEPT_AT_ONCE:
                    kept.keep(rows)
                    rows = []
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        finally:
            kept.keep(rows)


def _get(store: bucket.Bucket, url: urls.Url, key: str, one: bucket.Object) -> tuple[str, str, str]:
    """Copies an object, and returns what is to be noted of it."""
    path = _path(url, key)
    if local_files.is_database(path):
        for suffix in ("-wal", "-shm", "-journal"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    store.get(key, path)
    found = path.stat().st_size
    if found != one.size_bytes:
        problem = f"{dataclasses.replace(url, key=key)}: came with {found:,} bytes, not {one.size_bytes:,}."
        raise errors.BucketError(
            problem, "somebody writes there just now; run the same command again when that has ended"
        )
    return key, one.tag, local_files.signature(path)


def _remove(path: pathlib.Path, top: pathlib.Path) -> None:
    """Removes a file, and the folders that are empty then: in a bucket there are none."""
    path.unlink(missing_ok=True)
    for folder in path.parents:
        if not folder.is_relative_to(top):
            break
        with contextlib.suppress(OSError):
            folder.rmdir()


def _path(url: urls.Url, key: str) -> pathlib.Path:
    """Returns the file that mirrors an object."""
    return dataclasses.replace(url, key=key).local


def _check_names(url: urls.Url, there: dict[str, bucket.Object]) -> None:
    """Refuses names that cannot be those of files.

    Raises:
        BucketError: Naming one of them.
    """
    step = "rename or remove it, or name a place without it"
    folders = {key[:end] for key in there for end, letter in enumerate(key) if letter == "/"}
    for key in there:
        if not urls.is_file_key(key):
            raise errors.BucketError(f"{url}: holds {key!r}, which cannot be a file here.", step)
        if key in folders:
            raise errors.BucketError(f"{url}: holds {key!r}, and others below it as in a folder.", step)
