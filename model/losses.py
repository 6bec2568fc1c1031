"""Cross-entropy over cells with one-hot, smoothed or distance-aware targets.

Truth is always float32 `[b, 3]`: latitude and longitude in degrees, and the cell (-1 outside every cell).
"""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from geods import errors
from geods.geo import geometry
from model import metrics, tensors

KINDS = ("one_hot", "label_smoothing", "haversine")


@keras.saving.register_keras_serializable(package="geods")
class GeolocationLoss(keras.losses.Loss):
    """Cross-entropy of target probabilities and log-probabilities, in float32.

    The targets of cell c for a location x are, by `kind`:

    - "one_hot": 1 for the cell x lies in, else 0.
    - "label_smoothing": (1 - smoothing) one_hot + smoothing / cells (Szegedy et al. 2016, arXiv 1512.00567).
    - "haversine": exp(-(d_c - min d) / scale_km) over its sum, d_c the distance of x to the centroid of c, so that a
      guess in the neighbouring cell costs little (Haas et al. 2023, PIGEON, arXiv 2307.05845).

    Locations outside every cell contribute nothing to the first two; the third needs no cell and uses them.

    Args:
        centroids: `[cells, 2]` degrees, (lat, lon).
        kind: One of KINDS.
        smoothing: Share of probability that label smoothing spreads, in [0, 1).
        scale_km: Distance over which a haversine target falls to 1/e.

    Raises:
        OptionError: If there is no such kind, or a number is out of its range.
        CoordinateError: If the centroids are not coordinates.
    """

    def __init__(
        self,
        centroids: npt.ArrayLike,
        kind: str = "one_hot",
        smoothing: float = 0.1,
        scale_km: float = 150.0,
        **options: object,
    ) -> None:
        options.setdefault("dtype", "float32")
        options.setdefault("name", "geolocation_loss")
        super().__init__(**options)
        if kind not in KINDS:
            raise errors.OptionError(f"{kind!r} is not a loss.", f"choose one of {', '.join(KINDS)}")
        if not 0 <= smoothing < 1:
            raise errors.OptionError(f"smoothing is {smoothing}.", "give a share of at least 0 and below 1")
        if not 0 < scale_km < np.inf:
            raise errors.OptionError(f"scale_km is {scale_km}.", "give a positive number of kilometres")
        self.centroids = geometry.check_coords(centroids, "centroids")
        self.kind = kind
        self.smoothing = smoothing
        self.scale_km = scale_km

    def call(self, y_true: tensors.Tensor, y_pred: tensors.Tensor) -> tensors.Tensor:
        """Returns the loss `[b]` of truths `[b, 3]` and log-probabilities `[b, cells]`."""
        targets = self.targets(y_true)
        # 0 log 0 is 0 here: a cell ruled out for good must not turn the sum into NaN.
        return -ops.sum(ops.where(targets > 0, targets * ops.cast(y_pred, "float32"), 0.0), axis=-1)

    def targets(self, y_true: tensors.Tensor) -> tensors.Tensor:
        """Returns the target probabilities float32 `[b, cells]` of truths `[b, 3]`."""
        truth = ops.cast(y_true, "float32")
        if self.kind == "haversine":
            centroids = ops.convert_to_tensor(self.centroids, dtype="float32")
            distance_km = metrics.haversine_km(truth[:, None, :2], centroids[None, :, :])
            return ops.softmax(-distance_km / self.scale_km, axis=-1)
        cells = len(self.centroids)
        cell = ops.cast(truth[:, 2], "int32")
        inside = ops.cast(cell >= 0, "float32")[:, None]
        one_hot = ops.one_hot(ops.maximum(cell, 0), cells, dtype="float32")
        smoothing = self.smoothing if self.kind == "label_smoothing" else 0.0
        return inside * ((1.0 - smoothing) * one_hot + smoothing / cells)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {
            **super().get_config(),
            "centroids": np.asarray(self.centroids).tolist(),
            "kind": self.kind,
            "smoothing": self.smoothing,
            "scale_km": self.scale_km,
        }
