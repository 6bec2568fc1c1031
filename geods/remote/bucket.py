"""A bucket on fsspec's s3fs or gcsfs: its listing, and single objects in and out, each whole or not at all.

TFDS' epath hands every path to TensorFlow once that is imported, which knows gs:// and has no s3:// without
tensorflow-io; and neither gives an object's version, by which a second run knows that its copy is current.
"""

import contextlib
import errno
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from geods import errors
from geods.remote import urls
from geods.storage import files

# A first answer that takes longer will not come: an address that swallows what is sent to it never refuses.
_FIRST_ANSWER_S = 10
_CONNECT_S, _READ_S = 10, 60
_LIBRARIES = {"gs": "gcsfs", "s3": "s3fs"}
_SHOWN = 200


class Object(NamedTuple):
    """Size and version of an object: other bytes have another tag, S3's ETag or Google's generation."""

    size_bytes: int
    tag: str


class Bucket:
    """A bucket that has answered once; each method raises BucketError if it cannot be reached or refuses.

    Args:
        url: A location in it.

    Raises:
        BucketError: If it is missing, does not answer or refuses, or the library for it is not installed.
    """

    def __init__(self, url: urls.Url) -> None:
        self._url = url
        with _translate_errors(url):
            self._system = _connect(url)

    def list(self, url: urls.Url) -> dict[str, Object]:
        """Returns all objects at and below a location, by their keys in the bucket."""
        with _translate_errors(url):
            found = self._system.find(_path(url), detail=True)
        # Folders are no objects, though some programs make empty ones whose names end with a slash; nor does a
        # location hold what only begins with the same letters.
        entries = {name.partition("/")[2]: entry for name, entry in found.items() if entry["type"] == "file"}
        below = {key: entry for key, entry in entries.items() if key and not key.endswith("/")}
        return {key: _object(entry) for key, entry in below.items() if url.covers(url.at(key))}

    def get(self, key: str, path: pathlib.Path) -> None:
        """Copies an object to a file."""
        with self._name(key) as name, files.atomic_path(path) as temporary:
            self._system.get_file(name, str(temporary))

    def put(self, path: pathlib.Path, key: str) -> str:
        """Copies a file to an object, which is there as a whole or not at all; returns its tag."""
        with self._name(key) as name:
            self._system.put_file(str(path), name)
            return _object(self._system.info(name)).tag

    def delete(self, key: str) -> None:
        """Removes an object, if it is there."""
        with self._name(key) as name, contextlib.suppress(FileNotFoundError):
            self._system.rm_file(name)

    def create(self, key: str, content: bytes) -> bool:
        """Makes an object; returns False if it is there already. One of two who do it at once gets False."""
        with self._name(key) as name:
            try:
                # Some stores that do not know the condition ignore it.
                if self._system.exists(name):
                    return False
                self._system.pipe_file(name, content, mode="create")
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno != errno.ENOSYS:
                    raise
                self._system.pipe_file(name, content)
        return True

    def write(self, key: str, content: bytes) -> None:
        """Makes or replaces an object."""
        with self._name(key) as name:
            self._system.pipe_file(name, content)

    def read(self, key: str) -> bytes:
        """Returns the content of a small object, empty if it is missing."""
        with self._name(key) as name, contextlib.suppress(FileNotFoundError):
            return bytes(self._system.cat_file(name))
        return b""

    @contextlib.contextmanager
    def _name(self, key: str) -> Iterator[str]:
        """Gives fsspec's name of an object to a block whose errors are translated."""
        with _translate_errors(self._url.at(key)):
            yield f"{self._url.bucket}/{key}"


def _connect(url: urls.Url) -> Any:  # noqa: ANN401 - one of two file systems of fsspec, which has no types
    """Returns the file system of a bucket, after the bucket has answered."""
    from fsspec import asyn

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
        asyn.sync(system.loop, system._info, _path(url), timeout=_FIRST_ANSWER_S)
    except FileNotFoundError:
        # Of the two, only a bucket that is missing is a mistake. Who may see some names alone may not ask for it.
        with contextlib.suppress(PermissionError):
            system.info(url.bucket)
    except asyn.FSTimeoutError as error:
        raise TimeoutError(f"no answer in {_FIRST_ANSWER_S} s") from error
    return system


def _path(url: urls.Url) -> str:
    return f"{url.bucket}/{url.key}".rstrip("/")


def _object(entry: Mapping[str, Any]) -> Object:
    return Object(int(entry["size"]), str(entry.get("generation") or entry.get("ETag") or entry.get("etag") or ""))


@contextlib.contextmanager
def _translate_errors(url: urls.Url) -> Iterator[None]:
    """Raises BucketError with the URL, the cause and a next step, instead of whatever the libraries raise."""
    try:
        yield
    except errors.GeodsError:
        raise
    except ImportError as error:
        library = _LIBRARIES[url.scheme]
        raise errors.BucketError(f"{url}: {library} is not installed.", 'pip install "geods[cloud]"') from error
    # botocore, aiohttp and google-auth have trees of errors of their own.
    except Exception as error:
        cause = f"{type(error).__name__}: {str(error).strip()[:_SHOWN]}".splitlines()[0].rstrip(": ")
        if isinstance(error, FileNotFoundError):
            problem = f"there is no such bucket or object ({cause})"
            step = f"make the bucket {url.bucket}, or correct the name"
        # gcsfs gives no kind of error for it, only words.
        elif isinstance(error, PermissionError) or str(error).startswith("Forbidden") or "Credentials" in cause:
            problem = f"access is refused ({cause})"
            step = "give credentials that may list and read there, and to write also put and delete"
        else:
            problem = f"cannot be reached ({cause})"
            step = "check the network, the credentials and the endpoint (AWS_ENDPOINT_URL); the same command resumes"
        raise errors.BucketError(f"{url}: {problem}.", step) from error
