"""Files that are whole or absent: temporary name, fsync, rename."""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import secrets
import shutil
import zipfile
from collections.abc import Iterator
from typing import Any

from geods import errors
from geods.storage import disk_errors

_CHUNK_BYTES = 1 << 20
_BOMB_BYTES, _BOMB_RATIO = 1 << 26, 100
# Ends the name of the folder beside a tree that its bad images are moved to.
QUARANTINE = ".quarantine"
TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp(\..+)?")


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str], size_bytes: int | None = None) -> Iterator[pathlib.Path]:
    """Yields a temporary path beside `path`, renamed to it when the block succeeds.

    The temporary name keeps the suffix of `path`, because writers such as Keras choose the format by it. If the block
    raises, the temporary file is removed and an older `path` stays as it was.

    Args:
        path: The file; its folder is made if need be.
        size_bytes: Its size, for the message of a full disk; None if not known.

    Yields:
        The path to write to.

    Raises:
        DiskFullError: If it does not fit.
        UnwritableError: If its folder must not be written.
    """
    final = pathlib.Path(path)
    temporary = final.with_name(_temporary_name(final))
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        # Not tempfile: that makes files only their owner can read, and these are published under the user's umask.
        temporary.touch(exist_ok=False)
        yield temporary
        sync(temporary)
        temporary.replace(final)
        sync(final.parent)
    # It says all already, as one of another file that is written inside the block.
    except errors.GeodsError:
        raise
    # Whatever it is: TensorFlow, HDF5 and NumPy have errors of their own for a disk that is full.
    except Exception as error:
        written_bytes = temporary.stat().st_size if temporary.exists() else 0
        if refusal := disk_errors.as_disk_error(final, error, size_bytes, written_bytes):
            raise refusal from error
        raise
    finally:
        if temporary.exists():
            temporary.unlink()


def sweep(folder: str | os.PathLike[str]) -> None:
    """Removes half-written files of killed processes from a folder without writers."""
    for path in pathlib.Path(folder).glob(".*"):
        if TEMPORARY.fullmatch(path.name):
            _remove(path)


def discard(path: pathlib.Path) -> None:
    """Removes a file or a folder, if it exists.

    Readers of its name see all of it or nothing.
    """
    if path.exists():
        _remove(path.rename(path.with_name(_temporary_name(path))))


def _remove(path: pathlib.Path) -> None:
    """Removes a file or a folder."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _temporary_name(path: pathlib.Path) -> str:
    """Returns a name that `sweep` knows, with the suffix of the path."""
    return f".{path.stem}.{secrets.token_hex(4)}.tmp{path.suffix}"


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes `content` to `path`, whole or not at all."""
    with atomic_path(path, len(content)) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | os.PathLike[str], content: str) -> None:
    """Writes `content` to `path` as UTF-8, whole or not at all."""
    write_bytes(path, content.encode("utf-8"))


def write_json(path: str | os.PathLike[str], content: Any) -> None:  # noqa: ANN401 - anything JSON can hold
    """Writes `content` to `path` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def parse_json(text: str | bytes) -> Any:  # noqa: ANN401 - anything JSON can hold
    """Returns the value of a JSON text.

    Raises:
        ValueError: If it is no JSON, or nested too deeply for Python.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def objects_in(content: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - what parse_json returns
    """Yields every object in parsed JSON, at any depth."""
    rest = [content]
    while rest:
        item = rest.pop()
        rest += item.values() if isinstance(item, dict) else item if isinstance(item, list) else []
        if isinstance(item, dict):
            yield item


def check_not_bomb(path: str | os.PathLike[str]) -> None:
    """Raises for a zip archive whose index claims too large contents.

    It is called before anything is unpacked.

    Raises:
        ValueError: If it is no whole archive, or unpacks to over 64 MB and 100 times its size: shapefiles shrink to a
            third, and models and arrays are not compressed at all.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except zipfile.BadZipFile as error:
        raise ValueError(str(error)) from error
    if unpacked > max(_BOMB_BYTES, _BOMB_RATIO * pathlib.Path(path).stat().st_size):
        raise ValueError(f"it would unpack to {unpacked:,} bytes")


def sha256_of_file(path: str | os.PathLike[str]) -> str:
    """Returns the SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as source:
        while chunk := source.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def check_file(path: str | os.PathLike[str], next_step: str) -> pathlib.Path:
    """Returns `path` if it is a file.

    Raises:
        MissingFileError: If it is not; the message ends with `next_step`.
    """
    return _checked(pathlib.Path(path), "file", "folder", next_step)


def check_folder(path: str | os.PathLike[str], next_step: str) -> pathlib.Path:
    """Returns `path` if it is a folder.

    Raises:
        MissingFileError: If it is not; the message ends with `next_step`.
    """
    return _checked(pathlib.Path(path), "folder", "file", next_step)


def _checked(path: pathlib.Path, kind: str, other: str, next_step: str) -> pathlib.Path:
    is_kind = {"file": path.is_file, "folder": path.is_dir}
    if not is_kind[kind]():
        problem = f"is a {other}, not a {kind}" if is_kind[other]() else "does not exist"
        raise errors.MissingFileError(f"{path}: {problem}.", next_step)
    return path


def check_apart(out: str, source: str, what: str = "the source") -> None:
    """Raises OptionError if --out is a source, inside it or around it."""
    made, read = pathlib.Path(out).resolve(), pathlib.Path(source).resolve()
    if made == read or made in read.parents or read in made.parents:
        step = f"name a folder beside it, such as --out={read.parent / (made.name + '_' * (made == read))}"
        raise errors.OptionError(f"--out={out}: is {what}, inside it or around it.", step)


def sync(path: pathlib.Path) -> None:
    """Flushes a file or folder to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
