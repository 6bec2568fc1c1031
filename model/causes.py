"""The cause of a lower library's exception, short enough to stand in a message of ours."""

_MOST_CHARACTERS = 300


def in_short(error: BaseException) -> str:
    """Returns what `error` says on one line of at most 300 characters, its class when it says nothing.

    Keras writes whole model descriptions into its messages.
    """
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 3] + "..."


def root(error: BaseException) -> BaseException:
    """Returns the exception that a chain of them began with: Keras wraps what went wrong in a file several times."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return error
