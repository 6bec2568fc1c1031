"""Seals: sizes and SHA-256 of the files of a finished folder, to name damage.

    seal.json    {"files": {"geods-train.tfrecord-00000-of-00001": [94452, "3f1a..."]}, "format": 1, "sha256": "..."}

Each file with its bytes and its SHA-256; the last SHA-256 is that of the rest, so that a damaged seal is told from a
damaged file. TFRecords have checksums a record, but shards that are swapped, doubled or cut between two records are
read without an error.
"""

import concurrent.futures
import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Iterable, Mapping, Sequence

from geods import errors
from geods.storage import files

NAME = "seal.json"
_FORMAT = 1

# Of each file: bytes (None if not known), SHA-256 in hexadecimal.
Entries = Mapping[str, tuple[int | None, str]]


@dataclasses.dataclass(frozen=True)
class Damage:
    """A file that is not as it was when its folder was sealed.

    Attributes:
        path: The file.
        problem: What is wrong with it, as "has 5 bytes, not 9".
    """

    path: pathlib.Path
    problem: str

    def __str__(self) -> str:
        """Returns both in one line."""
        return f"{self.path}: {self.problem}."


class ChecksumWriter:
    """Flushes and hashes finished files in a thread while others are written.

        with seals.ChecksumWriter(folder) as writer:
            writer.begin("first")
            writer.write(["first", "second"])

    Hashing takes 0.8 s for a GB and holds no lock of Python, and waiting for the disk neither.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder, self._begun = folder, dict[str, concurrent.futures.Future[tuple[int, str]]]()
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "sealing")

    def begin(self, name: str) -> None:
        """Hashes a file that will not change any more."""
        self._begun[name] = self._thread.submit(_entry, self._folder / name)

    def write(self, names: Sequence[str]) -> None:
        """Seals files of the folder; those not hashed in the background are hashed now."""
        for name in names:
            if name not in self._begun:
                self.begin(name)
        _write(self._folder, {name: self._begun[name].result() for name in names})

    def __enter__(self) -> "ChecksumWriter":
        """Returns itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Cancels the files that are not hashed yet."""
        self._thread.shutdown(cancel_futures=True)


def write(folder: pathlib.Path, names: Sequence[str]) -> None:
    """Seals files of a folder: flushes them to disk, writes their sizes and hashes."""
    with ChecksumWriter(folder) as sealing:
        sealing.write(names)


def renew(folder: pathlib.Path, names: Iterable[str]) -> None:
    """Puts rewritten files into the seal of a folder; does nothing without a seal."""
    if is_sealed(folder):
        fresh = {name: _entry(folder / name) for name in names if (folder / name).is_file()}
        _write(folder, {**_read(folder), **fresh})


def release(folder: pathlib.Path, names: Iterable[str]) -> None:
    """Takes files out of the seal before they are rewritten.

    A kill in between then leaves no false alarm.
    """
    if is_sealed(folder):
        gone = set(names)
        _write(folder, {name: entry for name, entry in _read(folder).items() if name not in gone})


def is_sealed(folder: pathlib.Path) -> bool:
    """Returns whether a folder has a seal."""
    return (folder / NAME).is_file()


def names_in(folder: pathlib.Path) -> list[str]:
    """Returns the names of the sealed files, none if the seal is damaged."""
    try:
        return list(_read(folder))
    except errors.SealError:
        return []


def is_sealed_content(folder: pathlib.Path, name: str, content: bytes) -> bool:
    """Returns whether a file of a folder was sealed with this content."""
    try:
        return _read(folder).get(name) == (len(content), hashlib.sha256(content).hexdigest())
    except errors.SealError:
        return False


def verify(folder: pathlib.Path, names: Iterable[str] | None = None, read: bool = True) -> list[Damage]:
    """Returns the damaged sealed files, all or those named; by size unless `read`."""
    try:
        return compare(folder, _read(folder), names, read)
    except errors.SealError as error:
        return [Damage(folder / NAME, error.problem)]


def compare(
    folder: pathlib.Path, entries: Entries, names: Iterable[str] | None = None, read: bool = True
) -> list[Damage]:
    """Returns the damaged files of those with entries, as `verify`."""
    chosen = [name for name in (entries if names is None else names) if name in entries]
    return [found for name in chosen if (found := _damage(folder / name, *entries[name], entries, read))]


def _damage(path: pathlib.Path, size_bytes: int | None, sha256: str, entries: Entries, read: bool) -> Damage | None:
    if not path.is_file():
        return Damage(path, "is missing")
    digest, found = files.sha256_of_file(path) if read else sha256, path.stat().st_size
    if digest != sha256 and (others := [name for name, (_, other) in entries.items() if other == digest]):
        return Damage(path, f"holds the bytes of {others[0]}")
    if size_bytes not in (None, found):
        return Damage(path, f"has {found:,} bytes, not {size_bytes:,} as when it was written")
    return None if digest == sha256 else Damage(path, "its bytes have changed since it was written")


def _entry(path: pathlib.Path) -> tuple[int, str]:
    """Flushes a file to disk and returns its entry."""
    # TFDS and Keras flush nothing: after a power cut a renamed folder could hold empty files.
    files.sync(path)
    return path.stat().st_size, files.sha256_of_file(path)


def _write(folder: pathlib.Path, entries: Entries) -> None:
    """Writes a seal."""
    files.write_text(folder / NAME, _text(entries))


def _read(folder: pathlib.Path) -> dict[str, tuple[int, str]]:
    """Reads a seal.

    Raises:
        SealError: If it is missing or damaged; its text follows the file's name.
    """
    path = folder / NAME
    try:
        text = path.read_text(encoding="utf-8")
        entries = {name: (int(size), str(digest)) for name, (size, digest) in files.parse_json(text)["files"].items()}
    except FileNotFoundError as error:
        raise errors.SealError("is missing") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise errors.SealError("is damaged") from error
    # Byte for byte, its own hash included; and it must not make anybody read files elsewhere.
    if text != _text(entries) or any(_leads_out(name) for name in entries):
        raise errors.SealError("is damaged")
    return entries


def _leads_out(name: str) -> bool:
    """Returns whether a name is that of a file outside the folder."""
    path = pathlib.PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts


def _text(entries: Entries) -> str:
    """Returns the content of seal.json."""
    content = {"files": {name: list(entries[name]) for name in sorted(entries)}, "format": _FORMAT}
    digest = hashlib.sha256(json.dumps(content).encode("utf-8")).hexdigest()
    return json.dumps(content | {"sha256": digest}, indent=1) + "\n"
