"""Operations counted from layers; every contender gives the encoder's features."""

import keras
import numpy as np
import pytest

from geods import errors
from model.encoders import backbones
from tools import benchmark_features
from tools.benchmarks import contenders_features

SIZE = {"height_px": 32, "width_px": 48}
# A fifth of the layers: XLA compiles the whole of it for minutes.
SPEC = {"name": "mobilenet_v2", "weights": "random", "layer": "block_3_expand_relu", "pooling": "none", **SIZE}


@pytest.fixture
def arguments(tmp_path) -> dict:
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 48, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    files = {"images": str(tmp_path / "images.npy"), "features": str(tmp_path / "features.npy")}
    return {"spec": SPEC, **files, "batches": 3, "precision": "float32"}


@pytest.fixture(autouse=True)
def policy_as_it_was():
    before = keras.mixed_precision.dtype_policy()
    yield
    keras.mixed_precision.set_dtype_policy(before)


def test_operations_of_layers_that_one_can_reckon_by_hand():
    image = keras.Input((8, 10, 3))
    hidden = keras.layers.Conv2D(5, 3, padding="valid", name="a")(image)  # 6 x 8 x 5 values of 3 x 3 x 3 products
    hidden = keras.layers.DepthwiseConv2D(3, padding="same", name="b")(hidden)  # 6 x 8 x 5 of 3 x 3
    hidden = keras.layers.BatchNormalization(name="c")(hidden)
    inner = keras.Model(image, keras.layers.Flatten(name="d")(hidden))
    model = keras.Model(image, keras.layers.Dense(7, name="e")(inner(image)))  # 7 of 240
    assert contenders_features.of_model(model) == 2 * (240 * 27 + 240 * 9 + 7 * 240)


def test_operations_of_encoders_are_those_of_the_literature():
    def giga(name, side):
        spec = backbones.BackboneSpec(name, weights="random", height_px=side, width_px=side)
        return contenders_features.of_model(backbones.build(spec)) / 1e9

    # Of the papers, in multiplications with a sum: 3.8e9 to 3.9e9 for ResNet50, 0.300e9 with the classifier's 1.3e6.
    assert 7.6 < giga("resnet50", 224) < 7.8
    assert 0.59 < giga("mobilenet_v2", 224) < 0.61


def test_what_cannot_be_counted_is_refused():
    text = keras.Input((4, 8))
    model = keras.Model(text, keras.layers.LSTM(3, name="reader")(text))
    with pytest.raises(errors.BenchmarkError, match="reader: cannot count the operations of a LSTM"):
        contenders_features.of_model(model)


def test_all_ways_give_the_same_features(arguments):
    found = {}
    for kind in (contenders_features.TensorFlowFunction, contenders_features.KerasPredict, contenders_features.Ours):
        runtime = {"runtime": "tensorflow"} if kind is contenders_features.Ours else {}
        contender = kind(**arguments, **runtime)
        assert contender.run() == 6
        facts = contender.facts()
        assert facts["gflop"] == pytest.approx(contenders_features.of_model(contender.backbone) / 1e9)
        found[kind] = np.load(facts["features"])
    expected = found.pop(contenders_features.TensorFlowFunction)
    assert expected.dtype == np.float32
    for features in found.values():
        assert benchmark_features.cosine(features, expected) > 0.999999


def test_features_in_8_bits_may_be_further_off(tmp_path):
    plain, near = np.array([[1.0, 0.0]], np.float32), np.array([[1.0, 0.25]], np.float32)
    np.save(tmp_path / "near.npy", near)
    check = benchmark_features.checker({benchmark_features.PLAIN: plain})
    facts = {"features": str(tmp_path / "near.npy")}
    check(benchmark_features.harness.Contender("in 8 bits", "", {"precision": "int8"}), facts)
    with pytest.raises(errors.BenchmarkError, match=r"in float32: the cosine .* is 0\.9701"):
        check(benchmark_features.harness.Contender("in float32", "", {"precision": "float32"}), facts)


def test_features_of_other_images_are_refused(arguments):
    contender = contenders_features.TensorFlowFunction(**arguments)
    expected = np.load(contender.facts()["features"])
    check = benchmark_features.checker({benchmark_features.PLAIN: expected})
    check(benchmark_features.harness.Contender("honest", "", {}), contender.facts())
    np.save(arguments["features"], expected[::-1])
    with pytest.raises(errors.BenchmarkError, match=r"cheat: the cosine of its features to those of tf\.function"):
        check(benchmark_features.harness.Contender("cheat", "", {}), {"features": arguments["features"]})
