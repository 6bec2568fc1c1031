"""Errors with a problem and a next step for the user.

Each names the value, the rule that it breaks and a next step, and derives from the builtin error that a caller would
expect, so that `except ValueError` works:

    GeodsError
    +-- BoundaryError     (ValueError)         a boundary cannot be read or has no area
    +-- PointsError       (ValueError)         a list of points cannot be read
    +-- PartitionError    (ValueError)         a partition cannot be made or read
    +-- CoordinateError   (ValueError)         a latitude or longitude is out of range
    +-- TreeError         (ValueError)         a folder is not an imagery tree
    +-- ImageError        (ValueError)         an image is not a whole JPEG
    |   +-- ImageRefused                       the answer of a source is no view of the location
    +-- DatasetError      (ValueError)         a TFDS dataset, config or split is not there
    +-- BackboneError     (ValueError)         an encoder, layer or weights file does not fit
    +-- CacheError        (ValueError)         a feature cache is missing, stale or damaged
    +-- RunError          (ValueError)         a run folder cannot be used
    +-- SealError         (ValueError)         a folder is not as it was when it was finished
    +-- BeamError         (RuntimeError)       a Beam runner, or a worker of it, cannot do its work
    +-- TrainingError     (RuntimeError)       training cannot continue
    +-- BenchmarkError    (RuntimeError)       a measurement cannot be made, or would be wrong
    +-- OptionError       (ValueError)         an option has a value it cannot have
    +-- MissingFileError  (FileNotFoundError)  a path that was given does not exist
    +-- DownloadError     (OSError)            a file could not be fetched
    +-- BucketError       (OSError)            a bucket does not answer, refuses, or is in use
        +-- ClaimLostError                     another process has taken over a location in one
    +-- DiskFullError     (OSError)            a disk is full
    +-- MemoryShortError  (MemoryError)        something would not fit into memory
    +-- UnwritableError   (PermissionError)    a file or folder must not be written
    +-- SourceStop        (RuntimeError)       a source of imagery will not answer: ask no more
    +-- SourceRetry       (ConnectionError)    a source of imagery may answer if asked again later
"""

import importlib
import importlib.util


class GeodsError(Exception):
    """Base of all errors here.

    Args:
        problem: What is wrong: the file or value, and the rule it breaks.
        next_step: What to do about it, a command where there is one.
    """

    def __init__(self, problem: str, next_step: str = "") -> None:
        """Joins the two parts into one message."""
        super().__init__(f"{problem}\nNext: {next_step}" if next_step else problem)
        self.problem = problem
        self.next_step = next_step

    def __str__(self) -> str:
        """Returns the message, also with an error number and a file name."""
        return str(self.args[0])


class BoundaryError(GeodsError, ValueError):
    """A boundary cannot be read or has no area."""


class PointsError(GeodsError, ValueError):
    """A list of points cannot be read."""


class PartitionError(GeodsError, ValueError):
    """A partition cannot be made or read."""


class CoordinateError(GeodsError, ValueError):
    """A latitude or longitude is out of range."""


class TreeError(GeodsError, ValueError):
    """A folder is not an imagery tree."""


class ImageError(GeodsError, ValueError):
    """An image is not a whole JPEG."""


class ImageRefused(ImageError):  # noqa: N818 - a verdict, named as the scraper counts it
    """An answer of a source that is no view of the location.

    Args:
        reason: What it was, one word for counting; geods.imagery.source lists them.
        problem: As in GeodsError.
        transient: Whether asking again may bring another answer (damage on the way), or the answer is final.
    """

    def __init__(self, reason: str, problem: str, transient: bool = False) -> None:
        """Keeps the verdict beside the message."""
        super().__init__(problem, "ask again later" if transient else "take another location")
        self.reason = reason
        self.transient = transient


class DatasetError(GeodsError, ValueError):
    """A TFDS dataset, config or split is not there."""


class BackboneError(GeodsError, ValueError):
    """An encoder, layer or weights file does not fit."""


class CacheError(GeodsError, ValueError):
    """A feature cache is missing, stale or damaged."""


class RunError(GeodsError, ValueError):
    """A run folder cannot be used."""


class SealError(GeodsError, ValueError):
    """A folder is not as it was when it was finished."""


class BeamError(GeodsError, RuntimeError):
    """A Beam runner, or a worker of it, cannot do its work."""


class TrainingError(GeodsError, RuntimeError):
    """Training cannot go on."""


class BenchmarkError(GeodsError, RuntimeError):
    """A measurement cannot be made, or would be wrong."""


class OptionError(GeodsError, ValueError):
    """An option has a value it cannot have."""


class MissingFileError(GeodsError, FileNotFoundError):
    """A path that was given does not exist."""


class DownloadError(GeodsError, OSError):
    """A file could not be fetched."""


class BucketError(GeodsError, OSError):
    """A bucket does not answer, refuses, or is in use."""


class ClaimLostError(BucketError):
    """Another process has taken over a place in a bucket."""


class DiskFullError(GeodsError, OSError):
    """A disk takes no more."""


class MemoryShortError(GeodsError, MemoryError):
    """Something would not fit into memory."""


class UnwritableError(GeodsError, PermissionError):
    """A file or folder must not be written."""


class SourceStop(GeodsError, RuntimeError):  # noqa: N818 - an order, as StopIteration
    """A source of imagery will not answer this or any other request: ask no more.

    Args:
        reason: "denied" (key, billing, permission), "quota" (none left for now) or "request" (it is malformed: a bug).
        problem: As in GeodsError.
        next_step: As in GeodsError.
    """

    def __init__(self, reason: str, problem: str, next_step: str = "") -> None:
        """Keeps the reason beside the message."""
        super().__init__(problem, next_step)
        self.reason = reason


class SourceRetry(GeodsError, ConnectionError):  # noqa: N818 - an order, as StopIteration
    """A source of imagery may answer if asked again later.

    Args:
        cause: "network" (no whole answer came), "server" (it failed) or "quota" (asked too fast).
        problem: As in GeodsError.
        after_s: Seconds the source asked to wait, uncapped; None if it did not say.
    """

    def __init__(self, cause: str, problem: str, after_s: float | None = None) -> None:
        """Keeps the cause beside the message."""
        super().__init__(problem, "ask again later")
        self.cause = cause
        self.after_s = after_s


def problem_with_library(name: str, title: str) -> str:
    """Returns why a library cannot be imported, as "OpenVINO is not installed".

    Empty if it can be.
    """
    if importlib.util.find_spec(name) is None:
        return f"{title} is not installed"
    try:
        importlib.import_module(name)
    # OSError: a shared library of it that the system cannot load.
    except (ImportError, OSError) as error:
        return f"{title} cannot be imported ({in_short(error)})"
    return ""


_MOST_CHARACTERS = 300


def in_short(error: BaseException) -> str:
    """Returns an error's message on one line of at most 300 characters.

    An error without a message gives its class. Keras writes whole model descriptions into its messages.
    """
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 3] + "..."


def root(error: BaseException) -> BaseException:
    """Returns the first exception of a chain; Keras wraps damaged files in several."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return error
