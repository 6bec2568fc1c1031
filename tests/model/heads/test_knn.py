"""The density of nearest neighbours against brute force."""

import keras
import numpy as np
import pytest

from geods import errors
from geods.geo import geometry
from model import geolocator
from model.heads import knn

RNG = np.random.default_rng(0)
CENTROIDS = np.array([[lat, lon] for lat in np.arange(30, 45, 2.5) for lon in np.arange(-110, -85, 2.5)])
COORDS = RNG.uniform([30, -110], [45, -85], (40, 2))
LOOKS = RNG.standard_normal((40, 1, 8)).astype("float32")
SEEN = np.ones((40, 1), bool)


def remembering(**options):
    density = knn.NeighbourDensity(40, CENTROIDS, **options)
    classifier = knn.build_classifier(density, (8,))
    density.remember(density.describe(LOOKS, SEEN), COORDS)
    return classifier


def answer(classifier, features, mask):
    return keras.ops.convert_to_numpy(classifier({"features": np.asarray(features, "float32"), "view_mask": mask}))


def test_it_is_the_density_of_brute_force():
    features, mask = RNG.standard_normal((5, 3, 8)), RNG.random((5, 3)) < 0.7
    mask[:, 0] = True
    told = answer(remembering(count=7, sigma_km=150.0, sharpness=5.0), features, mask)
    bank = LOOKS[:, 0] / np.linalg.norm(LOOKS[:, 0], axis=1, keepdims=True)
    for row in range(5):
        views = features[row][mask[row]]
        look = (views / np.linalg.norm(views, axis=1, keepdims=True)).sum(axis=0)
        similar = bank @ (look / np.linalg.norm(look))
        nearest = np.argsort(-similar)[:7]
        weights = np.exp(5 * similar[nearest])
        distances = geometry.pairwise_km(COORDS[nearest], CENTROIDS)
        expected = (weights / weights.sum()) @ np.exp(-(distances**2) / (2 * 150.0**2))
        np.testing.assert_allclose(np.exp(told[row]), expected / expected.sum(), atol=2e-3)


def test_a_place_it_remembers_is_found_again():
    told = answer(remembering(count=1, sigma_km=50.0), LOOKS, SEEN)
    nearest = geometry.pairwise_km(COORDS, CENTROIDS).argmin(axis=1)
    np.testing.assert_array_equal(told.argmax(axis=1), nearest)


def test_without_a_view_it_knows_nothing():
    told = answer(remembering(), np.ones((1, 2, 8)), np.zeros((1, 2), bool))
    np.testing.assert_allclose(told, np.full((1, len(CENTROIDS)), -np.log(len(CENTROIDS))), rtol=1e-5)


def test_what_it_remembers_is_saved_with_it(tmp_path):
    classifier = remembering()
    geolocator.save(classifier, tmp_path / "c.keras")
    features = RNG.standard_normal((3, 2, 8))
    mask = np.ones((3, 2), bool)
    again = answer(geolocator.load(tmp_path / "c.keras"), features, mask)
    np.testing.assert_array_equal(again, answer(classifier, features, mask))


@pytest.mark.parametrize(
    "wrong", [{"places": 0}, {"count": 0}, {"sigma_km": 0.0}, {"sharpness": -1.0}, {"sigma_km": float("nan")}]
)
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(errors.OptionError, match="at least"):
        knn.NeighbourDensity(**({"places": 3, "centroids": CENTROIDS} | wrong))
