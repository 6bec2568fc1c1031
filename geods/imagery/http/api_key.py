"""API keys that do not show: in no repr, message, log line or pickle.

    key = api_key.read_secret("GOOGLE_MAPS_API_KEY", path="", flag="--api_key_file")
    key.reveal()    the only way to the text

`redact` takes every key this process has read out of a text, however it was written there.
"""

import base64
import hmac
import logging
import os
import re
import stat
import urllib.parse
from typing import NoReturn

from geods import errors
from geods.storage import files

_SHOWN = "***"
# Shorter ones would blank innocent words out of every message; Google's keys have 39 characters.
_LEAST_CHARACTERS, _MOST_CHARACTERS = 8, 512
_WORD = re.compile(rf"[!#-&(-\[\]-~]{{{_LEAST_CHARACTERS},{_MOST_CHARACTERS}}}")
_NAMED = re.compile(r"(?i)([?&](?:key|signature|access_token|token)=|\b(?:OAuth|Bearer)\s+)[^\s&'\"<>)]+")
_OTHERS_MAY_READ = 0o077
_LOGGERS = ("urllib3", "requests")

_known: dict[str, re.Pattern[str]] = {}


class Secret:
    """A text that only `reveal` shows.

    Args:
        value: The text; `redact` knows it from now on if it has at least 8 characters.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        """Keeps the value and makes it known to `redact`."""
        self._value = value
        if len(value) >= _LEAST_CHARACTERS and value not in _known:
            _known[value] = re.compile("|".join(map(re.escape, _forms(value))), re.IGNORECASE)

    def reveal(self) -> str:
        """Returns the text, for the one place that sends it."""
        return self._value

    def __repr__(self) -> str:
        """Returns the same for every secret."""
        return f"Secret({_SHOWN})"

    def __str__(self) -> str:
        """Returns the same for every secret."""
        return _SHOWN

    def __eq__(self, other: object) -> bool:
        """Compares in a time that does not depend on where the two differ."""
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        """Agrees with __eq__."""
        return hash(self._value)

    def __copy__(self) -> "Secret":
        """Returns itself, as nothing can change it."""
        return self

    def __deepcopy__(self, memo: object) -> "Secret":
        """Returns itself, so that dataclasses.asdict works."""
        return self

    def __reduce__(self) -> NoReturn:
        """Keeps the text out of pickles.

        Raises:
            TypeError: Always.
        """
        raise TypeError("a Secret cannot be pickled; let the other process read it for itself")


class RedactingFilter(logging.Filter):
    """Takes keys out of log records: their message, traceback and stack."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrites the record in place and lets it pass."""
        record.msg, record.args = redact(record.getMessage()), None
        if record.exc_info:
            record.exc_text = redact(record.exc_text or logging.Formatter().formatException(record.exc_info))
            record.exc_info = None
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        return True


def redact(text: str) -> str:
    """Returns `text` with *** in the place of secrets.

    These are every known secret (plain, URL-encoded, base64) and the value of any `key=`, `signature=` or `token=` of a
    URL. Redact before cutting a text short: half a key is no longer found.
    """
    for pattern in tuple(_known.values()):
        text = pattern.sub(_SHOWN, text)
    return _NAMED.sub(rf"\g<1>{_SHOWN}", text)


def guard_logs() -> None:
    """Redacts the log records of the HTTP libraries.

    At DEBUG, urllib3 logs whole URLs, and at WARNING those of bad headers.

    A filter on a logger does not see the records of its children, so each logger gets its own.
    """
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.INFO)
    for name in tuple(logging.root.manager.loggerDict):
        if name.split(".")[0] in _LOGGERS:
            logger = logging.getLogger(name)
            if not any(isinstance(kept, RedactingFilter) for kept in logger.filters):
                logger.addFilter(RedactingFilter())


def find_secret(env_name: str, path: str = "") -> Secret | None:
    """Returns the secret in the named file, else in the environment, else None.

    Args:
        env_name: Environment variable; set but empty counts as not set.
        path: File that holds the secret and nothing else, readable by its owner only.

    Raises:
        MissingFileError: If `path` is not a file, or cannot be read.
        OptionError: If others may read it, or what it holds cannot be a key.
    """
    if path:
        return Secret(_checked(_read(path), path))
    text = os.environ.get(env_name, "")
    return Secret(_checked(text, env_name)) if text.strip() else None


def read_secret(env_name: str, path: str = "", flag: str = "") -> Secret:
    """Returns the secret that `find_secret` finds; raises if there is none.

    Args:
        env_name: Environment variable.
        path: File, or empty.
        flag: The flag that names the file, for the message.

    Raises:
        MissingFileError: As `find_secret`.
        OptionError: As `find_secret`, or if there is no secret.
    """
    found = find_secret(env_name, path)
    if found is None:
        by_file = f", or give {flag}=FILE with a file that only you can read (chmod 600)" if flag else ""
        raise errors.OptionError(f"{env_name} is not set.", f"set it in the environment{by_file}")
    return found


def _read(path: str) -> str:
    """Returns the text of a file after checking who may read it."""
    files.check_file(path, "name the file that holds the key")
    try:
        with open(path, "rb") as source:
            mode = os.fstat(source.fileno()).st_mode
            content = source.read(_MOST_CHARACTERS + 16)
    except OSError as error:
        raise errors.MissingFileError(f"{path}: cannot be read ({error.strerror}).", "check its owner") from error
    # Windows has no such bits: there every file would look open to all.
    if os.name == "posix" and mode & _OTHERS_MAY_READ:
        problem = f"{path}: others than its owner may open it (mode {stat.S_IMODE(mode):04o})."
        raise errors.OptionError(problem, f"chmod 600 {path}")
    return content.decode("ascii", errors="replace")


def _checked(text: str, origin: str) -> str:
    """Returns the one word that a key is."""
    value = text.strip()
    if not _WORD.fullmatch(value):
        rule = f"one word of {_LEAST_CHARACTERS} to {_MOST_CHARACTERS} ASCII characters without quotes"
        raise errors.OptionError(f"{origin}: what it holds is not {rule}.", "put the bare key there, nothing else")
    return value


def _forms(value: str) -> set[str]:
    """Returns how a secret may be written inside other text."""
    forms = {value, urllib.parse.quote(value, safe=""), urllib.parse.quote_plus(value)}
    for bytes_before in range(3):
        encoded = base64.b64encode(bytes(bytes_before) + value.encode()).decode()
        # Only the characters that no neighbouring byte has a part in.
        whole = encoded[-(-bytes_before * 8 // 6) : (bytes_before + len(value.encode())) * 8 // 6]
        forms |= {whole, whole.replace("+", "-").replace("/", "_")}
    return forms
