"""Options that are paths: which they are, and what they are once their URLs have been brought here.

Every field of an options dataclass that names a file or folder says so in its metadata: "in", "out" or "may" as in
geods/remote/session.py, or "local" where a URL makes no sense, such as for a key.
"""

import contextlib
import dataclasses
import os
import pathlib
import re
import sys
from collections.abc import Iterator
from typing import Any, TypeVar

from geods import errors
from geods.remote import urls

Options = TypeVar("Options")

MODES = ("in", "out", "may", "local")
# Of a recipe and of the features it stands on, of tools.leaderboard.
_TWO = re.compile(r"(?<=\.cfg)@")
_OF_SHAPEFILES = ("shx", "dbf", "prj", "cpg")
# Beside a tree, what bad images are moved to.
QUARANTINE = ".quarantine"
# These have other processes read the paths, which see no mirror, or wait for files to come that a mirror does not get.
_ELSEWHERE = ("beam_pipeline_options", "data_service", "follow")


def modes(options_class: type) -> dict[str, str]:
    """Returns the modes of the fields that are paths."""
    fields = dataclasses.fields(options_class)
    return {field.name: field.metadata["path"] for field in fields if field.metadata.get("path")}


@contextlib.contextmanager
def with_local_paths(options: Options) -> Iterator[Options]:
    """Gives options whose URLs are brought here; sends what the block has changed.

    Raises:
        OptionError: If a URL cannot be used there.
        BucketError: If it does not answer or refuses, or another process works on it.
        DiskFullError: If there is no room for it.
    """
    found = sorted(_urls_in(options), key=lambda pair: (pair[1] != "out", len(pair[0].key)))
    if not found and not urls.held():
        with closing():
            yield options
        return
    _check_elsewhere(options, found)
    from geods.remote import session

    with closing():
        here = session.current()
        for url, mode in found:
            here.local(url, mode)
        yield _with_paths(options)


def local_path(text: str | os.PathLike[str], *names: str) -> pathlib.Path:
    """Returns a path below another, which is brought here to be read if it is a URL, such as a run remembers.

    Args:
        text: A path or URL.
        names: Names below it.

    Raises:
        BucketError: If it does not answer or refuses.
    """
    if not urls.is_url(os.fspath(text)):
        return pathlib.Path(text, *names)
    from geods.remote import session

    return session.current().local(urls.parse("/".join([os.fspath(text).rstrip("/"), *names])), "in")


@contextlib.contextmanager
def closing() -> Iterator[None]:
    """Ends the session after the block, whether it began before or in it."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and "geods.remote.session" in sys.modules:
            print("sending what is finished; interrupt again to leave it", file=sys.stderr)
        if isinstance(error, errors.DiskFullError | errors.UnwritableError) and urls.held():
            print(f"what is under URLs lies in {urls.root()} meanwhile, or where GEODS_MIRROR says", file=sys.stderr)
        _close(failed=True)
        raise
    _close(failed=False)


def _close(failed: bool) -> None:
    """Ends the session, if there may be one."""
    if "geods.remote.session" in sys.modules:
        from geods.remote import session

        session.close(failed)


def _urls_in(options: Any) -> list[tuple[urls.Url, str]]:  # noqa: ANN401 - any options dataclass
    """Returns the URLs among the paths, each with what is done there."""
    found = []
    for name in modes(type(options)):
        for text in _paths_in(getattr(options, name)):
            if not urls.is_url(text):
                continue
            mode = _mode(options, name)
            if mode == "local":
                raise errors.OptionError(f"--{name}={text}: cannot be a URL.", "name a path of this machine")
            found += [(url, mode) for url in _with_parts(urls.parse(text))]
            if mode == "may" and getattr(options, "on_bad_image", "") == "quarantine":
                found.append((urls.parse(text).beside(QUARANTINE), mode))
    return found


def _with_parts(url: urls.Url) -> list[urls.Url]:
    """Returns a place, and what belongs to it: a shapefile has its attributes and coordinates in files of their own."""
    stem, dot, suffix = url.key.rpartition(".")
    more = _OF_SHAPEFILES if dot and suffix.lower() == "shp" else ()
    return [url, *(dataclasses.replace(url, key=f"{stem}.{part}") for part in more)]


def _mode(options: Any, name: str) -> str:  # noqa: ANN401
    """Returns what is done with a path."""
    metadata = next(field.metadata for field in dataclasses.fields(options) if field.name == name)
    unless = metadata.get("unless")
    return "in" if unless and getattr(options, unless) else str(metadata["path"])


def _with_paths(options: Options) -> Options:
    """Returns the options with the paths of mirrors instead of URLs."""
    changed: dict[str, Any] = {}
    for name in modes(type(options)):
        value = getattr(options, name)
        if any(map(urls.is_url, _paths_in(value))):
            changed[name] = tuple(map(_local, value)) if isinstance(value, tuple) else _local(value)
    return dataclasses.replace(options, **changed) if changed else options  # type: ignore[type-var]


def _local(text: str) -> str:
    """Returns the path of the mirror of a URL, another text as it is."""
    return "@".join(str(urls.parse(path).local) if urls.is_url(path) else path for path in _TWO.split(text))


def _paths_in(value: Any) -> list[str]:  # noqa: ANN401 - the value of a field
    """Returns the paths in a value."""
    texts = (value,) if isinstance(value, str) else value if isinstance(value, tuple) else ()
    return [path for text in texts for path in _TWO.split(text)]


def _check_elsewhere(options: Any, found: list[tuple[urls.Url, str]]) -> None:  # noqa: ANN401
    """Refuses URLs where processes elsewhere would look for the paths.

    Raises:
        OptionError: If one of those is asked for.
    """
    given = [name for name in _ELSEWHERE if getattr(options, name, None)]
    if given and found:
        problem = f"--{given[0]} with {found[0][0]}: a URL is mirrored on this machine, for this process alone."
        raise errors.OptionError(problem, "name paths of a shared disk, or leave it out")
