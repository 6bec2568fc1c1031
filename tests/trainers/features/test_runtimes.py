"""An encoder gives the same features whatever runs it."""

import keras
import numpy as np
import pytest
import real_encoder
import road
import tensorflow as tf

from geods import errors
from model.encoders import backbones
from trainers.features import feature_cache, runtimes
from trainers.options import extract_options


@pytest.mark.parametrize("runtime", ["tensorflow", "openvino"])
@pytest.mark.parametrize("pooling", ["avg", "none"])
def test_float32_features_are_those_of_keras(runtime, pooling):
    backbone = backbones.build(real_encoder.spec(pooling=pooling))
    forward = runtimes.compiled(backbone, 4, runtime, "float32")
    found, expected = forward(real_encoder.IMAGES), backbone.predict_on_batch(real_encoder.IMAGES)
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    assert np.allclose(found, expected, rtol=1e-4, atol=1e-4)
    kept = found.copy()
    forward(tf.constant(real_encoder.IMAGES[::-1].copy()))
    assert np.array_equal(found, kept), "the next batch was written over this one"


@pytest.mark.parametrize("runtime", ["tensorflow", "openvino"])
def test_bfloat16_features_are_near(runtime):
    expected = backbones.build(real_encoder.spec()).predict_on_batch(real_encoder.IMAGES)
    policy = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(runtimes.policy_of(runtime, "mixed_bfloat16"))
    try:
        found = runtimes.compiled(backbones.build(real_encoder.spec()), 4, runtime, "mixed_bfloat16")(
            real_encoder.IMAGES
        )
    finally:
        keras.mixed_precision.set_dtype_policy(policy)
    assert found.dtype == np.float32
    assert real_encoder.cosines(found, expected).min() > 0.999
    assert not np.array_equal(found, expected)


def test_openvino_looks_in_several_sizes_too():
    backbone = backbones.build(real_encoder.spec(more_heights_px=(16,)))
    found, expected = (
        runtimes.compiled(backbone, 4, "openvino", "float32")(real_encoder.IMAGES),
        backbone.predict_on_batch(real_encoder.IMAGES),
    )
    assert np.allclose(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.skipif(not real_encoder.WEIGHTS.is_file(), reason="no real encoder weights beside the checkout")
def test_real_weights_too():
    backbone = backbones.build(
        real_encoder.spec(weights=str(real_encoder.WEIGHTS), layer="", height_px=96, width_px=96)
    )
    images = np.random.default_rng(1).integers(0, 256, (2, 96, 96, 3), dtype=np.uint8)
    expected = backbone.predict_on_batch(images)
    for runtime in ("tensorflow", "openvino"):
        assert (
            real_encoder.cosines(runtimes.compiled(backbone, 2, runtime, "float32")(images), expected).min() > 0.99999
        )


def test_extraction_by_openvino_writes_a_cache_of_its_own_kind(extract_flags, cache_dir, tmp_path):
    flags = [*extract_flags, f"--cache_dir={tmp_path}", "--splits=test"]
    road.program("trainers.extract", *flags, "--runtime=openvino")
    found, expected = feature_cache.FeatureCache(tmp_path / "test"), feature_cache.FeatureCache(cache_dir / "test")
    assert found.key.runtime == "openvino"
    rows = np.arange(len(expected))
    assert np.allclose(found.take(rows), expected.take(rows), rtol=5e-3, atol=5e-3)
    refused = road.program("trainers.extract", *flags, expect=2)
    assert "runtime is 'openvino', wanted 'tensorflow'" in refused.stderr


def test_a_runtime_that_is_missing_is_refused(monkeypatch):
    monkeypatch.setattr(runtimes.importlib.util, "find_spec", lambda name: None)
    runtimes.check_runtime("tensorflow")
    with pytest.raises(errors.OptionError, match=r"--runtime=openvino: (.|\n)*geods\[openvino\]"):
        runtimes.check_runtime("openvino")


def test_what_needs_graphs_of_tensorflow_is_refused_under_another_backend(monkeypatch):
    runtimes.check_writes_graphs("openvino", 3)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    runtimes.check_writes_graphs("tensorflow")
    for wrong, name in ((("openvino", 0), "--runtime=openvino"), (("tensorflow", 3), "--variants=3")):
        with pytest.raises(
            errors.OptionError, match=f"{name}: it needs graphs of TensorFlow, and Keras' backend is jax"
        ):
            runtimes.check_writes_graphs(*wrong)


def test_the_flag_knows_the_same_runtimes():
    from typing import get_args, get_type_hints

    assert get_args(get_type_hints(extract_options.RuntimeOptions)["runtime"]) == get_args(runtimes.Runtime)
