"""Snapshots from which a stopped or killed training resumes to the last bit.

After an epoch the whole state of a training is written into one file: the network's variables, among them the
states of the random numbers of dropout and augmentation; those of the optimizer; the best weights so far and their
mean miles. The order of the data follows from the number of the epoch (trainers/training/inputs.py). Keras saves
neither the states of random numbers (https://github.com/keras-team/keras/issues/19796) nor those of callbacks.
"""

import json
import math
import pathlib
import time
import zipfile
from typing import Any

import keras
import numpy as np

from geods import errors
from geods.storage import files
from trainers.training import callbacks

_PROGRESS = "progress"
# So many times as long as writing took: where epochs are short, snapshots take less than 5 % of the time.
_PAUSE = 20


class Snapshots(keras.callbacks.Callback):
    """Writes snapshots after epochs.

    The last of the callbacks, as it stores the results of the others.

    Attributes:
        epochs: Finished epochs, over all chunks.
        is_over: Whether training ended with them.

    Args:
        network: Compiled, and not yet trained; gets the variables of an earlier snapshot if there is one.
        measured: The validation, if there is one; gets its earlier results.
        epochs: Epochs in all, at most.
        path: The file; None to keep nothing.

    Raises:
        RunError: If there is a snapshot that cannot be used.
    """

    def __init__(
        self, network: keras.Model, measured: callbacks.Validation | None, epochs: int, path: pathlib.Path | None
    ) -> None:
        super().__init__()
        network.optimizer.build(network.trainable_variables)
        self._variables = [*network.variables, *network.optimizer.variables]
        self._measured, self._epochs_in_all, self._path = measured, epochs, path
        self.epochs, self.is_over = 0, False
        self._next_s = -math.inf
        if path and path.is_file():
            self._restore(path)
            print(f"resumes after epoch {self.epochs} of at most {epochs}", flush=True)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the snapshot."""
        self.epochs += 1
        self.is_over = self.model.stop_training or self.epochs == self._epochs_in_all
        began_s = time.monotonic()
        if self._path and (self.is_over or began_s >= self._next_s):
            self.write(self._path)
            self._next_s = time.monotonic() + _PAUSE * (time.monotonic() - began_s)

    def write(self, path: pathlib.Path) -> None:
        """Writes the present state."""
        arrays = {f"variable{n}": keras.ops.convert_to_numpy(v) for n, v in enumerate(self._variables)}
        progress: dict[str, Any] = {"epochs": self.epochs, "is_over": self.is_over}
        if self._measured:
            progress |= {"best_miles": self._measured.best_miles, "best_epoch": self._measured.best_epoch}
            arrays |= {f"best{n}": weight for n, weight in enumerate(self._measured.best_weights)}
        arrays[_PROGRESS] = np.array(json.dumps(progress))
        size_bytes = sum(array.nbytes for array in arrays.values())
        with files.atomic_path(path, size_bytes) as temporary:
            np.savez(temporary, allow_pickle=False, **arrays)

    def _restore(self, path: pathlib.Path) -> None:
        """Restores the state of a snapshot."""
        try:
            # Opened here: NumPy leaves a damaged file open.
            with path.open("rb") as source, np.load(source, allow_pickle=False) as found:
                arrays = dict(found)
            progress = json.loads(str(arrays.pop(_PROGRESS)))
            self._assign([arrays.pop(f"variable{n}") for n in range(len(self._variables))])
            self.epochs, self.is_over = progress["epochs"], progress["is_over"]
            if self._measured:
                self._measured.best_miles = progress["best_miles"]
                self._measured.best_epoch = progress["best_epoch"]
                self._measured.best_weights = [arrays[f"best{n}"] for n in range(len(arrays))]
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            problem = f"{path}: no snapshot to resume from ({type(error).__name__}: {error})."
            raise errors.RunError(problem, "start again with --overwrite") from error

    def _assign(self, values: list[np.ndarray]) -> None:
        """Sets all variables, or none and raises ValueError if a shape differs."""
        for variable, value in zip(self._variables, values, strict=True):
            if tuple(variable.shape) != value.shape:
                raise ValueError(f"{variable.path} has shape {tuple(variable.shape)}, kept was {value.shape}")
        for variable, value in zip(self._variables, values, strict=True):
            variable.assign(value)
