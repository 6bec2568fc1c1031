"""Backbones: their layers, that they are frozen, and their cuts."""

import json

import keras
import numpy as np
import precision
import pytest

from geods import errors
from model.encoders import backbones, registry, second_order_pooling, weights

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3), dtype="uint8")


def spec_of(**fields) -> backbones.BackboneSpec:
    small = {"name": "mobilenet_v2", "weights": "random", "height_px": 64, "width_px": 96}
    return backbones.BackboneSpec(**{**small, **fields})


def features_of(model, **options) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(IMAGES, **options))


@pytest.fixture(scope="module")
def mobilenet() -> keras.Model:
    return backbones.build(spec_of())


@pytest.fixture(scope="module")
def cut() -> keras.Model:
    return backbones.build(spec_of(layer="block_3_depthwise"))


def test_the_default_is_the_reports_backbone():
    spec = backbones.BackboneSpec()
    assert (spec.name, spec.weights, spec.height_px, spec.width_px) == ("resnet50", "imagenet", 300, 600)


def test_names_are_those_of_the_encoders():
    assert backbones.names() == registry.names()


def test_a_spec_goes_through_json_and_back():
    spec = spec_of(layer="block_3_add", pooling="avg", seed=3, more_heights_px=(32, 48))
    assert backbones.BackboneSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "resnet51"}, "'resnet51' is not an encoder"),
        ({"pooling": "mean"}, "pooling is 'mean'"),
        ({"preprocessing": "none"}, "preprocessing is 'none'"),
        ({"height_px": 0}, "images of 0x96 px have no content"),
        ({"weights": ""}, "weights is empty"),
        ({"pooling": "avg", "more_heights_px": (0,)}, "images of 0x0 px have no content"),
        ({"more_heights_px": (32,)}, r"maps of 2 sizes \(64 and more_heights_px\) do not go into one"),
        ({"name": "convnext_tiny", "preprocessing": "raw"}, "convnext_tiny has its preprocessing among its own layers"),
    ],
)
def test_a_value_that_cannot_be_had_is_refused(fields, message):
    with pytest.raises(errors.BackboneError, match=message):
        spec_of(**fields)


@pytest.mark.parametrize("pooling", ["avg", "max", "moments"])
def test_several_sizes_give_the_features_of_each_in_order(pooling):
    fields = {"layer": "block_2_add", "pooling": pooling}
    both = features_of(backbones.build(spec_of(**fields, more_heights_px=(32,))))
    large = features_of(backbones.build(spec_of(**fields)))
    encoder = weights.make_encoder("mobilenet_v2", weights.RANDOM, 32, 48, 0)
    levels = keras.ops.image.resize(IMAGES.astype("float32"), (32, 48), antialias=True) / 127.5 - 1
    small_map = keras.Model(encoder.input, encoder.get_layer("block_2_add").output)(levels)
    pool = {"avg": keras.ops.mean, "max": keras.ops.max}.get(pooling)
    small = pool(small_map, axis=(1, 2)) if pool else second_order_pooling.SecondOrderPooling()(small_map)
    np.testing.assert_allclose(both, np.concatenate([large, small], axis=1), rtol=1e-3, atol=1e-4)


def test_the_reports_cnn_takes_several_sizes_too():
    assert backbones.build(spec_of(name="report_cnn", pooling="avg", more_heights_px=(32,))).output_shape == (
        None,
        1024,
    )


def test_an_encoder_whose_branches_need_a_fixed_size_cannot_look_at_several():
    with pytest.raises(errors.BackboneError, match=r"nasnet_mobile cannot take images of heights \[64, 32\] px"):
        backbones.build(spec_of(name="nasnet_mobile", pooling="avg", more_heights_px=(32,)))


def test_an_unknown_field_is_refused():
    with pytest.raises(errors.BackboneError, match="a backbone has no colour"):
        backbones.BackboneSpec.from_dict({**spec_of().to_dict(), "colour": "red"})


def test_features_are_those_of_the_encoder_on_preprocessed_images(mobilenet):
    encoder = next(layer for layer in mobilenet.layers if isinstance(layer, keras.Model))
    levels = keras.applications.mobilenet_v2.preprocess_input(IMAGES.astype("float32"))
    expected = keras.ops.convert_to_numpy(encoder(levels, training=False))
    features = features_of(mobilenet)
    assert mobilenet.output_shape == (None, 2, 3, 1280)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-4)


