"""The MobileNetV2 of the shared weights, for tests of runtimes."""

import checkout
import numpy as np

from model.encoders import backbones

WEIGHTS = checkout.SHARED / "weights/mobilenet_v2_1.0_224_no_top.weights.h5"


IMAGES = np.random.default_rng(0).integers(0, 256, (4, 32, 48, 3), dtype=np.uint8)


def spec(**changed) -> backbones.BackboneSpec:
    values = {"weights": "random", "layer": "block_3_expand_relu", "pooling": "avg", "height_px": 32, "width_px": 48}
    return backbones.BackboneSpec("mobilenet_v2", **(values | changed))


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    left, right = (values.reshape(len(values), -1).astype(np.float64) for values in (left, right))
    return (left * right).sum(axis=1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)
