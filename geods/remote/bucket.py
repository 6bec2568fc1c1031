"""A bucket on fsspec: its listing, and objects in and out, each whole or absent.

TFDS' epath hands every path to TensorFlow once that is imported, which knows gs:// and has no s3:// without
tensorflow-io; and neither gives an object's version, by which a second run knows that its copy is current.
"""

import contextlib
import errno
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from geods import errors
from geods.remote import urls
from geods.storage import files

# A first answer that takes longer will not come: an address that swallows what is sent to it never refuses.
_FIRST_ANSWER_S = 10
_LIMITS = {"connect_timeout": 10, "read_timeout": 60, "retries": {"max_attempts": 1}}


class Bucket:
    """The bucket of a URL, which has answered; all its methods raise BucketError."""

    def __init__(self, url: urls.Url) -> None:
        self._url = url
        with self._named(url.key) as name:
            self._system = _connect(url.scheme, name)

    def list(self, url: urls.Url) -> dict[str, tuple[int, str]]:
        """Returns size in bytes and tag of all objects at and below a location, by key."""
        with self._named(url.key) as name:
            found = {path.partition("/")[2]: entry for path, entry in self._system.find(name, detail=True).items()}
        # Folders are no objects, though some programs make empty ones whose names end with a slash; nor does a
        # location hold what only begins with the same letters.
        keys = [key for key, entry in found.items() if entry["type"] == "file" and key and not key.endswith("/")]
        return {key: (int(found[key]["size"]), _tag(found[key])) for key in keys if url.covers(url.at(key))}

    def get(self, key: str, path: pathlib.Path) -> None:
        """Copies an object to a file."""
        with self._named(key) as name, files.atomic_path(path) as temporary:
            self._system.get_file(name, str(temporary))

    def put(self, path: pathlib.Path, key: str) -> str:
        """Copies a file to an object; returns its tag."""
        with self._named(key) as name:
            self._system.put_file(str(path), name)
            return _tag(self._system.info(name))

    def delete(self, key: str) -> None:
        """Removes an object, if it is there."""
        with self._named(key) as name, contextlib.suppress(FileNotFoundError):
            self._system.rm_file(name)

    def read(self, key: str) -> bytes:
        """Returns the content of a small object, empty if it is missing."""
        with self._named(key) as name, contextlib.suppress(FileNotFoundError):
            return bytes(self._system.cat_file(name))
        return b""

    def write(self, key: str, content: bytes, replace: bool = False) -> bool:
        """Writes a small object; returns False if it exists and is not to be replaced."""
        with self._named(key) as name:
            # Some stores ignore the condition that they do not know, others answer so.
            if not replace and self._system.exists(name):
                return False
            try:
                self._system.pipe_file(name, content, mode="overwrite" if replace else "create")
            except FileExistsError:
                return False
            except OSError as error:
                if replace or error.errno != errno.ENOSYS:
                    raise
                self._system.pipe_file(name, content)
        return True

    @contextlib.contextmanager
    def _named(self, key: str) -> Iterator[str]:
        """Gives fsspec's name of an object; turns errors of the libraries to BucketError."""
        url = self._url.at(key)
        try:
            yield f"{url.bucket}/{key}".rstrip("/")
        except errors.GeodsError:
            raise
        except ImportError as error:
            raise errors.BucketError(f"{url}: {error.name} is not installed.", 'pip install "geods[cloud]"') from error
        # botocore, aiohttp and google-auth have trees of errors of their own.
        except Exception as error:
            cause = f"{type(error).__name__}: {str(error).strip()[:200]}".splitlines()[0].rstrip(": ")
            if isinstance(error, FileNotFoundError):
                problem = f"there is no such bucket or object ({cause})"
                step = f"make the bucket {url.bucket}, or correct the name"
            # gcsfs gives no kind of error for it, only words.
            elif isinstance(error, PermissionError) or str(error).startswith("Forbidden") or "Credentials" in cause:
                problem = f"access is refused ({cause})"
                step = "give credentials that may list and read there, and to write also put and delete"
            else:
                problem = f"cannot be reached ({cause})"
                step = (
                    "check the network, the credentials and the endpoint (AWS_ENDPOINT_URL); the same command resumes"
                )
            raise errors.BucketError(f"{url}: {problem}.", step) from error


def _connect(scheme: str, name: str) -> Any:  # noqa: ANN401 - one of two file systems of fsspec, which has no types
    """Returns the file system of a bucket, after the bucket has answered."""
    from fsspec import asyn

    options: dict[str, Any] = {"skip_instance_cache": True, "use_listings_cache": False}
    if scheme == "s3":
        import s3fs

        system = s3fs.S3FileSystem(config_kwargs=_LIMITS, **options)
    else:
        # Not gcsfs' own choice, which asks what kind of bucket it is and logs that it may not.
        from gcsfs import core

        system = core.GCSFileSystem(**options)
    try:
        asyn.sync(system.loop, system._info, name, timeout=_FIRST_ANSWER_S)
    except FileNotFoundError:
        # Of the two, only a bucket that is missing is a mistake. Who may see some names alone may not ask for it.
        with contextlib.suppress(PermissionError):
            system.info(name.partition("/")[0])
    return system


def _tag(entry: Mapping[str, Any]) -> str:
    """Returns an object's version: Google's generation or S3's ETag."""
    return str(entry.get("generation") or entry.get("ETag") or entry.get("etag") or "")
