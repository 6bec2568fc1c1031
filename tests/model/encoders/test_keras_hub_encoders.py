"""Image towers of keras-hub on tiny random architectures, without download."""

import sys

import keras
import numpy as np
import pytest

from geods import errors
from model import decode, geolocator
from model.encoders import backbones, keras_hub_encoders
from model.heads import classifiers

FAMILIES = ("dino", "clip", "siglip")
RNG = np.random.default_rng(0)


def tiny(family):
    models = keras_hub_encoders.library().models
    sizes = {"patch_size": 8, "hidden_dim": 16, "num_layers": 2, "num_heads": 2, "intermediate_dim": 32}
    if family == "dino":
        return models.DINOV2Backbone(**sizes, image_shape=(32, 32, 3), position_embedding_shape=(40, 40, 3))
    if family == "clip":
        tower, text = models.CLIPVisionEncoder(**sizes, image_shape=(32, 32, 3)), models.CLIPTextEncoder
        return models.CLIPBackbone(tower, text(50, 16, 16, 1, 2, 32), 16)
    tower, text = models.SigLIPVisionEncoder(**sizes, image_shape=(32, 32, 3)), models.SigLIPTextEncoder
    return models.SigLIPBackbone(tower, text(50, 16, 16, 1, 2, 32, projection_dim=16))


@pytest.fixture(scope="module")
def presets(tmp_path_factory):
    pytest.importorskip("keras_hub", reason='keras-hub is not installed: pip install "geods[hub]"')
    folder = tmp_path_factory.mktemp("presets")
    keras.utils.set_random_seed(0)
    made = {family: tiny(family) for family in FAMILIES}
    for family, model in made.items():
        model.save_to_preset(str(folder / family))
    return {family: (f"hub:{folder / family}", model) for family, model in made.items()}


def backbone_of(name, **fields):
    return backbones.build(backbones.BackboneSpec(name, "imagenet", height_px=32, width_px=32, **fields))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_preset_gives_the_map_of_its_patches(presets, family):
    name, model = presets[family]
    images = RNG.integers(0, 256, (2, 32, 32, 3)).astype("uint8")
    told = keras.ops.convert_to_numpy(backbone_of(name)(images))
    assert told.shape == (2, 4, 4, 16)
    levels = keras_hub_encoders.preprocess_of(name)(images.astype("float32"))
    tower = model if family == "dino" else model.vision_encoder
    if family == "siglip":
        last = next(layer for layer in tower.layers if layer.name.endswith("post_layer_norm"))
        tower = keras.Model(tower.input, last.output)
    tokens = keras.ops.convert_to_numpy(tower({"images": levels}))
    np.testing.assert_allclose(told.reshape(2, 16, 16), tokens[:, -16:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(48, 48), (32, 64), (56, 24)])
def test_dinov2_takes_any_multiple_of_its_patch(presets, tmp_path, size):
    name, model = presets["dino"]
    backbone = backbones.build(backbones.BackboneSpec(name, "imagenet", height_px=size[0], width_px=size[1]))
    images = RNG.integers(0, 256, (2, *size, 3)).astype("uint8")
    found = keras.ops.convert_to_numpy(backbone(images))
    assert found.shape == (2, size[0] // 8, size[1] // 8, 16)
    # As the transformer's own layers say, with its position embeddings stretched by hand.
    levels = keras_hub_encoders.preprocess_of(name)(images.astype("float32"))
    old = model.embeddings
    positions = keras.ops.reshape(old.position_embeddings[:, 1:], (1, 5, 5, 16))
    positions = keras.ops.image.resize(positions, (size[0] // 8, size[1] // 8), interpolation="bicubic")
    patches = old.patch_embeddings(levels) + keras.ops.reshape(positions, (1, -1, 16))
    token = keras.ops.tile(old.cls_token + old.position_embeddings[:, :1], (2, 1, 1))
    expected = model.layernorm(model.encoder(keras.ops.concatenate([token, patches], axis=1))[0])[:, 1:]
    np.testing.assert_allclose(found.reshape(2, -1, 16), keras.ops.convert_to_numpy(expected), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_random_weights_are_others_than_the_presets(presets, family):
    name, _ = presets[family]
    images = RNG.integers(0, 256, (1, 32, 32, 3)).astype("uint8")
    spec = backbones.BackboneSpec(name, "random", height_px=32, width_px=32)
    random, trained = backbones.build(spec)(images), backbone_of(name)(images)
    assert np.abs(keras.ops.convert_to_numpy(random - trained)).max() > 1e-3


def test_a_saved_geolocator_is_read_again(presets, tmp_path):
    backbone = backbone_of(presets["clip"][0], pooling="avg")
    classifier = geolocator.build_classifier(classifiers.build("linear", (16,), 3), (16,))
    decoder = decode.Decoder("argmax", [[30.0, -100.0], [35.0, -100.0], [40.0, -100.0]])
    geolocator.save(geolocator.build_geolocator(backbone, classifier, decoder), tmp_path / "m.keras")
    batch = {"image": RNG.integers(0, 256, (1, 2, 32, 32, 3)).astype("uint8"), "view_mask": np.ones((1, 2), bool)}
    told = geolocator.load(tmp_path / "m.keras")(batch)
    assert told["coords"].shape == (1, 2)


def test_other_sizes_than_a_tower_takes_are_refused(presets):
    spec = backbones.BackboneSpec(presets["clip"][0], "random", height_px=40, width_px=40)
    with pytest.raises(errors.BackboneError, match=r"takes images of 32x32 px, not 40x40(.|\n)*--height_px=32"):
        backbones.build(spec)


def test_sides_that_a_tower_cannot_take_are_told(presets):
    spec = backbones.BackboneSpec(presets["dino"][0], "random", height_px=32, width_px=46)
    with pytest.raises(errors.BackboneError, match=r"32x46 px do not fill(.|\n)*--height_px=32 --width_px=48"):
        backbones.build(spec)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("hub:dinov2_with_registers_small", "DINOV2Backbone"),
        ("hub:clip_vit_base_patch16", "CLIPBackbone"),
        ("hub:siglip_base_patch16_224", "SigLIPBackbone"),
    ],
)
def test_presets_are_known_by_name(name, family):
    assert keras_hub_encoders.family_of(name) == family
    white = keras_hub_encoders.preprocess_of(name)(np.full((1, 1, 1, 3), 255.0, "float32"))
    assert 0.9 < white.min() <= white.max() < 2.8


def test_what_is_no_preset_is_refused(tmp_path):
    with pytest.raises(errors.BackboneError, match="is no DINOv2, CLIP or SigLIP preset"):
        backbones.BackboneSpec("hub:resnet_50")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(errors.BackboneError, match="is not a preset of keras-hub"):
        backbones.BackboneSpec(f"hub:{tmp_path}")


def test_without_keras_hub_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    spec = backbones.BackboneSpec("hub:dinov2_base", "random", height_px=224, width_px=224)
    with pytest.raises(errors.BackboneError, match=r"geods\[hub\]"):
        backbones.build(spec)


def test_a_classifier_is_not_to_be_had():
    with pytest.raises(errors.BackboneError, match="has no classifier"):
        keras_hub_encoders.constructor_of("hub:dinov2_base")(include_top=True)
