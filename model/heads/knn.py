"""k-nearest neighbours in feature space, as Im2GPS."""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from geods import errors
from geods.geo import geometry
from model import tensors
from model.fusion import attention, views

NAME = "neighbours"


@keras.saving.register_keras_serializable(package="geods")
class NeighbourDensity(keras.layers.Layer):
    """Density of the nearest neighbours around each cell's centroid.

    features `[b, v, c]` or `[b, v, h, w, c]` and view_mask bool `[b, v]` -> log-probabilities float32 `[b, cells]`,

        p(cell) ~ sum over the k nearest of w_i exp(-d(place_i, centroid)^2 / (2 sigma^2)),  w = softmax(sharpness s),

    s_i the cosine between the mean of a location's normalised, average-pooled views and the same of place i (Vo et al.
    2017, Revisiting IM2GPS in the Deep Learning Era, arXiv 1705.04838, equation 1). So neighbours vote for
    their surroundings and not for one cell, and argmax over fine cells is the mode of the density.

    Args:
        places: Number of training locations; `remember` stores them.
        centroids: `[cells, 2]` degrees, (lat, lon).
        count: k; all locations if there are fewer.
        sigma_km: Width of the kernel.
        sharpness: How much more a more similar place counts; 0 counts all k alike.

    Raises:
        OptionError: If a number is out of its range.
    """

    def __init__(
        self,
        places: int,
        centroids: npt.ArrayLike,
        count: int = 20,
        sigma_km: float = 200.0,
        sharpness: float = 10.0,
        **options: object,
    ) -> None:
        options.setdefault("dtype", "float32")
        super().__init__(**options)
        if places < 1 or count < 1:
            raise errors.OptionError(f"{count} neighbours among {places} locations.", "give at least 1 of both")
        if not 0 < sigma_km < np.inf or not 0 <= sharpness < np.inf:
            problem = f"sigma_km={sigma_km} and sharpness={sharpness}."
            raise errors.OptionError(problem, "sigma_km is above 0, sharpness at least 0")
        self.places, self.count, self.sigma_km, self.sharpness = places, count, sigma_km, sharpness
        self.centroids = geometry.check_coords(centroids, "centroids")
        self._points = geometry.unit_vectors(self.centroids).astype("float32")

    def build(self, features_shape: tuple[Any, ...], view_mask_shape: Any) -> None:  # noqa: ANN401 - a shape
        """Creates the weights of the training locations."""
        options = {"initializer": "zeros", "trainable": False}
        self.descriptors = self.add_weight(name="descriptors", shape=(self.places, features_shape[-1]), **options)
        self.vectors = self.add_weight(name="vectors", shape=(self.places, 3), **options)

    def remember(self, descriptors: npt.ArrayLike, coords: npt.ArrayLike) -> None:
        """Stores descriptors `[places, c]` and coords `[places, 2]` (lat, lon) degrees."""
        self.descriptors.assign(descriptors)
        self.vectors.assign(geometry.unit_vectors(np.asarray(coords, np.float64)).astype("float32"))

    def describe(self, features: tensors.Tensor, view_mask: tensors.Tensor) -> tensors.Tensor:
        """Returns the descriptors of locations, float32 `[b, c]` of length 1.

        A location without a view has the descriptor 0.
        """
        seen = ops.expand_dims(ops.cast(view_mask, "float32"), -1)
        pooled = ops.normalize(attention.pool(features, "avg"), axis=-1)
        return ops.normalize(ops.sum(seen * pooled, axis=1), axis=-1)

    def call(self, features: tensors.Tensor, view_mask: tensors.Tensor) -> tensors.Tensor:
        """Returns log-probabilities `[b, cells]`."""
        similar = ops.matmul(self.describe(features, view_mask), ops.transpose(self.descriptors))
        nearest, which = ops.top_k(similar, min(self.count, self.places))
        sharp = self.sharpness * nearest
        # The logarithm of a softmax; Keras' own warns where there is one neighbour.
        log_weights = sharp - ops.logsumexp(sharp, axis=-1, keepdims=True)
        cosines = ops.matmul(ops.take(ops.convert_to_tensor(self.vectors), which, axis=0), self._points.T)
        # Squared chord for squared arc: they differ by 1 % at 2,200 km, where the kernel has long been 0. Near 1 the
        # arc itself would lose all digits in float32.
        squared_km = 2 * (1 - ops.minimum(cosines, 1.0)) * geometry.EARTH_RADIUS_KM**2
        exponents = ops.expand_dims(log_weights, -1) - squared_km / (2 * self.sigma_km**2)
        fused = ops.log_softmax(ops.logsumexp(exponents, axis=1), axis=-1)
        return views.or_uniform(fused, views.seen_views(view_mask))

    def compute_output_spec(self, features: tensors.Tensor, view_mask: tensors.Tensor) -> keras.KerasTensor:
        """Returns shape and dtype of the result without computing it."""
        return keras.KerasTensor((features.shape[0], len(self.centroids)), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        own = {name: getattr(self, name) for name in ("places", "count", "sigma_km", "sharpness")}
        return {**super().get_config(), **own, "centroids": np.asarray(self.centroids).tolist()}


def build_classifier(density: NeighbourDensity, feature_shape: tuple[int, ...]) -> keras.Model:
    """Builds a classifier of this layer.

    Its inputs are those of `geolocator.build_classifier`.
    """
    features = keras.Input((None, *feature_shape), name="features")
    view_mask = keras.Input((None,), dtype="bool", name="view_mask")
    return keras.Model({"features": features, "view_mask": view_mask}, density(features, view_mask), name="classifier")
