"""An encoder cut in two equals the whole, wherever it is cut, and trains."""

import dataclasses

import keras
import numpy as np
import pytest

from geods import errors
from model.encoders import backbones, fine_tuning

SPEC = backbones.BackboneSpec("mobilenet_v2", "random", "block_5_add", "none", 64, 96)
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3)).astype("uint8")


def features(spec):
    return keras.ops.convert_to_numpy(backbones.build(spec)(IMAGES, training=False))


@pytest.fixture(scope="module")
def whole():
    return features(dataclasses.replace(SPEC, layer=""))


@pytest.mark.parametrize("layer", ["block_2_add", "block_12_add", "Conv_1"])
def test_both_parts_together_are_the_whole(layer, whole):
    front = features(dataclasses.replace(SPEC, layer=layer))
    behind = fine_tuning.blocks_behind(dataclasses.replace(SPEC, layer=layer), layer)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(behind(front)), whole, rtol=1e-4, atol=1e-5)


def test_only_what_lies_behind_the_named_layer_is_trained():
    behind = fine_tuning.blocks_behind(SPEC, "block_12_add")
    names = {weight.path.split("/")[-2] for weight in behind.trainable_weights}
    assert names
    assert all(name.startswith(("block_13", "block_14", "block_15", "block_16", "Conv_1")) for name in names)
    frozen = {weight.path.split("/")[-2] for weight in behind.non_trainable_weights}
    assert any(name.startswith("block_12") for name in frozen)


def test_normalisation_keeps_its_statistics_while_training():
    behind = fine_tuning.blocks_behind(SPEC, "block_5_add")
    inputs = np.random.default_rng(1).standard_normal((4, *behind.input_shape[1:])).astype("float32")
    there = [keras.ops.convert_to_numpy(behind(inputs, training=training)) for training in (False, True)]
    np.testing.assert_array_equal(*there)
    before = [weight.numpy() for weight in behind.non_trainable_weights]
    behind.compile("sgd", "mse")
    behind.train_on_batch(inputs, np.zeros_like(there[0]))
    for old, weight in zip(before, behind.non_trainable_weights, strict=True):
        np.testing.assert_array_equal(old, weight.numpy())


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("mobilenet_v2", "block_14"),
        ("resnet50", "conv5_block2"),
        ("vgg16", "block5_conv1"),
        ("efficientnet_b0", "block6"),
    ],
)
def test_the_last_block_is_the_last_sum_of_branches(name, start):
    spec = backbones.BackboneSpec(name, "random", "", "none", 64, 96)
    assert fine_tuning.layer_before(spec, fine_tuning.LAST_BLOCK).startswith(start)


def test_a_layer_that_information_goes_round_is_no_place_to_cut():
    with pytest.raises(errors.BackboneError, match=r"cannot be cut at 'block_14_expand': other layers also use"):
        fine_tuning.blocks_behind(dataclasses.replace(SPEC, layer=""), "block_14_expand")


def test_an_unknown_layer_is_answered_with_those_there_are():
    with pytest.raises(errors.BackboneError, match=r"no such layer(.|\n)*block_16_project_BN"):
        fine_tuning.blocks_behind(SPEC, "block_99")


def test_training_in_front_of_the_cached_layer_is_refused():
    with pytest.raises(errors.BackboneError, match=r"features of block_5_add, which lies behind it"):
        fine_tuning.blocks_behind(SPEC, "block_2_add")


def test_pooled_features_are_refused():
    with pytest.raises(errors.BackboneError, match=r"pooled features of block_5_add(.|\n)*--pooling=none"):
        fine_tuning.blocks_behind(dataclasses.replace(SPEC, pooling="avg"), "block_5_add")
