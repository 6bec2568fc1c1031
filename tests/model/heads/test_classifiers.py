"""Heads: the report's exact sizes, pooled ones, refusals of features."""

import keras
import numpy as np
import precision
import pytest

from geods import errors
from model.encoders import backbones
from model.heads import classifiers

CELLS = 243
RESNET50_FEATURES = (10, 19, 2048)
# The report's table of parameters; its totals of the second and third row are misprinted there.
REPORT = [
    ("report_75k", 75_463, 23_663_175),
    ("report_1m", 1_473_331, 25_061_043),
    ("report_6m", 6_878_707, 30_466_419),
    ("report_13m", 13_357_555, 36_945_267),
]


def count(variables) -> int:
    return sum(int(np.prod(variable.shape)) for variable in variables)


@pytest.fixture(scope="module")
def resnet50() -> keras.Model:
    return backbones.build(backbones.BackboneSpec(name="resnet50", weights="random"))


def test_the_reports_backbone_gives_the_reports_features(resnet50):
    assert resnet50.input_shape == (None, 300, 600, 3)
    assert resnet50.output_shape == (None, *RESNET50_FEATURES)


@pytest.mark.parametrize(("name", "trainable", "total"), REPORT)
def test_report_heads_on_resnet50_have_the_reports_parameters(name, trainable, total, resnet50):
    head = classifiers.build(name, RESNET50_FEATURES, CELLS)
    whole = keras.Model(resnet50.input, head(resnet50.output))
    assert count(whole.trainable_variables) == trainable
    assert count(whole.weights) == total


@pytest.mark.parametrize("name", classifiers.NAMES)
def test_a_head_gives_a_logit_for_each_cell(name):
    head = classifiers.build(name, (6, 5, 8), 7)
    logits = head(np.zeros((3, 6, 5, 8), dtype="float32"))
    assert logits.shape == (3, 7)
    assert head.name == name


def test_linear_is_one_layer_on_pooled_features():
    head = classifiers.build("linear", (4, 3, 8), 7)
    features = np.random.default_rng(0).standard_normal((2, 4, 3, 8)).astype("float32")
    kernel, bias = (keras.ops.convert_to_numpy(weight) for weight in head.weights)
    expected = features.mean(axis=(1, 2)) @ kernel + bias
    np.testing.assert_allclose(keras.ops.convert_to_numpy(head(features)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_pooled_heads_take_pooled_features_as_they_are(name):
    whole, pooled = classifiers.build(name, (4, 3, 8), 7), classifiers.build(name, (8,), 7)
    pooled.set_weights(whole.get_weights())
    features = np.random.default_rng(0).standard_normal((2, 4, 3, 8)).astype("float32")
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(whole(features)),
        keras.ops.convert_to_numpy(pooled(features.mean(axis=(1, 2)))),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize(
    ("name", "dropout", "rates"),
    [
        ("report_75k", None, [0.25, 0.5]),
        ("report_75k", 0.1, [0.25, 0.1]),
        ("mlp", None, [0.5]),
        ("mlp", 0.2, [0.2]),
        ("linear", None, []),
        ("linear", 0.2, [0.2]),
    ],
)
def test_dropout_is_the_heads_own_unless_given(name, dropout, rates):
    head = classifiers.build(name, (6, 5, 8), 7, dropout=dropout)
    assert [layer.rate for layer in head.layers if isinstance(layer, keras.layers.Dropout)] == rates


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", ["report_75k", "mlp"])
def test_logits_stay_float32_under_mixed_precision(name, policy):
    with precision.policy(policy):
        head = classifiers.build(name, (6, 5, 8), 7)
    logits = head(np.ones((1, 6, 5, 8), dtype="float32"))
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    assert {weight.dtype for weight in head.weights} == {"float32"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("report_2m", (6, 5, 8), 7), "'report_2m' is not a head"),
        (("report_1m", (8,), 7), r"report_1m needs a feature map of at least 4x4, but the features are \(8,\)"),
        (("report_1m", (3, 9, 8), 7), r"report_1m needs a feature map of at least 4x4"),
        (("linear", (5, 8), 7), r"features of shape \(5, 8\)"),
        (("linear", (8,), 0), "a head over 0 cells"),
        (("linear", (8,), 7, 1.0), r"dropout is 1\.0"),
    ],
)
def test_a_head_that_cannot_be_built_is_refused(arguments, message):
    with pytest.raises(errors.OptionError, match=message):
        classifiers.build(*arguments)


def test_an_unknown_head_is_answered_with_close_ones():
    with pytest.raises(errors.OptionError) as caught:
        classifiers.build("report13m", (6, 5, 8), 7)
    assert "report_13m" in caught.value.next_step
