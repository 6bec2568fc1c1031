"""An encoder gives the same features whatever runs it."""

import dataclasses
import importlib.util
import shutil
import sys

import keras
import numpy as np
import pytest
import real_encoder
import road
import tensorflow as tf

from geods import errors
from geods.cli import flags as cli_flags
from model.encoders import backbones
from trainers.features import auto_runtime, feature_cache, processor, runtimes
from trainers.options import extract_options


@pytest.mark.parametrize("runtime", ["tensorflow", "openvino"])
@pytest.mark.parametrize("pooling", ["avg", "none"])
def test_float32_features_are_those_of_keras(runtime, pooling):
    backbone = backbones.build(real_encoder.spec(pooling=pooling))
    forward = runtimes.compiled(backbone, 4, runtime, "float32")
    found, expected = forward(real_encoder.IMAGES), real_encoder.features(backbone)
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    assert np.allclose(found, expected, rtol=1e-4, atol=1e-4)
    kept = found.copy()
    forward(tf.constant(real_encoder.IMAGES[::-1].copy()))
    assert np.array_equal(found, kept), "the next batch was written over this one"
    by_one_thread = runtimes.compiled(backbone, 4, runtime, "float32", threads=1)
    assert np.array_equal(by_one_thread(real_encoder.IMAGES), found)


@pytest.mark.parametrize("runtime", ["tensorflow", "openvino"])
def test_bfloat16_features_are_near(runtime):
    expected = real_encoder.features(backbones.build(real_encoder.spec()))
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
        real_encoder.features(backbone),
    )
    assert np.allclose(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.skipif(not real_encoder.WEIGHTS.is_file(), reason="no real encoder weights beside the checkout")
def test_real_weights_too():
    backbone = backbones.build(
        real_encoder.spec(weights=str(real_encoder.WEIGHTS), layer="", height_px=96, width_px=96)
    )
    images = np.random.default_rng(1).integers(0, 256, (2, 96, 96, 3), dtype=np.uint8)
    expected = real_encoder.features(backbone, images)
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
    refused = road.program("trainers.extract", *flags, "--runtime=tensorflow", expect=2)
    assert "runtime is 'openvino', wanted 'tensorflow'" in refused.stderr
    # Without the flag a cache keeps its own.
    resumed = road.program("trainers.extract", *flags, "--runtime=auto")
    assert "encoder: OpenVINO, float32 (as in the cache)\n" in resumed.stdout


def resolved(folder, capsys, spec=None, **fields) -> tuple[str, str, str]:
    """Runtime, precision, and the printed line."""
    options = cli_flags.build(extract_options.ExtractOptions, cache_dir=str(folder), splits=("test",), **fields)
    spec = spec or real_encoder.spec()
    found = auto_runtime.resolve(options.runtime, options.cache, spec, lambda: real_encoder.IMAGES)
    return found.runtime, found.precision, capsys.readouterr().out


NO_FASTER = "bfloat16 is no faster on this processor"
HALTED = "import of openvino halted; None in sys.modules"


@pytest.mark.parametrize(
    ("fields", "missing", "expected"),
    [
        ({}, "", ("openvino", "float32", f"OpenVINO, float32 ({NO_FASTER})")),
        (
            {},
            "avx512_vnni",
            ("openvino", "float32", f"OpenVINO, float32 ({NO_FASTER}; --precision=int8 is, several times)"),
        ),
        ({}, "openvino", ("tensorflow", "float32", "TensorFlow, float32 (OpenVINO is not installed)")),
        ({}, "library", ("tensorflow", "float32", f"TensorFlow, float32 (OpenVINO cannot be imported ({HALTED}))")),
        ({}, "backend", ("tensorflow", "float32", "JAX, float32 (Keras' backend is jax)")),
        ({}, "gpu", ("tensorflow", "float32", "TensorFlow, float32 (on the GPU)")),
        ({"runtime": "tensorflow"}, "", ("tensorflow", "float32", "TensorFlow, float32")),
        ({"precision": "mixed_bfloat16"}, "", ("openvino", "mixed_bfloat16", "OpenVINO, bfloat16")),
        ({"precision": "mixed_float16"}, "", ("tensorflow", "mixed_float16", "TensorFlow, float16")),
        ({"precision": "int8"}, "openvino", ("openvino", "int8", "OpenVINO, int8")),
        ({"runtime": "tensorflow", "precision": "mixed_bfloat16"}, "", ("tensorflow", "mixed_bfloat16", "")),
    ],
)
def test_auto_takes_what_is_here(fields, missing, expected, tmp_path, capsys, monkeypatch):
    found = {"openvino": None if missing == "openvino" else True}
    monkeypatch.setattr(importlib.util, "find_spec", found.get)
    monkeypatch.setattr(processor, "features", lambda: {missing})
    if missing == "library":
        monkeypatch.setitem(sys.modules, "openvino", None)
    if missing == "backend":
        monkeypatch.setenv("KERAS_BACKEND", "jax")
    if missing == "gpu":
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    *options, line = expected
    assert resolved(tmp_path, capsys, **fields) == (*options, line and f"encoder: {line}\n")


@pytest.mark.parametrize(("least", "precision"), [(0.998, "mixed_bfloat16"), (1.1, "float32")])
def test_auto_takes_bfloat16_where_it_is_faster_and_near(least, precision, tmp_path, capsys, monkeypatch):
    pytest.importorskip("openvino")
    monkeypatch.setattr(processor, "features", lambda: {"amx_bf16"})
    monkeypatch.setattr(auto_runtime, "LEAST_COSINE", least)
    found = resolved(tmp_path, capsys)
    assert found[:2] == ("openvino", precision)
    assert "(least cosine of bfloat16 to float32 " in found[2]


def test_auto_keeps_what_a_cache_was_started_with(cache_dir, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: True)
    monkeypatch.setattr(processor, "features", set)
    kept = ("tensorflow", "float32", "encoder: TensorFlow, float32 (as in the cache)\n")
    assert resolved(cache_dir, capsys) == kept
    assert resolved(cache_dir, capsys, overwrite=True) == kept, "other splits stay"
    shutil.copytree(cache_dir / "test", tmp_path / "test")
    assert resolved(tmp_path, capsys, overwrite=True)[0] == "openvino"
    (tmp_path / "test" / "index.json").write_text("{}")
    assert resolved(tmp_path, capsys)[0] == "openvino"


def test_an_onnx_file_has_a_runtime_of_its_own(tmp_path, capsys):
    spec = dataclasses.replace(real_encoder.spec(), name="onnx:a.onnx", weights="imagenet", mean="clip")
    found = resolved(tmp_path, capsys, spec, backbone="onnx:a.onnx")
    assert found[:2] == ("tensorflow", "float32")
    assert "(for ONNX files)" in found[2]


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
