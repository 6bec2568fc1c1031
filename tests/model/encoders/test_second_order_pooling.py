"""Second moments of feature maps against NumPy."""

import keras
import numpy as np
import pytest

from geods import errors
from model.encoders import second_order_pooling

RNG = np.random.default_rng(0)


def pooled(maps, **options):
    return keras.ops.convert_to_numpy(second_order_pooling.SecondOrderPooling(**options)(np.asarray(maps, "float32")))


def look(features, mask, **options):
    features = np.asarray(features, "float32")
    vectors = pooled(features.reshape(-1, *features.shape[2:]), **options).reshape(*features.shape[:2], -1)
    layer = second_order_pooling.MatrixSquareRoot(features.shape[-1])
    return keras.ops.convert_to_numpy(layer(vectors, np.asarray(mask)))


def root(pixels):
    """The square root of pixels' second-moment matrix, `[n, c]`, scaled to trace 1."""
    matrix = pixels.T @ pixels
    values, vectors = np.linalg.eigh(matrix / np.trace(matrix))
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def test_moments_are_means_of_products():
    maps = RNG.standard_normal((2, 6, 5, 4))
    row, column = np.triu_indices(4)
    for found, one in zip(pooled(maps), maps, strict=True):
        for part, pixels in zip(np.split(found, 2), (one.reshape(-1, 4), one[3:].reshape(-1, 4)), strict=True):
            np.testing.assert_allclose(part, (pixels.T @ pixels / len(pixels))[row, column], rtol=1e-4, atol=1e-6)


def test_distances_are_those_of_the_matrices():
    maps = RNG.standard_normal((3, 2, 6, 5, 4))
    found = look(maps, np.ones((3, 2), bool), regions=((0, 1),))
    roots = [root(one.reshape(-1, 4)) for one in maps]
    assert found.shape == (3, 10)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        expected = np.linalg.norm(roots[i] - roots[j])
        np.testing.assert_allclose(np.linalg.norm(found[i] - found[j]), expected, rtol=1e-4)


def test_regions_are_rows_of_the_map():
    maps = RNG.standard_normal((2, 1, 7, 5, 3))
    lower = look(maps, np.ones((2, 1), bool), regions=((0.5, 1),))
    both = look(maps, np.ones((2, 1), bool))
    np.testing.assert_allclose(both[:, 6:], lower, atol=1e-6)
    np.testing.assert_allclose(lower, look(maps[:, :, 3:], np.ones((2, 1), bool), regions=((0, 1),)), atol=1e-5)


def test_scale_does_not_count():
    maps = RNG.standard_normal((2, 1, 4, 4, 3))
    mask = np.ones((2, 1), bool)
    np.testing.assert_allclose(look(maps, mask), look(7 * maps, mask), atol=1e-5)


def test_a_masked_view_does_not_count_whatever_it_holds():
    maps = RNG.standard_normal((2, 3, 4, 4, 3))
    expected = look(maps[:, :2], np.ones((2, 2), bool))
    maps[:, 2] = np.inf
    np.testing.assert_allclose(look(maps, [[True, True, False]] * 2), expected, atol=1e-6)


def test_without_a_view_all_is_zero():
    assert not look(np.ones((1, 2, 4, 4, 3)), np.zeros((1, 2), bool)).any()


def test_channels_that_never_vary_are_no_trouble():
    maps = RNG.standard_normal((1, 1, 4, 4, 3))
    maps[..., 2] = 0
    assert np.isfinite(look(maps, np.ones((1, 1), bool))).all()


@pytest.mark.parametrize("regions", [(), ((0.5, 0.5),), ((-0.1, 1),), ((0, 1.2),)])
def test_regions_without_height_are_refused(regions):
    with pytest.raises(errors.OptionError, match="top"):
        second_order_pooling.SecondOrderPooling(regions)


@pytest.mark.parametrize("shape", [(4,), (3, 3, 513)])
def test_features_it_cannot_stand_on_are_refused(shape):
    with pytest.raises(errors.OptionError, match="block_12_add"):
        second_order_pooling.SecondOrderPooling()(keras.Input(shape))


def test_vectors_that_are_no_moments_are_refused():
    with pytest.raises(errors.OptionError, match="7 values of a view are no second moments of 3 channels"):
        second_order_pooling.MatrixSquareRoot(3)(keras.Input((None, 7)), keras.Input((None,), dtype="bool"))


@pytest.mark.parametrize("matrices", [1, 2, 4])
@pytest.mark.parametrize("channels", [1, 3, 96])
def test_channels_follow_from_the_number_of_values(channels, matrices):
    assert second_order_pooling.channels_of(matrices * channels * (channels + 1) // 2, matrices) == channels


@pytest.mark.parametrize(("size", "matrices"), [(0, 2), (7, 1), (12, 1), (1280, 2)])
def test_numbers_of_values_that_cannot_be_moments_are_refused(size, matrices):
    with pytest.raises(errors.OptionError, match="--pooling=moments"):
        second_order_pooling.channels_of(size, matrices)


def test_they_are_rebuilt_from_their_configs():
    pool, roots = second_order_pooling.SecondOrderPooling(((0.25, 0.75),)), second_order_pooling.MatrixSquareRoot(5)
    assert second_order_pooling.SecondOrderPooling.from_config(pool.get_config()).regions == ((0.25, 0.75),)
    assert second_order_pooling.MatrixSquareRoot.from_config(roots.get_config()).channels == 5
