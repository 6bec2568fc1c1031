"""Arrays of short strings in UTF-8, a quarter of NumPy's memory.

A million location ids take 22 MB, and 88 MB as NumPy's own text.

ids = texts.Texts.of(["31.5,-115.25", "40.1,-99.5"])
ids[0], ids[1:].tolist()
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

_FIRST_NOT_ASCII = 128
_AT_ONCE = 4096


class Texts:
    """Texts of about one length, none of which ends with a NUL character.

    Attributes:
        encoded: `[n]` bytes, UTF-8.

    Args:
        array: `[n]`, bytes or text.

    Raises:
        ValueError: If bytes are no UTF-8.
    """

    def __init__(self, array: npt.ArrayLike) -> None:
        given = np.asarray(array)
        if given.dtype.kind != "S":
            given = np.char.encode(given.astype(np.str_), "utf-8")
        elif given.size and np.ascontiguousarray(given).view(np.uint8).max() >= _FIRST_NOT_ASCII:
            np.char.decode(given, "utf-8")
        self.encoded = given

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Texts":
        """Returns some texts."""
        return cls(np.array([text.encode() for text in texts], dtype=np.bytes_))

    @classmethod
    def of_many(cls, texts: Iterable[str]) -> "Texts":
        """Returns some texts, of which few are in memory as Python's own at a time."""
        source, parts = iter(texts), []
        while part := list(itertools.islice(source, _AT_ONCE)):
            parts.append(cls.of(part))
        return cls.joined(parts)

    @classmethod
    def joined(cls, parts: Sequence["Texts"]) -> "Texts":
        """Returns the texts of several, one after the other."""
        return cls(np.concatenate([part.encoded for part in parts] or [np.zeros(0, "S1")]))

    def __len__(self) -> int:
        """Returns how many there are."""
        return len(self.encoded)

    @overload
    def __getitem__(self, chosen: int | np.integer) -> str: ...

    @overload
    def __getitem__(self, chosen: slice | np.ndarray) -> "Texts": ...

    def __getitem__(self, chosen: int | np.integer | slice | np.ndarray) -> "str | Texts":
        """Returns one, or those of a slice, of indices or of a mask."""
        found = self.encoded[chosen]
        return found.decode() if isinstance(found, bytes) else Texts(found)

    def __iter__(self) -> Iterator[str]:
        """Yields each."""
        return (text.decode() for text in self.encoded)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        """Returns `[n]` NumPy text, in four times the bytes."""
        return np.char.decode(self.encoded, "utf-8").astype(dtype or np.str_)

    def tolist(self) -> list[str]:
        """Returns all."""
        return list(self)

    def order(self) -> npt.NDArray[Any]:
        """Returns the stable sort order by code points, `[n]` int64."""
        return np.argsort(self.encoded, kind="stable")
