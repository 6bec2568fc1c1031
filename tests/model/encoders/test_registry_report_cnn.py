"""The report's own encoder: size, shapes, refusals."""

import keras
import numpy as np
import pytest

from geods import errors
from model import geolocator
from model.encoders import backbones, registry
from model.fusion import fusion
from model.heads import classifiers


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
