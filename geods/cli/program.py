"""Command-line programs: parsing, errors of two lines, exit codes.

    if __name__ == "__main__":
        program.run(Options, main)

`run` defines the absl flags of a dataclass (geods/cli/flags.py), builds it (its `__post_init__` checks the values) and
calls the function with it. Nothing below a program ever reads FLAGS. What is declared as a path may be a URL
(geods/remote/): the function gets the path of its local copy, and what is printed names the URL.
"""

import contextlib
import difflib
import importlib
import itertools
import os
import pathlib
import re
import select
import shlex
import signal
import sys
import types
from collections.abc import Callable, Iterator, Sequence

from absl import app, flags, logging

from geods import errors
from geods.cli import backend, path_options
from geods.cli import flags as cli_flags
from geods.remote import session, urls

# --help lists the flags of the program's own module; without this, absl takes this module for their owner.
flags.disclaim_key_flags()

# What absl says of an enumeration.
_WRONG_WORD = re.compile(r"--(?P<name>\w+)=(?P<value>.*): value should be one of <(?P<words>.*)>")


def explain(error: Exception, known: Sequence[str]) -> errors.GeodsError:
    """Returns the error for a wrong command line, with the nearest right one.

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
        recipe = path.as_posix().split("recipes/")[-1].removesuffix(".cfg")
        if (_RECIPES / f"{recipe}.cfg").is_file():
            meant = f"write --recipe={recipe}, which works in any folder"
        return errors.MissingFileError(f"--flagfile={path}: {unread.strerror}.", meant)
    if isinstance(error, flags.Error):
        problem = f"{str(error).removesuffix('.')}."
        if wrong := _WRONG_WORD.search(problem):
            close = difflib.get_close_matches(wrong["value"], wrong["words"].split("|"), n=1, cutoff=0.5)
            if close:
                return errors.OptionError(problem, f"write --{wrong['name']}={close[0]}")
        return errors.OptionError(problem, "--help says what each flag takes")
    return errors.OptionError(f"--flagfile: is no flag file ({error}).", "name a text file with one flag a line")


_REPEATED = """Flags may also be in a file, one a line: --flagfile=FILE. If a flag is in a file twice, or in a file and
on the command line, the later one counts. On the command line a flag is given once, unless its help allows more.
--recipe=best is the flag file trainers/recipes/best.cfg, wherever the project is installed."""
_RECIPES = pathlib.Path(__file__).parents[2] / "trainers" / "recipes"
NO_NEXT = "GEODS_NO_NEXT"
_EXIT_BAD_INPUT = 2
_EXIT_INTERRUPTED = 130
_interrupts: list[int] = []
_EXIT_PIPE = 128 + signal.SIGPIPE


def run(options_class: type[cli_flags.Options], function: Callable[[cli_flags.Options], None]) -> None:
    """Runs `function` with options from the command line and ends the process.

    An error a user can fix, a wrong flag among them, is printed without traceback and ends with code 2; --verbosity=1
    shows the traceback.
    """
    cli_flags.define(options_class, flags.FLAGS)
    # TensorFlow's start-up banner would bury the one line that matters; set before anything imports it.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main = sys.modules["__main__"]
    main.__doc__ = f"{(main.__doc__ or '').rstrip()}\n\n{_REPEATED}\n"
    for stream in (sys.stdout, sys.stderr):
        # A name of a file that is not UTF-8 could not be printed.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    with _quiet_when_nobody_reads():
        app.run(lambda argv: _call(options_class, function, argv), flags_parser=_parse)


def _interrupt(number: int, frame: types.FrameType | None) -> None:
    """Notes an interrupt and raises KeyboardInterrupt."""
    _interrupts.append(number)
    signal.default_int_handler(number, frame)


def check_uninterrupted() -> None:
    """Raises KeyboardInterrupt if an interrupt came that a library kept to itself."""
    if _interrupts:
        raise KeyboardInterrupt


def import_quietly(name: str) -> None:
    """Imports a module without the output of its C++ code.

    A program's `main` calls it before it uses TensorFlow or Keras, whose backend is checked.

    TensorFlow prints seven lines about CPU features and missing GPU drivers before any log level counts, which would
    bury an error of two lines. Only this process's standard error is closed, and only during the import.

    Raises:
        OptionError: If Keras' backend is none that trains, or is not installed.
    """
    backend.check_backend()
    chosen = backend.name()
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        if chosen == "torch":
            # After TensorFlow its import ends the process by a signal (keras/src/backend/__init__.py).
            importlib.import_module(chosen)
        with backend.light_imports():
            importlib.import_module(name)
        if chosen != backend.DEFAULT:
            # TensorFlow only reads data then; it would take the memory of all GPUs.
            importlib.import_module("tensorflow").config.set_visible_devices([], "GPU")
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def next_line(command: str) -> str:
    """Returns the line on the next command.

    It is empty in a program that another one runs, which prints its own.
    """
    return "" if os.environ.get(NO_NEXT) else f"next: {command}\n"


def print_next(command: str) -> None:
    """Prints the line on the next command."""
    print(next_line(command), end="", flush=True)


def show_error(error: errors.GeodsError) -> None:
    """Prints an error the way every program does."""
    print(f"error: {printable(str(error))}", file=sys.stderr)


def printable(text: str) -> str:
    """Returns a text with control characters other than line breaks escaped.

    Names of files may hold such, which would control the terminal.
    """
    return "".join(
        character if character.isprintable() or character == "\n" else character.encode("unicode_escape").decode()
        for character in text
    )


def is_verbose() -> bool:
    """Returns whether --verbosity or --logtostderr asks this process for more output."""
    return flags.FLAGS.is_parsed() and any(flags.FLAGS[name].present for name in ("verbosity", "logtostderr"))


def is_quiet() -> bool:
    """Returns whether a command line was read that asks for no more output."""
    return flags.FLAGS.is_parsed() and not is_verbose()


def hide_traceback_of_user_errors(
    as_user_error: Callable[[BaseException], errors.GeodsError | None] = lambda _: None,
) -> None:
    """Makes an uncaught GeodsError print as its message.

    It serves programs whose main is not ours (the tfds command).

    Args:
        as_user_error: Returns the GeodsError to print for another exception, None to show its traceback.
    """
    earlier = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: types.TracebackType | None) -> None:
        if shown := error if isinstance(error, errors.GeodsError) else as_user_error(error):
            show_error(shown)
        else:
            earlier(kind, error, trace)

    sys.excepthook = hook


@contextlib.contextmanager
def _quiet_when_nobody_reads() -> Iterator[None]:
    """Ends the process as SIGPIPE would when its reader has ended, such as `head`."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        reader = select.poll()
        reader.register(1, 0)
        # It may also have been a connection of the program.
        if not any(event & select.POLLERR for _, event in reader.poll(0)):
            raise
        # Or Python would try once more to write what is left, and say that it cannot.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(_EXIT_PIPE)


