"""Random weights repeat, and let a signal through."""

import keras
import numpy as np
import pytest

from model.encoders import weights


def network() -> keras.Model:
    """A residual block: the sum of two branches of convolution and normalisation."""
    inputs = keras.Input((16, 16, 32))
    left = keras.layers.Conv2D(64, 3, padding="same", activation="relu", name="inner")(inputs)
    left = keras.layers.DepthwiseConv2D(3, padding="same", activation="relu", name="depthwise")(left)
    left = keras.layers.Conv2D(128, 1, name="branch")(left)
    left = keras.layers.BatchNormalization(name="norm")(left)
    left = keras.layers.Dropout(0.1)(left)
    right = keras.layers.SeparableConv2D(128, 1, name="trunk")(inputs)
    return keras.Model(inputs, keras.layers.Add()([left, right]))


@pytest.fixture(scope="module")
def filled() -> keras.Model:
    model = network()
    weights.fill(model, seed=3)
    return model


@pytest.mark.parametrize(
    ("layer", "number", "variance"),
    [
        ("inner", 0, 2 / (9 * 32)),
        ("depthwise", 0, 2 / 9),
        ("branch", 0, 1 / 64),
        ("trunk", 0, 1.0),
        ("trunk", 1, 1 / 32),
    ],
)
def test_the_variance_is_gain_over_fan_in(layer, number, variance, filled):
    kernel = keras.ops.convert_to_numpy(filled.get_layer(layer).weights[number])
    # Five deviations of an estimate from this many draws.
    assert kernel.var() == pytest.approx(variance, rel=5 * np.sqrt(2 / kernel.size))


def test_biases_and_normalisation_keep_their_values(filled):
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(filled.get_layer("inner").bias), 0)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(filled.get_layer("norm").gamma), 1)


def test_a_seed_repeats_and_another_does_not(filled):
    kernels = []
    for seed in (3, 4):
        model = network()
        weights.fill(model, seed)
        kernels.append(keras.ops.convert_to_numpy(model.get_layer("inner").kernel))
    expected = keras.ops.convert_to_numpy(filled.get_layer("inner").kernel)
    np.testing.assert_array_equal(kernels[0], expected)
    assert not np.array_equal(kernels[1], expected)


def test_a_signal_keeps_its_scale_through_the_network(filled):
    signal = np.random.default_rng(0).standard_normal((2, 16, 16, 32)).astype("float32")
    assert 0.3 < float(keras.ops.std(filled(signal))) < 3