def test_raw_feeds_0_to_255():
    raw = backbones.build(spec_of(preprocessing="raw", layer="Conv1"))
    kernel = keras.ops.convert_to_numpy(raw.weights[0])
    expected = keras.ops.convert_to_numpy(
        keras.ops.conv(IMAGES.astype("float32"), kernel, strides=2, padding="same", data_format="channels_last")
    )
    np.testing.assert_allclose(features_of(raw), expected, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize(("pooling", "reduce"), [("avg", np.mean), ("max", np.max)])
def test_pooling_is_over_the_feature_map(pooling, reduce, cut):
    pooled = backbones.build(spec_of(layer="block_3_depthwise", pooling=pooling))
    assert pooled.output_shape == (None, 144)
    np.testing.assert_allclose(features_of(pooled), reduce(features_of(cut), axis=(1, 2)), rtol=1e-4, atol=1e-6)


def test_a_backbone_is_frozen_even_where_the_model_around_it_trains():
    # EfficientNet holds dropout, which Keras does not switch off in frozen layers.
    spec = spec_of(name="efficientnet_b0", height_px=32, width_px=32, layer="block2b_add")
    backbone = backbones.build(spec)
    images = IMAGES[:, :32, :32]
    assert not backbone.trainable_weights
    calm = keras.ops.convert_to_numpy(backbone(images))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(backbone(images, training=True)), calm)
    moving = next(weight for weight in backbone.weights if weight.path.endswith("moving_mean"))
    before = keras.ops.convert_to_numpy(moving)
    backbone(images, training=True)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(moving), before)

    backbone.trainable = True
    assert backbone.trainable_weights
    assert not np.allclose(keras.ops.convert_to_numpy(backbone(images, training=True)), calm)


def test_a_backbone_is_cut_at_a_layer(mobilenet, cut):
    encoder = next(layer for layer in mobilenet.layers if isinstance(layer, keras.Model))
    direct = keras.Model(encoder.input, encoder.get_layer("block_3_depthwise").output)
    levels = keras.applications.mobilenet_v2.preprocess_input(IMAGES.astype("float32"))
    assert cut.output_shape == (None, 8, 12, 144)
    np.testing.assert_allclose(
        features_of(cut), keras.ops.convert_to_numpy(direct(levels, training=False)), rtol=1e-4, atol=1e-4
    )
    assert len(cut.weights) < len(mobilenet.weights)


def test_an_unknown_layer_is_answered_with_close_ones():
    with pytest.raises(errors.BackboneError, match="mobilenet_v2 has no layer 'block_2_ad'") as caught:
        backbones.build(spec_of(layer="block_2_ad"))
    assert "block_2_add" in caught.value.next_step


def test_a_layer_like_no_other_is_answered_with_the_last():
    with pytest.raises(errors.BackboneError, match="mobilenet_v2 has no layer '9'") as caught:
        backbones.build(spec_of(layer="9"))
    assert "out_relu" in caught.value.next_step


def test_pooling_needs_a_feature_map():
    spec = spec_of(name="efficientnet_b0", layer="block1a_se_squeeze", pooling="avg")
    with pytest.raises(errors.BackboneError, match=r"'block1a_se_squeeze' of efficientnet_b0 gives \(32,\)"):
        backbones.build(spec)


def test_unnamed_layers_keep_their_names_when_keras_counts_on():
    def encoder() -> keras.Model:
        inputs = keras.Input((8, 8, 3))
        left = keras.layers.Conv2D(4, 1)(inputs)
        right = keras.layers.Conv2D(4, 1)(inputs)
        return keras.Model(inputs, keras.layers.Add(name="sum")([right, left]))

    first, second = encoder(), encoder()
    assert [layer.name for layer in first.layers] != [layer.name for layer in second.layers]
    names = backbones.layer_names(second)
    assert {"conv2d", "conv2d_1", "sum"} <= set(names)
    assert names["conv2d"].output is second.get_layer("sum").input[1]


def test_the_hash_follows_the_weights_and_nothing_else(mobilenet):
    digest = backbones.weights_sha256(mobilenet)
    again = backbones.build(spec_of())
    assert backbones.weights_sha256(again) == digest
    again.trainable = True
    assert backbones.weights_sha256(again) == digest
    again.weights[0].assign(again.weights[0] + 1)
    assert backbones.weights_sha256(again) != digest


def test_a_saved_backbone_gives_the_same_features_and_is_still_frozen(cut, tmp_path):
    cut.save(tmp_path / "backbone.keras")
    again = keras.saving.load_model(tmp_path / "backbone.keras", safe_mode=True)
    np.testing.assert_array_equal(features_of(again), features_of(cut))
    assert isinstance(again, backbones.Backbone)
    assert not again.trainable_weights
    assert backbones.weights_sha256(again) == backbones.weights_sha256(cut)


@pytest.mark.parametrize(("policy", "dtype"), [("mixed_bfloat16", "bfloat16"), ("mixed_float16", "float16")])
def test_mixed_precision_computes_in_16_bits_and_pools_in_32(policy, dtype, cut):
    with precision.policy(policy):
        backbone = backbones.build(spec_of(layer="block_3_depthwise"))
        pooled = backbones.build(spec_of(layer="block_3_depthwise", pooling="avg"))
    assert keras.backend.standardize_dtype(backbone(IMAGES).dtype) == dtype
    assert keras.backend.standardize_dtype(pooled(IMAGES).dtype) == "float32"
    assert backbones.weights_sha256(backbone) == backbones.weights_sha256(cut)