def _parse(argv: Sequence[str]) -> list[str]:
    """Parses the command line; a mistake in it is answered as any other."""
    try:
        check_repeated(argv[1:], flags.FLAGS)
        words: list[str] = flags.FLAGS([_with_local_file(word) for word in argv])
    except errors.GeodsError as error:
        show_error(error)
        sys.exit(_EXIT_BAD_INPUT)
    except (flags.Error, UnicodeDecodeError, RecursionError) as error:
        show_error(explain(error, list(flags.FLAGS)))
        sys.exit(_EXIT_BAD_INPUT)
    return words


def check_repeated(words: Sequence[str], known: flags.FlagValues) -> None:
    """Checks that no flag is given twice, unless it takes several values.

    Args:
        words: The command line without the program's name.
        known: All flags.

    Raises:
        OptionError: If one is, since only its last value would count.
    """
    given: dict[str, str] = {}
    for word in itertools.takewhile(lambda word: word != "--", words):
        name = word.partition("=")[0].lstrip("-").replace("-", "_") if word.startswith("-") else ""
        positive = name.removeprefix("no")
        if name not in known and positive in known and isinstance(known[positive], flags.BooleanFlag):
            name = positive
        if name not in known or isinstance(known[name], flags.MultiFlag) or name == "flagfile":
            continue
        if name in given:
            problem = f"--{name}: is given twice, as {given[name]} and {word}."
            raise errors.OptionError(problem, "give it once; of a flag file, what comes later counts")
        given[name] = word


def _with_local_file(word: str) -> str:
    """Returns a word of the command line with the local path of a flag file."""
    flag, equals, path = word.partition("=")
    if equals and flag.lstrip("-") == "recipe" and "recipe" not in flags.FLAGS:
        return f"--flagfile={recipe_path(path)}"
    return (
        f"{flag}={session.local_path(path)}"
        if equals and flag.lstrip("-") == "flagfile" and urls.is_url(path)
        else word
    )


def recipe_path(name: str) -> pathlib.Path:
    """Returns the flag file of a recipe, wherever the project is installed.

    Args:
        name: Name such as "mlp" or "features/maps", or the path of a .cfg file, which is returned as it is.

    Raises:
        OptionError: If there is none of that name.
    """
    if name.endswith(".cfg"):
        return pathlib.Path(name)
    names = [path.relative_to(_RECIPES).with_suffix("").as_posix() for path in sorted(_RECIPES.rglob("*.cfg"))]
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1) or names
        raise errors.OptionError(f"--recipe={name}: there is no such recipe.", f"write --recipe={', '.join(close)}")
    return _RECIPES / f"{name}.cfg"


def _call(
    options_class: type[cli_flags.Options], function: Callable[[cli_flags.Options], None], argv: Sequence[str]
) -> None:
    """Builds the options and calls the function.

    A user's mistake becomes an exit code.
    """
    if not flags.FLAGS["verbosity"].present:
        # TFDS logs, as warnings, its own use of its own deprecated names at every start.
        logging.set_verbosity(logging.ERROR)
    try:
        with path_options.with_local_paths(cli_flags.from_flags(options_class, flags.FLAGS, argv[1:])) as options:
            function(options)
    except errors.GeodsError as error:
        if flags.FLAGS.verbosity > 0:
            raise
        show_error(error)
        sys.exit(_EXIT_BAD_INPUT)
    except (KeyboardInterrupt, Exception) as error:
        # TensorFlow makes an error of its own of an interrupt that comes while it traces a function.
        if not _interrupts and not isinstance(error, KeyboardInterrupt):
            raise
        print("interrupted", file=sys.stderr)
        sys.exit(_EXIT_INTERRUPTED)
