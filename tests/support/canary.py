"""A key that no output may hold, and where to look for it.

conftest.py puts it into the environment of all tests, and looks into what they print and write.
"""

import base64
import contextlib
import io
import logging
import pathlib
import traceback
import urllib.parse
from collections.abc import Iterator

from geods import errors

# With characters that URL encoding changes.
CANARY = "canary|key/4d7Qx+Zw9-_~Lr2Bn8"
KEY_FILE = "key"
_SOURCES = pathlib.Path(errors.__file__).parent


def forms() -> list[str]:
    """How the canary may be written: plain, URL-encoded, base64 at any alignment."""
    found = [CANARY, urllib.parse.quote(CANARY, safe=""), urllib.parse.quote_plus(CANARY)]
    for before in range(3):
        whole = base64.b64encode(b" " * before + CANARY.encode()).decode()
        found += [whole[4:-4], whole[4:-4].replace("+", "-").replace("/", "_")]
    return found


def assert_clean(text: str) -> None:
    for form in forms():
        assert form not in text


def assert_no_key(folder: pathlib.Path) -> None:
    """Looks for the key in every file of a folder; files named "key" may hold it."""
    found = [form.encode() for form in forms()]
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.name != KEY_FILE:
            content = b""
            # Some tests leave a file that nobody may read.
            with contextlib.suppress(PermissionError):
                content = path.read_bytes()
            assert not any(form in content for form in found), path


def whole_text(error: BaseException) -> str:
    """All that a crash reporter may keep of an exception.

    Message, traceback, causes, variables of our own frames.
    """
    found = "".join(traceback.format_exception(error))
    for each in (error, error.__cause__, error.__context__):
        if each is not None:
            found += f"{each!r} {vars(each)}"
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if pathlib.Path(frame.f_code.co_filename).is_relative_to(_SOURCES):
            found += repr(frame.f_locals)
    return found


@contextlib.contextmanager
def listening() -> Iterator[io.StringIO]:
    """Collects every log record at DEBUG."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    loggers = [logging.getLogger(name) for name in ("", "urllib3", "requests")]
    levels = [logger.level for logger in loggers]
    loggers[0].addHandler(handler)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    try:
        yield stream
    finally:
        loggers[0].removeHandler(handler)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
