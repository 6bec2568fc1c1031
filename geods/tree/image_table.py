"""What the check of all images of a tree found, in 8 bytes of memory an image, and 32 of a file if they are many."""

import array
import os
import pathlib
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import overload

import numpy as np

from geods.storage import memory
from geods.tree import jpeg, location_table

_DIGEST_BYTES, _IN_MEMORY_BYTES = 32, 1 << 20


class _Digests:
    """SHA-256 by row; of more than some thousand images they lie in a file without a name."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - closed with this
        weakref.finalize(self, self._file.close)

    def append(self, digest: bytes) -> None:
        """Adds that of the next row; all come before the first is asked for."""
        self._file.write(digest)

    def __getitem__(self, row: int) -> bytes:
        """Returns that of a row."""
        self._file.seek(row * _DIGEST_BYTES)
        return self._file.read(_DIGEST_BYTES)


class ImageTable(Sequence[jpeg.ImageFacts]):
    """Facts by row; made when they are looked at.

    Args:
        facts: Of all images, in the order of their rows.
        paths: Their files.
    """

    def __init__(self, facts: Iterable[jpeg.ImageFacts], paths: Sequence[pathlib.Path]) -> None:
        digests, sizes, pixels = _Digests(), array.array("q"), array.array("H")
        self.problems: dict[int, str] = {}
        self.turned = self.panoramas = 0
        for row, fact in enumerate(facts):
            digests.append(bytes.fromhex(fact.sha256))
            sizes.append(fact.size_bytes)
            pixels.extend((fact.height_px, fact.width_px))
            self.turned += fact.is_turned
            self.panoramas += fact.is_panorama
            if fact.problem:
                self.problems[row] = fact.problem
        self._digests, self.sizes_bytes = digests, location_table.narrow(np.asarray(sizes))
        self._pixels, self._paths = np.asarray(pixels).reshape(-1, 2), paths
        memory.release_free_memory(len(self))

    def __len__(self) -> int:
        """Returns the number of images."""
        return len(self.sizes_bytes)

    @overload
    def __getitem__(self, chosen: int) -> jpeg.ImageFacts: ...

    @overload
    def __getitem__(self, chosen: slice) -> list[jpeg.ImageFacts]: ...

    def __getitem__(self, chosen: int | slice) -> jpeg.ImageFacts | list[jpeg.ImageFacts]:
        """Returns the facts of one, or of a slice."""
        rows = range(len(self))[chosen]
        return self._make(rows) if isinstance(rows, int) else [self._make(row) for row in rows]

    def sha256(self, row: int) -> str:
        """Returns the SHA-256 of an image, in hexadecimal."""
        return self._digests[row].hex()

    def hashes_below(self, root: str | os.PathLike[str]) -> Iterator[tuple[str, str]]:
        """Yields the path below a folder, as `ImageFacts.name_below` gives it, and the SHA-256 of each image."""
        for row, file in enumerate(location_table.files_of(self._paths)):
            yield jpeg.name_below(file, root), self.sha256(row)

    def with_problems(self, problems: Mapping[int, str]) -> "ImageTable":
        """Returns the table with other problems, by row."""
        other = ImageTable([], self._paths)
        other._digests, other.sizes_bytes, other._pixels = self._digests, self.sizes_bytes, self._pixels
        other.problems = dict(problems)
        other.turned, other.panoramas = self.turned, self.panoramas
        return other

    @property
    def is_good(self) -> np.ndarray:
        """`[n]` bool, whether an image has no problem."""
        found = np.ones(len(self), bool)
        found[list(self.problems)] = False
        return found

    def bad(self) -> list[jpeg.ImageFacts]:
        """Returns the facts of images with a problem."""
        return [self._make(row) for row in sorted(self.problems)]

    def _make(self, row: int) -> jpeg.ImageFacts:
        """Returns the facts of a row."""
        height_px, width_px = self._pixels[row].tolist()
        size_bytes, problem = int(self.sizes_bytes[row]), self.problems.get(row, "")
        return jpeg.ImageFacts(self._paths[row], self.sha256(row), size_bytes, height_px, width_px, problem)


def hashes_below(root: str | os.PathLike[str], facts: Iterable[jpeg.ImageFacts]) -> Iterator[tuple[str, str]]:
    """Yields the path below a folder and the SHA-256 of each image, without making facts where that can be."""
    if isinstance(facts, ImageTable):
        return facts.hashes_below(root)
    return ((fact.name_below(root), fact.sha256) for fact in facts)
