"""The check of all images by the workers of a Beam runner."""

import dataclasses
import itertools
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

from geods import beam_jobs, columns, images

# About half a minute for one worker.
_PART = 10_000


def check_files(paths: Sequence[pathlib.Path], crew: beam_jobs.Workers) -> Iterator[images.ImageFacts]:
    """Yields what `images.checked` does; all files are checked before the first.

    Args:
        paths: Files to read, which every worker sees under these names.
        crew: Who reads them.

    Raises:
        BeamError: If the runner fails.
        MissingFileError: If a worker cannot read a file.
    """
    here = pathlib.Path.cwd()
    # Not abspath, which takes "link/.." for nothing.
    names = (os.path.join(here, file) for file in columns.files_of(paths))  # noqa: PTH118 - a tenth of the time
    parts = iter(lambda: list(itertools.islice(names, _PART)), [])
    found = crew.map("geods.beam_checks:check", parts, {}, "checking images")
    facts = (values for part in found for values in part)
    return (images.ImageFacts(path, **values) for path, values in zip(paths, facts, strict=True))


def check(names: Sequence[str]) -> list[dict[str, Any]]:
    """Checks some files on a worker; returns the fields of `images.ImageFacts` without the path."""
    return [_without_path(images.check_file(pathlib.Path(name))) for name in names]


def _without_path(fact: images.ImageFacts) -> dict[str, Any]:
    """Returns the other fields."""
    values = dataclasses.asdict(fact)
    del values["path"]
    return values
