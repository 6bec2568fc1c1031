"""Predictions of all folds as one table, sorted by location.

Probabilities stay in the files of the folds.

found = joined_folds.Joined([run / "fold0", run / "fold1"], own=[cells0, cells1], common=cells)
for rows in found.pieces():
    found.names[rows], found.probabilities(rows)
"""

import pathlib
from collections.abc import Iterator, Sequence

import numpy as np

from geods.geo import partition
from geods.tree import string_array
from trainers.runs import predictions, stored_probabilities


class Joined:
    """The predictions of all folds.

    Args:
        folders: Run folders of the folds, evaluated.
        own: The partition of each.
        common: The partition whose cells all probabilities are given for. A fold with cells of its own gives the
            probability of each to the common cell that its centroid lies in.

    Attributes:
        names: `[n]` location ids, sorted.
        truth: `[n, 2]` (lat, lon) degrees.
        predicted: `[n, 2]` (lat, lon) degrees.

    Raises:
        RunError: If a file of a fold is missing or damaged.
    """

    def __init__(
        self, folders: Sequence[pathlib.Path], own: Sequence[partition.Partition], common: partition.Partition
    ) -> None:
        found = [predictions.read(folder, len(cells)) for folder, cells in zip(folders, own, strict=True)]
        self._folds, self._cells = found, len(common)
        self._into = [None if cells.fingerprint == common.fingerprint else _into(cells, common) for cells in own]
        names = string_array.Texts.joined([one.names for one in found])
        order = names.order()
        self.names = names[order]
        self.truth = np.concatenate([one.truth for one in found])[order]
        self.predicted = np.concatenate([one.predicted for one in found])[order]
        self._fold_of = np.repeat(np.arange(len(found)), [len(one) for one in found])[order]
        self._row_of = np.concatenate([np.arange(len(one)) for one in found])[order]

    def __len__(self) -> int:
        """Returns n."""
        return len(self.names)

    def pieces(self) -> Iterator[np.ndarray]:
        """Yields the numbers of all locations in pieces.

        See `stored_probabilities.pieces`.
        """
        return stored_probabilities.pieces(np.arange(len(self)), self._cells)

    def probabilities(self, rows: np.ndarray) -> np.ndarray:
        """Returns the probabilities of some locations, float64 `[k, cells]`."""
        result = np.zeros((len(rows), self._cells))
        for fold, (found, into) in enumerate(zip(self._folds, self._into, strict=True)):
            here = self._fold_of[rows] == fold
            values = found.probabilities[self._row_of[rows[here]]].astype(np.float64)
            result[here] = values if into is None else self._moved(values, into)
        return result

    def _moved(self, values: np.ndarray, into: np.ndarray) -> np.ndarray:
        """Returns probabilities `[k, own cells]` over the common cells."""
        inside = into >= 0
        moved = [np.bincount(into[inside], weights=row[inside], minlength=self._cells) for row in values]
        return np.array(moved).reshape(len(values), self._cells)


def _into(cells: partition.Partition, common: partition.Partition) -> np.ndarray:
    """Returns the common cell that each centroid lies in, -1 for none."""
    return common.label(cells.centroids[:, 0], cells.centroids[:, 1])
