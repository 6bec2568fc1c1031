"""Build folders that are URLs: local mirrors for TFDS, sent to the bucket.

TFDS opens s3:// itself only with tensorflow-io, and builds as fast as it can list and rename, which a bucket cannot.
"""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from geods import errors
from geods.cli import path_options
from geods.dataset import dataset_folder
from geods.remote import session, urls
from geods.storage import files
from geods.tree import bad_images


class RemoteDirs:
    """Where a builder builds.

    Args:
        data_dir: What the builder was given: a path, a URL, or None.

    Attributes:
        data_dir: The same, of this machine.

    Raises:
        BucketError: If it cannot be brought here.
    """

    def __init__(self, data_dir: str | os.PathLike[str] | None) -> None:
        self.data_dir, self._url = data_dir, None
        if data_dir is not None and urls.is_url(os.fspath(data_dir)):
            given = urls.parse(os.fspath(data_dir))
            self.data_dir = given.local
            # Not all of it: other datasets may lie there, and what is downloaded for them.
            self._url = given.below(dataset_folder.NAME)
            session.current().local(self._url, "in")

    @contextlib.contextmanager
    def at_work(self, arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Yields the arguments of a build with local paths; sends the results.

        Raises:
            OptionError: If other machines are to build it.
            BucketError: If a bucket cannot be used, or another process works there.
        """
        config = arguments.get("download_config")
        manual_dir = os.fspath(config.manual_dir) if config and config.manual_dir else ""
        manual = urls.parse(manual_dir) if urls.is_url(manual_dir) else None
        if not manual and not self._url:
            yield dict(arguments)
            return
        if config and config.beam_options is not None:
            problem = f"--beam_pipeline_options with {manual or self._url}: a URL is mirrored on this machine alone."
            raise errors.OptionError(problem, "name folders of a shared disk, or leave it out")
        with path_options.closing():
            if manual and config:
                _bring_tree(manual)
                arguments = {**arguments, "download_config": dataclasses.replace(config, manual_dir=manual.local)}
            if self._url:
                session.current().local(self._url, "out")
                _drop_half_sent(self._url.local)
            yield dict(arguments)


def _bring_tree(tree: urls.Url) -> None:
    """Brings an imagery tree here, and where bad images are moved to."""
    session.current().local(tree, "may")
    if bad_images.Policy.from_environment().on_bad_image == "quarantine":
        session.current().local(tree.at(tree.key + files.QUARANTINE), "may")


def _drop_half_sent(folder: pathlib.Path) -> None:
    """Removes the half-sent dataset of a machine that died.

    TFDS takes any folder for a finished one.
    """
    for path in folder.glob("*/*"):
        if path.is_dir() and not path.parent.name.startswith(".") and not (path / dataset_folder.INFO).is_file():
            files.discard(path)
