"""Rows of a probabilities.npy, read on access.

    stored = stored_probabilities.Stored("run/probabilities.npy")
    stored.shape, stored[np.array([5, 2])]      # (1000, 243), float32 [2, 243]

The file is mapped for each access only: what stays mapped counts as memory of the process, 1 GB for a million rows.
"""

import os
import pathlib
from collections.abc import Iterator

import numpy as np

from geods import errors

# Probabilities read at once: 8 MB of float64, and some arrays of that size beside it.
_AT_ONCE = 1 << 20


class Stored:
    """Probabilities in a file.

    Args:
        path: The file.

    Attributes:
        shape: (locations, cells)

    Raises:
        RunError: If there is none, or it is no whole file of probabilities.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = pathlib.Path(path)
        found = self._mapped()
        if not np.issubdtype(found.dtype, np.floating):
            raise errors.RunError(f"{path}: holds {found.dtype}, not probabilities.", "evaluate the run again")
        self.shape = found.shape

    def __len__(self) -> int:
        """Returns the number of locations."""
        return int(self.shape[0])

    def __getitem__(self, chosen: int | slice | np.ndarray) -> np.ndarray:
        """Returns the row of one location, `[cells]`, or several rows.

        Those of a slice or of numbers `[k]`, `[k, cells]`.
        """
        return np.array(self._mapped()[chosen])

    def _mapped(self) -> np.ndarray:
        """Returns the array of the file."""
        if not self._path.is_file():
            raise errors.RunError(f"{self._path}: does not exist.", "evaluate the run again")
        try:
            return np.load(self._path, allow_pickle=False, mmap_mode="r")
        except (OSError, ValueError, EOFError, MemoryError) as error:
            cause = str(error).partition(". ")[0]
            raise errors.RunError(f"{self._path}: is not a whole .npy file ({cause}).", "evaluate it again") from error


# Probabilities `[n, cells]`, in memory or in a file.
Rows = np.ndarray | Stored


def pieces(rows: np.ndarray, cells: int) -> Iterator[np.ndarray]:
    """Yields numbers of rows in pieces of 8 MB of probabilities."""
    step = max(1, _AT_ONCE // cells)
    return (rows[start : start + step] for start in range(0, len(rows), step))
