"""URLs, and where on this machine their mirror lies: s3://bucket/a/b at <mirror>/s3/bucket/a/b.

Everything in geods works on local files on purpose: memory maps, SQLite, locks, files that are whole or absent. Buckets
have none of these. So what lies under a URL is copied to a mirror before a program works, and sent back afterwards.

What a program prints names URLs, where it works on their mirrors.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import re
import sys
from typing import Any

from geods import errors

SCHEMES = ("gs", "s3")
# Buckets of the same name at two services are not the same.
_ENDPOINTS = {"gs": ("STORAGE_EMULATOR_HOST",), "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")}
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)
# What a process and those that started it work on: JSON, so that it is inherited.
HELD = "GEODS_MIRRORED"


@dataclasses.dataclass(frozen=True, order=True)
class Url:
    """A place in a bucket.

    Attributes:
        scheme: One of SCHEMES.
        bucket: Name of the bucket.
        key: Names below it, joined by "/"; empty for the whole bucket.
    """

    scheme: str
    bucket: str
    key: str = ""

    def __str__(self) -> str:
        """Returns it as it was given, without a slash in the end."""
        return f"{self.scheme}://{self.bucket}" + (f"/{self.key}" if self.key else "")

    @property
    def local(self) -> pathlib.Path:
        """Where the mirror of it lies."""
        return _folder(self.scheme) / self.bucket / self.key

    @property
    def records(self) -> pathlib.Path:
        """The file that knows which files of the bucket's mirror are copies of which objects."""
        return _folder(self.scheme) / f".{self.bucket}.sqlite"

    @property
    def lock(self) -> pathlib.Path:
        """The lock of those who use the mirror of it."""
        return _folder(self.scheme) / ".locks" / hashlib.sha256(str(self).encode()).hexdigest()[:32]

    @property
    def claim(self) -> str:
        """The key of the object that says who writes there, beside it."""
        parent, _, name = self.key.rpartition("/")
        return f"{parent}/.{name}{CLAIM}" if parent else f".{name}{CLAIM}"

    def below(self, name: str) -> "Url":
        """Returns the place of a name in this one."""
        return dataclasses.replace(self, key=f"{self.key}/{name}".lstrip("/"))

    def beside(self, suffix: str) -> "Url":
        """Returns the place whose name ends with a suffix more."""
        return dataclasses.replace(self, key=self.key + suffix)

    def above(self) -> list["Url"]:
        """Returns the places that this one lies below, the bucket first."""
        names = self.key.split("/")
        return [dataclasses.replace(self, key="/".join(names[:end])) for end in range(len(names))] if self.key else []

    def covers(self, other: "Url") -> bool:
        """Says whether another place is this one or lies below it."""
        mine = f"{self.key}/" if self.key else ""
        return (self.scheme, self.bucket) == (other.scheme, other.bucket) and f"{other.key}/".startswith(mine)


CLAIM = ".geods-claim"


def is_url(text: str) -> bool:
    """Says whether a text is a URL of any kind."""
    return _URL.fullmatch(text) is not None


def parse(text: str) -> Url:
    """Returns the place that a URL names.

    Raises:
        OptionError: If its scheme is not known, it names no bucket, or its names could not be files here.
    """
    found = _URL.fullmatch(text)
    scheme = found["scheme"].lower() if found else ""
    if not found or scheme not in SCHEMES:
        known = " and ".join(f"{name}://BUCKET/NAME" for name in SCHEMES)
        raise errors.OptionError(f"{text}: {scheme}:// is not known.", f"give a path of this machine, or {known}")
    bucket, _, key = found["rest"].partition("/")
    key = key.rstrip("/")
    if not bucket or not is_name(bucket) or (key and not is_file_key(key)):
        problem = f"{text}: names no bucket, or has an empty name or a dot for a name in it."
        raise errors.OptionError(problem, f"write {scheme}://BUCKET/NAME")
    return Url(scheme, bucket, key)


def is_file_key(key: str) -> bool:
    """Says whether a key could be the path of a file."""
    return all(map(is_name, key.split("/")))


def is_name(name: str) -> bool:
    """Says whether a name could be that of a file."""
    return name not in ("", ".", "..") and "\0" not in name and len(os.fsencode(name)) < 256


def root() -> pathlib.Path:
    """Returns where the mirrors are: $GEODS_MIRROR, or ~/.cache/geods/mirror."""
    given = os.environ.get("GEODS_MIRROR")
    return (pathlib.Path(given) if given else pathlib.Path.home() / ".cache" / "geods" / "mirror").resolve()


def with_urls(text: str) -> str:
    """Returns a text with the URLs in it instead of the paths of their mirrors."""
    if str(root()) not in text:
        return text
    return re.sub(rf"{re.escape(str(root()))}/({'|'.join(SCHEMES)})(?:-[0-9a-f]{{8}})?/", r"\1://", text)


def held() -> list[tuple[str, Url]]:
    """Returns what this process and those that started it have brought here, and whether to read or to write there."""
    return [(mode, parse(text)) for mode, text in json.loads(os.environ.get(HELD) or "[]")]


def hold(places: list[tuple[str, Url]]) -> None:
    """Lets this process and those that it starts know what is here."""
    os.environ[HELD] = json.dumps([(mode, str(url)) for mode, url in places])


def _folder(scheme: str) -> pathlib.Path:
    """Returns the folder of all buckets of a service."""
    endpoint = next((os.environ[name] for name in _ENDPOINTS[scheme] if os.environ.get(name)), "")
    mark = f"-{hashlib.sha256(endpoint.encode()).hexdigest()[:8]}" if endpoint else ""
    return root() / (scheme + mark)


class _Shown:
    """A stream whose texts name URLs.

    Args:
        stream: Where they go.
    """

    def __init__(self, stream: Any) -> None:  # noqa: ANN401 - whatever sys.stdout is just now
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes a text."""
        return int(self._stream.write(with_urls(text)))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        """Returns everything else of the stream."""
        return getattr(self._stream, name)


def say_urls() -> None:
    """Has everything that is printed from now on name URLs."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, _Shown):
            setattr(sys, name, _Shown(stream))
