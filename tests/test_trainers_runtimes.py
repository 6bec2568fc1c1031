"""An encoder gives the same features whatever runs it."""

import pathlib

import keras
import numpy as np
import pytest
import road
import tensorflow as tf

from geods import errors
from model import backbones
from trainers import features, options, runtimes

WEIGHTS = pathlib.Path(__file__).parent.parent.parent / "shared/weights/mobilenet_v2_1.0_224_no_top.weights.h5"
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 32, 48, 3), dtype=np.uint8)


def spec(**changed) -> backbones.BackboneSpec:
    values = {"weights": "random", "layer": "block_3_expand_relu", "pooling": "avg", "height_px": 32, "width_px": 48}
    return backbones.BackboneSpec("mobilenet_v2", **(values | changed))


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    left, right = (values.reshape(len(values), -1).astype(np.float64) for values in (left, right))
    return (left * right).sum(axis=1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)


@pytest.mark.parametrize("runtime", ["tensorflow", "openvino"])
@pytest.mark.parametrize("pooling", ["avg", "none"])
def test_float32_features_are_those_of_keras(runtime, pooling):
    backbone = backbones.build(spec(pooling=pooling))
    forward = runtimes.compiled(backbone, 4, runtime, "float32")
    found, expected = forward(IMAGES), backbone.predict_on_batch(IMAGES)
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    assert np.allclose(found, expected, rtol=1e-4, atol=1e-4)
    kept = found.copy()
    forward(tf.constant(IMAGES[::-1].copy()))
    assert np.array_equal(found, kept), "the next batch was written over this one"


@pytest.mark.parametrize("runtime", ["tensorflow", "openvino"])
def test_bfloat16_features_are_near(runtime):
    expected = backbones.build(spec()).predict_on_batch(IMAGES)
    policy = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(runtimes.policy_of(runtime, "mixed_bfloat16"))
    try:
        found = runtimes.compiled(backbones.build(spec()), 4, runtime, "mixed_bfloat16")(IMAGES)
    finally:
        keras.mixed_precision.set_dtype_policy(policy)
    assert found.dtype == np.float32
    assert cosines(found, expected).min() > 0.999
    assert not np.array_equal(found, expected)


def test_openvino_looks_in_several_sizes_too():
    backbone = backbones.build(spec(more_heights_px=(16,)))
    found, expected = runtimes.compiled(backbone, 4, "openvino", "float32")(IMAGES), backbone.predict_on_batch(IMAGES)
    assert np.allclose(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.skipif(not WEIGHTS.is_file(), reason="no real encoder weights beside the checkout")
def test_real_weights_too():
    backbone = backbones.build(spec(weights=str(WEIGHTS), layer="", height_px=96, width_px=96))
    images = np.random.default_rng(1).integers(0, 256, (2, 96, 96, 3), dtype=np.uint8)
    expected = backbone.predict_on_batch(images)
    for runtime in ("tensorflow", "openvino"):
        assert cosines(runtimes.compiled(backbone, 2, runtime, "float32")(images), expected).min() > 0.99999


def test_extraction_by_openvino_writes_a_cache_of_its_own_kind(extract_flags, cache_dir, tmp_path):
    flags = [*extract_flags, f"--cache_dir={tmp_path}", "--splits=test"]
    road.program("trainers.extract", *flags, "--runtime=openvino")
    found, expected = features.FeatureCache(tmp_path / "test"), features.FeatureCache(cache_dir / "test")
    assert found.key.runtime == "openvino"
    rows = np.arange(len(expected))
    assert np.allclose(found.take(rows), expected.take(rows), rtol=5e-3, atol=5e-3)
    refused = road.program("trainers.extract", *flags, expect=2)
    assert "runtime is 'openvino', wanted 'tensorflow'" in refused.stderr


def test_a_runtime_that_is_missing_is_refused(monkeypatch):
    monkeypatch.setattr(runtimes.importlib.util, "find_spec", lambda name: None)
    runtimes.require("tensorflow")
    with pytest.raises(errors.OptionError, match=r"--runtime=openvino: (.|\n)*geods\[openvino\]"):
        runtimes.require("openvino")


def test_the_flag_knows_the_same_runtimes():
    from typing import get_args, get_type_hints

    assert get_args(get_type_hints(options.ExtractOptions)["runtime"]) == get_args(runtimes.Runtime)
