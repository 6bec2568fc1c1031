"""MobileNetV2 with the shared weights, and networks exported as ONNX."""

import pathlib
import warnings

import checkout
import keras
import numpy as np
import pytest

from model.encoders import backbones

WEIGHTS = checkout.SHARED / "weights/mobilenet_v2_1.0_224_no_top.weights.h5"


IMAGES = np.random.default_rng(0).integers(0, 256, (4, 32, 48, 3), dtype=np.uint8)


def spec(**changed) -> backbones.BackboneSpec:
    values = {"weights": "random", "layer": "block_3_expand_relu", "pooling": "avg", "height_px": 32, "width_px": 48}
    return backbones.BackboneSpec("mobilenet_v2", **(values | changed))


def features(backbone: keras.Model, images: np.ndarray = IMAGES) -> np.ndarray:
    """Features by Keras without a graph: 0.1 s instead of 0.6."""
    return keras.ops.convert_to_numpy(backbone(images, training=False))


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    left, right = (values.reshape(len(values), -1).astype(np.float64) for values in (left, right))
    return (left * right).sum(axis=1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)


def exported(network: keras.Model, path: pathlib.Path) -> pathlib.Path:
    """Writes a network as an ONNX file by Keras; skips the test without tf2onnx."""
    pytest.importorskip("tf2onnx", reason="tf2onnx is not installed")
    # Keras exports no network that was never called.
    network(np.zeros((1, *network.input_shape[1:]), np.float32))
    with warnings.catch_warnings():
        # Keras' own use of NumPy's old names.
        warnings.simplefilter("ignore", FutureWarning)
        network.export(path, format="onnx", verbose=False)
    return path
