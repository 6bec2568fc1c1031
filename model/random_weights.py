"""Random weights that let a signal through, the same for a seed in every process and on every Keras backend.

Keras' own initial weights (Glorot) are made for training, where batch normalisation restores the scale after every
layer. A frozen encoder normalises nothing, and with them the features of MobileNetV2 have a deviation of 1e-12; with
these it is about 1.
"""

import keras
import numpy as np

# Layers that pass on the scale of what they get.
_TRANSPARENT = (keras.layers.BatchNormalization, keras.layers.Dropout)


def fill(encoder: keras.Model, seed: int) -> None:
    """Draws every kernel of an encoder anew; biases and normalisation keep the values Keras gives them.

    Kernels are normal with variance gain / fan-in: gain 2 before a ReLU, which halves the signal (He et al. 2015,
    arXiv 1502.01852), and 1 before a residual sum, where there is none; with 2 there as well, the features of
    ResNet50 pass 10^5, more than float16 holds.
    """
    rng = np.random.default_rng(seed)
    summed = _feeding_sums(encoder)
    for layer in encoder.layers:
        for weight in layer.weights:
            if weight.name.endswith("kernel"):
                gain = 1.0 if layer.name in summed else 2.0
                values = rng.standard_normal(weight.shape, dtype="float32")
                weight.assign(values * np.float32(np.sqrt(gain / _fan_in(tuple(weight.shape)))))


def _fan_in(shape: tuple[int, ...]) -> int:
    """Returns how many values one output of a kernel sums up."""
    # A depthwise kernel [h, w, channels, 1] sums over h and w alone; no encoder has a convolution of one filter.
    depthwise = len(shape) == 4 and shape[-1] == 1
    return int(np.prod(shape[:2] if depthwise else shape[:-1]))


def _feeding_sums(encoder: keras.Model) -> set[str]:
    """Returns the names of layers whose output reaches a residual sum with no activation on the way."""
    makers = {id(layer.output): layer for layer in encoder.layers}
    found = set()
    for layer in encoder.layers:
        if isinstance(layer, keras.layers.Add):
            for tensor in layer.input:
                maker = makers[id(tensor)]
                while isinstance(maker, _TRANSPARENT):
                    maker = makers[id(maker.input)]
                found.add(maker.name)
    return found
