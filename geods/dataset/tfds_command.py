"""Output, errors, checks and remote folders of a running `tfds build`.

TFDS' command prints some 400 lines, shows the traceback of a wrong flag, and skips a published dataset unseen. None of
this can be set, so that the builder, when it is imported by that command, changes it for its own datasets.

TFDS opens s3:// itself only with tensorflow-io, and builds as fast as it can list and rename, which a bucket cannot.
So a build works in a local mirror, which is sent to the bucket.
"""

import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import sys
import traceback
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from absl import logging

from geods import errors
from geods.cli import path_options, program
from geods.dataset import dataset_folder
from geods.remote import session, urls
from geods.storage import files
from geods.tree import bad_images

_MODULE = "tensorflow_datasets.scripts.cli.build"
_OWN_CONFIG = json.dumps({"name": "mine", "policy": "random", "seed": 7})


def is_brief() -> bool:
    """Returns whether the command runs, without --verbosity or --logtostderr."""
    return _MODULE in sys.modules and not program.is_verbose()


def adapt(check_published: Callable[[Any, Any, Any], None]) -> None:
    """Adapts the command, if it runs.

    Args:
        check_published: Called with the builder, the folder --publish_dir and the configuration of a build that
            --skip_if_published may skip.
    """
    if _MODULE not in sys.modules:
        return
    cli_utils: Any = sys.modules["tensorflow_datasets.scripts.cli.cli_utils"]
    build = cli_utils.download_and_prepare

    @functools.wraps(build)
    def checked(**given: Any) -> None:  # noqa: ANN401 - as TFDS' function
        if given["skip_if_published"] and given["publish_dir"]:
            check_published(given["builder"], given["publish_dir"], given["download_config"])
        build(**given)

    cli_utils.download_and_prepare = checked
    if is_brief():
        logging.set_verbosity(logging.ERROR)
        program.hide_traceback_of_user_errors(_as_user_error)


@contextlib.contextmanager
def without_traceback() -> Iterator[None]:
    """Ends the tfds command with the message of a user's mistake."""
    try:
        yield
    except errors.GeodsError:
        if logging.get_verbosity() <= logging.INFO and not program.is_verbose():
            program.hide_traceback_of_user_errors()
        raise


class RemoteDirs:
    """The local folders of a build.

    Args:
        data_dir: What the builder was given: a path, a URL, or None.

    Attributes:
        data_dir: The same as a local path.

    Raises:
        BucketError: If it cannot be downloaded.
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


def _as_user_error(error: BaseException) -> errors.GeodsError | None:
    """Returns the error for a wrong flag of tfds build; None for any other exception."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    names = [frame.f_code.co_name for frame in frames if frame.f_globals.get("__name__") == _MODULE]
    if not _is_of_command(frames[-1], names):
        return None
    if "_get_config_name" in names:
        step = f"give --config={', '.join(dataset_folder.CONFIGS)}, or one of your own: --config='{_OWN_CONFIG}'"
        return errors.OptionError(f"--config or --config_idx: {errors.in_short(error)}", step)
    if "_make_download_config" in names:
        problem = f"--download_config: {errors.in_short(error)}"
        return errors.OptionError(problem, "give it as JSON of tfds.download.DownloadConfig, or leave it out")
    return errors.OptionError(errors.in_short(error), "tfds build --help lists all flags")


def _is_of_command(last: types.FrameType, names: list[str]) -> bool:
    """Returns whether an exception comes from the command's own reading of its flags."""
    is_flag = bool({"_get_config_name", "_make_download_config"} & set(names))
    return is_flag or last.f_globals.get("__name__") == _MODULE


def _bring_tree(tree: urls.Url) -> None:
    """Downloads an imagery tree, and the folder that bad images are moved to."""
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
