"""The trainable CNN that the report's second solution offers in place of ResNet50.

Eight 3x3 convolutions in four pairs (128, 64, 64, 512 filters), each pair followed by batch normalisation of momentum
0.6 and, but for the last, 2x2 max pooling. With a global max pool, LSTM(64) and the layers 1024/512/128/64 over 243
cells it has 3,821,299 trainable parameters, the report's "3.8M" (github.com/Nirvan66/geoguessrLSTM, 2020).
"""

import keras

from geods import errors
from model import tensors

_FILTERS = (128, 64, 64, 512)
_MOMENTUM = 0.6


def ReportCNN(  # noqa: N802 - named as the constructors of keras.applications
    include_top: bool = False, weights: str | None = None, input_shape: tuple[int, int, int] = (300, 600, 3)
) -> keras.Model:
    """Builds the encoder, with the arguments of a keras.applications constructor.

    Args:
        include_top: False: it has no classifier.
        weights: None: there are none to load.
        input_shape: (height, width, 3), each side at least 8.

    Returns:
        keras.Model: float images `[b, h, w, 3]` of 0 to 1 -> features `[b, h // 8, w // 8, 512]`.

    Raises:
        BackboneError: If weights or a classifier are asked for, or the images are too small.
    """
    if weights is not None or include_top:
        raise errors.BackboneError(
            "report_cnn has neither published weights nor a classifier.",
            "train it: --backbone=report_cnn --backbone_weights=random --train_backbone",
        )
    if min(input_shape[:2]) < 2 ** (len(_FILTERS) - 1):
        problem = f"report_cnn halves images of {input_shape[0]}x{input_shape[1]} px three times."
        raise errors.BackboneError(problem, "give images of at least 8x8 px")
    images = keras.Input(input_shape, name="image")
    hidden = images
    for pair, filters in enumerate(_FILTERS, start=1):
        for number in (1, 2):
            name = f"block{pair}_conv{number}"
            hidden = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name=name)(hidden)
        hidden = keras.layers.BatchNormalization(momentum=_MOMENTUM, name=f"block{pair}_bn")(hidden)
        if pair < len(_FILTERS):
            hidden = keras.layers.MaxPooling2D(name=f"block{pair}_pool")(hidden)
    return keras.Model(images, hidden, name="report_cnn")


def preprocess_input(images: tensors.Tensor) -> tensors.Tensor:
    """Returns images `[b, h, w, 3]` of 0 to 255 as 0 to 1; the report fed 0 to 255 (--preprocessing=raw)."""
    return images / 255.0
