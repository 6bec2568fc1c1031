"""Weights from a seed, from a file, from ImageNet; and files that do not fit."""

import os
import pathlib
import subprocess
import sys

import checkout
import keras
import numpy as np
import pytest

from geods import errors
from model.encoders import backbones, weights

REAL = checkout.SHARED / "weights" / "mobilenet_v2_1.0_224_no_top.weights.h5"


@pytest.fixture(scope="module")
def mobilenet() -> keras.Model:
    return weights.make_encoder("mobilenet_v2", "random", 32, 64, seed=7)


@pytest.fixture(scope="module")
def saved(mobilenet, tmp_path_factory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("weights") / "mobilenet.weights.h5"
    mobilenet.save_weights(path)
    return path


def test_random_weights_repeat_in_another_process_and_no_network_is_said(mobilenet, tmp_path):
    code = (
        "from geods import errors\n"
        "from model.encoders import backbones, weights\n"
        "print(backbones.weights_sha256(weights.make_encoder('mobilenet_v2', 'random', 32, 64, seed=7)))\n"
        "try:\n"
        "    weights.make_encoder('mobilenet_v2', 'imagenet', 32, 64, seed=7)\n"
        "except errors.BackboneError as error:\n"
        "    print(error)\n"
    )
    # A closed port stands in for a network that is not there, an empty home for weights not fetched before.
    dead = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    environment = {**os.environ, **dead, "KERAS_HOME": str(tmp_path), "TF_CPP_MIN_LOG_LEVEL": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=checkout.REPO, env=environment, capture_output=True, text=True, check=True
    )
    assert backbones.weights_sha256(mobilenet) in done.stdout.split()
    assert "mobilenet_v2: its ImageNet weights could not be downloaded: URL fetch failure on https://" in done.stdout
    assert "pass --backbone_weights=PATH" in done.stdout


def test_another_seed_gives_other_weights(mobilenet):
    other = weights.make_encoder("mobilenet_v2", "random", 32, 64, seed=8)
    assert backbones.weights_sha256(other) != backbones.weights_sha256(mobilenet)


def test_a_weights_file_gives_its_weights(mobilenet, saved):
    encoder = weights.make_encoder("mobilenet_v2", str(saved), 32, 64, seed=0)
    assert backbones.weights_sha256(encoder) == backbones.weights_sha256(mobilenet)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(errors.MissingFileError, match=r"gone\.weights\.h5: does not exist"):
        weights.make_encoder("mobilenet_v2", str(tmp_path / "gone.weights.h5"), 32, 64, seed=0)


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><html>not found</html>", b"\x80\x04\x95pickle"])
def test_a_file_that_is_not_hdf5_is_named(content, tmp_path):
    path = tmp_path / "page.weights.h5"
    path.write_bytes(content)
    with pytest.raises(errors.BackboneError, match=r"page\.weights\.h5: not an HDF5 weights file for mobilenet_v2"):
        weights.make_encoder("mobilenet_v2", str(path), 32, 64, seed=0)


def test_a_truncated_file_is_named(saved, tmp_path):
    path = tmp_path / "short.weights.h5"
    path.write_bytes(saved.read_bytes()[:100_000])
    with pytest.raises(errors.BackboneError, match=r"short\.weights\.h5: does not fit mobilenet_v2: .*truncated"):
        weights.make_encoder("mobilenet_v2", str(path), 32, 64, seed=0)


def test_weights_of_another_encoder_are_refused(saved):
    with pytest.raises(
        errors.BackboneError, match=r"mobilenet\.weights\.h5: does not fit vgg16: .*could not be loaded"
    ) as caught:
        weights.make_encoder("vgg16", str(saved), 32, 64, seed=0)
    assert len(str(caught.value).splitlines()) <= 3
    assert "pass weights of vgg16" in caught.value.next_step


def test_images_too_small_for_an_encoder_are_refused():
    with pytest.raises(
        errors.BackboneError, match="inception_v3 for images of 32x64 px: Input size must be at least 75x75"
    ):
        weights.make_encoder("inception_v3", "random", 32, 64, seed=0)


def test_efficientnet_weights_from_a_file_scale_images_as_they_were_trained(tmp_path):
    mean, stddev = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    published = weights.make_encoder("efficientnet_b0", "random", 32, 32, seed=0)
    normalization = next(layer for layer in published.layers if isinstance(layer, keras.layers.Normalization))
    normalization.adapt_mean.assign(mean.astype("float32"))
    # As in the published files: the standard deviation where the variance belongs.
    normalization.adapt_variance.assign(stddev.astype("float32"))
    path = tmp_path / "efficientnet.weights.h5"
    published.save_weights(path)

    encoder = weights.make_encoder("efficientnet_b0", str(path), 32, 32, seed=0)
    stem = keras.Model(encoder.input, encoder.get_layer("stem_conv_pad").output)
    image = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3)).astype("float32")
    inside = keras.ops.convert_to_numpy(stem(image))[:, :32, :32]
    np.testing.assert_allclose(inside, (image / 255 - mean) / stddev, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(not REAL.is_file(), reason="the ImageNet weights of MobileNetV2 are not beside this checkout")
def test_real_mobilenet_weights_give_the_features_of_keras_applications():
    spec = backbones.BackboneSpec(name="mobilenet_v2", weights=str(REAL), height_px=96, width_px=160)
    images = np.random.default_rng(0).integers(0, 256, (2, 96, 160, 3), dtype="uint8")
    direct = keras.applications.MobileNetV2(include_top=False, weights=str(REAL), input_shape=(96, 160, 3))
    expected = direct(keras.applications.mobilenet_v2.preprocess_input(images.astype("float32")), training=False)
    features = keras.ops.convert_to_numpy(backbones.build(spec)(images))
    assert features.shape == (2, 3, 5, 1280)
    assert features.std() > 0.1
    np.testing.assert_allclose(features, keras.ops.convert_to_numpy(expected), rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(not REAL.is_file(), reason="the ImageNet weights of MobileNetV2 are not beside this checkout")
def test_real_mobilenet_weights_do_not_fit_another_encoder():
    with pytest.raises(errors.BackboneError, match=r"no_top\.weights\.h5: does not fit mobilenet: "):
        weights.make_encoder("mobilenet", str(REAL), 32, 64, seed=0)


def test_weights_under_a_name_of_the_other_format_are_explained(saved, tmp_path):
    renamed = tmp_path / "mobilenet.h5"
    renamed.write_bytes(saved.read_bytes())
    with pytest.raises(errors.BackboneError, match=r"weights of Keras 3: rename the file mobilenet\.weights\.h5"):
        weights.make_encoder("mobilenet_v2", str(renamed), 32, 64, seed=0)


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
