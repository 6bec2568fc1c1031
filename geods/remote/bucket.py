"""A bucket: what it holds, and single objects in and out, each whole or not at all.

Through fsspec's s3fs and gcsfs. TFDS' epath hands every path to TensorFlow once that is imported, which knows gs:// and
has no s3:// without tensorflow-io; and neither tells an object's version, by which a second run finds that it has it.
"""

import contextlib
import dataclasses
import datetime
import errno
import pathlib
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from geods import errors
from geods.remote import urls
from geods.storage import files

# A first answer that takes longer will not come: an address that swallows what is sent to it never refuses.
_FIRST_ANSWER_S = 10
_CONNECT_S, _READ_S = 10, 60
_LIBRARIES = {"gs": "gcsfs", "s3": "s3fs"}
_SHOWN = 200


@dataclasses.dataclass(frozen=True)
class Object:
    """What is known of an object without reading it.

    Attributes:
        size_bytes: Its bytes.
        tag: Other bytes have another tag: S3's ETag, Google's generation.
        modified: When it was written, by the clock of the store.
    """

    size_bytes: int
    tag: str
    modified: datetime.datetime


class Bucket:
    """A bucket that has answered once.

    Args:
        url: A place in it.

    Raises:
        BucketError: If it is not there, does not answer, or refuses, or the library for it is not installed.
    """

    def __init__(self, url: urls.Url) -> None:
        self.url = dataclasses.replace(url, key="")
        with _told(url):
            self._system = _in_time(lambda: _opened(url))

    def list(self, url: urls.Url) -> dict[str, Object]:
        """Returns all objects at and below a place, by their keys in the bucket."""
        with _told(url):
            found = self._system.find(_path(url), detail=True)
        start = len(self.url.bucket) + 1
        # Folders are no objects, though some programs make empty ones whose names end with a slash.
        objects = {name[start:]: _object(entry) for name, entry in found.items() if entry["type"] == "file"}
        # Nor is what only begins with the same letters below a place.
        below = {key: one for key, one in objects.items() if url.covers(dataclasses.replace(url, key=key))}
        return {key: one for key, one in below.items() if key and not key.endswith("/")}

    def get(self, key: str, path: pathlib.Path) -> None:
        """Copies an object to a file."""
        with _told(self._at(key)), files.atomic_path(path) as temporary:
            self._system.get_file(self._name(key), str(temporary))

    def put(self, path: pathlib.Path, key: str) -> Object:
        """Copies a file to an object, which is there as a whole or not at all."""
        with _told(self._at(key)):
            self._system.put_file(str(path), self._name(key))
            return _object(self._system.info(self._name(key)))

    def delete(self, key: str) -> None:
        """Removes an object, if it is there."""
        with _told(self._at(key)), contextlib.suppress(FileNotFoundError):
            self._system.rm_file(self._name(key))

    def create(self, key: str, content: bytes) -> bool:
        """Makes an object; returns False if it is there already. One of two who do it at once gets False."""
        with _told(self._at(key)):
            # Some stores that do not know the condition say nothing.
            if self._system.exists(self._name(key)):
                return False
            try:
                self._system.pipe_file(self._name(key), content, mode="create")
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno != errno.ENOSYS:
                    raise
                self._system.pipe_file(self._name(key), content)
            return True

    def write(self, key: str, content: bytes) -> None:
        """Makes an object, or replaces it."""
        with _told(self._at(key)):
            self._system.pipe_file(self._name(key), content)

    def read(self, key: str) -> tuple[bytes, Object] | None:
        """Returns a small object, None if it is not there."""
        with _told(self._at(key)), contextlib.suppress(FileNotFoundError):
            content: bytes = self._system.cat_file(self._name(key))
            return content, _object(self._system.info(self._name(key)))
        return None

    def _at(self, key: str) -> urls.Url:
        """Returns the URL of an object."""
        return dataclasses.replace(self.url, key=key)

    def _name(self, key: str) -> str:
        """Returns what fsspec calls an object."""
        return f"{self.url.bucket}/{key}"


def _opened(url: urls.Url) -> Any:  # noqa: ANN401 - one of two file systems of fsspec, which has no types
    """Returns the file system of a bucket, after the bucket has answered."""
    options: dict[str, Any] = {"skip_instance_cache": True, "use_listings_cache": False}
    if url.scheme == "s3":
        import s3fs

        limits = {"connect_timeout": _CONNECT_S, "read_timeout": _READ_S, "retries": {"max_attempts": 1}}
        system = s3fs.S3FileSystem(config_kwargs=limits, **options)
    else:
        # Not gcsfs' own choice, which asks what kind of bucket it is and logs that it may not.
        from gcsfs import core

        system = core.GCSFileSystem(**options)
    try:
        system.info(_path(url))
    except FileNotFoundError:
        # Of the two, only a bucket that is missing is a mistake. Who may see some names alone may not ask for it.
        with contextlib.suppress(PermissionError):
            system.info(url.bucket)
    return system


def _path(url: urls.Url) -> str:
    """Returns what fsspec calls a place."""
    return f"{url.bucket}/{url.key}".rstrip("/")


def _object(entry: Mapping[str, Any]) -> Object:
    """Returns what fsspec says of an object."""
    tag = entry.get("generation") or entry.get("ETag") or entry.get("etag") or ""
    modified = entry.get("LastModified") or entry.get("mtime") or entry.get("updated")
    if isinstance(modified, str):
        modified = datetime.datetime.fromisoformat(modified.replace("Z", "+00:00"))
    return Object(int(entry["size"]), str(tag), modified or datetime.datetime.now(datetime.timezone.utc))


def _in_time(open_it: Callable[[], Any]) -> Any:  # noqa: ANN401
    """Calls a function that may never come back.

    Raises:
        TimeoutError: If it has not after 10 s.
    """
    results: list[Any] = []
    failures: list[BaseException] = []

    def call() -> None:
        try:
            results.append(open_it())
        except BaseException as error:
            failures.append(error)

    # A thread that is waited for at the end of the program would keep it from ending.
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(_FIRST_ANSWER_S)
    if failures:
        raise failures[0]
    if not results:
        raise TimeoutError(f"no answer in {_FIRST_ANSWER_S} s")
    return results[0]


@contextlib.contextmanager
def _told(url: urls.Url) -> Iterator[None]:
    """Lets what the libraries raise say which URL it is about, and what to do.

    Raises:
        BucketError: Instead of whatever they raise.
    """
    try:
        yield
    except errors.GeodsError:
        raise
    except ImportError as error:
        library = _LIBRARIES[url.scheme]
        raise errors.BucketError(f"{url}: {library} is not installed.", 'pip install "geods[cloud]"') from error
    except FileNotFoundError as error:
        problem = f"{url}: there is no such bucket or object ({_said(error)})."
        raise errors.BucketError(problem, f"make the bucket {url.bucket}, or correct the name") from error
    # botocore, aiohttp and google-auth have trees of errors of their own.
    except Exception as error:
        # gcsfs says so in words.
        if isinstance(error, PermissionError) or str(error).startswith("Forbidden") or "Credentials" in _said(error):
            step = "give credentials that may list and read there, and to write also put and delete"
            raise errors.BucketError(f"{url}: access is refused ({_said(error)}).", step) from error
        step = "check the network, the credentials and the endpoint (AWS_ENDPOINT_URL); the same command goes on"
        raise errors.BucketError(f"{url}: cannot be reached ({_said(error)}).", step) from error


def _said(error: BaseException) -> str:
    """Returns what an error says, in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:_SHOWN]}" if lines else type(error).__name__
