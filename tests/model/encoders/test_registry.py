"""Encoders of keras.applications by name, and the report's own."""

import keras
import numpy as np
import pytest

from geods import errors
from model import geolocator
from model.encoders import backbones, registry
from model.fusion import fusion
from model.heads import classifiers


def test_every_encoder_of_keras_applications_has_a_name():
    constructors = [name for name in dir(keras.applications) if name[0].isupper()]
    assert len(registry.names()) == len([*constructors, "report_cnn"])
    assert registry.names() == sorted(registry.names())


@pytest.mark.parametrize(
    ("keras_name", "name"),
    [
        ("ResNet50", "resnet50"),
        ("ResNet50V2", "resnet50_v2"),
        ("MobileNet", "mobilenet"),
        ("MobileNetV2", "mobilenet_v2"),
        ("MobileNetV3Small", "mobilenet_v3_small"),
        ("EfficientNetB0", "efficientnet_b0"),
        ("EfficientNetV2B0", "efficientnet_v2_b0"),
        ("EfficientNetV2L", "efficientnet_v2_l"),
        ("ConvNeXtTiny", "convnext_tiny"),
        ("ConvNeXtXLarge", "convnext_xlarge"),
        ("VGG16", "vgg16"),
        ("DenseNet121", "densenet121"),
        ("InceptionV3", "inception_v3"),
        ("InceptionResNetV2", "inception_resnet_v2"),
        ("Xception", "xception"),
        ("NASNetMobile", "nasnet_mobile"),
    ],
)
def test_names_are_snake_case_and_lead_to_the_constructor(keras_name, name):
    assert registry.snake_case(keras_name) == name
    assert registry.find(name).construct is getattr(keras.applications, keras_name)


def test_preprocessing_is_that_of_the_encoders_own_module():
    assert registry.find("resnet50").preprocess is keras.applications.resnet.preprocess_input
    assert registry.find("resnet50_v2").preprocess is keras.applications.resnet_v2.preprocess_input
    # This module publishes no constructor.
    assert registry.find("mobilenet_v3_small").preprocess is keras.applications.mobilenet_v3.preprocess_input


@pytest.mark.parametrize(
    ("name", "carries"),
    [
        ("resnet50", False),
        ("mobilenet_v2", False),
        ("vgg16", False),
        ("efficientnet_b0", True),
        ("efficientnet_v2_b0", True),
        ("convnext_tiny", True),
        ("mobilenet_v3_small", True),
    ],
)
def test_encoders_that_carry_their_preprocessing_are_known(name, carries):
    assert registry.find(name).carries_preprocessing is carries


@pytest.mark.parametrize(
    ("name", "meant"), [("resnet", "resnet50"), ("ResNet50V2", "resnet50_v2"), ("mobilnet_v2", "mobilenet_v2")]
)
def test_an_unknown_name_is_answered_with_close_ones(name, meant):
    with pytest.raises(errors.BackboneError, match="is not an encoder of keras") as caught:
        registry.find(name)
    assert meant in caught.value.next_step


def test_a_name_like_no_other_is_answered_with_all():
    with pytest.raises(errors.BackboneError) as caught:
        registry.find("qqq")
    assert "give onnx:PATH, hub:NAME or one of" in caught.value.next_step
    assert "xception" in caught.value.next_step


def test_with_the_lstm_it_has_the_reports_3_8_million_parameters():
    encoder = registry.ReportCNN(input_shape=(300, 600, 3))
    head = classifiers.build("report_lstm", fusion.head_shape("lstm", (512,)), 243)
    classifier = geolocator.build_classifier(head, tuple(encoder.output_shape[1:]), "lstm")
    count = sum(int(np.prod(weight.shape)) for weight in encoder.trainable_weights + classifier.trainable_weights)
    assert count == 3_821_299


def test_it_is_a_backbone_like_any_other():
    spec = backbones.BackboneSpec("report_cnn", "random", "", "none", 40, 64)
    images = np.full((2, 40, 64, 3), 255, np.uint8)
    features = keras.ops.convert_to_numpy(backbones.build(spec)(images))
    assert features.shape == (2, 5, 8, 512)
    assert np.isfinite(features).all()
    assert registry.preprocess_input(np.float32(255.0)) == 1


def test_it_has_no_weights_to_load():
    with pytest.raises(errors.BackboneError, match=r"neither published weights(.|\n)*--train_backbone"):
        backbones.build(backbones.BackboneSpec("report_cnn", "imagenet", "", "none", 40, 64))


def test_images_too_small_are_refused():
    with pytest.raises(errors.BackboneError, match="at least 8x8 px"):
        registry.ReportCNN(input_shape=(7, 64, 3))
