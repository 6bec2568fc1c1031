"""Preprocessing inside the graph is that of keras.applications."""

import keras
import numpy as np
import precision
import pytest

from geods import errors
from model.encoders import preprocessing

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), dtype="uint8")


@pytest.mark.parametrize(
    ("encoder", "module"),
    [
        ("resnet50", "resnet"),
        ("mobilenet_v2", "mobilenet_v2"),
        ("densenet121", "densenet"),
        ("mobilenet_v3_small", "mobilenet_v3"),
    ],
)
def test_own_is_preprocess_input_of_the_module(encoder, module):
    expected = getattr(keras.applications, module).preprocess_input(IMAGES.astype("float32"))
    result = keras.ops.convert_to_numpy(preprocessing.Preprocessing(encoder)(IMAGES))
    np.testing.assert_allclose(result, expected, rtol=1e-6, atol=1e-5)


def test_raw_passes_the_values_through():
    result = keras.ops.convert_to_numpy(preprocessing.Preprocessing("resnet50", "raw")(IMAGES))
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, IMAGES)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_it_stays_float32_under_mixed_precision(policy):
    with precision.policy(policy):
        layer = preprocessing.Preprocessing("mobilenet_v2")
    result = keras.ops.convert_to_numpy(layer(IMAGES))
    assert result.dtype == np.float32
    # 256 different levels go in, so 256 must come out; bfloat16 keeps fewer between -1 and 1.
    ramp = np.arange(256, dtype="uint8").reshape(1, 16, 16, 1).repeat(3, axis=-1)
    assert len(np.unique(keras.ops.convert_to_numpy(layer(ramp)))) == 256


def test_config_gives_the_layer_back():
    layer = preprocessing.Preprocessing("vgg16", "raw", name="eyes")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert (again.encoder, again.kind, again.name) == ("vgg16", "raw", "eyes")


def test_an_unknown_encoder_is_refused():
    with pytest.raises(errors.BackboneError, match="'vgg17' is not an encoder"):
        preprocessing.Preprocessing("vgg17")


@pytest.mark.parametrize("size", [(5, 7), (3, 5), (4, 4), (10, 14), (9, 2), (1, 1)])
def test_resized_is_what_keras_gives(size):
    expected = keras.ops.image.resize(IMAGES.astype("float32"), size, antialias=True)
    result = preprocessing.Resized(*size)(IMAGES)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(result), keras.ops.convert_to_numpy(expected), atol=2e-3, rtol=0
    )
