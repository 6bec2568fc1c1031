"""The files of a mirror: which of them belong into a bucket, when one has changed, and in which order they go there."""

import os
import pathlib
import re

from geods.remote import urls
from geods.storage import files, locks

# Of a process at work, of no use elsewhere: temporaries, locks, unfinished folders of TFDS, SQLite's own.
_NEVER = re.compile(
    rf"{files.TEMPORARY.pattern}|{re.escape(locks.NAME)}|\..*\.lock|\..*{re.escape(urls.CLAIM)}|.*\.sqlite-(wal|shm|journal)"
)
_NEVER_FOLDER = re.compile(rf"{files.TEMPORARY.pattern}|incomplete\..*")
# These say that others are whole or done, each of those before it; they follow what they vouch for.
_VOUCHERS = (
    "images.sha256",
    "import.sqlite",
    "journal.sqlite",
    "training.json",
    "index.json",
    "model.keras",
    "metrics.json",
    "seal.json",
    "dataset_info.json",
)
# Without these a folder counts as not made, so that one may be taken away before what it vouches for is replaced.
MARKS = ("index.json", "dataset_info.json")


def rank(key: str) -> int:
    """Returns when an object is sent: 0 for those that vouch for none."""
    name = key.rpartition("/")[2]
    return _VOUCHERS.index(name) + 1 if name in _VOUCHERS else 0


def belongs(key: str) -> bool:
    """Says whether a file is one of those that are kept in buckets."""
    *folders, name = key.split("/")
    return not _NEVER.fullmatch(name) and not any(map(_NEVER_FOLDER.fullmatch, folders))


def signature(path: pathlib.Path) -> str:
    """Returns a text that is another one once a file is written anew; empty if it is not there."""
    try:
        found = path.stat()
        text = f"{found.st_size} {found.st_mtime_ns} {found.st_ino}"
        if is_database(path):
            # What is new in it stands there first.
            wal = path.with_name(f"{path.name}-wal")
            text += f" {wal.stat().st_size} {wal.stat().st_mtime_ns}" if wal.exists() and wal.stat().st_size else ""
    except FileNotFoundError:
        return ""
    return text


def is_database(path: pathlib.Path) -> bool:
    """Says whether a file is one of SQLite's, which must not be opened while others use it."""
    return path.suffix == ".sqlite"


def scan(url: urls.Url) -> dict[str, str]:
    """Returns the signatures of all files at and below a place that belong into its bucket, by their keys."""
    top, bucket = url.local, urls.Url(url.scheme, url.bucket).local
    if top.is_file():
        return {url.key: signature(top)}
    found = {}
    for folder, names, file_names in os.walk(top):
        names[:] = [name for name in names if not _NEVER_FOLDER.fullmatch(name)]
        for name in file_names:
            if not _NEVER.fullmatch(name):
                path = pathlib.Path(folder, name)
                found[path.relative_to(bucket).as_posix()] = signature(path)
    return {key: text for key, text in found.items() if text}
