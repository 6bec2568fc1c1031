"""TensorBoard while training: curves, maps of errors, speed, gradients, features."""

import pathlib
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from geods.geo import partition
from geods.storage import files
from trainers.runs import events, run_folder
from trainers.training import callbacks

# A map takes 0.15 to 0.25 s of the processor: `make demo` improves in 12 of its 40 epochs, which take 0.2 s each.
_SECONDS_A_MAP = 10.0
# 600 kB as text; the browser itself projects what has more directions before it draws them.
_LOCATIONS, _DIRECTIONS = 1000, 64
# Tensors as text: TensorBoard 2.21 reads any file as text first, and as binary only if its bytes are no UTF-8.
_TENSORS, _METADATA = "features.tsv", "locations.tsv"
_CONFIG = """embeddings {{
  tensor_name: "features of locations"
  tensor_path: "{tensors}"
  metadata_path: "{metadata}"
}}
"""


class Board(keras.callbacks.Callback):
    """Events of each epoch.

    `train/` and `validation/` hold the figures of the epoch, `best/` those of the best epoch so far, `speed/` the
    seconds and examples of training alone. A map of the errors is drawn when they improve, but not more often than
    every ten seconds, and at the end that of the best epoch.

    Args:
        folder: Folder of the events.
        cells: The run's partition.
        validation: The validation, which comes before this among the callbacks.
        examples: Training examples an epoch.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        cells: partition.Partition,
        validation: callbacks.Validation | None,
        examples: int = 0,
    ) -> None:
        super().__init__()
        self._writer = events.writer(folder, "training")
        self._cells, self._validation, self._examples = cells, validation, examples
        self._started_s = self._stepped_s = 0.0
        self._drawn_s, self._undrawn = time.monotonic(), (0, np.zeros((0, 2)))

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Stores the time."""
        self._started_s = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stores the time, as validation comes after the last step."""
        self._stepped_s = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the logs of the other callbacks."""
        seconds = self._stepped_s - self._started_s
        optimizer = self.model.optimizer
        further = {
            "learning_rate": float(ops.convert_to_numpy(optimizer.learning_rate)),
            "gradient_norm": gradient_norm(optimizer),
            "speed/seconds_an_epoch": seconds,
            "speed/examples_a_second": self._examples / max(seconds, 1e-9),
        }
        improved = bool(self._validation and self._validation.improved)
        self.write(epoch + 1, logs or {}, further, improved)

    def write(self, step: int, logs: dict[str, float], further: dict[str, float], improved: bool) -> None:
        """Writes figures as Keras names them, and a map of the errors if they improved."""
        with self._writer.as_default(step=step):
            for name, value in logs.items():
                group, bare = ("validation", name[4:]) if name.startswith("val_") else ("train", name)
                tf.summary.scalar(f"{group}/{bare}", value)
                if improved and group == "validation":
                    tf.summary.scalar(f"best/{bare}", value)
            for name, value in further.items():
                tf.summary.scalar(name, value)
        if improved and self._validation:
            self._undrawn = step, self._validation.points
            if time.monotonic() - self._drawn_s >= _SECONDS_A_MAP:
                self._draw()
        self._writer.flush()

    def _draw(self) -> None:
        """Draws the map that is due, if there is one."""
        step, points = self._undrawn
        if self._validation and step:
            # Half a second of imports, which a head that is fitted in one pass never needs.
            from trainers.plots import figures

            picture = figures.to_png(figures.error_map(self._cells, self._validation.coords, points))
            with self._writer.as_default(step=step):
                tf.summary.image("validation/errors", tf.io.decode_png(picture, channels=3)[None])
        self._drawn_s, self._undrawn = time.monotonic(), (0, points)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Draws the last map and closes the events file."""
        self._draw()
        self._writer.close()


def gradient_norm(optimizer: Any) -> float:  # noqa: ANN401 - any Adam, perhaps in Keras' LossScaleOptimizer
    """Returns the norm of the mean gradient of the last ten or so steps.

    It is that of Adam's first moment, corrected for its start at 0 (Kingma and Ba 2015, arXiv 1412.6980, algorithm 1):
    a norm of every step's own gradient would cost each step time, this costs an epoch 1 ms for 750,000 weights.
    """
    adam = getattr(optimizer, "inner_optimizer", optimizer)
    moments = [variable for variable in adam.variables if variable.path.endswith("_momentum")]
    squares = sum(float(ops.convert_to_numpy(ops.sum(ops.square(moment)))) for moment in moments)
    steps = int(ops.convert_to_numpy(adam.iterations))
    return float(squares**0.5 / (1 - adam.beta_1 ** max(1, steps)))


def write_projector(folder: pathlib.Path, batches: Any, cells: partition.Partition) -> None:  # noqa: ANN401 - inputs of a split
    """Writes features of a split's locations, 1,000 at most, for the projector.

    Those of all views of an example are averaged, also over a feature map, and projected on 64 random directions, which
    changes their distances by 9 % or so (Johnson and Lindenstrauss 1984); the browser finds the principal components.
    """
    found = _features(batches)
    if found is None:
        return
    features, truth = found
    projected = _projected(features)
    tensors, metadata = (folder / run_folder.PROJECTOR / name for name in (_TENSORS, _METADATA))
    files.write_text(tensors, "".join("\t".join(f"{value:.5g}" for value in row) + "\n" for row in projected))
    lines = ["location\tcell\tlat_deg\tlon_deg"]
    for lat_deg, lon_deg, cell in truth[:, :3].tolist():
        name = " ".join(cells.names[int(cell)].split()) if cells.names and cell >= 0 else int(cell)
        lines.append(f"{lat_deg:.5f},{lon_deg:.5f}\t{name}\t{lat_deg:.5f}\t{lon_deg:.5f}")
    files.write_text(metadata, "\n".join(lines) + "\n")
    names = {"tensors": tensors.relative_to(folder), "metadata": metadata.relative_to(folder)}
    files.write_text(folder / run_folder.PROJECTOR_CONFIG, _CONFIG.format(**names))


def _features(batches: Any) -> tuple[np.ndarray, np.ndarray] | None:  # noqa: ANN401 - as above
    """Returns features `[n, d]` and truth `[n, 3]` of a split; None of images.

    They are of batches spread over it.
    """
    if getattr(batches, "holds_images", not hasattr(batches, "__getitem__")) or "features" not in batches[0][0]:
        return None
    count = min(len(batches), -(-_LOCATIONS // len(batches[0][1])))
    parts, truths = [], []
    for number in np.linspace(0, len(batches) - 1, count).astype(int).tolist():
        values, truth = batches[number][:2]
        mask, views = values["view_mask"].astype(bool), values["features"].astype(np.float32)
        of_views = views.mean(axis=tuple(range(2, views.ndim - 1))) if views.ndim > 3 else views
        parts.append((of_views * mask[..., None]).sum(1) / np.maximum(mask.sum(1, keepdims=True), 1))
        truths.append(truth)
    return np.concatenate(parts)[:_LOCATIONS], np.concatenate(truths)[:_LOCATIONS]


def _projected(features: np.ndarray) -> np.ndarray:
    """Returns features `[n, d]` in at most 64 random directions, `[n, min(d, 64)]`."""
    size = features.shape[1]
    if size <= _DIRECTIONS:
        return features
    directions = np.random.default_rng(0).standard_normal((size, _DIRECTIONS)) / _DIRECTIONS**0.5
    projected: np.ndarray = (features - features.mean(axis=0)) @ directions
    return projected
