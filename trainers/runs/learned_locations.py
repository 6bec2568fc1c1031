"""Locations that a run was trained and validated on: learned.npz of its folder."""

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np

from geods import errors
from geods.storage import files
from geods.tree import string_array

NAME = "learned.npz"


@dataclasses.dataclass(frozen=True, eq=False)
class LearnedLocations:
    """Locations of the training and validation splits of a run.

    Attributes:
        location_ids: `[n]`.
        coords: `[n, 2]` float64 degrees, (lat, lon).
    """

    location_ids: string_array.Texts
    coords: np.ndarray

    @classmethod
    def joined(cls, ids: Sequence[string_array.Texts], coords: Sequence[np.ndarray]) -> "LearnedLocations":
        """Returns the locations of several splits."""
        return cls(string_array.Texts.joined(list(ids)), np.concatenate(coords))

    def write(self, folder: pathlib.Path) -> None:
        """Writes them into a run folder."""
        size_bytes = self.location_ids.encoded.nbytes + self.coords.nbytes
        with files.atomic_path(folder / NAME, size_bytes) as temporary, temporary.open("wb") as target:
            np.savez(target, location_ids=self.location_ids.encoded, coords=self.coords)


def read(folder: pathlib.Path) -> LearnedLocations | None:
    """Reads the locations of a run; None if an older version made it.

    Raises:
        RunError: If the file is damaged.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        files.check_not_bomb(path)
        with np.load(path, allow_pickle=False) as arrays:
            return LearnedLocations(string_array.Texts(arrays["location_ids"]), arrays["coords"].reshape(-1, 2))
    except (OSError, ValueError, KeyError, EOFError, MemoryError) as error:
        problem = f"{path}: is damaged ({type(error).__name__}: {error})."
        raise errors.RunError(problem, "train again with --overwrite, or evaluate with --include_seen") from error
