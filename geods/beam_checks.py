"""The check of all images by the workers of a Beam runner."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from geods import beam_jobs, images

# About half a minute for one worker.
_PART = 10_000


def check_files(paths: Sequence[pathlib.Path], crew: beam_jobs.Workers) -> list[images.ImageFacts]:
    """Checks files as `images.check_files` does.

    Args:
        paths: Files to read, which every worker sees under these names.
        crew: Who reads them.

    Raises:
        BeamError: If the runner fails.
        MissingFileError: If a worker cannot read a file.
    """
    names = [os.fspath(path.absolute()) for path in paths]
    parts = (names[start : start + _PART] for start in range(0, len(names), _PART))
    found = crew.map("geods.beam_checks:check", parts, {}, "checking images")
    facts = (values for part in found for values in part)
    return [images.ImageFacts(path, **values) for path, values in zip(paths, facts, strict=True)]


def check(names: Sequence[str]) -> list[dict[str, Any]]:
    """Checks some files on a worker; returns the fields of `images.ImageFacts` without the path."""
    return [_without_path(images.check_file(pathlib.Path(name))) for name in names]


def _without_path(fact: images.ImageFacts) -> dict[str, Any]:
    """Returns the other fields."""
    values = dataclasses.asdict(fact)
    del values["path"]
    return values
