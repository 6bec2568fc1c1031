"""Augmentation changes training examples, never their location or predictions."""

import keras
import numpy as np
import pytest

from geods import errors
from model import augmentation

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (2, 3, 16, 24, 3)).astype("uint8")
MASK = np.array([[True, True, False], [True, False, False]])
FEATURES = RNG.standard_normal((2, 3, 5)).astype("float32")
CALLS = [
    (augmentation.ImageJitter(0.2, 0.2, 0.2), (IMAGES,)),
    (augmentation.ViewMixup(0.9), (FEATURES, MASK)),
    (augmentation.ViewDropout(0.9), (MASK,)),
]


@pytest.mark.parametrize(("layer", "inputs"), CALLS, ids=lambda value: type(value).__name__)
def test_prediction_sees_the_example_itself(layer, inputs):
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer(*inputs, training=False)), inputs[0])


@pytest.mark.parametrize(("layer", "inputs"), CALLS, ids=lambda value: type(value).__name__)
def test_configurations_make_equal_layers(layer, inputs):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    symbolic = [keras.Input(each.shape[1:], dtype=str(each.dtype)) for each in inputs]
    result = again(*symbolic)
    assert result.shape[1:] == inputs[0].shape[1:]
    assert result.dtype == str(inputs[0].dtype)


def jittered(**shares):
    keras.utils.set_random_seed(1)
    return augmentation.ImageJitter(**shares)(IMAGES, training=True).numpy()


def test_brightness_shifts_each_view_by_one_number():
    calm = np.full((2, 3, 4, 4, 3), 128, np.uint8)
    keras.utils.set_random_seed(1)
    shifts = augmentation.ImageJitter(brightness=0.2)(calm, training=True).numpy().astype(int) - 128
    assert np.unique(shifts.reshape(6, -1), axis=1).shape == (6, 1)
    assert len(np.unique(shifts)) == 6
    assert abs(shifts).max() <= round(0.2 * 255)


def test_contrast_keeps_the_mean_of_each_view():
    soft = (IMAGES // 4 + 96).astype("uint8")
    keras.utils.set_random_seed(1)
    changed = augmentation.ImageJitter(contrast=0.5)(soft, training=True).numpy()
    before, after = (each.reshape(6, -1).astype(float) for each in (soft, changed))
    np.testing.assert_allclose(after.mean(axis=1), before.mean(axis=1), atol=0.5)
    assert (abs(after.std(axis=1) / before.std(axis=1) - 1) < 0.52).all()
    assert (abs(after.std(axis=1) / before.std(axis=1) - 1) > 0.01).any()


def test_a_crop_keeps_left_on_the_left_and_the_aspect():
    """An image of coordinates: red is ten times the column, green the row."""
    row, column = np.mgrid[0:16, 0:24]
    picture = np.stack([column * 10, row * 10, row * 0], axis=-1).astype("uint8")
    keras.utils.set_random_seed(2)
    cut = augmentation.ImageJitter(crop=0.4)(np.tile(picture, (8, 1, 1, 1, 1)), training=True).numpy().astype(int)
    across, down = np.diff(cut[:, 0, 8, :, 0], axis=1), np.diff(cut[:, 0, :, 12, 1], axis=1)
    assert (across >= 0).all()
    assert (down >= 0).all()
    scales = across[:, 2:-2].mean(axis=1) / 10, down[:, 2:-2].mean(axis=1) / 10
    np.testing.assert_allclose(scales[0], scales[1], atol=0.05)
    assert ((scales[0] > 0.55) & (scales[0] < 1.01)).all()
    assert scales[0].std() > 0.02


def test_another_seed_gives_another_jitter_and_the_same_seed_the_same():
    first = jittered(brightness=0.2, crop=0.2)
    np.testing.assert_array_equal(first, jittered(brightness=0.2, crop=0.2))
    assert first.dtype == np.uint8
    assert (first != IMAGES).any()


def test_mixup_blends_only_with_views_that_are_there():
    layer = augmentation.ViewMixup(0.9)
    for _ in range(20):
        mixed = layer(FEATURES, MASK, training=True).numpy()
        np.testing.assert_array_equal(mixed[1, 0], FEATURES[1, 0])
        low, high = FEATURES[0, :2].min(axis=0), FEATURES[0, :2].max(axis=0)
        assert ((mixed[0, :2] >= low - 1e-6) & (mixed[0, :2] <= high + 1e-6)).all()


def test_mixup_takes_maps_too():
    maps = RNG.standard_normal((20, 3, 2, 2, 5)).astype("float32")
    mixed = augmentation.ViewMixup(0.5)(maps, np.ones((20, 3), bool), training=True).numpy()
    assert mixed.shape == maps.shape
    # A third of the views draw themselves.
    assert 0.4 < (mixed != maps).any(axis=(2, 3, 4)).mean() < 0.9


def test_dropout_of_views_hides_its_share_and_leaves_one():
    mask = np.ones((2000, 4), bool)
    mask[:, 3] = False
    kept = augmentation.ViewDropout(0.5)(mask, training=True).numpy()
    assert kept.any(axis=1).all()
    assert not kept[:, 3].any()
    # A view stays with probability 1/2, or because all three went and it had the largest lot: 1/2 + 1/8 / 3.
    assert kept[:, :3].mean() == pytest.approx(0.5 + 1 / 24, abs=0.02)


@pytest.mark.parametrize(("build", "value"), [(augmentation.ViewMixup, 1.0), (augmentation.ViewDropout, -0.1)])
def test_shares_out_of_range_are_refused(build, value):
    with pytest.raises(errors.OptionError, match=str(value)):
        build(value)
