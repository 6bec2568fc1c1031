"""What a program prints names URLs, where it works on their mirrors."""

import sys
from typing import Any

from geods.mirror import urls


class _Shown:
    """A stream whose texts name URLs.

    Args:
        stream: Where they go.
    """

    def __init__(self, stream: Any) -> None:  # noqa: ANN401 - whatever sys.stdout is just now
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes a text."""
        return int(self._stream.write(urls.shown(text)))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        """Returns everything else of the stream."""
        return getattr(self._stream, name)


def say_urls() -> None:
    """Has everything that is printed from now on name URLs."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, _Shown):
            setattr(sys, name, _Shown(stream))
