"""Options that are paths, and their local paths once URLs are mirrored.

Every field of an options dataclass that names a file or folder says so in its metadata: "in", "out" or "may" as in
geods/remote/session.py, or "local" where a URL makes no sense, such as for a key.
"""

import contextlib
import re
import sys
from collections.abc import Iterator
from typing import Any, TypeVar

from geods import errors
from geods.cli import flags
from geods.remote import session, urls
from geods.storage import files

Options = TypeVar("Options")

# Of a recipe and its features, of tools.leaderboard.
_TWO = re.compile(r"(?<=\.cfg)@")
_OF_SHAPEFILES = ("shx", "dbf", "prj", "cpg")
# These have other processes read the paths, which see no mirror, or wait for files to come that a mirror does not get.
_ELSEWHERE = ("beam_pipeline_options", "data_service", "follow")


def modes(options_class: type) -> dict[str, str]:
    """Returns the modes of the fields that are paths, those of all stages."""
    fields = flags.leaves(options_class)
    return {field.name: field.metadata["path"] for field in fields if field.metadata.get("path")}


@contextlib.contextmanager
def with_local_paths(options: Options) -> Iterator[Options]:
    """Yields options whose URLs are mirrored; sends the changes of the block.

    Raises:
        OptionError: If a URL cannot be used there.
        BucketError: If it does not answer or refuses, or another process works on it.
        DiskFullError: If there is no room for it.
    """
    with closing():
        found = sorted(_urls_in(options), key=lambda pair: (pair[1] != "out", len(pair[0].key)))
        for url, mode in found:
            session.current().local(url, mode)
        if urls.mirrored():
            urls.print_urls()
        yield _with_paths(options)


@contextlib.contextmanager
def closing() -> Iterator[None]:
    """Ends the session after the block, whether it started before or in it.

    Raises:
        BucketError: If what is left cannot be sent; if the block raises, that counts more.
    """
    try:
        yield
    except BaseException as error:
        if urls.mirrored() and isinstance(error, KeyboardInterrupt):
            print("sending what is finished; interrupt again to leave it", file=sys.stderr)
        if urls.mirrored() and isinstance(error, errors.DiskFullError | errors.UnwritableError):
            print(f"what is under URLs lies in {urls.root()} meanwhile, or where GEODS_MIRROR says", file=sys.stderr)
        try:
            session.close()
        except errors.GeodsError as second:
            print(second.problem, file=sys.stderr)
        raise
    session.close()


def _urls_in(options: Any) -> list[tuple[urls.Url, str]]:  # noqa: ANN401 - any options dataclass
    """Returns the URLs among the paths, each with its mode.

    Raises:
        OptionError: If a URL makes no sense there, or processes elsewhere would look for the paths.
    """
    values = flags.values_of(options)
    found, elsewhere = [], [name for name in _ELSEWHERE if values.get(name)]
    for field in flags.leaves(type(options)):
        mode, unless = field.metadata.get("path", ""), field.metadata.get("unless")
        for text in filter(urls.is_url, _paths_in(values[field.name]) if mode else ()):
            if mode == "local":
                raise errors.OptionError(f"--{field.name}={text}: cannot be a URL.", "name a path of this machine")
            if elsewhere:
                problem = f"--{elsewhere[0]} with {text}: a URL is mirrored on this machine, for this process alone."
                raise errors.OptionError(problem, "name paths of a shared disk, or leave it out")
            url = urls.parse(text)
            found.append((url, "in" if unless and values[unless] else mode))
            stem, dot, suffix = url.key.rpartition(".")
            if dot and suffix.lower() == "shp":
                # It has its attributes and coordinates in files of their own.
                found += [(url.at(f"{stem}.{part}"), found[-1][1]) for part in _OF_SHAPEFILES]
            if mode == "may" and values.get("on_bad_image") == "quarantine":
                found.append((url.at(url.key + files.QUARANTINE), mode))
    return found


def _with_paths(options: Options) -> Options:
    """Returns the options with the paths of mirrors instead of URLs."""
    values, changed = flags.values_of(options), {}
    for name in modes(type(options)):
        value = values[name]
        if any(map(urls.is_url, _paths_in(value))):
            changed[name] = tuple(map(_local, value)) if isinstance(value, tuple) else _local(value)
    return flags.replace(options, **changed) if changed else options


def _local(text: str) -> str:
    return "@".join(str(urls.parse(path).local) if urls.is_url(path) else path for path in _TWO.split(text))


def _paths_in(value: Any) -> list[str]:  # noqa: ANN401 - the value of a field
    texts = (value,) if isinstance(value, str) else value if isinstance(value, tuple) else ()
    return [path for text in texts for path in _TWO.split(text)]
