"""Distances and shares in keras.ops.

Truth is float32 `[b, 3]` (lat_deg, lon_deg, cell), the prediction log-probabilities `[b, cells]`.
"""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from geods import errors
from geods.geo import geometry
from model import tensors

_RADIANS_PER_DEGREE = float(np.pi / 180)


def haversine_km(a: tensors.Tensor, b: tensors.Tensor) -> tensors.Tensor:
    """Returns great-circle distances, as geods.geo.geometry.haversine_km does.

    Written for float32. With m the mean latitude, the haversine is split into sums that cannot cancel:
    h = sin2(dlat/2) cos2(dlon/2) + cos2(m) sin2(dlon/2) and 1 - h = cos2(dlat/2) cos2(dlon/2) + sin2(m) sin2(dlon/2),
    so that atan2(sqrt h, sqrt(1 - h)) is good both for neighbours and for antipodes. For the float32 coordinates it is
    given it keeps 5 digits of any distance (4 within 0.1 degrees of a pole); rounding coordinates to float32 itself
    moves a place by up to 1 m.

    Args:
        a: `[..., 2]` degrees, (lat, lon).
        b: `[..., 2]` degrees, (lat, lon), broadcast against `a`; longitudes between -180 and 180.

    Returns:
        `[...]` kilometres, in the dtype of the arguments.
    """
    lat_a, lon_a, lat_b, lon_b = a[..., 0], a[..., 1], b[..., 0], b[..., 1]
    half_lat = (lat_b - lat_a) * (_RADIANS_PER_DEGREE / 2)
    mean_lat = (lat_a + lat_b) * (_RADIANS_PER_DEGREE / 2)
    half_lon = _short_way_round(lon_a, lon_b) * (_RADIANS_PER_DEGREE / 2)
    near = ops.square(ops.sin(half_lat) * ops.cos(half_lon)) + ops.square(ops.cos(mean_lat) * ops.sin(half_lon))
    far = ops.square(ops.cos(half_lat) * ops.cos(half_lon)) + ops.square(ops.sin(mean_lat) * ops.sin(half_lon))
    return 2 * geometry.EARTH_RADIUS_KM * ops.arctan2(ops.sqrt(near), ops.sqrt(far))


def _short_way_round(lon_a: tensors.Tensor, lon_b: tensors.Tensor) -> tensors.Tensor:
    """Returns the difference of longitudes `[...]` in degrees, between -180 and 180.

    Between neighbours it is exact: they are subtracted in degrees, and across the antimeridian each from 180 first.
    """
    straight = lon_b - lon_a
    half_turn = 180.0 * ops.sign(straight)
    across = (lon_b - half_turn) - (lon_a + half_turn)
    return ops.where(ops.abs(straight) > 180.0, across, straight)


@keras.saving.register_keras_serializable(package="geods")
class CellAccuracy(keras.metrics.Mean):
    """Share of locations whose most probable cell is their own.

    Locations outside every cell do not count.
    """

    def __init__(self, name: str = "cell_accuracy", dtype: str = "float32") -> None:
        super().__init__(name=name, dtype=dtype)

    def update_state(
        self, y_true: tensors.Tensor, y_pred: tensors.Tensor, sample_weight: tensors.Tensor = None
    ) -> None:
        """Counts truths `[b, 3]` against log-probabilities `[b, cells]`."""
        cell = ops.cast(ops.cast(y_true, "float32")[:, 2], "int32")
        inside = ops.cast(cell >= 0, "float32")
        right = ops.cast(ops.equal(ops.cast(ops.argmax(y_pred, axis=-1), "int32"), cell), "float32")
        weight = inside if sample_weight is None else inside * ops.cast(sample_weight, "float32")
        super().update_state(right, sample_weight=weight)


@keras.saving.register_keras_serializable(package="geods")
class MeanKm(keras.metrics.Mean):
    """Mean distance in km from the truth to the centroid of the most probable cell.

    Args:
        centroids: `[cells, 2]` degrees, (lat, lon).
        name: Name under which the metric is logged.
        dtype: Keras' own.

    Raises:
        CoordinateError: If the centroids are not coordinates.
    """

    def __init__(self, centroids: npt.ArrayLike, name: str = "mean_km", dtype: str = "float32") -> None:
        super().__init__(name=name, dtype=dtype)
        self.centroids = geometry.check_coords(centroids, "centroids")

    def of_distance(self, distance_km: tensors.Tensor) -> tensors.Tensor:
        """Returns the values `[b]` to average for distances `[b]` in km."""
        return distance_km

    def update_state(
        self, y_true: tensors.Tensor, y_pred: tensors.Tensor, sample_weight: tensors.Tensor = None
    ) -> None:
        """Measures truths `[b, 3]` against log-probabilities `[b, cells]`."""
        centroids = ops.convert_to_tensor(self.centroids, dtype="float32")
        guess = ops.take(centroids, ops.argmax(y_pred, axis=-1), axis=0)
        distance_km = haversine_km(ops.cast(y_true, "float32")[:, :2], guess)
        super().update_state(self.of_distance(distance_km), sample_weight=sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "centroids": np.asarray(self.centroids).tolist()}


@keras.saving.register_keras_serializable(package="geods")
class MeanMiles(MeanKm):
    """Mean distance in miles to the centroid of the most probable cell.

    A mile is 1.609344 km; arguments as of MeanKm.
    """

    def __init__(self, centroids: npt.ArrayLike, name: str = "mean_miles", dtype: str = "float32") -> None:
        super().__init__(centroids, name, dtype)

    def of_distance(self, distance_km: tensors.Tensor) -> tensors.Tensor:
        """Returns miles `[b]` of kilometres `[b]`."""
        return distance_km / geometry.KM_PER_MILE


@keras.saving.register_keras_serializable(package="geods")
class WithinKm(MeanKm):
    """Share, 0 to 1, of locations within a distance of the predicted centroid.

    Args:
        centroids: `[cells, 2]` degrees, (lat, lon).
        limit_km: The distance.
        name: Name under which the metric is logged; "within_<limit>_km" if empty.
        dtype: Keras' own.

    Raises:
        OptionError: If the limit is negative.
        CoordinateError: If the centroids are not coordinates.
    """

    def __init__(self, centroids: npt.ArrayLike, limit_km: float, name: str = "", dtype: str = "float32") -> None:
        super().__init__(centroids, name or f"within_{limit_km:g}_km", dtype)
        if not limit_km >= 0:
            raise errors.OptionError(f"limit_km is {limit_km}.", "give a number of kilometres that is not negative")
        self.limit_km = limit_km

    def of_distance(self, distance_km: tensors.Tensor) -> tensors.Tensor:
        """Returns 1 or 0 `[b]` for kilometres `[b]`."""
        return ops.cast(distance_km <= self.limit_km, "float32")

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "limit_km": self.limit_km}
