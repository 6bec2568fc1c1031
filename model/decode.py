"""Decoding of cell probabilities to one point."""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from geods import errors
from geods.geo import geometry
from model import tensors

METHODS = ("argmax", "least_distance", "highest_score")
# Locations whose log-probabilities become points in one step: a decoder over a lattice takes 15 kB for each.
DECODED_AT_ONCE = 1024


@keras.saving.register_keras_serializable(package="geods")
class Decoder(keras.layers.Layer):
    """Chooses one point for each location from its cell probabilities.

    log-probabilities `[b, cells]` -> coords float32 `[b, 2]` (lat, lon) degrees.

    Every cell stands for its centroid. By `method`:

    - "argmax": the centroid of the most probable cell.
    - "least_distance": the candidate whose expected distance is least; on a map with two far probable regions it may
      lie between them.
    - "highest_score": the candidate whose expected GeoGuessr score exp(-10 d / D) is highest; it stays near one.

    The candidates are the centroids, then the points the caller adds; among equals the first is taken. The two
    expectations are over softmax(log-probabilities / temperature).

    Args:
        method: One of METHODS.
        centroids: `[cells, 2]` degrees, (lat, lon).
        diagonal_km: D, the diagonal of the map's bounding box; only "highest_score" needs it.
        candidates: `[m, 2]` further points for the two expectations, such as a finer lattice.
        temperature: Below 1 trusts the probable cells more than the network does, above 1 less.

    Raises:
        OptionError: If there is no such method, it lacks its diagonal, or the temperature is not above 0.
        CoordinateError: If centroids or candidates are not coordinates.
    """

    def __init__(
        self,
        method: str,
        centroids: npt.ArrayLike,
        diagonal_km: float = 0.0,
        candidates: npt.ArrayLike = (),
        temperature: float = 1.0,
        **options: object,
    ) -> None:
        options.setdefault("dtype", "float32")
        super().__init__(**options)
        if method not in METHODS:
            raise errors.OptionError(f"{method!r} is not a decoder.", f"choose one of {', '.join(METHODS)}")
        if method == "highest_score" and not 0 < diagonal_km < np.inf:
            problem = f"highest_score with a diagonal of {diagonal_km} km."
            raise errors.OptionError(problem, "give the positive diagonal of the map's bounding box in kilometres")
        if not 0 < temperature < np.inf:
            raise errors.OptionError(f"a temperature of {temperature}.", "give a positive number; 1 changes nothing")
        self.method = method
        self.temperature = temperature
        self.diagonal_km = diagonal_km
        self.centroids = geometry.check_coords(centroids, "centroids")
        self.candidates = geometry.check_coords(np.reshape(candidates, (-1, 2)), "candidates")
        self.points = np.concatenate([self.centroids, self.candidates]) if method != "argmax" else self.centroids
        self._costs = self._cost_of_points()

    def call(self, log_probabilities: tensors.Tensor) -> tensors.Tensor:
        """Returns coords `[b, 2]` of log-probabilities `[b, cells]`."""
        if self._costs is None:
            best = _first_greatest(log_probabilities)
        else:
            probabilities = ops.softmax(ops.cast(log_probabilities, "float32") / self.temperature, axis=-1)
            best = _first_greatest(-ops.matmul(probabilities, ops.convert_to_tensor(self._costs)))
        return ops.take(ops.convert_to_tensor(self.points, dtype="float32"), best, axis=0)

    def compute_output_shape(self, log_probabilities_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns (b, 2)."""
        return (log_probabilities_shape[0], 2)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {
            **super().get_config(),
            "method": self.method,
            "centroids": np.asarray(self.centroids).tolist(),
            "diagonal_km": self.diagonal_km,
            "candidates": np.asarray(self.candidates).tolist(),
            "temperature": self.temperature,
        }

    def _cost_of_points(self) -> npt.NDArray[np.float32] | None:
        """Returns the cost of each point under each true cell.

        float32 `[cells, points]`; None for argmax.
        """
        if self.method == "argmax":
            return None
        distance_km = geometry.pairwise_km(self.centroids, self.points)
        cost = distance_km if self.method == "least_distance" else -np.exp(-10 * distance_km / self.diagonal_km)
        return cost.astype("float32")


def _first_greatest(values: tensors.Tensor) -> tensors.Tensor:
    """Returns the index `[b]` of the first greatest value of each row of `[b, n]`."""
    # Not argmax: an ONNX file of it is written and cannot be opened (findings/keras_argmax_onnx_bitcast.sh).
    return ops.squeeze(ops.top_k(values, 1)[1], -1)
