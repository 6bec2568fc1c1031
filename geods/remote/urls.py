"""URLs, and their mirrors: s3://bucket/a is mirrored at <mirror>/s3/bucket/a.

geods works on local files on purpose: memory maps, SQLite, locks and files that are whole or absent have no equal in a
bucket. What a program prints names URLs, although it works on their mirrors.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import re
import sys

from geods import errors

LEASE_SUFFIX = ".geods-claim"
# Where each scheme finds its service: buckets of the same name at two services are not the same.
SCHEMES = {"gs": ("STORAGE_EMULATOR_HOST",), "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")}
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<bucket>[^/]*)/?(?P<key>.*?)/*", re.DOTALL)
# The locations that a process and its parents have mirrored: JSON, so that children inherit it.
MIRRORED = "GEODS_MIRRORED"


@dataclasses.dataclass(frozen=True)
class Url:
    """A location in a bucket; the key is empty for the whole bucket."""

    scheme: str
    bucket: str
    key: str = ""

    def __str__(self) -> str:
        """Returns it as it was given, without a slash in the end."""
        return f"{self.scheme}://{self.bucket}" + (f"/{self.key}" if self.key else "")

    @property
    def local(self) -> pathlib.Path:
        """The path of its mirror."""
        endpoint = next((os.environ[name] for name in SCHEMES[self.scheme] if os.environ.get(name)), "")
        mark = f"-{hashlib.sha256(endpoint.encode()).hexdigest()[:8]}" if endpoint else ""
        return root() / (self.scheme + mark) / self.bucket / self.key

    @property
    def lock(self) -> pathlib.Path:
        """The lock file of its mirror."""
        return self.at("").local.parent / ".locks" / hashlib.sha256(str(self).encode()).hexdigest()[:32]

    @property
    def lease(self) -> str:
        """The key of the object beside it that names its writer."""
        parent, slash, name = self.key.rpartition("/")
        return f"{parent}{slash}.{name}{LEASE_SUFFIX}"

    def at(self, key: str) -> "Url":
        """Returns the location of another key in the same bucket."""
        return dataclasses.replace(self, key=key)

    def below(self, name: str) -> "Url":
        """Returns the location of a name in this one."""
        return self.at(f"{self.key}/{name}".lstrip("/"))

    def above(self) -> list["Url"]:
        """Returns the locations that this one lies below, the bucket first."""
        names = self.key.split("/")
        return [self.at("/".join(names[:end])) for end in range(len(names))] if self.key else []

    def covers(self, other: "Url") -> bool:
        """Returns whether another location is this one or lies below it."""
        return self == other or self in other.above()


def is_url(text: str) -> bool:
    """Returns whether a text is a URL of any scheme."""
    return _URL.fullmatch(text) is not None


def parse(text: str) -> Url:
    """Returns the location of a URL; raises OptionError if it cannot be mirrored."""
    found = _URL.fullmatch(text)
    scheme = found["scheme"].lower() if found else ""
    if not found or scheme not in SCHEMES:
        known = " and ".join(f"{name}://BUCKET/NAME" for name in SCHEMES)
        raise errors.OptionError(f"{text}: {scheme}:// is not known.", f"give a path of this machine, or {known}")
    if not is_file_key(found["bucket"]) or (found["key"] and not is_file_key(found["key"])):
        problem = f"{text}: names no bucket, or has an empty name or a dot for a name in it."
        raise errors.OptionError(problem, f"write {scheme}://BUCKET/NAME")
    return Url(scheme, found["bucket"], found["key"])


def is_file_key(key: str) -> bool:
    """Returns whether a key could be the path of a file."""
    names = key.split("/")
    return "\0" not in key and all(name not in ("", ".", "..") and len(os.fsencode(name)) < 256 for name in names)


def root() -> pathlib.Path:
    """Returns the folder of all mirrors: $GEODS_MIRROR, or ~/.cache/geods/mirror."""
    given = os.environ.get("GEODS_MIRROR")
    return (pathlib.Path(given) if given else pathlib.Path.home() / ".cache" / "geods" / "mirror").resolve()


def with_urls(text: str) -> str:
    """Returns a text with URLs instead of the paths of their mirrors."""
    return re.sub(rf"{re.escape(str(root()))}/({'|'.join(SCHEMES)})(?:-[0-9a-f]{{8}})?/", r"\1://", text)


def print_urls() -> None:
    """Makes everything that is printed from now on name URLs."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and "write" not in vars(stream):
            write = stream.write
            setattr(stream, "write", lambda text, write=write: write(with_urls(text)))  # noqa: B010 - no method for mypy


def mirrored() -> list[tuple[str, Url]]:
    """Returns mode and URL of the locations that this process or parents mirrored."""
    return [(mode, parse(text)) for mode, text in json.loads(os.environ.get(MIRRORED) or "[]")]


def set_mirrored(locations: list[tuple[str, Url]]) -> None:
    """Records the mirrored locations for this process and its children."""
    os.environ[MIRRORED] = json.dumps([(mode, str(url)) for mode, url in locations])
