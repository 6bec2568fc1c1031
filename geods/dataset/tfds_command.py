"""Brief output, short errors and checks for a running `tfds build`.

TFDS' command prints some 400 lines, shows the traceback of a wrong flag, and skips a published dataset unseen. None of
this can be set, so that the builder, when it is imported by that command, changes it for its own datasets.
"""

import contextlib
import functools
import json
import sys
import traceback
import types
from collections.abc import Callable, Iterator
from typing import Any

from absl import logging

from geods import errors
from geods.cli import program
from geods.dataset import dataset_folder

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
