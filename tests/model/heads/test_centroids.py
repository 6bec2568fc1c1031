"""The softmax of distances to cells' mean features, against NumPy."""

import keras
import numpy as np
import pytest

from model import geolocator
from model.heads import centroids

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(6,), (2, 3, 6)])
def test_it_is_the_softmax_of_the_distances_to_the_means(tmp_path, shape):
    layer = centroids.CentroidDistances(4, sharpness=2.0)
    classifier = geolocator.build_classifier(centroids.build(layer, shape), shape)
    sums, counts = RNG.standard_normal((4, 6)) * [[3], [2], [1], [0]], np.array([3, 2, 1, 0])
    layer.remember(sums, counts)
    geolocator.save(classifier, tmp_path / "c.keras")
    features = RNG.standard_normal((5, 1, *shape)).astype(np.float32)
    values = {"features": features, "view_mask": np.ones((5, 1), bool)}
    pooled = features.reshape(5, -1, 6).mean(axis=1)
    powers = np.exp(-2 * np.linalg.norm(pooled[:, None] - (sums[:3].T / counts[:3]).T, axis=2))
    for one in (classifier, geolocator.load(tmp_path / "c.keras")):
        found = np.exp(keras.ops.convert_to_numpy(one(values)))
        np.testing.assert_allclose(found[:, :3], powers / powers.sum(axis=1, keepdims=True), atol=1e-5)
        # Its cell has no training example.
        assert not found[:, 3].any()
