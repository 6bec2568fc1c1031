"""What is wrong with a command line, and what was meant: absl says the first in words of its own, the second not."""

import difflib
import pathlib
import re
import shlex
from collections.abc import Sequence

from absl import flags

from geods import errors

# What absl says of an enumeration.
_WRONG_WORD = re.compile(r"--(?P<name>\w+)=(?P<value>.*): value should be one of <(?P<words>.*)>")


def explain(error: Exception, known: Sequence[str]) -> errors.GeodsError:
    """Returns what is wrong with a command line, and what was meant.

    Args:
        error: What absl raised.
        known: Names of all flags.
    """
    if isinstance(error, flags.UnrecognizedFlagError):
        close = difflib.get_close_matches(error.flagname, known, n=2)
        meant = f"write {' or '.join(f'--{name}' for name in close)}; " if close else ""
        return errors.OptionError(f"there is no flag --{error.flagname}.", f"{meant}--help lists all flags")
    unread = error.__context__
    if isinstance(unread, OSError) and unread.filename:
        path = pathlib.Path(unread.filename)
        others = [str(other) for other in path.parent.glob(f"*{path.suffix}") if other.is_file()]
        close = difflib.get_close_matches(str(path), others, n=2)
        meant = f"write --flagfile={shlex.quote(close[0])}" if close else "name a flag file, such as a recipe"
        return errors.MissingFileError(f"--flagfile={path}: {unread.strerror}.", meant)
    if isinstance(error, flags.Error):
        problem = f"{str(error).removesuffix('.')}."
        if wrong := _WRONG_WORD.search(problem):
            close = difflib.get_close_matches(wrong["value"], wrong["words"].split("|"), n=1, cutoff=0.5)
            if close:
                return errors.OptionError(problem, f"write --{wrong['name']}={close[0]}")
        return errors.OptionError(problem, "--help says what each flag takes")
    return errors.OptionError(f"--flagfile: is no flag file ({error}).", "name a text file with one flag a line")
