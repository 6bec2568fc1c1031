"""Fusing views: means of probabilities, masks, networks for every view."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.fusion import views

RNG = np.random.default_rng(0)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def fuse(logits, mask) -> np.ndarray:
    return keras.ops.convert_to_numpy(views.MeanOfProbabilities()(np.asarray(logits, "float32"), np.asarray(mask)))


def test_it_is_the_logarithm_of_the_mean_of_the_probabilities_of_the_views_there_are():
    logits = RNG.standard_normal((3, 4, 5))
    mask = np.array([[True, True, True, True], [True, False, True, False], [False, False, False, True]])
    expected = [softmax(row)[seen].mean(axis=0) for row, seen in zip(logits, mask, strict=True)]
    np.testing.assert_allclose(np.exp(fuse(logits, mask)), expected, rtol=1e-5)


# The first example traces the operations, which takes longer than hypothesis' deadline on a busy machine.
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000), places=st.integers(1, 4), most=st.integers(1, 5), scale=st.sampled_from([0.1, 10, 1e4])
)
def test_probabilities_sum_to_1_and_masked_views_do_not_count(seed, places, most, scale):
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((places, most, 6)) * scale
    mask = rng.random((places, most)) < 0.6
    fused = fuse(logits, mask)
    assert np.isfinite(fused).all()
    np.testing.assert_allclose(np.exp(fused).sum(axis=-1), 1, rtol=1e-4)
    changed = np.where(mask[:, :, None], logits, rng.standard_normal(logits.shape) * 1e6)
    np.testing.assert_array_equal(fuse(changed, mask), fused)


def test_a_location_without_views_knows_nothing():
    np.testing.assert_allclose(fuse(RNG.standard_normal((1, 3, 8)), [[False] * 3]), np.full((1, 8), -np.log(8)))


@pytest.mark.parametrize("poison", [np.inf, np.nan])
def test_a_poisoned_view_that_is_masked_leaves_value_and_gradient_alone(poison):
    class Free(keras.layers.Layer):
        def build(self, _shape):
            self.logits = self.add_weight(shape=(1, 2, 3), initializer="zeros")

        def call(self, _unused):
            return keras.ops.convert_to_tensor(self.logits) * 1.0

    inputs, mask = keras.Input((1,)), keras.Input((2,), dtype="bool")
    free = Free()
    model = keras.Model([inputs, mask], views.MeanOfProbabilities()(free(inputs), mask))
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss=lambda _true, predicted: -predicted[:, 0])
    free.logits.assign([[[0.0, 1.0, 2.0], [poison, 0.0, 0.0]]])
    model.train_on_batch([np.zeros((1, 1)), np.array([[True, False]])], np.zeros((1, 1)))
    logits = keras.ops.convert_to_numpy(free.logits)
    expected = np.array([0.0, 1.0, 2.0]) + 0.1 * (np.array([1, 0, 0]) - softmax(np.array([0.0, 1.0, 2.0])))
    np.testing.assert_allclose(logits[0, 0], expected, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_16_bit_logits_give_float32(dtype):
    logits = keras.ops.cast(RNG.standard_normal((2, 3, 4)), dtype)
    fused = views.MeanOfProbabilities()(logits, np.ones((2, 3), dtype=bool))
    assert keras.backend.standardize_dtype(fused.dtype) == "float32"
    np.testing.assert_allclose(np.exp(keras.ops.convert_to_numpy(fused)).sum(axis=-1), 1, rtol=1e-6)


def per_view() -> keras.Model:
    one = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(5)])
    inputs = keras.Input((None, 4, 4, 3))
    return keras.Model(inputs, views.PerView(one, name="each")(inputs))


@pytest.mark.parametrize(("places", "most"), [(1, 1), (2, 3), (3, 1)])
def test_a_network_is_applied_to_every_view(places, most):
    model = per_view()
    images = RNG.standard_normal((places, most, 4, 4, 3)).astype("float32")
    result = keras.ops.convert_to_numpy(model(images))
    assert model.output_shape == (None, None, 5)
    for place in range(places):
        expected = keras.ops.convert_to_numpy(model.get_layer("each").layer(images[place]))
        np.testing.assert_allclose(result[place], expected, rtol=1e-5, atol=1e-6)


def test_both_layers_come_back_from_a_file(tmp_path):
    inner = per_view()
    mask = keras.Input((None,), dtype="bool")
    model = keras.Model([inner.input, mask], views.MeanOfProbabilities()(inner.output, mask))
    model.save(tmp_path / "views.keras")
    again = keras.saving.load_model(tmp_path / "views.keras", safe_mode=True)
    inputs = [RNG.standard_normal((2, 3, 4, 4, 3)).astype("float32"), np.array([[True, True, False]] * 2)]
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(again(inputs)), keras.ops.convert_to_numpy(model(inputs)))
