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
